// Package labels says of which mails the checks other than the Bayesian one are sure, so that it can learn from them without anybody's
// help. It never reads what the Bayesian check said, nor what a rule made of it.
//
// Spam is what was held or refused with enough points of checks of two kinds, one of which is a reason by itself. A good mail is one of an
// author confirmed by DMARC with nothing against it that every recipient knows: five mails to him in four different weeks, the first
// of the author's at least thirty days ago, and no newsletter; or one released before.
package labels

import (
	"net/netip"
	"strings"

	"golang.org/x/net/publicsuffix"

	"sekimori/internal/mail"
	"sekimori/reputation"
)

// Case is a mail that has been judged.
type Case struct {
	Session   *mail.Session
	Message   *mail.Message
	Rcpts     []mail.Address
	Verdicts  []mail.Verdict // of Rcpts, in order
	Outcomes  []mail.Outcome
	Delivered bool // to everybody, as it came in
}

// Label is what a mail is, and who sent it as far as that is known: a domain or an address for a good mail, the client's network for spam.
type Label struct {
	Class  reputation.Class
	Sender string
}

const (
	// hardList is what block lists must say together to be a reason of their own: one list of the usual weight.
	hardList = 3
	// serious is what checks of two kinds must say at least: one alone errs on everything at once, such as a list that ends its service
	// by listing the whole world, or SPF, DKIM and DMARC of a forwarded mail.
	serious = 1
	// mostAgainst is what may be found against a good mail.
	mostAgainst = 0.5
	// A sender is known to a recipient after so many mails in so many different weeks, the first of which he wrote so many days ago to
	// anybody: one mail and then a handful after a month of silence is how one makes oneself known who wants to teach.
	knownMails = 5
	knownWeeks = 4
	knownDays  = 30
)

// Of returns the label of a mail, or why it has none, in a word or two.
func Of(c Case, spamScore float64) (l Label, why string) {
	if why := unfit(c); why != "" {
		return Label{}, why
	}
	if c.isSpam(spamScore) {
		return Label{reputation.Spam, network(c.Session.Client)}, ""
	}
	if sender := c.goodSender(); sender != "" {
		return Label{reputation.Ham, sender}, ""
	}
	return Label{}, "nothing is sure"
}

// unfit says why a mail teaches nothing whatever was found.
func unfit(c Case) string {
	switch {
	case c.Message == nil || len(c.Verdicts) == 0 || len(c.Verdicts) != len(c.Rcpts):
		return "not judged"
	case c.Session.Trusted:
		return "trusted client"
	case c.Session.Unknown != "":
		return "unknown client"
	}
	for i := range c.Verdicts {
		switch v := &c.Verdicts[i]; {
		case len(v.Observed) > 0 || v.Would != "":
			return "policy on trial" // nobody sees what it does, so that nobody corrects it
		case v.Class == "malware":
			return "malware" // often in the words of a good mail that was stolen
		}
	}
	for i := range c.Outcomes {
		if o := &c.Outcomes[i]; o.Check != "bayes" && (o.State == mail.StateTempError || len(o.Partial) > 0) {
			return "not looked at in full"
		}
	}
	return ""
}

// isSpam reports whether checks of at least two kinds found so much against a mail that it is spam for every recipient, and one of them
// is a reason by itself: block lists, the policy of the author's domain, or a gateway in front.
func (c *Case) isSpam(spamScore float64) bool {
	for i := range c.Verdicts {
		v := &c.Verdicts[i]
		if v.Action < mail.Hold {
			return false // it was delivered: somebody or something spoke for it, or the policy is milder than this
		}
		points := c.points(v)
		sum := 0.0
		byKind := map[string]float64{}
		for check, p := range points {
			sum += p
			byKind[kindOf(check)] += p
		}
		kinds := 0
		for _, p := range byKind {
			if p >= serious {
				kinds++
			}
		}
		hard := points["dnsbl"] >= hardList || points["gateway"] >= hardList ||
			points["dmarc"] >= serious && c.text("dmarc", "dmarc.result") == "fail" && c.text("dmarc", "dmarc.policy") != "none"
		if sum < spamScore || kinds < 2 || !hard {
			return false
		}
	}
	return !c.found("ALLOW_SENDER", "ALLOW_DOMAIN", "DNSBL_ALLOWED", "HISTORY_KNOWN")
}

// kindOf names what a check looks at: those that ask whether the sender is genuine err together.
func kindOf(check string) string {
	switch check {
	case "spf", "dkim", "dmarc":
		return "authentication"
	}
	return check
}

// goodSender returns the confirmed author of a mail whom every recipient knows, when nothing speaks against it.
func (c *Case) goodSender() string {
	sender := c.text("history", "history.sender")
	if !c.Delivered || sender == "" || strings.Contains(sender, " ") || // confirmed by less than his own domain
		c.text("dmarc", "dmarc.result") != "pass" || c.number("history.reported", mail.Address{}) > 0 || c.found("DNSBL_LISTED", "GATEWAY_SPAM") {
		return ""
	}
	days := c.number("history.days", mail.Address{})
	bulk := c.Message.Get("List-Unsubscribe") != "" || c.Message.Get("Precedence") != ""
	for i, r := range c.Rcpts {
		v := &c.Verdicts[i]
		if v.Action != mail.Deliver || v.Discard || !v.Redirect.IsNull() || len(v.Strip) > 0 || c.against(v) > mostAgainst ||
			c.number("history.rcpt_reported", r) > 0 {
			return ""
		}
		asked := c.number("history.rcpt_released", r) > 0
		known := days >= knownDays && c.number("history.rcpt_mails", r) >= knownMails && c.number("history.rcpt_weeks", r) >= knownWeeks
		if !asked && (bulk || !known) {
			return "" // that nobody complains of a newsletter does not mean that somebody wants it
		}
	}
	return owner(sender)
}

// owner is the domain that whoever has a subdomain has had to register: he makes as many of those as he likes, and each would have a
// share of its own in what is learned. An address in a domain that many people share stays.
func owner(sender string) string {
	if top, err := publicsuffix.EffectiveTLDPlusOne(sender); err == nil && !strings.Contains(sender, "@") {
		return top
	}
	return sender
}

// network is the part of an address within which one sender easily has another.
func network(a netip.Addr) string {
	bits := 24
	if a.Is6() {
		bits = 48
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return "" // of no client that is known
	}
	return p.String()
}

// points sums what each check but the Bayesian one found, as the policy weighs it for a recipient.
func (c *Case) points(v *mail.Verdict) map[string]float64 {
	check := map[string]string{}
	for i := range c.Outcomes {
		for _, f := range c.Outcomes[i].Findings {
			check[f.Symbol] = c.Outcomes[i].Check
		}
	}
	sum := map[string]float64{}
	for i := range v.Counted {
		n := &v.Counted[i]
		if of := check[n.Name]; of != "" && of != "bayes" && n.Rule == "" {
			sum[of] += n.Points
		}
	}
	return sum
}

// against sums all that counted against a mail, rules as well, but for what the Bayesian check said: what speaks for it does not make up
// for that here.
func (c *Case) against(v *mail.Verdict) float64 {
	sum := 0.0
	for i := range v.Counted {
		if n := &v.Counted[i]; !strings.HasPrefix(n.Name, "BAYES_") {
			sum += max(n.Points, 0)
		}
	}
	return sum
}

func (c *Case) found(symbols ...string) bool {
	for i := range c.Outcomes {
		for _, f := range c.Outcomes[i].Findings {
			for _, s := range symbols {
				if f.Symbol == s {
					return true
				}
			}
		}
	}
	return false
}

// fact returns a fact of a check that looked; of a recipient when it was found out for each. nil when it is not known.
func (c *Case) fact(check, name string, rcpt mail.Address) any {
	for i := range c.Outcomes {
		o := &c.Outcomes[i]
		if o.Check != check || o.State != mail.StateOK {
			continue
		}
		for _, f := range o.Facts {
			if f.Name == name && f.Rcpt == rcpt {
				return f.Value
			}
		}
	}
	return nil
}

func (c *Case) text(check, name string) string {
	s, _ := c.fact(check, name, mail.Address{}).(string)
	return s
}

// number returns a fact of the history, 0 when it is not known.
func (c *Case) number(name string, rcpt mail.Address) int {
	n, _ := c.fact("history", name, rcpt).(int)
	return n
}
