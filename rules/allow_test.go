package rules

import (
	"testing"

	"sekimori/internal/mail"
)

// TestAllow: what a recipient allows lifts tags, holds and thresholds, and nothing that is more.
func TestAllow(t *testing.T) {
	allow := simple("A", `symbol("ALLOW_SENDER")`, `action = "allow"`)
	for name, c := range map[string]struct {
		rule   string
		symbol string
		want   mail.Action
		id     string
	}{
		"nothing":              {"", "", mail.Deliver, "A"},
		"a hold":               {simple("H", "not client.early", `action = "hold"`), "", mail.Deliver, "A"},
		"a tag":                {simple("T", "not client.early", `action = "tag"`), "", mail.Deliver, "A"},
		"a threshold of hold":  {"", "BAYES_SPAM", mail.Deliver, "A"},
		"points of a reject":   {simple("S", "not client.early", "score = 20"), "", mail.Hold, "threshold.reject"},
		"final":                {simple("H", "not client.early", "action = \"hold\"\nfinal = true"), "", mail.Hold, "H"},
		"final behind another": {simple("O", "not client.early", `action = "hold"`) + simple("H", "not client.early", "action = \"hold\"\nfinal = true"), "", mail.Hold, "H"},
		"malware":              {simple("H", "not client.early", "action = \"hold\"\nclass = \"malware\""), "", mail.Hold, "H"},
		"a protected class":    {simple("H", "not client.early", "action = \"hold\"\nclass = \"macro\""), "", mail.Hold, "H"},
		"a refusal":            {simple("R", "not client.early", `action = "reject"`), "", mail.Reject, "R"},
		"a deferral":           {simple("D", "not client.early", `action = "defer"`), "", mail.Defer, "D"},
		"a redirect":           {simple("D", "not client.early", `redirect = "x@example.jp"`), "", mail.Deliver, "D"},
		"a later hold":         {simple("H", "bayes.z == 0.0", `action = "hold"`), "", mail.Deliver, "A"},
		"a later final":        {simple("H", "not dmarc.aligned_spf", "action = \"hold\"\nfinal = true"), "", mail.Hold, "H"},
		"final that is absent": {simple("H", "client.early", "action = \"hold\"\nfinal = true"), "", mail.Deliver, "A"},
	} {
		for _, text := range []string{allow + c.rule, c.rule + allow} { // the order is nothing
			p := policy(t, text, func(o *Options) {
				o.Thresholds = map[string]float64{"tag": 4, "hold": 6, "reject": 15}
				o.Protected, o.Disable = []string{"macro"}, []string{"ALLOWED_BY_RECIPIENT"}
			})
			tx := fixtureTx(mail.Conclude)
			tx.Outcomes = append(tx.Outcomes, mail.Outcome{Check: "allow", Result: mail.Result{Findings: []mail.Finding{{Symbol: "ALLOW_SENDER", Rcpt: info}}}})
			if c.symbol != "" {
				tx.Outcomes = append(tx.Outcomes, mail.Outcome{Check: "bayes", Result: mail.Result{Findings: []mail.Finding{{Symbol: c.symbol}}}})
			}
			other := mail.Address{Local: "other", Domain: "example.jp"}
			v := p.Judge(tx, []mail.Address{info, other})
			if v[0].Action != c.want || v[0].RuleID != c.id {
				t.Errorf("%s: %s by %s, want %s by %s", name, v[0].Action, v[0].RuleID, c.want, c.id)
			}
			if v[1].RuleID == "A" {
				t.Errorf("%s: it holds for another recipient", name)
			}
		}
	}
}

func TestFinalOfWhat(t *testing.T) {
	for _, rest := range []string{"score = 1", `action = "accept"`, `action = "allow"`, `bcc = "x@example.jp"`} {
		o := fixtureOptions()
		o.Dir = t.TempDir()
		write(t, o.Dir+"/a.toml", simple("X", "client.early", rest+"\nfinal = true"))
		if _, err := Load(o); err == nil {
			t.Errorf("%s is final", rest)
		}
	}
}
