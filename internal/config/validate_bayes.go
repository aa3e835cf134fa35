package config

import (
	"path/filepath"
	"strings"
	"time"

	"sekimori/internal/mail"
)

const (
	minVocabulary = 10_000
	maxDrift      = 7 * 24 * time.Hour
	folderEvery   = Duration(time.Minute)
)

// bayes checks [bayes].
func (v *validator) bayes() {
	b := &v.cfg.Bayes
	if b.PersonLimit < 0 {
		v.fail("bayes.person_limit", "must be 0 (a second person must say the same) or more, not %d", b.PersonLimit)
	}
	if b.CampaignLimit < 0 {
		v.fail("bayes.campaign_limit", "must be 0 (no limit) or more, not %d", b.CampaignLimit)
	}
	if b.Vocabulary != 0 && b.Vocabulary < minVocabulary {
		v.fail("bayes.vocabulary", "must be 0 (no limit) or at least %d, not %d", minVocabulary, b.Vocabulary)
	}
	for i := range b.Folders {
		v.bayesFolder(i, &b.Folders[i])
	}
	v.bayesIMAP()
	v.bayesDrop()
	d := &b.Drift
	if d.Window.D() < time.Hour || d.Window.D() > maxDrift {
		v.fail("bayes.drift.window", "must be from 1h to 7d")
	}
	if d.Min < 1 {
		v.fail("bayes.drift.min", "must be 1 or more, not %d", d.Min)
	}
	if d.Persons < 1 {
		v.fail("bayes.drift.persons", "must be 1 or more, not %d", d.Persons)
	}
	for key, part := range map[string]float64{"bayes.drift.released": d.Released, "bayes.drift.reported": d.Reported} {
		if !(part > 0 && part <= 1) {
			v.fail(key, "must be above 0 and at most 1 (0.05 are 5 %%), not %v", part)
		}
	}
}

// bayesFolder checks a folder and fills in what it leaves out.
func (v *validator) bayesFolder(i int, f *BayesFolder) {
	path := at("bayes.folder", i)
	switch {
	case f.Path == "":
		v.fail(path, "needs path, a Maildir")
	case !filepath.IsAbs(f.Path):
		v.fail(path+".path", "%q is not an absolute path", f.Path)
	}
	v.bayesLesson(path, f.Class, &f.Scope)
	if f.Every == 0 {
		f.Every = folderEvery
	}
	if f.Every.D() < time.Second {
		v.fail(path+".every", "must be at least 1s")
	}
}

// bayesLesson checks as what and for whom is learned.
func (v *validator) bayesLesson(path, class string, scope *string) {
	v.oneOf(path+".class", class, "spam", "ham")
	if *scope == "" {
		*scope = "all"
	}
	if domain, ok := strings.CutPrefix(*scope, "@"); ok {
		if _, err := mail.ParseDomain(domain); err != nil {
			v.fail(path+".scope", "%q: %v", *scope, err)
		}
	} else if _, err := mail.ParseAddress(*scope, false); err != nil && *scope != "all" {
		v.fail(path+".scope", "%q is not all, @DOMAIN or an address", *scope)
	}
}
