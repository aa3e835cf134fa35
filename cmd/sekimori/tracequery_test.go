package main

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/dns"
	"sekimori/internal/history"
	"sekimori/internal/text"
)

// TestReadings: as what words are read, the likeliest first.
func TestReadings(t *testing.T) {
	for _, c := range []struct {
		words, as string
		check     func(*history.Query) bool
	}{
		{"taro@example.test", "address / message_id / subject", func(q *history.Query) bool { return q.Address == "taro@example.test" }},
		{"<1.2@shop.test>", "message_id / address", func(q *history.Query) bool { return q.MessageID == "<1.2@shop.test>" }},
		{"Message-ID: <1.2@shop.test>", "message_id", func(q *history.Query) bool { return q.MessageID == "<1.2@shop.test>" }},
		{"佐藤 <sato@shop.test>", "address / message_id", func(q *history.Query) bool { return q.Address == "sato@shop.test" }},
		{"From: 佐藤 <sato@shop.test>", "sender", func(q *history.Query) bool { return q.Sender == "sato@shop.test" }},
		{"shop.test", "domain / subject", func(q *history.Query) bool { return q.Domain == "shop.test" }},
		{"@shop.test", "domain", func(q *history.Query) bool { return q.Domain == "shop.test" }},
		{"192.0.2.1", "client", func(q *history.Query) bool { return q.Client == netip.MustParsePrefix("192.0.2.1/32") }},
		{"2001:db8::/48", "client", func(q *history.Query) bool { return q.Client.Bits() == 48 }},
		{"d4j0aaaaaaaaaaaaaaaa", "id / subject", func(q *history.Query) bool { return q.ID == "d4j0aaaaaaaaaaaaaaaa" }},
		{"digest-0123456789abcdef-1", "id / subject", func(q *history.Query) bool { return q.ID == "digest-0123456789abcdef-1" }},
		{"請求書", "subject", func(q *history.Query) bool { return q.Subject == "請求書" }},
		{"=?UTF-8?B?6KuL5rGC5pu4?=", "subject", func(q *history.Query) bool { return q.Subject == "請求書" }},
		{"Invoice 4711", "subject", func(q *history.Query) bool { return q.Subject == "Invoice 4711" }},
		{"taro@example.test 請求書 11月", "subject+address", func(q *history.Query) bool { return q.Address == "taro@example.test" && q.Subject == "請求書 11月" }},
		{"a@shop.test taro@example.test", "sender+rcpt / sender+rcpt", func(q *history.Query) bool { return q.Sender == "a@shop.test" && q.Rcpt == "taro@example.test" }},
		{"192.0.2.1 2026-11-20", "client+day", func(q *history.Query) bool {
			return q.Client.IsValid() && q.Until.Sub(q.Since) > 22*time.Hour && q.Since.Day() == 20
		}},
	} {
		list, err := traceCmd{Query: strings.Fields(c.words), Limit: 20}.readings()
		if err != nil {
			t.Errorf("%s: %v", c.words, err)
			continue
		}
		var as []string
		for _, r := range list {
			as = append(as, strings.Join(r.As, "+"))
		}
		if got := strings.Join(as, " / "); got != c.as || !c.check(&list[0].Query) {
			t.Errorf("%s: %s %+v", c.words, got, list[0].Query)
		}
	}
	day := timeValue{time.Date(2026, 11, 20, 0, 0, 0, 0, time.Local)}
	if list, err := (traceCmd{Since: day, Limit: 20}).readings(); err != nil || !slices.Contains(list[0].Query.Kinds, history.KindRefused) {
		t.Errorf("a time alone: %+v %v", list, err)
	}
	for _, bad := range []traceCmd{{Limit: 20}, {Query: []string{"x"}}, {Query: []string{"x"}, Limit: 501}, {Client: "x", Limit: 20}, {Since: timeValue{day.AddDate(0, 0, 1)}, Until: day, Limit: 20}} {
		var f failure
		if _, err := bad.readings(); !errors.As(err, &f) || f.code != exitUsage {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

// TestDomainNetworks: what a domain names in SPF and MX, within bounds, however its records lead in circles.
func TestDomainNetworks(t *testing.T) {
	zone, err := dns.ParseZone(`
shop.test. TXT "v=spf1 ip4:192.0.2.7 ip4:198.51.100.0/22 include:_spf.host.test mx exists:%{i}.x.test -all"
shop.test. MX 10 mx.shop.test.
mx.shop.test. A 203.0.113.9
mx.shop.test. AAAA 2001:db8:1:2::9
_spf.host.test. TXT "v=spf1 ip6:2001:db8:5::/56 ip4:0.0.0.0/0 a:out.host.test redirect=shop.test"
out.host.test. A 192.0.2.200
null.test. MX 0 .
`)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, n := range domainNetworks(t.Context(), zone, "shop.test") {
		got = append(got, fmt.Sprintf("%s %s", n.Network, n.From))
	}
	if s := strings.Join(got, ", "); s != "192.0.2.0/24 spf, 198.51.100.0/22 spf, 2001:db8:5::/48 spf, 203.0.113.0/24 spf, 2001:db8:1::/48 spf" {
		t.Error(s)
	}
	for _, domain := range []string{"null.test", "gone.test", "", "a b"} {
		if list := domainNetworks(t.Context(), zone, domain); len(list) != 0 {
			t.Errorf("%q: %v", domain, list)
		}
	}
}

// TestExchangeCommands: which Exchange stands behind is told by what it answers or where it is; others get no command.
func TestExchangeCommands(t *testing.T) {
	at := time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)
	commands := func(backend, words string) []string {
		return exchangeCommands(&config.Config{}, noExchange, &traceResult{Read: &reading{}, Stories: []history.Story{{ID: "m1", Events: []*history.Event{
			{Time: at, Kind: history.KindMail, ID: "m1", From: "o'neil@shop.test", MessageID: "<1@shop.test>", Rcpts: []history.Rcpt{{Addr: "taro@example.test"}}},
			{Time: at, Kind: history.KindTry, ID: "m1", Backend: backend, Rcpts: []history.Rcpt{{Addr: "taro@example.test", End: "delivered", Words: words}}},
		}}}})
	}
	const queued = "250 2.6.0 <1@shop.test> [InternalId=4711, Hostname=ex1.corp.test] Queued mail for delivery"
	if c := commands("smtp://ex1.corp.test:25", queued); len(c) != 2 || !strings.Contains(c[0], "Get-MessageTrackingLog -ResultSize Unlimited -MessageId '<1@shop.test>' -Start '") ||
		!strings.Contains(c[1], "-Sender 'o''neil@shop.test' -Recipients 'taro@example.test'") {
		t.Error(c)
	}
	if c := commands("smtp://example-test.mail.protection.outlook.com:25", "250 2.6.0 queued"); len(c) != 2 ||
		!strings.Contains(c[0], "Get-MessageTraceV2 -MessageId '<1@shop.test>' -StartDate '2026-11-20 08:00:00Z' -EndDate '2026-11-21 09:00:00Z'") || !strings.Contains(c[1], "-SenderAddress ") {
		t.Error(c)
	}
	if c := commands("smtp://mail1.corp.test:25", "250 2.0.0 Ok: queued as 4Fz"); len(c) != 0 {
		t.Error(c)
	}
	nothing := &traceResult{Read: &reading{Query: history.Query{Address: "a@shop.test", Since: at}}}
	if c := exchangeCommands(&config.Config{}, online, nothing); len(c) != 1 || !strings.Contains(c[0], "-SenderAddress 'a@shop.test' -StartDate '2026-11-20 09:00:00Z' -EndDate '2026-11-30 09:00:00Z'") {
		t.Error(c)
	}
	if c := exchangeCommands(&config.Config{}, noExchange, nothing); c != nil {
		t.Error(c)
	}
}

// TestHostileStory: whatever another host or a mail says, nothing reaches the terminal but text.
func TestHostileStory(t *testing.T) {
	evil := "x\x1b[2J\r\n\u202e"
	e := &history.Event{Kind: history.Kind(evil), ID: evil, Stage: evil, Why: evil, Reply: evil, By: evil, Node: evil, Ref: evil, Action: evil, Rcpts: []history.Rcpt{{Addr: evil, Rule: evil, Action: evil, Words: evil}}}
	var out, errw strings.Builder
	res := &traceResult{
		Read: &reading{}, Hosts: []hostTold{{Host: evil, Error: evil}, {Host: "b"}}, Unknown: evil, Notes: []string{evil},
		Stories: []history.Story{{ID: evil, Events: []*history.Event{e}}}, Refused: []*history.Event{e},
	}
	for _, kind := range []history.Kind{history.Kind(evil), history.KindMail, history.KindRcpt, history.KindTry, history.KindDigest, history.KindAct, history.KindEnded, history.KindFailed} {
		e.Kind = kind
		for _, l := range []text.Lang{text.Ja, text.En} {
			res.Reply = replies(l, res)
			traceCmd{}.print(&app{out: &out, err: &errw}, l, res)
		}
	}
	if s := out.String(); strings.ContainsAny(s, "\x1b\r\u202e") || !strings.Contains(s, "x") {
		t.Errorf("%q", s)
	}
}
