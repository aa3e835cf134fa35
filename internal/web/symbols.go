package web

import (
	_ "embed"
	"html/template"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"

	"sekimori/internal/text"
	"sekimori/internal/web/session"
)

//go:embed symbols.html
var symbolsHTML string

var symbolsPage = template.Must(template.New("symbols").Funcs(template.FuncMap{
	"ja": func(key string) string { return text.Fill("status."+key, text.Ja) },
	"en": func(key string) string { return text.Fill("status."+key, text.En) },
}).Parse(symbolsHTML))

// SymbolPage is the page of all symbols and rules with their meanings in both languages, and how often they came up.
type SymbolPage struct {
	Hostname string
	Days     int // that were counted
	At       time.Time
	Counted  bool // false: what was counted cannot be read
	Symbols  []SymbolRow
	Rules    []SymbolRow
}

// SymbolRow is one symbol, or one rule.
type SymbolRow struct {
	Name, Where              string // Where: the check, or file:line
	Ja, En                   string
	Score, Default           float64 // of a symbol
	Hits, Observed, Released int64
}

// Write writes the page as one file that needs nothing else.
func (p SymbolPage) Write(w io.Writer) error { return symbolsPage.Execute(w, p) }

// Meaning is what the symbol or rule means, in one language; where a rule says it in the other one only, in that.
func (r SymbolRow) Meaning(lang text.Lang) string {
	if lang == text.Ja && r.Ja != "" || r.En == "" {
		return r.Ja
	}
	return r.En
}

// symbols shows the page within the console, in the language of who reads it. With came=1 only what came up is listed.
func (s *Site) symbols(w http.ResponseWriter, r *http.Request, n session.Session) {
	if s.o.Status.Symbols == nil {
		s.say(w, r, n, http.StatusServiceUnavailable, "web.error.store")
		return
	}
	p := s.o.Status.Symbols(r.Context())
	v := r.URL.Query()
	if v.Get("came") != "" && p.Counted {
		silent := func(r SymbolRow) bool { return r.Hits+r.Observed+r.Released == 0 }
		p.Symbols, p.Rules = slices.DeleteFunc(slices.Clone(p.Symbols), silent), slices.DeleteFunc(slices.Clone(p.Rules), silent)
	}
	s.page(w, r, n, http.StatusOK, "symbols", struct {
		SymbolPage
		Query url.Values
	}{p, v})
}

func (s *Status) symbols(w http.ResponseWriter, r *http.Request) {
	statusHeader(w)
	_ = s.Symbols(r.Context()).Write(w) // the client has gone: nobody to tell
}
