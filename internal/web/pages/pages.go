// Package pages is how everything looks that a browser is shown: templates in both languages, one style sheet, and htmx.
//
// It knows no sessions and no routes. Package web hands it what a page shows; a form's nonce comes from the Frame. Every page works
// without scripts: htmx only saves a reload while somebody types a search, and counts down the time for undoing. There are no
// inline scripts or styles, so that the policy of the site can forbid them.
//
// htmx is by Big Sky Software and others, under the Zero-Clause BSD licence in assets/htmx.LICENSE.
package pages

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"

	"sekimori/internal/text"
)

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed assets/style.css assets/htmx.js assets/icon.svg
var assetFiles embed.FS

// Frame is what every page has around its own content.
type Frame struct {
	Lang   text.Lang
	Name   string // who is signed in; "" nobody
	Role   string // person | helpdesk | admin | auditor | ""
	Single bool   // of a person: the session opens single mails only, so that there is no list to lead to
	Path   string // of the request
	Query  url.Values
	// Admin says that the page belongs to the administrators' part, also when nobody is signed in.
	Admin bool
	// Nonce makes the nonce of one form by the path that it is sent to.
	Nonce func(form string) (string, error)
	Now   time.Time
}

// Set are the pages. Safe for concurrent use.
type Set struct {
	by map[text.Lang]*template.Template
}

// New reads the templates; times are shown in zone.
func New(zone *time.Location) (*Set, error) {
	s := &Set{by: map[text.Lang]*template.Template{}}
	for _, lang := range []text.Lang{text.Ja, text.En} {
		t, err := template.New("").Funcs(words{lang, zone}.funcs()).ParseFS(templateFiles, "templates/*.html")
		if err != nil {
			return nil, fmt.Errorf("pages: %w", err)
		}
		s.by[lang] = t
	}
	return s, nil
}

// page is what a template gets: the Frame's fields, and its own in B.
type page struct {
	Frame
	B any
}

// Render writes a page; body is what its template shows (the fields that it names). Nothing is written when it fails.
func (s *Set) Render(w io.Writer, name string, f Frame, body any) error {
	t, ok := s.by[f.Lang]
	if !ok {
		t, f.Lang = s.by[text.Ja], text.Ja
	}
	if f.Nonce == nil {
		f.Nonce = func(string) (string, error) { return "", nil }
	}
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, name, page{f, body}); err != nil {
		return fmt.Errorf("pages: %w", err)
	}
	_, err := b.WriteTo(w)
	return err
}

// assetPath is where assets stand; the part behind it changes with what they contain, so that browsers may keep them.
const assetPath = "/assets/"

// assetVersion is made from all assets.
var assetVersion = sync.OnceValue(func() string {
	h := sha256.New()
	entries, _ := assetFiles.ReadDir("assets") // embedded: it is there
	for _, e := range entries {
		b, _ := assetFiles.ReadFile("assets/" + e.Name())
		h.Write(b)
	}
	return hex.EncodeToString(h.Sum(nil))[:12]
})

func assetURL(name string) string { return assetPath + assetVersion() + "/" + name }

// AssetPattern is where Assets serves, for a ServeMux.
const AssetPattern = "GET " + assetPath + "{version}/{name}"

// Assets serves the style sheet, htmx and the icon to everybody. They hold nothing of anybody.
func Assets(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	b, err := assetFiles.ReadFile("assets/" + path.Base(name))
	if err != nil || r.PathValue("version") != assetVersion() {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(b))
}

// link returns the path with one parameter of the query changed, or taken out when v is "".
func link(p string, q url.Values, key, v string) string {
	c := url.Values{}
	for k, vs := range q {
		if k != key {
			c[k] = vs
		}
	}
	if v != "" {
		c.Set(key, v)
	}
	if enc := c.Encode(); enc != "" {
		return p + "?" + enc
	}
	return p
}

func get(q url.Values, key string) string { return strings.TrimSpace(q.Get(key)) }

// LangForm and SignOutForm are where the forms in the head of a page go, Here is the page itself.
func (f Frame) LangForm() string { return f.area() + "/lang" }

// SignOutForm ends the session.
func (f Frame) SignOutForm() string { return f.area() + "/sign-out" }

// Here is the address of the page, to come back to.
func (f Frame) Here() string { return link(f.Path, f.Query, "", "") }

func (f Frame) area() string {
	if f.Admin {
		return "/admin"
	}
	return ""
}
