package reputation

import (
	"math"
	"strings"

	"sekimori/internal/mail"
)

// Scope is for whom something is learned: everybody (Everybody), a domain ("@example.jp") or a person ("a@example.jp", an
// Address.Key).
type Scope string

// Everybody is the scope of what is learned for all.
const Everybody Scope = ""

// PersonScope is the scope of a mailbox.
func PersonScope(box mail.Address) Scope { return Scope(box.Key()) }

// DomainScope is the scope of the domain of a mailbox.
func DomainScope(box mail.Address) Scope { return Scope("@" + strings.ToLower(box.Domain)) }

// ParseScope reads "all", "@DOMAIN" or an address.
func ParseScope(s string) (Scope, bool) {
	if s == "" || s == "all" {
		return Everybody, true
	}
	if d, ok := strings.CutPrefix(s, "@"); ok {
		name, err := mail.ParseDomain(d)
		return Scope("@" + strings.ToLower(name)), err == nil
	}
	a, err := mail.ParseAddress(s, false)
	return PersonScope(a), err == nil
}

// String is "all", "@DOMAIN" or an address.
func (s Scope) String() string {
	if s == Everybody {
		return "all"
	}
	return string(s)
}

// Domain reports whether it is a domain.
func (s Scope) Domain() bool { return strings.HasPrefix(string(s), "@") }

// Above is the scope that a narrower one is laid over: of a person the domain, of a domain everybody.
func (s Scope) Above() Scope {
	if i := strings.LastIndexByte(string(s), '@'); i > 0 {
		return s[i:]
	}
	return Everybody
}

// Confidence says how much what was learned for a person or a domain counts against what was learned for more people: with n mails of
// a class n/(n+Half), once Enough mails of both classes together were learned.
type Confidence struct {
	Enough int
	Half   int
}

// What one person teaches counts soon, since it is about his own mail alone; what a domain's people teach must be more.
var (
	personConfidence = Confidence{Enough: 10, Half: 50}
	domainConfidence = Confidence{Enough: 50, Half: 200}
)

func (s Scope) confidence() Confidence {
	if s.Domain() {
		return domainConfidence
	}
	return personConfidence
}

// of is the part that n mails of a class have, when all were learned in both.
func (c Confidence) of(n, all int) float64 {
	if all < c.Enough {
		return 0
	}
	return float64(n) / float64(n+c.Half)
}

// Mix is the models that hold for one person, each laid over the one before.
type Mix struct {
	all    *Model
	narrow []layer
}

type layer struct {
	scope Scope
	model *Model
}

// Scopes are those that count beside everybody's, the widest first.
func (x Mix) Scopes() []Scope {
	var all []Scope
	for _, l := range x.narrow {
		all = append(all, l.scope)
	}
	return all
}

// Score weighs the tokens of a mail as Model.Score does, with the rates of the layers combined for each class c by
//
//	rate = (1-a)·rate of the wider + a·rate of the narrower,  a = n/(n+half)
//
// where n mails of that class were learned in the narrower scope; a is 0 until enough of both classes were. So each class moves by what
// was learned of it: a person who only ever released mail has ham of his own and everybody's spam. n of a token, by which its weight
// grows, is the largest of any scope, since a mail may have been learned in several.
func (x Mix) Score(tokens []string) Score {
	if len(x.narrow) == 0 {
		return x.all.Score(tokens)
	}
	r := x.all.rates(tokens)
	if !r.both {
		return score(tokens, r)
	}
	for _, l := range x.narrow {
		n := l.model.Counts()
		c := l.scope.confidence()
		h, s := c.of(n.HamLearned, n.HamLearned+n.SpamLearned), c.of(n.SpamLearned, n.HamLearned+n.SpamLearned)
		if h+s == 0 {
			continue
		}
		own := l.model.rates(tokens)
		if r.narrow == nil {
			r.narrow = make([]bool, len(tokens))
		}
		for i := range tokens {
			r.narrow[i] = r.narrow[i] || own.n[i] > 0
			r.ham[i] += h * (own.ham[i] - r.ham[i])
			r.spam[i] += s * (own.spam[i] - r.spam[i])
			r.n[i] = math.Max(r.n[i], own.n[i])
		}
	}
	return score(tokens, r)
}
