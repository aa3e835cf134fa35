package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/history"
	"sekimori/internal/mail"
	"sekimori/internal/text"
	"sekimori/quarantine"
	"sekimori/rules"
)

type explainCmd struct {
	ID   string `arg:"" help:"ID of the mail, as it stands in the reply, the header, the log, digests and lists."`
	Lang string `enum:"en,ja" default:"en" help:"Language of the words: en or ja."`
	JSON bool   `help:"Print JSON."`
}

// Help is the long help.
func (explainCmd) Help() string {
	return "Says in sentences why a mail was delivered, tagged, held, refused or put off: what decided, each finding with its points, what " +
		"was not looked at, the smallest set of findings without which it would have been delivered, and the narrowest safe rule that lets " +
		"the next such mail through. It asks the quarantine, the facts kept of the last days, and the stories on this host."
}

// explainResult is what --json prints.
type explainResult struct {
	ID      string      `json:"id"`
	Source  string      `json:"source"` // facts | quarantine | story
	Time    time.Time   `json:"time"`
	Mails   []explained `json:"recipients"`
	Rules   string      `json:"rules"`         // version of the set that judged, for rules show; "" where it is not kept
	Changed bool        `json:"rules_changed"` // the rules in force now are others than those that judged; known with facts only
}

// Run explains one mail.
func (c explainCmd) Run(a *app) error {
	cfg, err := a.loadConfig()
	if err != nil {
		printErrors(a.err, err)
		return found
	}
	e := &explainer{cfg: cfg, lang: text.Lang(c.Lang)}
	if e.policy, err = loadPolicy(cfg); err != nil {
		e.policy = nil
	}
	r, err := c.find(a, e)
	if err != nil {
		return err
	}
	if c.JSON {
		return a.json(r)
	}
	for i := range r.Mails {
		if i > 0 {
			fmt.Fprintln(a.out)
		}
		r.Mails[i].say(a)
	}
	if r.Rules != "" {
		fmt.Fprintln(a.out, text.Fill("explain.rules", e.lang, mail.Evidence{Key: "version", Value: r.Rules}))
	}
	if r.Changed {
		fmt.Fprintln(a.out, text.Fill("explain.changed", e.lang))
	}
	return nil
}

// find asks, in this order, what says most: the facts as long as the rules are the same, the record of held mail, the story.
func (c explainCmd) find(a *app, e *explainer) (*explainResult, error) {
	reader, err := history.OpenReader(filepath.Join(e.cfg.DataDir, "history"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	r := &explainResult{ID: c.ID}
	if reader != nil {
		defer reader.Close()
		if e.facts(reader, r) {
			return r, nil
		}
	}
	st, err := dialStore(a.ctx, e.cfg)
	if err != nil {
		return nil, err
	}
	q, done, err := a.keeperOf(e.cfg, st)
	if err != nil {
		return nil, err
	}
	defer done()
	item, err := q.Show(a.ctx, c.ID)
	switch {
	case err == nil:
		e.held(&item, r)
		return r, nil
	case !errors.Is(err, quarantine.ErrNotFound):
		return nil, err
	}
	period := history.Period{}
	if reader != nil {
		answer, err := reader.Stories(history.Query{ID: c.ID}, 1)
		if err != nil {
			return nil, err
		}
		if e.story(answer, r) {
			return r, nil
		}
		period = answer.Period
	}
	return nil, errors.New(unknownMail(e.cfg, c.ID, period))
}

// unknownMail says that nothing is known, and where and when was looked.
func unknownMail(cfg *config.Config, id string, p history.Period) string {
	s := fmt.Sprintf("nothing is known of a mail %s: it is not in the quarantine, and ", id)
	if p.From.IsZero() {
		return s + fmt.Sprintf("%s keeps no history yet. If another host took it, run this command there", cfg.Hostname)
	}
	return s + fmt.Sprintf("not in the history of %s, which covers %s to %s. If another host took it, run this command there",
		cfg.Hostname, p.From.Local().Format(historyTime), p.To.Local().Format(historyTime))
}

// facts judges the mail again with what the rules saw. It reports whether these facts are there and the rules are still the same.
func (e *explainer) facts(reader *history.Reader, r *explainResult) bool {
	if e.policy == nil {
		return false
	}
	for f, err := range reader.FactsOf(r.ID) {
		if err != nil {
			continue
		}
		c, err := rules.DecodeCase(f.Data)
		if err != nil {
			continue
		}
		verdicts := e.policy.JudgeCase(c)
		if c.Rules != e.policy.Fingerprint() || len(c.NotJudged) > 0 {
			r.Changed = c.Rules != e.policy.Fingerprint()
			continue
		}
		for i := range verdicts {
			v := verdicts[i]
			if i < len(c.Verdicts) && !rules.SameVerdict(&v, &c.Verdicts[i]) {
				return false // what the gate added, such as [degraded], stands in the record and the story
			}
			early := c.Tx.Stage < mail.Conclude
			author, _ := c.Tx.Facts["message.from"].(string)
			r.Mails = append(r.Mails, e.explain(&rules.Ask{Verdict: v, Proof: rules.ProofOfFindings(oneAuthor(author), v.Counted), From: senderOf(c.Tx.Facts), Early: early},
				e.policy.WithoutCase(c, i)))
		}
		r.Source, r.Time, r.Rules = "facts", f.Time, c.Rules
	}
	return len(r.Mails) > 0
}

func oneAuthor(s string) mail.Address {
	a, err := mail.ParseAddress(strings.TrimSpace(s), true)
	if err != nil {
		return mail.Address{}
	}
	return a
}

func senderOf(facts map[string]any) mail.Address {
	s, _ := facts["from.address"].(string)
	return oneAuthor(s)
}

// held explains from the record of a held mail.
func (e *explainer) held(i *quarantine.Item, r *explainResult) {
	r.Source, r.Time = "quarantine", i.Time
	v := i.Verdict()
	var l mail.Limits
	if e.policy != nil {
		l = e.policy.Limits(v.Rcpt)
	}
	r.Mails = []explained{e.explain(&rules.Ask{Verdict: v, Proof: i.Proof, From: i.From}, text.Needed(v, l))}
}

// story explains from what happened to a mail; false when nothing there was decided.
func (e *explainer) story(answer *history.Answer, r *explainResult) bool {
	for _, s := range answer.Stories {
		for _, ev := range s.Events {
			if ev.Kind != history.KindMail && ev.Kind != history.KindRcpt {
				continue
			}
			for k := range ev.Rcpts {
				v := ev.Verdict(&ev.Rcpts[k])
				early := ev.Kind == history.KindRcpt
				l := v.Limits
				if e.policy != nil {
					v.Describe = e.policy.DescribeOf(v.RuleID)
					if !early && l == (mail.Limits{}) { // an old story
						l = e.policy.Limits(v.Rcpt)
					}
				}
				change := text.Needed(v, l)
				change.Early = early
				r.Mails = append(r.Mails, e.explain(&rules.Ask{Verdict: v, Proof: rules.ProofOfFindings(oneAuthor(ev.HeaderFrom), v.Counted), From: oneAuthor(ev.From), Early: early}, change))
			}
			r.Source, r.Time, r.Rules = "story", ev.Time, ev.Rules
		}
	}
	return len(r.Mails) > 0
}
