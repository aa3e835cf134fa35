package web

import (
	_ "embed"
	"html/template"
	"io"
	"net/http"
	"time"

	"sekimori/internal/text"
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

func (s *Status) symbols(w http.ResponseWriter, r *http.Request) {
	statusHeader(w)
	_ = s.Symbols(r.Context()).Write(w) // the client has gone: nobody to tell
}
