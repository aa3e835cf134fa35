package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestDeadBackendIsSaid: while the backend is away, the status page, check and the queue say so and what happens to the mail.
func TestDeadBackendIsSaid(t *testing.T) {
	url := fmt.Sprintf("smtp://127.0.0.1:%d", freePort(t))
	g := startGateway(t, gatewayOptions{on: []string{"spf"}, backend: url, extra: "[policy]\nthresholds = {}\n"})
	if r := send(t, g.SMTP, "192.0.2.9", "mx.partner.test", "sender@partner.test", "taro@example.test", []byte(plainMail)); !strings.HasPrefix(r, "250") {
		t.Fatal(r)
	}
	say := func(what string, ask func() string, want ...string) {
		t.Helper()
		last := ""
		defer func() {
			if t.Failed() {
				t.Logf("it said:\n%s", last)
			}
		}()
		eventually(t, what, func() bool {
			last = ask()
			for _, w := range want {
				if !strings.Contains(last, w) {
					return false
				}
			}
			return true
		})
	}
	command := func(args ...string) func() string {
		return func() string { out, _ := g.command(args...); return out }
	}
	say("check warns", command("check"), "it warns at the moment:", "The backend "+url+" does not take mail: ", "No mail is lost")
	say("check --json warns", command("check", "--json"), `"cause": "backend `+url+`"`)
	say("the queue waits for it", command("queue", "list"), "when its backend is up", "connection refused")
	say("queue list --json names it", command("queue", "list", "--json"), `"waits_for"`, url)
	say("the page warns", func() string {
		r, err := http.Get("http://" + g.Ops + "/?lang=ja")
		if err != nil {
			return err.Error()
		}
		defer r.Body.Close()
		b, _ := io.ReadAll(r.Body)
		return string(b)
	}, "バックエンド "+url+" がメールを受け取りません", "応答なし")
}
