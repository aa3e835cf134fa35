package dns

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

var _ Resolver = (*Zone)(nil)

const zoneText = `
; what a scenario writes
ex.example.          A     192.0.2.1
ex.example.          AAAA  2001:db8::1
ex.example.          MX    20 b.example.
ex.example.          MX    10 a.example.
ex.example.          TXT   "v=spf1 " "-all"
ex.example.          TXT   plain
odd.example.         TXT   "a\"b\\c\200"
1.2.0.192.in-addr.arpa. PTR mx.example.
alias.example.       CNAME ex.example.
loop.example.        CNAME loop.example.
*.wild.example.      A     127.0.0.2
sick.example.        SERVFAIL
slow.example.        TIMEOUT
half.example.        TIMEOUT TXT
half.example.        A     192.0.2.9
dead.example.        HANG
a\ b.example.        TXT   blank
`

func TestZoneAnswers(t *testing.T) {
	z, err := ParseZone(zoneText)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	txt, err := z.LookupTXT(ctx, "EX.example")
	if err != nil || !slices.Equal(txt, []string{"v=spf1 -all", "plain"}) {
		t.Errorf("TXT = %q, %v", txt, err)
	}
	if txt, _ := z.LookupTXT(ctx, "odd.example."); len(txt) != 1 || txt[0] != "a\"b\\c\xc8" {
		t.Errorf("escaped TXT = %q", txt)
	}
	if txt, _ := z.LookupTXT(ctx, "a b.example."); len(txt) != 1 {
		t.Errorf("a name with a space: %q", txt)
	}
	mx, err := z.LookupMX(ctx, "alias.example.")
	if err != nil || len(mx) != 2 || *mx[0] != (net.MX{Host: "a.example.", Pref: 10}) {
		t.Errorf("MX = %v, %v", mx, err)
	}
	both, err := z.LookupNetIP(ctx, "ip", "ex.example")
	if err != nil || len(both) != 2 {
		t.Errorf("addresses = %v, %v", both, err)
	}
	if ip, _ := z.LookupNetIP(ctx, "ip4", "x.wild.example"); len(ip) != 1 || ip[0] != netip.MustParseAddr("127.0.0.2") {
		t.Errorf("wildcard = %v", ip)
	}
	if ptr, _ := z.LookupAddr(ctx, "192.0.2.1"); !slices.Equal(ptr, []string{"mx.example."}) {
		t.Errorf("PTR = %v", ptr)
	}
	if a, err := z.LookupNetIP(ctx, "ip4", "half.example"); err != nil || len(a) != 1 {
		t.Errorf("half = %v, %v", a, err)
	}
}

func TestZoneErrors(t *testing.T) {
	z, err := ParseZone(zoneText)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name                       string
		temporary, timeout, absent bool
	}{
		{"nothing.example", false, false, true},
		{"x..example", false, false, true},
		{"alias.example", false, false, false},
		{"sick.example", true, false, false},
		{"slow.example", true, true, false},
		{"half.example", true, true, false},
		{"loop.example", true, false, false},
	} {
		_, err := z.LookupTXT(t.Context(), c.name)
		if err == nil {
			if c.temporary || c.absent {
				t.Errorf("%s: no error", c.name)
			}
			continue
		}
		e, ok := err.(*net.DNSError)
		if !ok || e.IsTemporary != c.temporary || e.IsTimeout != c.timeout || e.IsNotFound != c.absent || e.Name != c.name {
			t.Errorf("%s: %#v", c.name, err)
		}
	}
	if _, err := ParseZone("x.example. A not-an-address"); err == nil {
		t.Error("a bad record was accepted")
	}
}

func TestZoneHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z, _ := ParseZone(zoneText)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := z.LookupTXT(ctx, "dead.example.")
		if e, ok := err.(*net.DNSError); !ok || !e.IsTimeout || !e.IsTemporary {
			t.Errorf("%#v", err)
		}
	})
	z, _ := ParseZone(zoneText)
	_, _ = z.LookupTXT(t.Context(), "ex.example")
	if got := z.Asked(); !slices.Equal(got, []string{"TXT ex.example."}) {
		t.Errorf("asked %q", got)
	}
}

func TestReverseName(t *testing.T) {
	for _, c := range []struct{ addr, suffix, want string }{
		{"192.0.2.10", "bl.example.", "10.2.0.192.bl.example."},
		{"::ffff:1.2.3.100", "bl.example", "100.3.2.1.bl.example."},
		{"2001:db8::1", "x", "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.x."},
	} {
		if got := ReverseName(netip.MustParseAddr(c.addr), c.suffix); got != c.want {
			t.Errorf("ReverseName(%s) = %s, want %s", c.addr, got, c.want)
		}
	}
}
