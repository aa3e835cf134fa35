package rules

import (
	"slices"
	"strings"

	"sekimori/internal/mail"
)

// ProofOfFindings is mail.ProofOf for a mail of which only the findings are known. author is the only address in From; null where
// there was none or several.
func ProofOfFindings(author mail.Address, counted []mail.Counted) mail.Proof {
	value := func(symbol, key string) string {
		for i := range counted {
			if counted[i].Name != symbol {
				continue
			}
			for _, e := range counted[i].Evidence {
				if e.Key == key {
					return strings.ToLower(e.Value)
				}
			}
		}
		return ""
	}
	has := func(symbol string) bool {
		return slices.ContainsFunc(counted, func(c mail.Counted) bool { return c.Name == symbol })
	}
	p := mail.Proof{Author: author, SPF: value("SPF_PASS", "domain")}
	if has("DMARC_MULTI_FROM") || has("DKIM_MULTI_FROM") {
		p.Author = mail.Address{}
	}
	p.Aligned = !p.Author.IsNull() && value("DMARC_PASS", "domain") == strings.ToLower(p.Author.Domain)
	if name := value("RDNS_CONFIRMED", "name"); name != "" && !has("RDNS_GENERIC") {
		if d, err := registrable(name); err == nil {
			p.Host, _ = d.(string)
		}
	}
	return p
}

// DescribeOf is the text of a rule for people, by language; nil when there is no such rule.
func (p *Policy) DescribeOf(id string) map[string]string {
	if r := p.byID(id); r != nil {
		return r.describe
	}
	return nil
}
