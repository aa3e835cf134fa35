package rules

import (
	"errors"
	"fmt"
	"mime"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
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
	env    map[string]any
	known  []bool
	vm     vm.VM
	failed []string // conditions that could not be evaluated

	octets []int // of the values, by word
	rule   int   // steps spent on the rule at hand
	mail   int   // and on all rules since the budget was last given
	over   bool  // the rule at hand has used up its own

	kase   *Case  // may be nil
	at     int    // which of its recipients
	cut    []bool // values that are not kept in full, by word
	part   []bool // values of which only a part is here, by word
	unseen bool   // the rule at hand asked for an outcome that was not kept
}

func newState(v *vocabulary) *state {
	s := &state{words: v.words, env: make(map[string]any, len(v.words)+len(v.lists)), known: make([]bool, len(v.words)), octets: make([]int, len(v.words)), cut: make([]bool, len(v.words)), part: make([]bool, len(v.words))}
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
	s.env[w.key], s.octets[i] = v, octets(v)
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
		if strings.HasPrefix(symbol, strings.ToUpper(o.Check)+"_") {
			looked = looked || o.State == mail.StateOK
			silent = silent || o.State != mail.StateOK
		}
	}
	if !looked || silent {
		return nil
	}
	return false
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
		if c.quick(s.env) {
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

// quick makes a plain function of the commonest atoms (a fact of type bool, a comparison with a constant); nil for all
// others. It means the same as the compiled program and saves the machine's start.
func quick(n ast.Node, v *vocabulary) func(map[string]any) bool {
	if id, ok := n.(*ast.IdentifierNode); ok {
		return quickBool(id, v)
	}
	b, ok := n.(*ast.BinaryNode)
	if !ok {
		return nil
	}
	id, ok := b.Left.(*ast.IdentifierNode)
	if !ok {
		return nil
	}
	w := v.words[v.byKey[id.Value]]
	switch right := b.Right.(type) {
	case *ast.ArrayNode:
		if words, ok := constants(right, b.Operator); ok && w.typ == mail.String && len(words) <= 16 {
			key := w.key
			return func(env map[string]any) bool { return slices.Contains(words, env[key].(string)) }
		}
	case *ast.StringNode:
		if w.typ == mail.String {
			return quickString(w.key, b.Operator, right.Value)
		}
	case *ast.IntegerNode:
		return quickNumber(w, b.Operator, float64(right.Value))
	case *ast.FloatNode:
		return quickNumber(w, b.Operator, right.Value)
	}
	return nil
}

func quickBool(id *ast.IdentifierNode, v *vocabulary) func(map[string]any) bool {
	if i, ok := v.byKey[id.Value]; ok && v.words[i].typ == mail.Bool {
		key := id.Value
		return func(env map[string]any) bool { return env[key].(bool) }
	}
	return nil
}

func quickString(key, operator, want string) func(map[string]any) bool {
	switch operator {
	case "==":
		return func(env map[string]any) bool { return env[key].(string) == want }
	case "!=":
		return func(env map[string]any) bool { return env[key].(string) != want }
	case "startsWith":
		return func(env map[string]any) bool { return strings.HasPrefix(env[key].(string), want) }
	case "endsWith":
		return func(env map[string]any) bool { return strings.HasSuffix(env[key].(string), want) }
	case "contains":
		if key == "message.text" {
			return nil // its steps are counted
		}
		return func(env map[string]any) bool { return strings.Contains(env[key].(string), want) }
	}
	return nil
}

func quickNumber(w *word, operator string, want float64) func(map[string]any) bool {
	compare, ok := map[string]func(a, b float64) bool{
		"==": func(a, b float64) bool { return a == b }, "!=": func(a, b float64) bool { return a != b },
		"<": func(a, b float64) bool { return a < b }, "<=": func(a, b float64) bool { return a <= b },
		">": func(a, b float64) bool { return a > b }, ">=": func(a, b float64) bool { return a >= b },
	}[operator]
	key := w.key
	switch {
	case !ok:
		return nil
	case w.typ == mail.Int:
		return func(env map[string]any) bool { return compare(float64(env[key].(int)), want) }
	case w.typ == mail.Float:
		return func(env map[string]any) bool { return compare(env[key].(float64), want) }
	}
	return nil
}
