package labels

import (
	"net/netip"
	"testing"

	"sekimori/internal/mail"
	"sekimori/reputation"
)

var (
	hanako = mail.Address{Local: "hanako", Domain: "example.jp"}
	taro   = mail.Address{Local: "taro", Domain: "example.jp"}
)

func ok(check string, findings []mail.Finding, facts ...mail.FactValue) mail.Outcome {
	return mail.Outcome{Check: check, Result: mail.Result{Findings: findings, Facts: facts}}
}

func fact(name string, value any) mail.FactValue { return mail.FactValue{Name: name, Value: value} }

func found(symbol string) []mail.Finding { return []mail.Finding{{Symbol: symbol}} }

// spamCase is held with 4 points of a block list and 4 of a forged author, and what the Bayesian check says.
func spamCase() Case {
	return Case{
		Session: &mail.Session{Client: netip.MustParseAddr("192.0.2.9")}, Message: &mail.Message{}, Rcpts: []mail.Address{hanako},
		Outcomes: []mail.Outcome{
			ok("dnsbl", found("DNSBL_LISTED")),
			ok("dmarc", found("DMARC_REJECT"), fact("dmarc.result", "fail"), fact("dmarc.policy", "reject")),
			ok("bayes", found("BAYES_SPAM")),
			ok("history", found("HISTORY_FIRST"), fact("history.sender", "")),
		},
		Verdicts: []mail.Verdict{{
			Rcpt: hanako, Action: mail.Hold,
			Counted: []mail.Counted{{Name: "DNSBL_LISTED", Points: 4}, {Name: "DMARC_REJECT", Points: 4}, {Name: "BAYES_SPAM", Points: 4.5}},
		}},
	}
}

// hamCase is delivered, of a confirmed author from whom the recipient has had five mails in four weeks of a month.
func hamCase() Case {
	return Case{
		Session: &mail.Session{Client: netip.MustParseAddr("192.0.2.9")}, Message: &mail.Message{}, Rcpts: []mail.Address{hanako}, Delivered: true,
		Outcomes: []mail.Outcome{
			ok("dmarc", found("DMARC_PASS"), fact("dmarc.result", "pass")),
			ok("history", found("HISTORY_KNOWN"), fact("history.sender", "partner.example"), fact("history.days", 30), fact("history.reported", 0),
				mail.FactValue{Name: "history.rcpt_mails", Value: 5, Rcpt: hanako}, mail.FactValue{Name: "history.rcpt_weeks", Value: 4, Rcpt: hanako}),
		},
		Verdicts: []mail.Verdict{{Rcpt: hanako, Counted: []mail.Counted{{Name: "DMARC_PASS"}}}},
	}
}

func TestSpam(t *testing.T) {
	for name, change := range map[string]func(*Case){
		"": func(*Case) {},
		"points of the Bayesian check do not count": func(c *Case) {
			c.Verdicts[0].Counted[0].Points = 3.5
		},
		"points of a rule do not count, which may be made of what the Bayesian check says": func(c *Case) {
			c.Verdicts[0].Counted[0] = mail.Counted{Name: "DNSBL_LISTED", Points: 9, Rule: "x.toml:3"}
		},
		"one kind of check only": func(c *Case) {
			c.Outcomes[0] = ok("spf", found("SPF_FAIL"))
			c.Verdicts[0].Counted[0] = mail.Counted{Name: "SPF_FAIL", Points: 9}
		},
		"no hard reason": func(c *Case) {
			c.Outcomes[1] = ok("geoip", found("GEOIP_X"))
			c.Outcomes[0] = ok("rdns", found("RDNS_NONE"))
			c.Verdicts[0].Counted = []mail.Counted{{Name: "GEOIP_X", Points: 5}, {Name: "RDNS_NONE", Points: 5}}
		},
		"a domain that asks for nothing": func(c *Case) {
			c.Outcomes[1] = ok("dmarc", found("DMARC_REJECT"), fact("dmarc.result", "fail"), fact("dmarc.policy", "none"))
			c.Verdicts[0].Counted[0].Points, c.Verdicts[0].Counted[1].Points = 2, 7
		},
		"a sender who is known":     func(c *Case) { c.Outcomes[3] = ok("history", found("HISTORY_KNOWN")) },
		"an allowed sender":         func(c *Case) { c.Outcomes = append(c.Outcomes, ok("allow", found("ALLOW_SENDER"))) },
		"a list that allows it":     func(c *Case) { c.Outcomes = append(c.Outcomes, ok("dnsbl", found("DNSBL_ALLOWED"))) },
		"delivered":                 func(c *Case) { c.Verdicts[0].Action = mail.Tag },
		"malware":                   func(c *Case) { c.Verdicts[0].Class = "malware" },
		"a block list that is away": func(c *Case) { c.Outcomes[0].Partial = []string{"bl.example: timeout"} },
		"a check that is away": func(c *Case) {
			c.Outcomes = append(c.Outcomes, mail.Outcome{Check: "geoip", State: mail.StateTempError})
		},
		"a rule on trial":       func(c *Case) { c.Verdicts[0].Observed = []string{"NEW_RULE"} },
		"a policy on trial":     func(c *Case) { c.Verdicts[0].Would = "reject" },
		"one's own printer":     func(c *Case) { c.Session.Trusted = true },
		"a client nobody knows": func(c *Case) { c.Session.Unknown = "no Received field" },
		"no message":            func(c *Case) { c.Message = nil },
		"a second recipient who got it": func(c *Case) {
			c.Rcpts, c.Verdicts = append(c.Rcpts, taro), append(c.Verdicts, mail.Verdict{Rcpt: taro, Counted: c.Verdicts[0].Counted})
		},
	} {
		c := spamCase()
		change(&c)
		l, why := Of(c, 8)
		if spam := l.Class == reputation.Spam; spam != (name == "") || spam != (why == "") {
			t.Errorf("%s: %+v, %q", name, l, why)
		}
		if name == "" && l.Sender != "192.0.2.0/24" {
			t.Errorf("sender %q", l.Sender)
		}
	}
	// What the Bayesian check could not do does not keep it from learning.
	c := spamCase()
	c.Outcomes[2] = mail.Outcome{Check: "bayes", State: mail.StateSkipped, Result: mail.Result{Skipped: "not trained"}}
	c.Verdicts[0].Unknown, c.Verdicts[0].Degraded = []string{"READS_BAYES"}, []string{"bayes: skipped: not trained"}
	if l, why := Of(c, 8); l.Class != reputation.Spam {
		t.Errorf("not trained: %q", why)
	}
}

func TestHam(t *testing.T) {
	rcpt := func(c *Case, name string, n int) {
		c.Outcomes[1].Facts = append([]mail.FactValue{{Name: name, Value: n, Rcpt: hanako}}, c.Outcomes[1].Facts...)
	}
	header := func(c *Case, name string) { c.Message = &mail.Message{Header: []mail.Field{{Name: name, Value: "x"}}} }
	good := map[string]bool{"": true, "a newsletter that somebody released": true, "a stranger whom the recipient released": true, "for which the Bayesian check says too much": true}
	for name, change := range map[string]func(*Case){
		"": func(*Case) {},
		"for which the Bayesian check says too much": func(c *Case) {
			c.Outcomes = append(c.Outcomes, ok("bayes", found("BAYES_SPAM")))
			c.Verdicts[0].Counted = append(c.Verdicts[0].Counted, mail.Counted{Name: "BAYES_SPAM", Points: 3})
		},
		"a newsletter": func(c *Case) { header(c, "List-Unsubscribe") },
		"a newsletter that somebody released": func(c *Case) {
			header(c, "List-Unsubscribe")
			rcpt(c, "history.rcpt_released", 1)
		},
		"a stranger": func(c *Case) { rcpt(c, "history.rcpt_mails", 4) },
		"one mail, a month of silence and a handful": func(c *Case) {
			rcpt(c, "history.rcpt_mails", 40)
			rcpt(c, "history.rcpt_weeks", 3)
		},
		"a stranger whom the recipient released": func(c *Case) {
			rcpt(c, "history.rcpt_mails", 0)
			rcpt(c, "history.rcpt_released", 1)
		},
		"a sender whom somebody reported":     func(c *Case) { c.Outcomes[1].Facts[2].Value = 1 },
		"a sender whom the recipient reports": func(c *Case) { rcpt(c, "history.rcpt_reported", 1) },
		"not confirmed":                       func(c *Case) { c.Outcomes[0].Facts[0].Value = "none" },
		"confirmed by another domain":         func(c *Case) { c.Outcomes[1].Facts[0].Value = "a@partner.example spf:bulk.example" },
		"something against it": func(c *Case) {
			c.Verdicts[0].Counted = append(c.Verdicts[0].Counted, mail.Counted{Name: "RULE", Points: 2, Rule: "x.toml:3"}, mail.Counted{Name: "DNSBL_ALLOWED", Points: -2})
		},
		"listed without points":  func(c *Case) { c.Outcomes = append(c.Outcomes, ok("dnsbl", found("DNSBL_LISTED"))) },
		"tagged":                 func(c *Case) { c.Verdicts[0].Action = mail.Tag },
		"held":                   func(c *Case) { c.Verdicts[0].Action = mail.Hold },
		"sent elsewhere":         func(c *Case) { c.Verdicts[0].Redirect = taro },
		"discarded":              func(c *Case) { c.Verdicts[0].Discard = true },
		"without an attachment":  func(c *Case) { c.Verdicts[0].Strip = []int{1} },
		"refused by the backend": func(c *Case) { c.Delivered = false },
		"a history that is away": func(c *Case) { c.Outcomes[1].State = mail.StateTempError },
		"also to somebody who does not know the sender": func(c *Case) {
			c.Rcpts, c.Verdicts = append(c.Rcpts, taro), append(c.Verdicts, mail.Verdict{Rcpt: taro})
		},
	} {
		c := hamCase()
		change(&c)
		l, why := Of(c, 8)
		if ham := l.Class == reputation.Ham; ham != good[name] || ham != (why == "") {
			t.Errorf("%s: %+v, %q", name, l, why)
		}
		if good[name] && l.Sender != "partner.example" {
			t.Errorf("sender %q", l.Sender)
		}
	}
}

// Who has a domain has all below it, and one share of what is learned.
func TestOwner(t *testing.T) {
	for sender, want := range map[string]string{
		"a1.partner.example": "partner.example", "x.y.partner.co.jp": "partner.co.jp", "partner.co.jp": "partner.co.jp",
		"taro@gmail.com": "taro@gmail.com", "localhost": "localhost",
	} {
		c := hamCase()
		c.Outcomes[1].Facts[0].Value = sender
		if l, why := Of(c, 8); l.Sender != want || l.Class != reputation.Ham {
			t.Errorf("%s: %+v, %q", sender, l, why)
		}
	}
}
