package mail

import "strings"

// Proof is what was confirmed of a mail's author: on what a recipient's wish to get mail of the same sender can rest.
type Proof struct {
	Author  Address `json:"author,omitzero"`   // in From; null unless there is exactly one
	Aligned bool    `json:"aligned,omitempty"` // DKIM or SPF vouched for the author's domain, as DMARC sees it
	SPF     string  `json:"spf,omitempty"`     // the domain for which SPF passed, whosever it is
	Host    string  `json:"host,omitempty"`    // the domain of the server's name, confirmed and not of a pool of addresses
}

// ProofOf reads what the checks found. Before the conclude stage Aligned is not known and false.
func ProofOf(tx *Transaction) Proof {
	var p Proof
	if m := tx.Message; m != nil && len(m.From) == 1 && m.CountHeader("From") == 1 {
		p.Author = m.From[0].Addr
	}
	domain := ""
	for i := range tx.Outcomes {
		o := &tx.Outcomes[i]
		if o.State != StateOK {
			continue
		}
		switch o.Check {
		case "spf":
			if o.text("spf.result") == "pass" {
				p.SPF = o.text("spf.domain")
			}
		case "rdns":
			if o.text("rdns.result") == "pass" {
				p.Host = o.text("rdns.domain")
			}
		case "dmarc":
			domain = o.text("dmarc.domain")
			p.Aligned = o.fact("dmarc.aligned_spf") == true || o.fact("dmarc.aligned_dkim") == true
		}
	}
	p.Aligned = p.Aligned && !p.Author.IsNull() && strings.EqualFold(domain, p.Author.Domain)
	return p
}

// fact returns the value of one fact of an outcome; nil when it is not there.
func (o *Outcome) fact(name string) any {
	for i := range o.Facts {
		if o.Facts[i].Name == name {
			return o.Facts[i].Value
		}
	}
	return nil
}

func (o *Outcome) text(name string) string {
	s, _ := o.fact(name).(string)
	return s
}
