package rules

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"sekimori/internal/mail"
	"sekimori/internal/text"
)

// Ask is a mail for which a rule is wanted that lets the next one like it through.
type Ask struct {
	Verdict mail.Verdict
	Proof   mail.Proof   // what was confirmed of the author
	From    mail.Address // of the envelope
	Early   bool         // it was refused before its message
}

// Suggestion is the narrowest rule that lets a mail through and nobody else's, or why there is none.
type Suggestion struct {
	ID   string `json:"id,omitempty"`
	File string `json:"file,omitempty"` // name in the directory of rules: it is read before other files
	Rule string `json:"rule,omitempty"` // ready to be pasted, with its tests
	// None is why there is no safe rule, as a key of package text below "suggest.none."; Wide likewise, below "suggest.wide.", what the
	// rule lets through beside.
	None string `json:"none,omitempty"`
	Wide string `json:"wide,omitempty"`
}

// suggestFile sorts before the names that people give, so that no rule of theirs decides before it.
const suggestFile = "00-let-through.toml"

// asked is one thing that a suggested rule asks, and the same as a test gives it.
type asked struct {
	cond  string
	given []string
}

// Suggest makes the rule. It rests on what was confirmed of the sender and never on an address alone; for malware and forgeries there is
// none. The rule is `allow` where that is enough, so that what is final or has the points of a rejection still stands.
func (p *Policy) Suggest(a *Ask) Suggestion {
	v := &a.Verdict
	if none := unsafe(v); none != "" {
		return Suggestion{None: none}
	}
	s := Suggestion{File: suggestFile}
	decided := p.byID(v.RuleID)
	asks, who, none := authorAsks(&a.Proof)
	action, at := "allow", ""
	if a.Early {
		asks, who, none = envelopeAsks(a)
		action = "accept"
		switch {
		case decided != nil && decided.at < mail.Mail:
			none = "banner"
		case decided == nil || strings.HasPrefix(decided.f.base, "defaults/"):
			at, s.Wide = "mail", "rcpt" // the rules that come with the program are judged before those of the directory
		}
	} else if !p.allowSuffices(v, decided) {
		action, s.Wide = "accept", "accept"
	}
	if none != "" {
		return Suggestion{None: none}
	}
	vouched := len(asks) - 1
	if at == "" {
		rcpt := strings.ToLower(v.Rcpt.String())
		asks = append(asks, asked{"lower(rcpt.address) == " + quote(rcpt), []string{`"rcpt.address" = ` + quote(rcpt)}})
	}
	s.Rule, s.ID = written(asks, vouched, who, action, at)
	return s
}

// unsafe names what no rule should let through, or cannot.
func unsafe(v *mail.Verdict) string {
	switch {
	case v.Class == classMalware, v.Class == "spoof", v.Class == "undeliverable", v.Class == "unchecked":
		return v.Class
	case strings.HasPrefix(v.RuleID, "degraded."):
		return "unchecked"
	case v.Word() == mail.Deliver.String():
		return "delivered"
	}
	return ""
}

func (p *Policy) byID(id string) *rule {
	for _, r := range p.rules {
		if r.id == id {
			return r
		}
	}
	return nil
}

// allowSuffices reports whether the action allow lifts what was decided.
func (p *Policy) allowSuffices(v *mail.Verdict, r *rule) bool {
	switch {
	case v.Action > mail.Hold || v.Discard || !v.Redirect.IsNull() || v.Class == "refused":
		return false
	case strings.HasPrefix(v.RuleID, "threshold."):
		return v.RuleID != "threshold.reject"
	case r == nil:
		return !slices.Contains(p.protected, v.Class)
	}
	return !p.isFirm(r) && r.action <= mail.Hold && !r.discard && r.redirect.IsNull()
}

// authorAsks asks for the author and for what was confirmed of him; the last of the asks, taken away, makes him anybody.
func authorAsks(p *mail.Proof) (asks []asked, who, none string) {
	if p.Author.IsNull() || p.Author.Domain == "" {
		return nil, "", "author"
	}
	domain, address := strings.ToLower(p.Author.Domain), strings.ToLower(p.Author.String())
	one := []asked{
		{"lower(message.from) == " + quote(address), []string{`"message.from" = ` + quote(address)}},
		{"len(message.from_all) == 1", []string{`"message.from_all" = [` + quote(address) + `]`}},
	}
	switch {
	case p.Aligned:
		asks, who = one, address
		if !mail.SharedDomain(domain) {
			asks, who = []asked{{"lower(message.from_domain) == " + quote(domain), []string{`"message.from_domain" = ` + quote(domain)}}}, domain
		}
		asks = append(
			asks, asked{"dmarc.domain == " + quote(domain), []string{`"dmarc.domain" = ` + quote(domain)}},
			asked{"(dmarc.aligned_dkim or dmarc.aligned_spf)", []string{`"dmarc.aligned_dkim" = true`, `"dmarc.aligned_spf" = true`}},
		)
	case p.SPF != "":
		spf := strings.ToLower(p.SPF)
		asks, who = append(one, asked{"spf.domain == " + quote(spf), []string{`"spf.domain" = ` + quote(spf)}}, asked{`spf.result == "pass"`, []string{`"spf.result" = "pass"`}}), address
	case p.Host != "":
		host := strings.ToLower(p.Host)
		asks, who = append(one, asked{"rdns.domain == " + quote(host), []string{`"rdns.domain" = ` + quote(host)}}, asked{`rdns.result == "pass"`, []string{`"rdns.result" = "pass"`}}), address
	default:
		return nil, "", "unconfirmed"
	}
	return asks, who, ""
}

// envelopeAsks is authorAsks before the message: for the sender of the envelope.
func envelopeAsks(a *Ask) (asks []asked, who, none string) {
	address := strings.ToLower(a.From.String())
	switch {
	case a.From.IsNull():
		return nil, "", "author"
	case a.Proof.SPF != "":
		asks = []asked{{`spf.result == "pass"`, []string{`"spf.result" = "pass"`}}}
	case a.Proof.Host != "":
		host := strings.ToLower(a.Proof.Host)
		asks = []asked{{"rdns.domain == " + quote(host), []string{`"rdns.domain" = ` + quote(host)}}, {`rdns.result == "pass"`, []string{`"rdns.result" = "pass"`}}}
	default:
		return nil, "", "unconfirmed"
	}
	asks = append([]asked{{"lower(from.address) == " + quote(address), []string{`"from.address" = ` + quote(address)}}}, asks...)
	return asks, address, ""
}

// notVouched is what a test gives in place of what confirms the sender.
var notVouched = strings.NewReplacer("= true", "= false", `= "pass"`, `= "none"`)

// written makes the text of a rule, and its id.
func written(asks []asked, vouched int, who, action, at string) (rule, id string) {
	var conds, given, forged []string
	for i, a := range asks {
		conds = append(conds, a.cond)
		given = append(given, a.given...)
		for _, g := range a.given {
			if i == vouched {
				g = notVouched.Replace(g)
			}
			forged = append(forged, g)
		}
	}
	cond := strings.Join(conds, " and ")
	sum := sha256.Sum256([]byte(cond + action + at))
	id = "LET_" + strings.ToUpper(hex.EncodeToString(sum[:4]))
	ev := mail.Evidence{Key: "who", Value: who}
	var b strings.Builder
	fmt.Fprintf(&b, "[[rule]]\nid       = %q\ndescribe = { en = %s, ja = %s }\nwhen     = %s\naction   = %q\nclass    = \"sender\"\n", id,
		quote(text.Fill("suggest.describe", text.En, ev)), quote(text.Fill("suggest.describe", text.Ja, ev)), bare(cond), action)
	if at != "" {
		fmt.Fprintf(&b, "at       = %q\n", at)
	}
	for _, t := range []struct {
		expect string
		given  []string
	}{{"hit", given}, {"miss", forged}} {
		fmt.Fprintf(&b, "\n  [[rule.test]]\n  expect = %q\n  given  = { %s }\n", t.expect, strings.Join(t.given, ", "))
	}
	return b.String(), id
}

// quote writes a string for TOML and for a condition alike.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// bare writes a condition for TOML: as it is where that is possible.
func bare(s string) string {
	if strings.Contains(s, "'") {
		return quote(s)
	}
	return "'" + s + "'"
}
