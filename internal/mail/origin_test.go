package mail

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

func originTx() *Transaction {
	auth := func(method, result, prop, value string) Finding {
		return Finding{Auth: &AuthResult{Method: method, Result: result, Props: []Evidence{{Key: prop, Value: value}}}}
	}
	return &Transaction{
		ID: "d4j0", Session: &Session{Client: netip.MustParseAddr("192.0.2.1"), Helo: "out.sender.example"},
		Outcomes: []Outcome{{Result: Result{Findings: []Finding{
			auth("spf", "pass", "smtp.mailfrom", "a@Bounce.sender.example"), auth("spf", "fail", "smtp.helo", "out.sender.example"),
		}}}, {Result: Result{Findings: []Finding{auth("dmarc", "pass", "header.from", "sender.example")}}}},
	}
}

func TestOrigin(t *testing.T) {
	now := time.Date(2026, 11, 20, 5, 32, 0, 0, time.UTC)
	o := OriginOf(originTx(), now)
	got, err := ParseOrigin(o.Encode())
	if err != nil || !reflect.DeepEqual(got, o) {
		t.Errorf("%+v %v, want %+v", got, err, o)
	}
	if n := len(o.Encode()); n > 300 {
		t.Errorf("%d octets: %s", n, o.Encode())
	}
	if _, err := ParseOrigin([]byte(`{"v":9}`)); err == nil || !strings.Contains(err.Error(), "version 9") {
		t.Error(err)
	}
	if o, err := ParseOrigin(nil); err != nil || o.Confirmed(Address{"a", "b.example"}) {
		t.Error("nothing known confirms nobody", o, err)
	}
}

func TestConfirmed(t *testing.T) {
	for _, c := range []struct {
		spf, spfOf, dmarc, dmarcOf, from string
		want                             bool
	}{
		{"pass", "sender.example", "", "", "sender.example", true},
		{"pass", "sender.example", "fail", "other.example", "sender.example", true},
		{"pass", "other.example", "", "", "sender.example", false},
		{"fail", "sender.example", "pass", "sender.example", "sender.example", true},
		{"fail", "sender.example", "pass", "sender.example", "bounce.sender.example", true},
		{"fail", "names.example", "pass", "attacker.names.example", "names.example", false},
		{"softfail", "sender.example", "fail", "sender.example", "sender.example", false},
		{"", "", "pass", "other.example", "sender.example", false},
		{"", "", "pass", "example", "sender.example", false},
		{"", "", "pass", "sender.example", "xsender.example", false},
		{"temperror", "sender.example", "temperror", "sender.example", "sender.example", false},
		{"none", "sender.example", "none", "sender.example", "sender.example", false},
		{"pass", "", "pass", "", "", false},
	} {
		o := Origin{SPF: c.spf, SPFOf: c.spfOf, DMARC: c.dmarc, DMARCOf: c.dmarcOf}
		if got := o.Confirmed(Address{"a", c.from}); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
	if (Origin{SPF: "pass"}).Confirmed(Address{}) {
		t.Error("the null sender is nobody")
	}
}

func BenchmarkOrigin(b *testing.B) {
	tx, now := originTx(), time.Now()
	b.ReportAllocs()
	for b.Loop() {
		OriginOf(tx, now).Encode()
	}
}
