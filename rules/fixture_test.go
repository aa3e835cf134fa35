package rules

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"sekimori/internal/mail"
)

// What the eight checks declare, for tests that must not import them.
var fixtureFacts = []mail.Fact{
	{Name: "rdns.result", Type: mail.String, Stage: mail.Connect},
	{Name: "rdns.name", Type: mail.String, Stage: mail.Connect},
	{Name: "rdns.domain", Type: mail.String, Stage: mail.Connect},
	{Name: "rdns.generic", Type: mail.Bool, Stage: mail.Connect},
	{Name: "rdns.helo", Type: mail.String, Stage: mail.Helo},
	{Name: "dnsbl.count", Type: mail.Int, Stage: mail.Connect},
	{Name: "dnsbl.score", Type: mail.Float, Stage: mail.Connect},
	{Name: "dnsbl.lists", Type: mail.Strings, Stage: mail.Connect},
	{Name: "dnsbl.allowed", Type: mail.Bool, Stage: mail.Connect},
	{Name: "geoip.country", Type: mail.String, Stage: mail.Connect},
	{Name: "geoip.asn", Type: mail.Int, Stage: mail.Connect},
	{Name: "geoip.as_org", Type: mail.String, Stage: mail.Connect},
	{Name: "ratelimit.client", Type: mail.Bool, Stage: mail.Connect},
	{Name: "ratelimit.network", Type: mail.Bool, Stage: mail.Connect},
	{Name: "ratelimit.sender_domain", Type: mail.Bool, Stage: mail.Mail},
	{Name: "ratelimit.recipient", Type: mail.Bool, Stage: mail.Rcpt, PerRcpt: true},
	{Name: "spf.result", Type: mail.String, Stage: mail.Mail, Values: []string{"pass", "fail", "softfail", "neutral", "none", "temperror", "permerror"}},
	{Name: "spf.helo", Type: mail.String, Stage: mail.Mail},
	{Name: "spf.domain", Type: mail.String, Stage: mail.Mail},
	{Name: "dkim.result", Type: mail.String, Stage: mail.Data},
	{Name: "dkim.domains", Type: mail.Strings, Stage: mail.Data},
	{Name: "dkim.signatures", Type: mail.Int, Stage: mail.Data},
	{Name: "dmarc.result", Type: mail.String, Stage: mail.Conclude},
	{Name: "dmarc.policy", Type: mail.String, Stage: mail.Conclude, Values: []string{"", "none", "quarantine", "reject"}},
	{Name: "dmarc.domain", Type: mail.String, Stage: mail.Conclude},
	{Name: "dmarc.org_domain", Type: mail.String, Stage: mail.Conclude},
	{Name: "dmarc.aligned_spf", Type: mail.Bool, Stage: mail.Conclude},
	{Name: "dmarc.aligned_dkim", Type: mail.Bool, Stage: mail.Conclude},
	{Name: "bayes.probability", Type: mail.Float, Stage: mail.Data},
	{Name: "bayes.z", Type: mail.Float, Stage: mail.Data},
	{Name: "greylist.wait", Type: mail.Bool, Stage: mail.Rcpt, PerRcpt: true},
	{Name: "history.first", Type: mail.Bool, Stage: mail.Conclude},
	{Name: "history.rcpt_first", Type: mail.Bool, Stage: mail.Conclude, PerRcpt: true},
	{Name: "bayes.class", Type: mail.String, Stage: mail.Data},
}

var fixtureChecks = []string{"rdns", "dnsbl", "geoip", "ratelimit", "spf", "dkim", "dmarc", "bayes", "allow", "greylist", "history"}

var fixtureSymbols = []mail.Symbol{
	{Name: "RDNS_NONE", Score: 1.5},
	{Name: "DNSBL_LISTED", Score: 1},
	{Name: "DNSBL_TEMPERROR"},
	{Name: "SPF_FAIL", Score: 3},
	{Name: "SPF_PASS"},
	{Name: "DKIM_FAIL", Score: 1},
	{Name: "BAYES_SPAM", Score: 6},
	{Name: "RATELIMIT_RECIPIENT", Score: 2},
	{Name: "BAYES_HAM", Score: -3},
	{Name: "ALLOW_DOMAIN"},
	{Name: "ALLOW_SENDER"},
}

func fixtureOptions() Options {
	return Options{
		Attributes: []string{"department", "preferredLanguage"},
		Facts:      fixtureFacts, Symbols: fixtureSymbols, States: fixtureChecks, Domains: []string{"example.jp", "example.co.jp"},
		Now: func() time.Time { return time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC) },
	}
}

// fixtureTx is a usual mail on which all checks answered and found nothing.
func fixtureTx(stage mail.Stage) *mail.Transaction {
	from := mail.Address{Local: "sato", Domain: "example.co.jp"}
	tx := &mail.Transaction{
		Session: &mail.Session{Client: netip.MustParseAddr("192.0.2.1"), Helo: "mx.example.co.jp"},
		Stage:   stage, From: from, Rcpts: []mail.Address{{Local: "info", Domain: "example.jp"}}, Facts: map[string]any{},
	}
	if stage >= mail.Data {
		text := strings.Repeat("いつもお世話になっております。資料をお送りします。 Please find the minutes attached.\n", 30)
		tx.Message = &mail.Message{
			Raw: []byte(text), Subject: "資料", From: []mail.Mailbox{{Addr: from}},
			Header: []mail.Field{{Name: "Subject", Value: "=?UTF-8?B?6LOH5paZ?="}},
			Parts:  []mail.Part{{Type: "text/plain", Text: text, Links: []mail.Link{{URL: "https://example.co.jp/"}}}},
		}
	}
	mail.AddBaseFacts(tx.Facts, tx)
	values := map[string]any{
		"rdns.result": "pass", "rdns.name": "mx.example.co.jp", "rdns.helo": "pass", "geoip.country": "JP", "geoip.as_org": "Example",
		"spf.result": "pass", "spf.helo": "none", "spf.domain": "example.co.jp", "dkim.result": "pass", "dkim.domains": []string{"example.co.jp"},
		"dmarc.result": "pass", "dmarc.policy": "reject", "dmarc.aligned_dkim": true, "bayes.class": "unsure",
	}
	for _, f := range fixtureFacts {
		if f.Stage > stage {
			continue
		}
		if v, ok := values[f.Name]; ok {
			tx.Facts[f.Name] = v
			continue
		}
		tx.Facts[f.Name] = map[mail.FactType]any{mail.Bool: false, mail.Int: 0, mail.Float: 0.0, mail.String: "", mail.Strings: []string{}}[f.Type]
	}
	stages := map[string]mail.Stage{"spf": mail.Mail, "dkim": mail.Data, "bayes": mail.Data, "dmarc": mail.Conclude, "allow": mail.Rcpt, "greylist": mail.Rcpt, "history": mail.Conclude}
	for _, c := range fixtureChecks {
		if stages[c] <= stage {
			tx.Outcomes = append(tx.Outcomes, mail.Outcome{Check: c, Stage: stages[c]})
		}
	}
	return tx
}

func TestDefaults(t *testing.T) {
	for _, version := range Versions() {
		o := fixtureOptions()
		o.Defaults = version
		p, err := Load(o)
		if err != nil {
			t.Fatal(err)
		}
		if w := p.Warnings(); len(w) > 0 {
			t.Errorf("%s: %v", version, w)
		}
		tested := map[string]bool{}
		for _, r := range p.Test() {
			tested[r.RuleID] = true
			if !r.OK() {
				t.Error(r)
			}
		}
		for _, r := range p.rules {
			if !tested[r.id] {
				t.Errorf("%s has no test", r.id)
			}
		}
		if v := p.Judge(fixtureTx(mail.Conclude), fixtureTx(mail.Conclude).Rcpts)[0]; v.Action != mail.Deliver || len(v.Unknown)+len(v.Degraded) > 0 {
			t.Errorf("a usual mail: %+v", v)
		}
	}
}
