package rules

import (
	"strings"
	"testing"

	"sekimori/internal/mail"
)

var author = mail.Address{Local: "Sato", Domain: "example.co.jp"}

// partner is a mail whose sender is confirmed in one way.
func partner(how string, at mail.Stage, findings ...string) *mail.Transaction {
	tx := trialTx(findings)
	tx.Stage = at
	f := tx.Facts
	f["message.from"], f["message.from_domain"], f["message.from_all"] = author.String(), author.Domain, []string{author.String()}
	f["from.address"], f["rcpt.address"] = author.String(), info.String()
	f["spf.result"], f["spf.domain"], f["rdns.result"], f["rdns.domain"] = "none", "example.co.jp", "none", ""
	f["dmarc.result"], f["dmarc.policy"], f["dmarc.domain"], f["dmarc.aligned_dkim"], f["dmarc.aligned_spf"] = "none", "", author.Domain, false, false
	switch how {
	case "domain", "shared":
		f["dmarc.result"], f["dmarc.aligned_dkim"] = "pass", true
	case "spf":
		f["spf.result"], f["spf.domain"] = "pass", "sender.example"
	case "host":
		f["rdns.result"], f["rdns.domain"] = "pass", "host.example"
	}
	return tx
}

func proofOf(how string, a mail.Address) mail.Proof {
	return map[string]mail.Proof{
		"domain": {Author: a, Aligned: true}, "shared": {Author: a, Aligned: true}, "spf": {Author: a, SPF: "sender.example"},
		"host": {Author: a, Host: "host.example"}, "": {Author: a},
	}[how]
}

// TestSuggest puts the rule into the directory: exactly that mail passes, and the same from somebody else, for somebody else, or no longer
// confirmed does not.
func TestSuggest(t *testing.T) {
	hold := simple("H", "not client.tls", `action = "hold"`)
	for name, c := range map[string]struct {
		rules    string
		findings []string
		how      string
		at       mail.Stage
		action   string
	}{
		"the sum, a domain":             {"", []string{"BAYES_SPAM", "SPF_FAIL"}, "domain", mail.Conclude, "allow"},
		"the sum, a provider's mailbox": {"", []string{"BAYES_SPAM", "SPF_FAIL"}, "shared", mail.Conclude, "allow"},
		"the sum, SPF":                  {"", []string{"BAYES_SPAM", "SPF_FAIL"}, "spf", mail.Conclude, "allow"},
		"the sum, a host":               {"", []string{"BAYES_SPAM", "SPF_FAIL"}, "host", mail.Conclude, "allow"},
		"points of a refusal":           {simple("S", "not client.tls", "score = 20"), nil, "domain", mail.Conclude, "accept"},
		"a rule that holds":             {hold, nil, "domain", mail.Conclude, "allow"},
		"a rule that is final":          {simple("H", "not client.tls", "action = \"hold\"\nfinal = true\nat = \"conclude\""), nil, "spf", mail.Conclude, "accept"},
		"a class for administrators":    {simple("H", "not client.tls", "action = \"hold\"\nclass = \"macro\"\nat = \"data\""), nil, "spf", mail.Conclude, "accept"},
		"a rule that tags":              {simple("T", "not client.tls", `action = "tag"`), nil, "host", mail.Conclude, "allow"},
		"a rule that discards":          {simple("D", "not client.tls", "action = \"discard\"\nat = \"conclude\""), nil, "domain", mail.Conclude, "accept"},
		"a rule that redirects":         {simple("D", "not client.tls", "redirect = \"x@example.jp\"\nat = \"conclude\""), nil, "domain", mail.Conclude, "accept"},
		"refused after the message":     {simple("R", "not client.tls", "action = \"reject\"\nat = \"conclude\""), nil, "domain", mail.Conclude, "accept"},
		"refused at RCPT":               {simple("R", "not client.tls", "action = \"reject\""), nil, "spf", mail.Rcpt, "accept"},
		"put off at RCPT":               {simple("R", "not client.tls", "action = \"defer\""), nil, "host", mail.Rcpt, "accept"},
		"refused by a built-in rule":    {"", nil, "spf", mail.Rcpt, "accept"},
	} {
		t.Run(name, func(t *testing.T) {
			options := func(o *Options) {
				o.Thresholds = map[string]float64{"tag": 4, "hold": 6, "reject": 15}
				o.Protected = []string{"macro"}
			}
			p := policy(t, c.rules, options)
			a := author
			mailOf := func(how string) *mail.Transaction {
				tx := partner(how, c.at, c.findings...)
				if name == "refused by a built-in rule" {
					tx.Facts["dnsbl.allowed"], tx.Facts["dnsbl.score"], tx.Facts["client.trusted"] = false, 8.0, false
				}
				if c.how == "shared" {
					a.Domain = "gmail.com"
					for _, k := range []string{"message.from_domain", "dmarc.domain"} {
						tx.Facts[k] = a.Domain
					}
					tx.Facts["message.from"], tx.Facts["message.from_all"] = a.String(), []string{a.String()}
				}
				return tx
			}
			v := judge(p, mailOf(c.how))
			if v.Word() == "deliver" {
				t.Fatalf("nothing is done to it: %+v", v)
			}
			proof := proofOf(c.how, author)
			mailOf(c.how)
			proof.Author = a
			s := p.Suggest(&Ask{Verdict: v, Proof: proof, From: author, Early: c.at < mail.Conclude})
			if s.None != "" || !strings.Contains(s.Rule, `action   = "`+c.action+`"`) {
				t.Fatalf("%+v\n%s", s, s.Rule)
			}
			after := policy(t, c.rules, options, func(o *Options) { o.Extra = map[string][]byte{s.File: []byte(s.Rule)} })
			for _, w := range after.Warnings() {
				if strings.Contains(w.Error(), s.File) {
					t.Errorf("%s", w)
				}
			}
			for _, r := range after.Test() {
				if !r.OK() {
					t.Errorf("%s\n%s", r, s.Rule)
				}
			}
			if got := judge(after, mailOf(c.how)); got.Word() != "deliver" || got.RuleID != s.ID {
				t.Errorf("it is still %s by %s\n%s", got.Word(), got.RuleID, s.Rule)
			}
			others := map[string]func(f map[string]any){
				"another author": func(f map[string]any) {
					f["message.from"], f["message.from_domain"], f["message.from_all"], f["from.address"] = "x@evil.example", "evil.example", []string{"x@evil.example"}, "x@evil.example"
				},
				"a neighbour at the same provider": func(f map[string]any) { f["message.from"], f["from.address"] = "x@"+a.Domain, "x@"+a.Domain },
				"not confirmed": func(f map[string]any) {
					f["dmarc.aligned_dkim"], f["spf.result"], f["rdns.result"], f["rdns.domain"] = false, "none", "none", ""
				},
				"confirmed for another domain": func(f map[string]any) {
					f["dmarc.domain"], f["spf.domain"], f["rdns.domain"] = "evil.example", "evil.example", "evil.example"
				},
			}
			for who, change := range others {
				if who == "a neighbour at the same provider" && c.how == "domain" || who == "confirmed for another domain" && c.at < mail.Conclude && c.how == "spf" {
					continue
				}
				tx := mailOf(c.how)
				change(tx.Facts)
				if got := judge(after, tx); got.RuleID != v.RuleID || got.Word() != v.Word() {
					t.Errorf("%s: %s by %s", who, got.Word(), got.RuleID)
				}
			}
			if s.Wide != "rcpt" {
				other := mail.Address{Local: "hanako", Domain: "example.jp"}
				if got := after.Judge(mailOf(c.how), []mail.Address{other})[0]; got.RuleID != v.RuleID {
					t.Errorf("another recipient: %s by %s", got.Word(), got.RuleID)
				}
			}
		})
	}
}

// TestSuggestNone: what no rule should let through.
func TestSuggestNone(t *testing.T) {
	p := policy(t, simple("B", "not client.early", "action = \"reject\"\nat = \"connect\""))
	held := mail.Verdict{Rcpt: info, Action: mail.Hold, RuleID: "threshold.hold", Class: "spam", Limit: 6, Score: 7}
	with := func(class, id string) mail.Verdict {
		v := held
		v.Class, v.RuleID = class, id
		return v
	}
	good := mail.Proof{Author: author, Aligned: true}
	for want, a := range map[string]Ask{
		"malware":       {Verdict: with("malware", "X"), Proof: good},
		"spoof":         {Verdict: with("spoof", "DMARC_POLICY_REJECT"), Proof: good},
		"undeliverable": {Verdict: with("undeliverable", ""), Proof: good},
		"unchecked":     {Verdict: with("", "degraded.redis"), Proof: good},
		"delivered":     {Verdict: mail.Verdict{Rcpt: info}, Proof: good},
		"author":        {Verdict: held, Proof: mail.Proof{SPF: "example.jp"}},
		"unconfirmed":   {Verdict: held, Proof: mail.Proof{Author: author}},
		"banner":        {Verdict: mail.Verdict{Rcpt: info, Action: mail.Reject, RuleID: "B"}, Proof: good, From: author, Early: true},
	} {
		if s := p.Suggest(&a); s.None != want || s.Rule != "" {
			t.Errorf("%s: %+v", want, s)
		}
	}
	odd := mail.Address{Local: `o'"\x`, Domain: "example.co.jp"}
	s := p.Suggest(&Ask{Verdict: held, Proof: mail.Proof{Author: odd, SPF: "example.co.jp"}})
	q := policy(t, "", func(o *Options) { o.Extra = map[string][]byte{s.File: []byte(s.Rule)} })
	for _, r := range q.Test() {
		if !r.OK() {
			t.Errorf("%s\n%s", r, s.Rule)
		}
	}
}
