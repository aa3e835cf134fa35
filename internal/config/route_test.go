package config

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestRoutes has the three ways to name a route's backends; a URL that is one of the domain's means that server.
func TestRoutes(t *testing.T) {
	c := parse(t, `
[[domain]]
names = ["example.jp", "日本語.jp"]
recipients = "any"
[[domain.backend]]
url = "smtp://mail1.example.jp"
priority = 7
max_connections = 3
tls = { mode = "required", name = "mail.example.jp" }
[[domain.route]]
match = ["EDI@Example.JP", "ML-*@日本語.jp"]
backend = "lmtp://ml1.example.jp"
[[domain.route]]
match = ["a@example.jp"]
backends = ["smtp://Mail1.example.jp:25", "maildir:/var/mail/a"]
[[domain.route]]
match = ["b@example.jp"]
[[domain.route.backend]]
url = "smtp://b1.example.jp"
weight = 2
max_connections = 5
tls = { mode = "none" }
[[domain.route.backend]]
url = "smtp://b2.example.jp"
priority = 1
client = "xclient"
`, Options{})
	var got []string
	for _, r := range c.Domains[0].Routes {
		line := fmt.Sprint(r.Match)
		for _, b := range r.Backends {
			line += fmt.Sprint("; ", b.URL, " ", b.Priority, " ", b.Weight, " ", b.MaxConnections, " ", b.TLS.Mode, " ", b.TLS.Name, " ", b.Client, " ", b.Chunking)
		}
		got = append(got, line)
	}
	want := []string{
		"[edi@example.jp ml-*@xn--wgv71a119e.jp]; lmtp://ml1.example.jp:24 0 1 15 opportunistic  none true",
		"[a@example.jp]; smtp://mail1.example.jp:25 0 1 3 required mail.example.jp none true; maildir:/var/mail/a 0 1 15 opportunistic  none true",
		"[b@example.jp]; smtp://b1.example.jp:25 0 2 5 none  none true; smtp://b2.example.jp:25 1 1 15 opportunistic  xclient true",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
