package web

import (
	"html"
	"net/http"
	"strings"
	"testing"

	"sekimori/internal/web/session"
)

// mayCome says who may come where, written down a second time by hand: n nobody, p person, h helpdesk, u auditor, a admin.
var mayCome = map[string]string{
	"GET /{$}": "np", "GET /q/{token}": "nphua", "GET /r/{id}": "nphua", "POST /r/{id}": "nphua", "GET /mail/{id}": "p", "GET /mail/{id}/frame": "p", "GET /allowed": "p", "POST /allowed": "p", "GET /settings": "p", "POST /settings": "p", "GET /admin/bulk": "a", "GET /admin/mails/{id}/frame": "a", "POST /mail/{id}": "p", "POST /mails": "p",
	"GET /done/{receipt}": "p", "POST /done/{receipt}": "p", "POST /send-list": "np", "GET /sent-list": "np", "POST /lang": "np", "POST /sign-out": "np", "GET /sso": "np", "GET /sso/callback": "np", "GET /admin/sso": "nhua",
	"GET /admin/{$}": "nhua", "POST /admin/sign-in": "nhua", "GET /admin/mails": "hua", "GET /admin/mails/{id}": "hua", "GET /admin/mails/{id}/body": "a", "POST /admin/mails/{id}": "ha",
	"POST /admin/bulk": "a", "POST /admin/bulk/{plan}": "a", "GET /admin/done/{receipt}": "ha", "POST /admin/done/{receipt}": "ha", "GET /admin/audit": "ua", "GET /admin/symbols": "hua", "GET /admin/questions": "hua", "POST /admin/questions/{id}": "ha",
	"POST /admin/lang": "nhua", "POST /admin/sign-out": "nhua",
}

// TestRoles goes through every role and every route of the table.
func TestRoles(t *testing.T) {
	w := newWorld(t)
	table := routes()
	if len(table) != len(mayCome) {
		t.Errorf("%d routes, and %d in the test", len(table), len(mayCome))
	}
	for _, rt := range table {
		may, known := mayCome[rt.pattern]
		if !known {
			t.Errorf("%s is not in the test", rt.pattern)
			continue
		}
		for letter, role := range map[string]string{"n": "", "p": "person", "h": "helpdesk", "u": "auditor", "a": "admin", "x": "unknown"} {
			b := w.browser()
			switch {
			case letter == "p":
				b.get("/q/" + w.token("taro@example.jp", ""))
			case letter != "n":
				b = w.signedIn(role)
			}
			// A person's cookie says nothing in the console, and the other way round.
			effective := letter
			if letter == "p" && rt.console() || letter != "p" && !rt.console() {
				effective = "n"
			}
			allowed := strings.Contains(may, effective)
			method, path, _ := strings.Cut(rt.pattern, " ")
			path = strings.NewReplacer("{$}", "", "{token}", w.token("taro@example.jp", "m1"), "{id}", "m1", "{receipt}", "release-m1", "{plan}", "release-m1").Replace(path)
			b.c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
			var got answer
			if method == "POST" {
				got = b.post("", path, "act", "release", "nonce", "made-up", "lang", "en", "address", "taro@example.jp")
			} else {
				got = b.get(path)
			}
			refused := got.code == http.StatusForbidden && !strings.Contains(got.body, "out of date") ||
				got.code == http.StatusSeeOther && (got.header.Get("Location") == "/" || got.header.Get("Location") == "/admin/") && !openToAll(rt.pattern)
			if refused == allowed {
				t.Errorf("%s as %q: status %d to %q, allowed %v\n%s", rt.pattern, role, got.code, got.header.Get("Location"), allowed, got.body)
			}
		}
	}
	w.wantActs()
}

// openToAll are the routes whose own answer leads home.
func openToAll(pattern string) bool {
	return strings.HasSuffix(pattern, "/lang") || strings.HasSuffix(pattern, "/sign-out") || strings.HasPrefix(pattern, "GET /q/") || strings.HasSuffix(pattern, " /r/{id}")
}

// TestTable: nothing that changes something is reached without a session, but what is harmless; GET is never among what acts.
func TestTable(t *testing.T) {
	for _, rt := range routes() {
		if rt.post() && rt.who&nobody != 0 && !openToAll(rt.pattern) && rt.pattern != "POST /send-list" && rt.pattern != "POST /admin/sign-in" {
			t.Errorf("%s is open to everybody", rt.pattern)
		}
		if !strings.HasPrefix(rt.pattern, "GET /") && !strings.HasPrefix(rt.pattern, "POST /") {
			t.Errorf("%s: neither GET nor POST", rt.pattern)
		}
		if rt.console() && rt.who&person != 0 || !rt.console() && rt.who&staff != 0 && rt.pattern != "GET /q/{token}" && !strings.HasSuffix(rt.pattern, " /r/{id}") {
			t.Errorf("%s mixes the two kinds of sessions", rt.pattern)
		}
	}
	if roleOf(session.Session{ID: "x", Kind: session.Console, Role: "person"}) != 0 || roleOf(session.Session{ID: "x", Kind: "other", Role: "admin"}) != 0 {
		t.Error("an unknown role is let in")
	}
}

// TestSymbolsInTheConsole: the meaning is in the language of the reader, and what never came up can be left out.
func TestSymbolsInTheConsole(t *testing.T) {
	w := newWorld(t)
	b := w.signedIn("helpdesk")
	for lang, want := range map[string][]string{
		"ja": {"送信元が許可されていません。", "日本語だけの説明です。", "逆引きがありません。", "+2.0", "+1.5", ">12<", ">3<"},
		"en": {"The server is not allowed", "日本語だけの説明です。", "No reverse name"},
	} {
		b.post("", "/admin/lang", "lang", lang, "back", "/admin/symbols")
		got := b.get("/admin/symbols")
		got.body = html.UnescapeString(got.body)
		for _, s := range want {
			if got.code != http.StatusOK || !strings.Contains(got.body, s) {
				t.Errorf("%s: %d, no %q in\n%s", lang, got.code, s, got.body)
			}
		}
	}
	if got := b.get("/admin/symbols?came=1"); strings.Contains(got.body, "RDNS_NONE") || !strings.Contains(got.body, "SPF_FAIL") || !strings.Contains(got.body, "ONLY_JAPANESE") {
		t.Errorf("only what came up: %s", got.body)
	}
}
