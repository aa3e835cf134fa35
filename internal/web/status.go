package web

import (
	"context"
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"time"

	"sekimori/internal/mail"
	"sekimori/internal/text"
)

//go:embed status.html
var statusHTML string

var statusPage = template.Must(template.New("status").Parse(statusHTML))

// Warning is what an administrator should know at the moment: its cause, from which the texts follow (text.Warning), and the words of
// what failed.
type Warning struct{ Cause, Detail string }

// Backend is how a backend is, as the page shows it.
type Backend struct {
	URL string
	Up  bool
}

// Numbers are the counts on the page.
type Numbers struct {
	Queued, Inflight int
	Held             int // -1: the store does not answer
	Pending          int // of the held: in this host's spool
}

// Status is what the status page shows. All must be set; the functions are called for each page, by several goroutines at once.
type Status struct {
	Hostname string
	Version  string
	Since    time.Time
	Health   *Health
	Listen   func() []string
	Numbers  func() Numbers
	Warnings func() []Warning // sorted
	Off      func() []string  // checks that do not run, "NAME: why"
	Backends func() []Backend
	Usage    func() []Usage                   // of the quarantine; nil: not known
	Rules    func() Rules                     // nil: not known
	Learning func() *Learning                 // of the Bayesian check; nil, or nothing returned: not shown
	Symbols  func(context.Context) SymbolPage // nil: there is no such page
}

// Rules are the sets of rules in force.
type Rules struct {
	Version string // on this host
	Since   time.Time
	Refused bool        // the files on the disk did not load
	Nodes   []RulesNode // all hosts; none when there is only this one
}

// RulesNode is what another host has in force.
type RulesNode struct {
	Name, Version   string
	Since           time.Time
	Silent, Differs bool
}

// ruleRows are the lines about rules.
func (s *Status) ruleRows(p *shown) []row {
	if s.Rules == nil {
		return nil
	}
	const at = "2006-01-02 15:04 MST"
	r := s.Rules()
	if r.Version == "" {
		return nil
	}
	value := func(version string, since time.Time, state string) string {
		return text.Fill("status.rules."+state, p.Lang, mail.Evidence{Key: "version", Value: version}, mail.Evidence{Key: "since", Value: since.Format(at)})
	}
	state := "present"
	if r.Refused {
		state = "refused"
	}
	rows := []row{{p.T("rules"), value(r.Version, r.Since, state)}}
	for _, n := range r.Nodes {
		state := "present"
		switch {
		case n.Silent:
			state = "silent"
		case n.Differs:
			state = "differs"
		}
		rows = append(rows, row{text.Fill("status.rules.node", p.Lang, mail.Evidence{Key: "node", Value: n.Name}), value(n.Version, n.Since, state)})
	}
	return rows
}

// Usage is how much of a quota is used, in octets.
type Usage struct {
	Domain     string // "": the whole quarantine
	Used, Most int64
}

// nearly is the share of a quota, in percent, from which on it is said that it is nearly used up.
const nearly = 80

// shownUsage is a Usage in words: State is a text, "status.usage.…".
type shownUsage struct {
	Usage
	Percent int64
	State   string
}

func (s *Status) usage() []shownUsage {
	if s.Usage == nil {
		return nil
	}
	var list []shownUsage
	for _, u := range s.Usage() {
		if u.Most <= 0 {
			continue
		}
		v := shownUsage{Usage: u, Percent: u.Used * 100 / u.Most, State: "status.usage.ok"}
		switch {
		case v.Percent >= 100:
			v.State = "status.usage.full"
		case v.Percent >= nearly:
			v.State = "status.usage.near"
		}
		list = append(list, v)
	}
	return list
}

// shown is the page of one request, all in words.
type shown struct {
	Lang, Other         text.Lang
	Class, State        string
	Warnings            []shownWarning
	Rows                []row
	Backends            []Backend
	Off                 []string
	Hostname            string
	OtherWords, Version string
	Symbols             bool
}

type shownWarning struct{ Is, Do, Detail string }

type row struct{ Name, Value string }

// T gives a text of the page in its language.
func (p *shown) T(key string) string { return text.Fill("status."+key, p.Lang) }

// Handler serves the status page at /, that of symbols at /symbols, and nothing else; every method but GET and HEAD is refused. The language is that of ?lang=ja|en,
// else what the browser asks for.
func (s *Status) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		statusHeader(w)
		w.Header().Set("Vary", "Accept-Language")
		_ = statusPage.Execute(w, s.show(langOf(r))) // the client has gone: nobody to tell
	})
	if s.Symbols != nil {
		mux.HandleFunc("GET /symbols", s.symbols)
	}
	return mux
}

func statusHeader(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
}

// langOf chooses the language: the first of ours that Accept-Language names, whose order is the usual order of preference.
func langOf(r *http.Request) text.Lang {
	wanted := r.Header.Get("Accept-Language")
	if lang := r.URL.Query().Get("lang"); lang != "" {
		wanted = lang
	}
	for tag := range strings.SplitSeq(strings.ToLower(wanted), ",") {
		switch tag = strings.TrimSpace(tag); {
		case strings.HasPrefix(tag, "ja"):
			return text.Ja
		case strings.HasPrefix(tag, "en"):
			return text.En
		}
	}
	return text.En
}

func (s *Status) show(lang text.Lang) *shown {
	p := &shown{Lang: lang, Other: text.Ja, Class: "ready", Backends: s.Backends(), Hostname: s.Hostname, Version: s.Version, Symbols: s.Symbols != nil}
	if lang == text.Ja {
		p.Other = text.En
	}
	for _, off := range s.Off() {
		p.Off = append(p.Off, text.NotLooked(off, lang))
	}
	for _, w := range s.Warnings() {
		kind, about := text.Warning(w.Cause)
		e := mail.Evidence{Key: "about", Value: about}
		p.Warnings = append(p.Warnings, shownWarning{text.Fill("warning."+kind+".is", lang, e), text.Fill("warning."+kind+".do", lang, e), text.Clean(w.Detail, 500)})
	}
	switch state := s.Health.report().Status; {
	case state == "draining":
		p.Class = "draining"
	case state != "ready":
		p.Class = "full"
	case len(p.Warnings) > 0:
		p.Class = "look"
	}
	p.State = p.T(p.Class)
	p.Rows = s.rows(p)
	return p
}

func (s *Status) rows(p *shown) []row {
	n := s.Numbers()
	rows := []row{{p.T("queued"), fmt.Sprint(n.Queued)}}
	if n.Inflight > 0 {
		rows = append(rows, row{p.T("inflight"), fmt.Sprint(n.Inflight)})
	}
	if n.Held < 0 {
		rows = append(rows, row{p.T("held"), p.T("unknown")})
	} else {
		rows = append(rows, row{p.T("held"), fmt.Sprint(n.Held)})
	}
	if n.Pending > 0 {
		rows = append(rows, row{p.T("pending"), fmt.Sprint(n.Pending)})
	}
	for _, u := range s.usage() {
		name := p.T("usage")
		if u.Domain != "" {
			name = p.T("usage") + " (" + u.Domain + ")"
		}
		rows = append(rows, row{name, text.Fill(u.State, p.Lang, mail.Evidence{Key: "used", Value: text.Size(u.Used)},
			mail.Evidence{Key: "most", Value: text.Size(u.Most)}, mail.Evidence{Key: "percent", Value: fmt.Sprint(u.Percent)})})
	}
	rows = append(rows, s.learningRows(p)...)
	rows = append(rows, s.ruleRows(p)...)
	return append(rows, row{p.T("listen"), strings.Join(s.Listen(), ", ")}, row{p.T("since"), s.Since.Format("2006-01-02 15:04 MST")},
		row{p.T("host"), s.Hostname}, row{p.T("version"), s.Version})
}
