package rules

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"sekimori/internal/mail"
)

// rule is one [[rule]].
type rule struct {
	n        int // its number in the policy
	id       string
	f        *file
	off      int
	placed   string // place(), once the rules are loaded
	describe map[string]string
	class    string
	cond     *cond
	reads    []int // numbers of the words that the condition reads
	lists    []string
	perRcpt  bool // reads something that differs between recipients
	symbols  bool // reads symbols, which differ when a finding names a recipient
	at       mail.Stage

	scores  bool // it has points, no action
	score   float64
	accept  bool
	allow   bool // for a recipient's own wish: lifts a tag or hold that is not final
	final   bool // what a recipient allows for himself does not lift it
	action  mail.Action
	mode    ceiling
	replies string        // its own text for the sender
	keep    time.Duration // of a copy of what it refuses; 0: none

	redirect mail.Address   // to whom instead
	discard  bool           // to nobody
	bcc      []mail.Address // to whom as well
	aside    bool           // it decides nothing: bcc, strip, add_header
	strip    *stripping
	header   []template
	tests    []test
	burden   burden

	from, until string        // days, that of the end counted; "": no limit
	weekly      *weekly       // nil: at all times
	percent     float64       // of the recipients; for the others it observes
	partial     bool          // percent is below 100
	stays       bool          // it does not step back by itself
	sum         string        // of all that it does
	domains     []string      // whose recipients it is for; nil: everybody
	left        bool          // some domain leaves it out
	asks        []alternative // what its condition asks; nil: not known
}

// place is file:line, as it stands in verdicts.
func (r *rule) place() string {
	if r.placed != "" {
		return r.placed
	}
	return fmt.Sprintf("%s:%d", r.f.base, r.f.line(r.off))
}

// ceiling is the most that a rule may do.
type ceiling int

const (
	noCeiling ceiling = iota
	observeOnly
	tagAtMost
	holdAtMost
)

var ceilings = map[string]ceiling{"observe": observeOnly, "tag": tagAtMost, "hold": holdAtMost, "reject": noCeiling}

func (c ceiling) String() string { return [...]string{"reject", "observe", "tag", "hold"}[c] }

// under gives the milder of an action and the ceiling.
func (c ceiling) under(a mail.Action) mail.Action {
	switch c {
	case tagAtMost:
		return min(a, mail.Tag)
	case holdAtMost:
		return min(a, mail.Hold)
	}
	return a
}

var (
	ruleKeys   = []string{"id", "describe", "when", "score", "action", "redirect", "bcc", "strip", "add_header", "class", "at", "mode", "reply", "keep", "final", "percent", "retreat", "from", "until", "schedule", "domains", "test"}
	actionKeys = []string{"accept", "allow", "tag", "discard", "hold", "defer", "reject"}
)

// wayKeys are those that stand in place of score and action.
var wayKeys = []string{"redirect", "bcc", "strip", "add_header"}

const maxText = 500 // of describe and reply

// decoder reads the rules of one file.
type decoder struct {
	env *environment
	d   *diagnostics
	f   *file
}

func (x *decoder) errorf(off int, format string, args ...any) { x.d.errorf(x.f, off, format, args...) }

// want reports a value of another type.
func (x *decoder) want(e *entry, k kind) bool {
	if e == nil {
		return false
	}
	if e.val.kind == k || (k == kindFloat && e.val.kind == kindInt) {
		return true
	}
	x.errorf(e.val.off, "%s must be %s, not %s", e.name, k, e.val.kind)
	return false
}

func (x *decoder) unknownKeys(t *table, known []string, where string) {
	for _, e := range t.keys {
		if !slices.Contains(known, e.name) {
			x.errorf(e.off, "unknown key %q in %s%s", e.name, where, suggest(e.name, known))
		}
	}
}

// str returns the string at a key, "" when absent or of another type.
func (x *decoder) str(t *table, key string) (string, int) {
	if e := t.get(key); x.want(e, kindString) {
		return e.val.str, e.val.off
	}
	return "", t.off
}

// rule decodes one [[rule]]; it returns nil when it cannot be judged.
func (x *decoder) rule(t *table) *rule {
	r := &rule{f: x.f, off: t.off, sum: identifyRule(t)}
	x.unknownKeys(t, ruleKeys, "[[rule]]")
	x.id(r, t)
	x.describe(r, t)
	x.outcome(r, t)
	x.class(r, t)
	x.mode(r, t)
	x.reply(r, t)
	x.final(r, t)
	x.retreat(r, t)
	x.dates(r, t)
	x.schedule(r, t)
	ok := x.when(r, t)
	x.domains(r, t)
	x.stage(r, t, ok)
	x.percent(r, t)
	x.keep(r, t)
	x.tests(r, t)
	if !ok || r.id == "" {
		return nil
	}
	return r
}

// outcome reads score or action, of which a rule has one.
func (x *decoder) outcome(r *rule, t *table) {
	score, action := t.get("score"), t.get("action")
	var ways []string
	for _, key := range wayKeys {
		if t.get(key) != nil {
			ways = append(ways, key)
		}
	}
	switch {
	case score != nil && action != nil:
		x.errorf(action.off, "a rule has a score or an action, not both")
	case len(ways) > 0 && (score != nil || action != nil), len(ways) > 1:
		x.errorf(t.off, "a rule has one of score, action, redirect, bcc, strip and add_header")
	case len(ways) > 0:
		x.routing(r, t)
		return
	case score == nil && action == nil:
		if !t.broken {
			x.errorf(t.off, "the rule has neither score nor action")
		}
		return
	}
	if x.want(score, kindFloat) {
		r.scores, r.score = true, score.val.num
		if r.score < -1000 || r.score > 1000 {
			x.errorf(score.val.off, "a score is between -1000 and 1000")
		}
	}
	if !x.want(action, kindString) {
		return
	}
	name := action.val.str
	a, ok := mail.ParseAction(name)
	switch {
	case name == "accept":
		r.accept = true
	case name == "allow":
		r.allow = true
	case name == "discard":
		r.discard = true
	case name == "redirect" || name == "bcc":
		x.errorf(action.val.off, "%s is a key with an address: %s = \"someone@example.jp\"", name, name)
	case !ok || !slices.Contains(actionKeys, name):
		hint := suggest(name, actionKeys)
		if name == "deliver" {
			hint = `; did you mean "accept"?`
		}
		x.errorf(action.val.off, "unknown action %q: one of %s%s", name, strings.Join(actionKeys, ", "), hint)
	default:
		r.action = a
	}
}

// when compiles the condition.
func (x *decoder) when(r *rule, t *table) bool {
	e := t.get("when")
	if e == nil && !t.broken {
		x.errorf(t.off, "the rule has no condition (when)")
	}
	if !x.want(e, kindString) {
		return false
	}
	if strings.TrimSpace(e.val.str) == "" {
		x.errorf(e.val.off, "the condition is empty")
		return false
	}
	c, rd := compile(x.env, x.d, x.f, e.val)
	if c == nil {
		return false
	}
	r.cond, r.lists = c, keysOf(rd.lists)
	c.each(func(i int) {
		if slices.Contains(r.reads, i) {
			return
		}
		r.reads = append(r.reads, i)
		w := x.env.vocab.words[i]
		r.perRcpt = r.perRcpt || w.perRcpt
		r.symbols = r.symbols || w.kind == symbolWord
	})
	x.heavy(r, e.val.off)
	x.contradiction(r, e.val.off)
	return true
}

// atoms calls fn for every atom of the condition.
func (c *cond) atoms(fn func(*cond)) {
	if c.op == opAtom {
		fn(c)
	}
	for _, k := range c.kids {
		k.atoms(fn)
	}
}

// each calls fn for everything that the condition reads.
func (c *cond) each(fn func(int)) {
	for _, k := range c.kids {
		k.each(fn)
	}
	for _, r := range c.reads {
		fn(r)
	}
}

// stage sets when the rule is judged: `at`, else as soon as everything it reads can be known, at RCPT at the earliest.
func (x *decoder) stage(r *rule, t *table, compiled bool) {
	earliest, why := mail.Connect, ""
	if r.strip != nil {
		earliest, why = mail.Data, "what a mail has attached"
	}
	for _, i := range slices.Concat(r.reads, r.templateReads()) {
		r.perRcpt = r.perRcpt || x.env.vocab.words[i].perRcpt
		if w := x.env.vocab.words[i]; w.stage > earliest {
			earliest, why = w.stage, w.key
		}
	}
	r.at = max(earliest, mail.Rcpt)
	s, off := x.str(t, "at")
	if s == "" {
		return
	}
	at, ok := mail.ParseStage(s)
	if !ok {
		stages := []string{"connect", "helo", "mail", "rcpt", "data", "conclude"}
		x.errorf(off, "unknown stage %q: one of %s%s", s, strings.Join(stages, ", "), suggest(s, stages))
		return
	}
	if compiled && at < earliest {
		x.errorf(off, "%s is known from %s on, which is after %s", why, earliest, at)
		return
	}
	r.at = at
}
