package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
)

// refuseAll is a backend that refuses every recipient.
func refuseAll(t *testing.T) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				fmt.Fprint(c, "220 refusing.test\r\n")
				for in := bufio.NewScanner(c); in.Scan(); {
					answer := "250 ok"
					if strings.HasPrefix(in.Text(), "RCPT") {
						answer = "550 5.1.1 nobody here"
					}
					fmt.Fprintf(c, "%s\r\n", answer)
				}
			}()
		}
	}()
	return ln.Addr().String()
}

// TestCheckAlert: a test of alerts goes the way of alerts, and what became of it is said for each address. Addresses that a reload
// brings are used, by tests and by alerts.
func TestCheckAlert(t *testing.T) {
	dir := t.TempDir()
	p := &program{t: t, dir: dir, conf: filepath.Join(dir, "sekimori.toml")}
	box := filepath.Join(dir, "box")
	conf := func(to string) string {
		domain := "[[domain]]\nnames = [%q]\nrecipients = \"any\"\nbackends = [%q]\n"
		return serveConfig(dir, "[[smtp.listener]]\nlisten = [\"127.0.0.1:0\"]\n[alert]\nlang = \"en\"\nmail = ["+to+"]\n"+
			fmt.Sprintf(domain, "here.test", "maildir:"+box)+fmt.Sprintf(domain, "away.test", fmt.Sprintf("smtp://127.0.0.1:%d", freePort(t)))+
			fmt.Sprintf(domain, "refusing.test", "smtp://"+refuseAll(t)))
	}
	check := func(code int, words ...string) {
		t.Helper()
		out, got := p.command("check", "--alert")
		for _, w := range words {
			if !strings.Contains(out, w) {
				t.Errorf("%q is not in\n%s", w, out)
			}
		}
		if got != code {
			t.Errorf("exit code %d, want %d\n%s", got, code, out)
		}
	}
	p.write("sekimori.toml", conf(""))
	check(1, "alert.mail names nobody")
	p.write("sekimori.toml", conf(`"taro@here.test"`))
	check(1, "no serve runs")
	p.run()
	check(0, "taro@here.test: delivered, as alert-")
	if got := alertText(t, string(maildir(t, box, 1)[0])); !strings.Contains(got, "Test: alerts arrive here") || !strings.Contains(got, "mx.test") {
		t.Error(got)
	}

	p.write("sekimori.toml", conf(`"hanako@here.test", "x@away.test", "y@refusing.test"`))
	p.hangup("configuration reloaded")
	out, code := p.command("check", "--alert", "--json")
	var r alertTest
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != 1 || r.OK || len(r.To) != 3 {
		t.Fatalf("exit code %d, %v\n%s", code, err, out)
	}
	for i, want := range []alertFate{{"hanako@here.test", "delivered", ""}, {"x@away.test", "queued", "connection refused"}, {"y@refusing.test", "refused", "held as "}} {
		if got := r.To[i]; got.To != want.To || got.State != want.State || !strings.Contains(got.Detail, want.Detail) {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	if left, err := filepath.Glob(filepath.Join(dir, "data", "*.answer")); err != nil || len(left) > 0 {
		t.Error(left, err)
	}

	p.write("sekimori.toml", "nonsense = 1\n")
	eventually(t, "an alert for the new address", func() bool {
		for _, m := range maildir(t, box, 2) {
			if s := string(m); strings.Contains(s, "To: hanako@here.test") && strings.Contains(alertText(t, s), "is not in force") {
				return true
			}
		}
		return false
	})
}
