package filters

import (
	"regexp"
	"strings"
	"testing"

	"sekimori/internal/mail"
	"sekimori/internal/text"
)

// What administrators read and write about a check must be there in both languages, under names that say whose it is.
func TestSpecsAreDescribed(t *testing.T) {
	texts := map[string]text.Entry{}
	for _, e := range text.All() {
		if _, twice := texts[e.Key]; twice {
			t.Errorf("the text %s stands twice", e.Key)
		}
		texts[e.Key] = e
	}
	said := func(key string) {
		t.Helper()
		e, ok := texts[key]
		switch {
		case !ok:
			t.Errorf("no text for %s", key)
		case e.Ja == "" || e.En == "":
			t.Errorf("%s is not said in both languages", key)
		case !japanese.MatchString(e.Ja) || japanese.MatchString(e.En):
			t.Errorf("%s: ja %q and en %q", key, e.Ja, e.En)
		}
	}
	for _, s := range Specs() {
		if s.New == nil {
			t.Logf("%s is not built yet", s.Name)
			continue
		}
		said("check." + s.Name)
		said("symbol." + TempError(s.Name))
		for _, x := range s.Symbols {
			said("symbol." + x.Name)
		}
		for _, f := range s.Facts {
			said("fact." + f.Name)
		}
	}
}

var japanese = regexp.MustCompile(`[\p{Hiragana}\p{Katakana}\p{Han}]`)

func TestSpecNames(t *testing.T) {
	seen := map[string]bool{}
	once := func(name string) {
		t.Helper()
		if seen[name] {
			t.Errorf("%s is declared twice", name)
		}
		seen[name] = true
	}
	symbol := regexp.MustCompile(`^[A-Z][A-Z0-9]*(_[A-Z0-9]+)+$`)
	fact := regexp.MustCompile(`^[a-z][a-z0-9]*\.[a-z][a-z0-9_]*$`)
	for _, f := range mail.BaseFacts {
		once(f.Name)
	}
	for _, s := range Specs() {
		once(s.Name)
		if len(s.Stages) == 0 {
			t.Errorf("%s has no stage", s.Name)
		}
		for _, x := range s.Symbols {
			once(x.Name)
			if !symbol.MatchString(x.Name) || !strings.HasPrefix(x.Name, strings.ToUpper(s.Name)+"_") {
				t.Errorf("symbol %s of %s", x.Name, s.Name)
			}
		}
		for _, f := range s.Facts {
			once(f.Name)
			if !fact.MatchString(f.Name) || f.Check() != s.Name {
				t.Errorf("fact %s of %s", f.Name, s.Name)
			}
			if f.Stage < s.Stages[0] {
				t.Errorf("fact %s is known at %s, before its check runs", f.Name, f.Stage)
			}
			if f.Name == s.Name+".state" {
				t.Errorf("%s is what rules call the state of the check", f.Name)
			}
		}
	}
}
