package main

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
)

// TestConsole: an administrator is added while the server runs, signs in, and finds the held mail; role = mx serves no pages.
func TestConsole(t *testing.T) {
	dir := t.TempDir()
	g := startIn(t, dir, serveConfig(dir, "[[domain]]\nnames = [\"example.test\"]\nrecipients = \"any\"\nbackends = [\"maildir:"+dir+"/maildir\"]\n"))
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"-c", g.conf, "console", "passwd", "hanako", "--role", "admin"}, strings.NewReader("correct horse battery\n"), &out, &errs); code != 0 {
		t.Fatalf("%d %s%s", code, &out, &errs)
	}
	if code := run(t.Context(), []string{"-c", g.conf, "console", "passwd", "jiro", "--role", "admin"}, strings.NewReader("short\n"), &out, &errs); code != 1 || !strings.Contains(errs.String(), "too short") {
		t.Errorf("a short password: %d %s", code, &errs)
	}
	if list, code := g.command("console", "list"); code != 0 || !strings.Contains(list, "hanako") || strings.Contains(list, "jiro") || strings.Contains(list, "argon2") {
		t.Errorf("console list: %d %s", code, list)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Jar: jar}
	ask := func(r *http.Response, err error) (int, string) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		return r.StatusCode, string(b)
	}
	site := "http://" + g.HTTP
	if code, page := ask(c.Get(site + "/")); code != 200 || strings.Contains(page, "/admin/mails") {
		t.Errorf("the first page: %d\n%s", code, page)
	}
	if code, page := ask(c.PostForm(site+"/admin/sign-in", url.Values{"name": {"hanako"}, "password": {"correct horse battery"}})); code != 200 || !strings.Contains(page, "mx.test") {
		t.Fatalf("signed in: %d\n%s", code, page)
	}
	for _, path := range []string{"/admin/mails", "/admin/audit", "/admin/bulk"} {
		if code, page := ask(c.Get(site + path)); code != 200 || !strings.Contains(page, "hanako") {
			t.Errorf("%s: %d\n%s", path, code, page)
		}
	}
	if code, _ := ask(c.Get(site + "/admin/mails/nothing")); code != 404 {
		t.Errorf("a mail that is not there: %d", code)
	}
	if code, page := ask(c.Get("http://" + g.Ops + "/")); code != 200 || !strings.Contains(page, "mx.test") {
		t.Errorf("the status page: %d\n%s", code, page)
	}
}

// TestRoles: an MX serves no pages, a console takes no mail, and check says both.
func TestRoles(t *testing.T) {
	for role, serves := range map[string]struct{ smtp, http bool }{"mx": {true, false}, "console": {false, true}} {
		dir := t.TempDir()
		conf := "role = \"" + role + "\"\n" + serveConfig(dir, "[[domain]]\nnames = [\"example.test\"]\nrecipients = \"any\"\nbackends = [\"maildir:"+dir+"/maildir\"]\n")
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		free := l.Addr().String()
		_ = l.Close()
		g := startIn(t, dir, strings.Replace(conf, "[http]\nlisten = \"127.0.0.1:0\"", "[http]\nlisten = \""+free+"\"", 1))
		if (g.SMTP != "") != serves.smtp || (g.HTTP != "") != serves.http {
			t.Errorf("%s: smtp %q, http %q", role, g.SMTP, g.HTTP)
		}
		if conn, err := net.Dial("tcp", free); (err == nil) != serves.http {
			t.Errorf("%s: http.listen: %v", role, err)
		} else if err == nil {
			_ = conn.Close()
		}
		out, code := g.command("check")
		if code != 0 || strings.Contains(out, "pages") != serves.http && !strings.Contains(out, "no pages are served") || (role == "mx") != strings.Contains(out, "no pages are served") {
			t.Errorf("%s: check: %d\n%s", role, code, out)
		}
	}
}
