package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sekimori/internal/history"
	"sekimori/internal/mail"
	"sekimori/internal/text"
	"sekimori/quarantine"
	"sekimori/rules"
)

type explainCmd struct {
	ID   string   `arg:"" help:"ID of the mail, as it stands in the reply, the header, the log, digests and lists."`
	Lang string   `enum:"en,ja" default:"en" help:"Language of the words: en or ja."`
	Wait ageValue `default:"5s" placeholder:"TIME" help:"How long to wait for the other hosts, at most 1m (default: 5s)."`
	JSON bool     `help:"Print JSON."`
}

// Help is the long help.
func (explainCmd) Help() string {
	return "Says in sentences why a mail was delivered, tagged, held, refused or put off: what decided, each finding with its points, what " +
		"was not looked at, the smallest set of findings without which it would have been delivered, and the narrowest safe rule that lets " +
		"the next such mail through. It asks the facts kept of the last days, the quarantine, and the stories: of this host, and of those that share " +
		"its Redis when this one did not judge the mail."
}

// explainResult is what --json prints.
type explainResult struct {
	ID      string      `json:"id"`
	Source  string      `json:"source"` // facts | quarantine | story
	Time    time.Time   `json:"time"`
	Mails   []explained `json:"recipients"`
	Rules   string      `json:"rules"`         // version of the set that judged, for rules show; "" where it is not kept
	Hosts   []hostTold  `json:"hosts"`         // that were asked: only this one when it knows what the rules saw
	Changed bool        `json:"rules_changed"` // the rules in force now are others than those that judged; known with facts only
}

// Run explains one mail.
func (c explainCmd) Run(a *app) error {
	cfg, err := a.loadConfig()
	if err != nil {
		printErrors(a.err, err)
		return found
	}
	if err := checkWait(c.Wait); err != nil {
		return err
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
	if r.Source != "facts" { // a host that is silent may have them
		for i := range r.Hosts {
			if h := &r.Hosts[i]; !h.Answered && !h.Off {
				fmt.Fprintln(a.out, tidy(text.Trace(e.lang, "silent", h.Host, h.Error)))
			}
		}
	}
	return nil
}

// find asks, in this order, what says most: the facts as long as the rules are the same, the record of held mail, the story. Other hosts
// are asked when this one does not know what the rules saw.
func (c explainCmd) find(a *app, e *explainer) (*explainResult, error) {
	in, err := a.inquire(e.cfg, time.Time{}, c.Wait.Duration)
	if err != nil {
		in = &inquiry{cfg: e.cfg, hosts: []hostTold{{Host: e.cfg.Hostname, Off: true}}} // the quarantine may know it
	}
	defer in.close()
	asks := []history.Ask{{Facts: c.ID}, {Query: history.Query{ID: c.ID}, Most: 1, Whole: true}}
	r := &explainResult{ID: c.ID}
	if e.facts(in.here(a.ctx, asks)[0], r) {
		r.Hosts = in.hosts[:1]
		return r, nil
	}
	found := in.ask(a.ctx, asks...)
	r.Hosts = in.hosts
	if e.facts(found[0], r) || e.heldThere(a, c.ID, r, &err) {
		return r, nil
	}
	if stories, _ := history.JoinStories(found[1], 1); e.story(stories, r) {
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	return nil, errors.New(unknownMail(in, c.ID))
}

// heldThere explains from the record of a held mail. It reports whether there is one; err says why that is not known.
func (e *explainer) heldThere(a *app, id string, r *explainResult, err *error) bool {
	var d *standingDesk
	if d, *err = a.openStanding(e.cfg); *err != nil {
		return false
	}
	defer d.done()
	item, serr := d.keeper.Show(a.ctx, id)
	if serr == nil {
		e.held(&item, r)
		return true
	}
	if !errors.Is(serr, quarantine.ErrNotFound) {
		*err = serr
	}
	return false
}

// unknownMail says that nothing is known, and where and when was looked.
func unknownMail(in *inquiry, id string) string {
	s := fmt.Sprintf("nothing is known of a mail %s: it is not in the quarantine", id)
	for i := range in.hosts {
		h := &in.hosts[i]
		switch {
		case h.Off, h.Answered && h.Period.From.IsZero():
			s += fmt.Sprintf("; %s keeps no history yet", h.Host)
		case !h.Answered:
			s += fmt.Sprintf("; %s did not answer (%s), and may know it", h.Host, h.Error)
		default:
			s += fmt.Sprintf("; not in the history of %s, which covers %s to %s", h.Host, h.Period.From.Local().Format(historyTime), h.Period.To.Local().Format(historyTime))
		}
	}
	if in.Unknown != "" {
		s += "; which other hosts there are is not known: " + in.Unknown
	}
	return s
}

// facts judges the mail again with what the rules saw. It reports whether these facts are there and the rules are still the same.
func (e *explainer) facts(parts []history.From, r *explainResult) bool {
	if e.policy == nil {
		return false
	}
	r.Mails = nil
	for _, f := range slices.Concat(factsOf(parts)...) {
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
				r.Mails = nil
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

func factsOf(parts []history.From) [][]history.Record {
	var list [][]history.Record
	for _, p := range parts {
		list = append(list, p.Facts)
	}
	return list
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
func (e *explainer) story(stories []history.Story, r *explainResult) bool {
	for _, s := range stories {
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
