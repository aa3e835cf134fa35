package web

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/web/login"
	"sekimori/internal/web/login/issuer"
	"sekimori/internal/web/session"
)

// withSSO gives a world a provider and single sign-on with it, and real logins.
func withSSO(t *testing.T, w *world) *issuer.Issuer {
	t.Helper()
	idp := issuer.Start(t)
	idp.Set(func(i *issuer.Issuer) { i.Callback, i.Now = w.srv.URL+"/sso/callback", w.clock.now })
	c := &w.cfg.Console.OIDC
	c.Issuer, c.ClientID, c.ClientSecret = idp.URL, issuer.ClientID, issuer.ClientSecret
	c.Roles = config.ConsoleRoles{Admin: []string{"mail-admins"}, Helpdesk: []string{"helpdesk"}}
	sso, err := login.NewSSO(login.SSOOptions{Config: *c, Callback: w.srv.URL + "/sso/callback", Client: w.store, Log: slog.New(slog.DiscardHandler), Now: w.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	logins := login.New(func() string { return w.users }, everybody{}, slog.New(slog.DiscardHandler))
	logins.SSO = sso
	w.site.o.SSO, w.site.o.Logins, w.site.origin = sso, logins, w.srv.URL
	return idp
}

// sessionOf is the id that a browser's cookie holds.
func (b *browser) cookie(name string) string {
	u, _ := url.Parse(b.w.srv.URL)
	for _, c := range b.c.Jar.Cookies(u) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

// TestSSOPerson: a person comes by single sign-on and sees the whole list of the person behind the address; signing out asks for the
// account the next time; the session ends in four hours.
func TestSSOPerson(t *testing.T) {
	w := newWorld(t)
	idp := withSSO(t, w)
	b := w.browser()
	w.want("the first page", b.get("/"), 200, `href="`+w.srv.URL+`/sso"`)
	got := b.get("/sso")
	if got.path != "/" || got.code != 200 || !strings.Contains(got.body, "subject of m1") || !strings.Contains(got.body, "subject of m4") || strings.Contains(got.body, "/admin/mails") {
		t.Fatalf("%d %s\n%s", got.code, got.path, got.body)
	}
	if len(w.looks) != 1 || w.looks[0].Act != "login" || w.looks[0].Actor != "taro@example.jp" || w.looks[0].Via != "oidc" || w.looks[0].Role != "person" || w.looks[0].Detail != "subject u1" {
		t.Errorf("the audit log: %+v", w.looks)
	}
	if b.cookie("sekimori-sso") != "" {
		t.Error("the secret of the attempt is kept")
	}
	if got := b.get("/admin/mails"); got.path != "/admin/" {
		t.Errorf("a person in the console: %s", got.path)
	}
	first := b.cookie("sekimori")
	b.get("/sso") // once more: another session, and the old one is over
	if second := b.cookie("sekimori"); second == first || second == "" {
		t.Error("the session is the same one")
	}
	if _, err := w.sessions.Get(t.Context(), first); !errors.Is(err, session.ErrNone) {
		t.Errorf("the old session: %v", err)
	}
	if asked := idp.Asked(); asked[len(asked)-1].Get("prompt") != "" {
		t.Errorf("prompt %v", asked)
	}
	b.post("", "/sign-out")
	if got := b.get("/allowed"); got.path != "/" {
		t.Errorf("signed out: %s", got.path)
	}
	b.get("/sso")
	b.get("/sso")
	if asked := idp.Asked(); asked[len(asked)-2].Get("prompt") != "select_account" || asked[len(asked)-1].Get("prompt") != "" {
		t.Errorf("after signing out: %v", asked)
	}
	for range 16 {
		w.clock.add(15 * time.Minute) // never idle
		got = b.get("/allowed")
	}
	if got.path != "/" {
		t.Errorf("after four hours: %s", got.path)
	}
}

// TestSSOConsole: an administrator's role comes from the provider; who has none is told so and gets no session.
func TestSSOConsole(t *testing.T) {
	w := newWorld(t)
	idp := withSSO(t, w)
	b := w.browser()
	w.want("the ways", b.get("/admin/"), 200, `href="`+w.srv.URL+`/admin/sso"`, `name="password"`)
	w.want("no role", b.get("/admin/sso"), 403, "has no role")
	if b.cookie("sekimori-admin") != "" || b.cookie("sekimori") != "" || len(w.looks) != 0 {
		t.Errorf("there is a session: %+v", w.looks)
	}
	idp.Set(func(i *issuer.Issuer) { i.Claims["groups"] = []string{"helpdesk"} })
	if got := b.get("/admin/sso"); got.path != "/admin/" || !strings.Contains(got.body, "/admin/mails") {
		t.Fatalf("%d %s\n%s", got.code, got.path, got.body)
	}
	w.want("the helpdesk searches", b.get("/admin/mails"), 200)
	w.want("the helpdesk reads no bodies", b.get("/admin/mails/m1/body"), 403)
	if got := b.get("/allowed"); got.path != "/" {
		t.Errorf("an administrator is a person: %s", got.path)
	}
	w.clock.add(29 * time.Minute)
	w.want("later", b.get("/admin/mails"), 200)
	w.site.o.Logins.(*login.Service).SSO = nil // it was taken out of the configuration
	if got := b.get("/admin/mails"); got.path != "/admin/" {
		t.Errorf("without single sign-on: %s", got.path)
	}
}

// TestSSORefusals: every way to fail has a page of its own, in both languages, with the way to begin anew, and makes no session.
func TestSSORefusals(t *testing.T) {
	w := newWorld(t)
	idp := withSSO(t, w)
	for _, c := range []struct {
		what   string
		change func(i *issuer.Issuer)
		code   int
		en, ja string
	}{
		{"cancelled", func(i *issuer.Issuer) {
			i.Answer = url.Values{"error": {"access_denied"}, "error_description": {"<b>x"}, "code": nil}
		}, 403, "was cancelled", "取り消された"},
		{"not verified", func(i *issuer.Issuer) { i.Claims["email_verified"] = false }, 403, "has not confirmed", "確認されていない"},
		{"no address", func(i *issuer.Issuer) { i.Claims["email"] = nil }, 403, "did not name", "届かなかった"},
		{"nobody here", func(i *issuer.Issuer) { i.Claims["email"] = "taro@elsewhere.test" }, 403, "belongs to nobody here", "利用者のものではない"},
		{"not to be believed", func(i *issuer.Issuer) { i.Claims["aud"] = "other" }, 502, "could not be confirmed", "確認できなかった"},
		{"another browser", func(i *issuer.Issuer) { i.Answer = url.Values{"state": {"other"}} }, 400, "not begun in this browser", "このブラウザーで始められた"},
		{"no state", func(i *issuer.Issuer) { i.Answer = url.Values{"state": nil} }, 400, "not begun in this browser", "このブラウザーで始められた"},
	} {
		idp.Set(func(i *issuer.Issuer) {
			i.Answer, i.Claims = nil, map[string]any{"sub": "u1", "email": "taro@example.jp", "email_verified": true}
			c.change(i)
		})
		for _, lang := range []string{"en", "ja"} {
			b := w.browser()
			got := b.do("GET", "/sso", nil, "Accept-Language", lang)
			w.want(c.what+" "+lang, got, c.code, map[string]string{"en": c.en, "ja": c.ja}[lang], `href="/"`)
			if b.cookie("sekimori") != "" || strings.Contains(got.body, "<b>x") {
				t.Errorf("%s: a session, or the provider's words\n%s", c.what, got.body)
			}
		}
	}
	if len(w.looks) != 0 {
		t.Errorf("somebody came in: %+v", w.looks)
	}
}

// TestSSOReplay: what the provider sent one browser back with is worth nothing in another, nor once more in the same.
func TestSSOReplay(t *testing.T) {
	w := newWorld(t)
	withSSO(t, w)
	b := w.browser()
	var back string
	b.c.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.Path, "/sso/callback") && back == "" {
			back = r.URL.RequestURI()
			return http.ErrUseLastResponse
		}
		return nil
	}
	b.get("/sso")
	secret := b.cookie("sekimori-sso")
	if back == "" || secret == "" || strings.Contains(back, secret) {
		t.Fatalf("the way back: %q, cookie %q", back, secret)
	}
	victim := w.browser()
	w.want("in another browser", victim.get(back), 400)
	victim.get("/sso") // it has a cookie of its own now, and a session
	victim.post("", "/sign-out")
	w.want("in another browser that has begun, too", victim.get(back), 400)
	if victim.cookie("sekimori") != "" {
		t.Error("another browser has the session of the first")
	}
	if got := b.get(back); got.path != "/" || got.code != 200 {
		t.Fatalf("%d %s", got.code, got.path)
	}
	thief := w.browser()
	u, _ := url.Parse(w.srv.URL)
	thief.c.Jar.SetCookies(u, []*http.Cookie{{Name: "sekimori-sso", Value: secret, Path: "/"}})
	w.want("once more, even with the cookie", thief.get(back), 400)
	w.want("made up", w.browser().get("/sso/callback?code=x&state=y"), 400)
	w.want("empty", w.browser().get("/sso/callback"), 400)
}

// TestSSOAway: without the provider the pages stand, say so, and passwords work; it comes back by itself.
func TestSSOAway(t *testing.T) {
	w := newWorld(t)
	idp := withSSO(t, w)
	idp.Set(func(i *issuer.Issuer) { i.Down = true })
	b := w.browser()
	w.want("begun", b.get("/sso"), 503, "does not answer")
	w.want("the first page says so", b.get("/"), 200, "does not answer at the moment")
	w.want("that of administrators as well", b.get("/admin/"), 200, "does not answer at the moment", `name="password"`)
	u, err := login.NewUser("hanako", "admin", "correct horse battery")
	if err == nil {
		_, err = login.Put(w.users, u, false)
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := b.do("POST", "/admin/sign-in", url.Values{"name": {"hanako"}, "password": {"correct horse battery"}}); got.code != 200 || got.path != "/admin/" {
		t.Errorf("a password: %d %s", got.code, got.path)
	}
	idp.Set(func(i *issuer.Issuer) { i.Down = false })
	w.clock.add(time.Minute)
	if got := b.get("/sso"); got.path != "/" || got.code != 200 {
		t.Errorf("it is back: %d %s\n%s", got.code, got.path, got.body)
	}
	if got := w.browser().get("/"); strings.Contains(got.body, "does not answer") {
		t.Errorf("still away:\n%s", got.body)
	}
}

// TestSSONone: where it is not set up, the pages offer nothing, and its addresses say so.
func TestSSONone(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	for _, path := range []string{"/sso", "/admin/sso", "/sso/callback?code=x&state=y"} {
		w.want(path, b.get(path), 404, "not set up")
	}
	if got := b.get("/"); strings.Contains(got.body, "/sso") {
		t.Error(got.body)
	}
}
