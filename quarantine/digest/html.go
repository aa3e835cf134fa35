package digest

import (
	_ "embed"
	"html/template"
	"sync"

	"sekimori/internal/text"
)

//go:embed digest.html
var htmlSource string

var htmlPart = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("digest.html").Funcs(template.FuncMap{"soft": soft}).Parse(htmlSource))
})

// Colon, Space and Gap are what stands behind a label, between two, and between two sentences.
func (p *page) Colon() string {
	if p.Lang == string(text.Ja) {
		return "："
	}
	return ": "
}

// Space stands between two labels on one line.
func (p *page) Space() string {
	if p.Lang == string(text.Ja) {
		return "　"
	}
	return " · "
}

// Gap stands between two sentences.
func (p *page) Gap() string { return p.gap() }
