package filters

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sekimori/internal/dns"
	"sekimori/internal/mail"
)

func zoneOf(t testing.TB, text string) *dns.Zone {
	t.Helper()
	z, err := dns.ParseZone(text)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func spfOver(ctx context.Context, z dns.Resolver, client, helo string, from mail.Address) (mail.Result, error) {
	c := &spfCheck{dns: z, maxQueries: 60}
	return c.Check(ctx, &mail.Transaction{
		Stage: mail.Mail, From: from,
		Session: &mail.Session{Client: netip.MustParseAddr(client), Helo: helo},
	})
}

// TestSPFBudget: ten mx of ten hosts each are 111 queries for IPv4 and 211 for IPv6 without a budget; the excess is the
// publisher's error.
func TestSPFBudget(t *testing.T) {
	var zone strings.Builder
	zone.WriteString("evil.example. TXT \"v=spf1")
	for i := range 10 {
		fmt.Fprintf(&zone, " mx:m%d.example", i)
	}
	zone.WriteString(" -all\"\n")
	for i := range 10 {
		for j := range 10 {
			fmt.Fprintf(&zone, "m%d.example. MX 10 h%d-%d.example.\nh%d-%d.example. A 198.51.100.1\nh%d-%d.example. AAAA 2001:db8::9\n", i, i, j, i, j, i, j)
		}
	}
	for _, client := range []string{"192.0.2.1", "2001:db8::1"} {
		z := zoneOf(t, zone.String())
		res, err := spfOver(t.Context(), z, client, "[192.0.2.1]", mail.Address{Local: "a", Domain: "evil.example"})
		if err != nil {
			t.Fatal(err)
		}
		if f := res.Findings[0]; f.Symbol != "SPF_PERMERROR" || f.Get("why") != "more than 60 DNS queries" {
			t.Errorf("%v", f)
		}
		if n := len(z.Asked()); n > 60 {
			t.Errorf("%d queries", n)
		}
	}
}

// TestSPFTimeout: a name server that hangs costs no more than the deadline, and what the other identity gave is kept.
func TestSPFTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := zoneOf(t, "slow.example. HANG\nmx.ok.example. TXT \"v=spf1 ip4:192.0.2.1 -all\"")
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		start := time.Now()
		res, err := spfOver(ctx, z, "192.0.2.1", "mx.ok.example", mail.Address{Local: "a", Domain: "slow.example"})
		if err != nil || ctx.Err() != nil || time.Since(start) >= 5*time.Second {
			t.Fatalf("%v after %v", err, time.Since(start))
		}
		if got := []string{res.Findings[0].Symbol, res.Findings[1].Symbol}; !slices.Equal(got, []string{"SPF_TEMPERROR", "SPF_HELO_PASS"}) {
			t.Errorf("%v", got)
		}
		if _, err = spfOver(ctx, z, "192.0.2.1", "slow.example", mail.Address{}); err == nil {
			t.Error("no error although nothing answered")
		}
	})
}

// TestSPFHostileNames: what macros make of a local part reaches the resolver as octets and breaks nothing.
func TestSPFHostileNames(t *testing.T) {
	z := zoneOf(t, `m.example. TXT "v=spf1 exists:%{l}.%{o}.x.example -all"`)
	for _, local := range []string{`a\b`, `a"b`, "a b", "a..b", ".", "a;b", strings.Repeat("x", 64), "日本"} {
		res, err := spfOver(t.Context(), z, "192.0.2.1", "mx.m.example", mail.Address{Local: local, Domain: "m.example"})
		if err != nil || res.Findings[0].Symbol != "SPF_FAIL" {
			t.Errorf("%q: %v %v", local, res.Findings, err)
		}
	}
}
