package web

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"sekimori/internal/web/login"
)

func TestSignIn(t *testing.T) {
	w := newWorld(t)
	add := func(role string) {
		t.Helper()
		u, err := login.NewUser("hanako", role, "correct horse battery")
		if err == nil {
			_, err = login.Put(w.users, u, false)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	add("admin")
	b := w.browser()
	sign := func(name, password string) answer {
		return b.do("POST", "/admin/sign-in", url.Values{"name": {name}, "password": {password}})
	}
	wrong, unknown := sign("hanako", "wrong"), sign("nobody", "wrong")
	w.want("a wrong password", wrong, 401)
	if wrong.body != unknown.body || wrong.code != unknown.code {
		t.Errorf("an unknown name is answered otherwise:\n%s", unknown.body)
	}
	w.want("nothing", sign("", ""), 401)
	if got := sign("hanako", "correct horse battery"); got.code != 200 || got.path != "/admin/" {
		t.Fatalf("%d %s", got.code, got.path)
	}
	if len(w.looks) != 1 || w.looks[0].Act != "login" || w.looks[0].Actor != "hanako" {
		t.Errorf("the audit log: %+v", w.looks)
	}
	w.want("the audit log", b.get("/admin/audit"), 200)
	add("helpdesk") // the role is taken away: the session is over at once
	if got := b.get("/admin/audit"); got.path != "/admin/" || strings.Contains(got.body, "/admin/sign-out") {
		t.Errorf("with a role that is gone: %s\n%s", got.path, got.body)
	}
	for range 6 {
		sign("hanako", "wrong")
	}
	w.want("locked, even with the right one", sign("hanako", "correct horse battery"), 429)
	w.clock.add(time.Hour)
	w.want("later", sign("hanako", "correct horse battery"), 200)
}
