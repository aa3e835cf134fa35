package rules

import (
	"errors"
	"fmt"
	"mime"
	"slices"
	"strings"

	efile "github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"

	"sekimori/internal/mail"
)

// tri is a truth value of Kleene's logic.
type tri uint8

const (
	miss tri = iota
	hit
	unknown
)

func (t tri) String() string { return [...]string{"miss", "hit", "unknown"}[t] }

const (
	memoryBudget = 200_000
	maxListFact  = 500
	maxTextFact  = 256 << 10
)

// state is what conditions are evaluated over: the value of every word that some rule reads, for one transaction and one
// recipient. It is used by one goroutine.
type state struct {
	words  []*word
	val    []any          // by word; valid where known
	env    map[string]any // what the machine reads, by key: words that some atom without a quick form reads, and lists
	known  []bool
	vm     vm.VM
	failed []string // conditions that could not be evaluated

	octets []int // of the values, by word
	rule   int   // steps spent on the rule at hand
	mail   int   // and on all rules since the budget was last given
	over   bool  // the rule at hand has used up its own

	cache  []tri // of rules, by number; see judging
	cached []bool

	shapes shapes

	kase   *Case  // may be nil
	at     int    // which of its recipients
	cut    []bool // values that are not kept in full, by word
	part   []bool // values of which only a part is here, by word
	unseen bool   // the rule at hand asked for an outcome that was not kept
}

func newState(v *vocabulary) *state {
	s := &state{words: v.words, env: make(map[string]any, len(v.words)+len(v.lists)), val: make([]any, len(v.words)), known: make([]bool, len(v.words)), octets: make([]int, len(v.words)), cut: make([]bool, len(v.words)), part: make([]bool, len(v.words))}
	s.vm.MemoryBudget = memoryBudget
	for name, l := range v.lists {
		s.env["lists."+name] = l
	}
	return s
}

// set gives a word a value of its type; another type, or none, makes it unknown.
func (s *state) set(i int, v any) {
	w := s.words[i]
	kept, cut := v.(cutValue)
	if cut {
		v = kept.shown
	}
	if !fits(v, w.typ) {
		s.known[i] = false
		return
	}
	v = bounded(v)
	s.val[i], s.octets[i] = v, octets(v)
	if w.machine {
		s.env[w.key] = v
	}
	s.known[i], s.part[i] = true, cut
	s.cut[i] = cut || s.kase != nil && !keptWhole(w.key, v)
	if cut {
		s.octets[i] = kept.octets
	}
}

// fill takes over all that is known of a transaction. Symbols are those that count for rcpt.
func (s *state) fill(tx *mail.Transaction, rcpt mail.Address, decode func(string) string) {
	for i, w := range s.words {
		switch w.kind {
		case factWord:
			s.set(i, tx.Facts[w.key])
		case stateWord:
			s.set(i, stateOf(tx, w.arg))
		case symbolWord:
			s.set(i, found(tx, w.arg, rcpt))
		case headerWord, headersWord, rawHeaderWord, rawHeadersWord:
			s.set(i, headerValue(tx.Message, w, decode))
			s.cut[i] = s.kase != nil && headerCut(tx.Message, w)
			s.part[i] = s.cut[i] && s.kase.kept && !s.kase.filled
		}
	}
	s.rcpt(tx, rcpt)
}

// rcpt takes over what differs between recipients.
func (s *state) rcpt(tx *mail.Transaction, rcpt mail.Address) {
	for i, w := range s.words {
		switch w.key {
		case "rcpt.address":
			s.set(i, rcpt.String())
		case "rcpt.local":
			s.set(i, rcpt.Local)
		case "rcpt.domain":
			s.set(i, rcpt.Domain)
		case "rcpt.mailbox":
			s.set(i, tx.Mailbox(rcpt).String())
		case "rcpt.mailboxes":
			s.set(i, tx.MailboxTexts(rcpt))
		default:
			if w.kind == attrWord || w.kind == attrsWord {
				s.set(i, attrValue(tx, rcpt, w))
			}
			if w.perRcpt && w.kind == factWord {
				s.set(i, tx.RcptFact(rcpt, w.key))
			}
		}
	}
}

// stateOf sums up the outcomes of a check: a failure at any stage makes it temperror.
func stateOf(tx *mail.Transaction, check string) any {
	result := "pending"
	for i := range tx.Outcomes {
		o := &tx.Outcomes[i]
		if o.Check != check {
			continue
		}
		switch {
		case o.State == mail.StateTempError:
			return "temperror"
		case o.State == mail.StateOK || result == "pending":
			result = o.State.String()
		}
	}
	return result
}

// found says whether a symbol was found for a recipient: true, false, or nil when its check did not answer.
func found(tx *mail.Transaction, symbol string, rcpt mail.Address) any {
	looked, silent := false, false
	for i := range tx.Outcomes {
		o := &tx.Outcomes[i]
		for k := range o.Findings {
			if o.Findings[k].Symbol == symbol && counts(&o.Findings[k], rcpt) {
				return true
			}
		}
		if belongs(symbol, o.Check) {
			looked = looked || o.State == mail.StateOK
			silent = silent || o.State != mail.StateOK
		}
	}
	if !looked || silent {
		return nil
	}
	return false
}

// belongs reports whether a symbol is one of a check: of its name in upper case.
func belongs(symbol, check string) bool {
	if len(symbol) <= len(check) || symbol[len(check)] != '_' {
		return false
	}
	for i := range len(check) {
		c := check[i]
		if c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		if c != symbol[i] {
			return false
		}
	}
	return true
}

// counts reports whether a finding holds for a recipient.
func counts(f *mail.Finding, rcpt mail.Address) bool {
	return f.Rcpt.IsNull() || f.Rcpt == rcpt || f.Rcpt.Key() == rcpt.Key()
}

func headerValue(m *mail.Message, w *word, decode func(string) string) any {
	if m == nil {
		return nil
	}
	if w.kind == rawHeaderWord || w.kind == rawHeadersWord {
		decode = func(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
	}
	if w.kind == headerWord || w.kind == rawHeaderWord {
		return decode(m.Get(w.arg))
	}
	all := []string{}
	for i := range m.Header {
		if strings.EqualFold(m.Header[i].Name, w.arg) && len(all) < maxListFact {
			all = append(all, decode(m.Header[i].Value))
		}
	}
	return all
}

// decodeHeader is used when Options has no better one: it knows only the charsets of the standard library.
func decodeHeader(s string) string {
	if d, err := new(mime.WordDecoder).DecodeHeader(s); err == nil {
		return d
	}
	return s
}

// eval judges a condition. False decides an and, true an or, whatever else is unknown.
func (s *state) eval(c *cond) tri {
	switch c.op {
	case opNot:
		switch s.eval(c.kids[0]) {
		case hit:
			return miss
		case miss:
			return hit
		}
		return unknown
	case opAnd, opOr:
		decides, result := miss, hit
		if c.op == opOr {
			decides, result = hit, miss
		}
		for _, k := range c.kids {
			switch s.eval(k) {
			case decides:
				return decides
			case unknown:
				result = unknown
			}
		}
		return result
	}
	return s.noted(c)
}

func (s *state) atom(c *cond) tri {
	for _, r := range c.reads {
		if !s.known[r] {
			return unknown
		}
	}
	if !s.spend(c) {
		return unknown
	}
	if c.quick != nil {
		if c.quick(s, "") {
			return hit
		}
		return miss
	}
	out, err := s.run(c.prog)
	if err != nil {
		msg := err.Error()
		var at *efile.Error
		if errors.As(err, &at) {
			msg = at.Message // without the place within the condition
		}
		s.fail(plainer(msg))
		return unknown
	}
	if b, ok := out.(bool); ok && b {
		return hit
	}
	return miss
}

// fail notes, once, why something could not be evaluated.
func (s *state) fail(why string) {
	if !slices.Contains(s.failed, why) {
		s.failed = append(s.failed, why)
	}
}

// run catches what the machine itself does not.
func (s *state) run(p *vm.Program) (out any, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	return s.vm.Run(p, s.env)
}
