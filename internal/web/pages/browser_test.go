package pages

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"testing"
	"time"

	"sekimori/internal/text"
	"sekimori/internal/web/browser"
)

// gallery serves every page with its examples at /LANG/NAME/NUMBER, under the policy of the site.
func gallery(t *testing.T) *httptest.Server {
	set, err := New(time.FixedZone("JST", 9*3600))
	if err != nil {
		t.Fatal(err)
	}
	all := bodies()
	mux := http.NewServeMux()
	mux.HandleFunc(AssetPattern, Assets)
	mux.HandleFunc("GET /show/{lang}/{name}/{n}", func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue("name")
		n, _ := strconv.Atoi(r.PathValue("n"))
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		f := frame(text.Lang(r.PathValue("lang")), name, roleOf(name))
		f.Path = r.URL.Path
		if err := set.Render(w, name, f, all[name][n]); err != nil {
			t.Error(err)
		}
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

// Every page on a desk and on a phone, light and dark: nothing is wider than the screen or too small to hit, nothing is against the
// policy, and axe-core finds nothing against WCAG 2.1 A and AA.
func TestPagesInABrowser(t *testing.T) {
	axe := browser.Axe(t)
	b := browser.Start(t, "")
	site := gallery(t)
	names := make([]string, 0, 20)
	for name := range bodies() {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, v := range []browser.View{browser.Desk("ja"), browser.Phone("en")} {
		v.Dark = v.Lang == "en"
		v.Name += "-" + v.Lang
		tab := b.Tab(t, v)
		for _, name := range names {
			for n := range bodies()[name] {
				tab.Go(fmt.Sprintf("%s/show/%s/%s/%d", site.URL, v.Lang, name, n))
				browser.Eval[bool](tab, "document.querySelectorAll('details').forEach(d => d.open = true), true")
				tab.Shot(fmt.Sprintf("%s%d", name, n))
				at := fmt.Sprintf("%s %d (%s)", name, n, v.Name)
				if wide := tab.Wide(); wide > 0 {
					t.Errorf("%s: %d pixels wider than the screen", at, wide)
				}
				for _, s := range tab.Small() {
					t.Errorf("%s: too small: %s", at, s)
				}
				for _, s := range tab.Violations(axe) {
					t.Errorf("%s: %s", at, s)
				}
				for _, s := range tab.Faults() {
					t.Errorf("%s: %s", at, s)
				}
				if foreign := browser.Own(tab.Requests(), site.URL); len(foreign) > 0 {
					t.Errorf("%s: asked for %v", at, foreign)
				}
			}
		}
		browser.Eval[bool](tab, "document.querySelector('main').append(document.createElement('input')), true")
		if len(tab.Violations(axe)) == 0 {
			t.Error("a field without a label is not found: the check does not work")
		}
	}
}
