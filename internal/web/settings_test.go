package web

import (
	"net/http"
	"strings"
	"testing"

	"sekimori/internal/link"
	"sekimori/internal/mail"
	"sekimori/internal/text"
)

// TestSettings: the link that stops digests shows a page; a choice on it is kept, also that of the reader behind an alias.
func TestSettings(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	token, err := w.keys.Sign(t.Context(), link.Claim{Person: addr("taro@example.jp"), Action: "stop"})
	if err != nil {
		t.Fatal(err)
	}
	page := b.get("/q/" + token)
	if page.path != "/settings" || strings.Contains(page.body, "checked") {
		t.Fatalf("%s: %s", page.path, page.body)
	}
	chosen := func() (string, text.Lang) {
		t.Helper()
		got, err := w.choices.Get(t.Context(), []mail.Address{addr("taro@example.jp")})
		if err != nil {
			t.Fatal(err)
		}
		return got[0].Schedule.String(), got[0].Lang
	}
	if z, lang := chosen(); z != "" || lang != "" {
		t.Errorf("opening the link chose %q %q", z, lang)
	}
	for _, x := range []struct {
		act, when string
		lang      text.Lang
	}{{"when:off", "off", ""}, {"lang:ja", "off", "ja"}, {"when:weekly", "weekly mon 08:00", "ja"}, {"lang:", "weekly mon 08:00", ""}, {"when:", "", ""}} {
		page = b.post("/settings", "/settings", "act", x.act)
		if z, lang := chosen(); page.code != http.StatusOK || z != x.when || lang != x.lang {
			t.Errorf("%s: status %d, %q %q", x.act, page.code, z, lang)
		}
	}
	for _, act := range []string{"", "when:never", "lang:fr"} {
		if got := b.post("/settings", "/settings", "act", act); got.code != http.StatusUnprocessableEntity {
			t.Errorf("%q: %d", act, got.code)
		}
	}
}
