package rules

import (
	"hash/fnv"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"sekimori/internal/mail"
)

// Case is one mail as Judge reads it. Encoded (AppendCase) it can be judged again later, by another policy too, without the mail.
//
// What is long is not kept in full (KeptText and the limits beside it): of the conditions that read such a thing the outcome is
// kept. A condition with an outcome that was not kept, because it is new or was not asked then, is not judged when the case is judged
// again, and so is a rule that depends on it: NotJudged names it, and its verdict is no verdict.
type Case struct {
	Tx    *mail.Transaction // of a decoded case only what Judge reads
	Rcpts []mail.Address    // those that are asked for

	// Of a decoded case: the set of rules that judged it, and what they said.
	Rules    string
	Verdicts []mail.Verdict // of Rcpts, without texts, evidence and reply
	Failed   []string       // conditions that could not be evaluated, rules that were suspended
	// Retreats were in force; they still are when the case is judged again, for rules that are the same.
	Retreats []Retreat

	// NotJudged are ids of rules that JudgeCase could not judge, each once.
	NotJudged []string

	kept   bool      // it was decoded
	lean   bool      // and judged without what only people read
	filled bool      // and has what was not kept of the message again
	back   *retreats // as in Retreats, of a case that was not decoded
	notes  []note
	assume map[string]tri // what rules are taken to say, by id
}

// note is the outcome of a condition that reads what is not kept.
type note struct {
	key    uint64 // of the condition
	rcpt   int    // in Rcpts
	result tri
	over   bool // the rule was over its budget
	steps  int
	failed []string
}

// The limits of what is kept of one value, in octets. Of message.text nothing is.
const (
	keepString   = 1 << 10
	keepStrings  = 4 << 10 // of all entries
	keepEntries  = 100
	keepHeader   = 512 // of a header field that some rule asks for
	keepOther    = 256 // of another
	keepFields   = 200
	keepOthers   = 4 << 10 // of all others together
	keepEvidence = 200
)

// cutField is the End of a header field of which only the beginning is kept. A field without a name: there were more.
const cutField = -1

// cutValue is a fact of which only the beginning is kept.
type cutValue struct {
	shown  any // of the fact's type
	octets int // of the whole
}

// keptWhole reports whether a fact is kept in full.
func keptWhole(name string, v any) bool {
	switch x := v.(type) {
	case string:
		return len(x) <= keepString && (name != "message.text" || x == "")
	case []string:
		n := 0
		for _, s := range x {
			n += len(s)
		}
		return n <= keepStrings && len(x) <= keepEntries
	}
	return true
}

// headerCut reports whether what a word reads of the header is not kept in full.
func headerCut(m *mail.Message, w *word) bool {
	if m == nil {
		return false
	}
	for i := range m.Header {
		f := &m.Header[i]
		if i >= keepFields || f.Name == "" && f.End == cutField {
			return true
		}
		if !strings.EqualFold(f.Name, w.arg) {
			continue
		}
		if f.End == cutField || len(f.Value) > keepHeader {
			return true
		}
		if w.kind == headerWord || w.kind == rawHeaderWord {
			return false
		}
	}
	return false
}

// JudgeCase judges as Judge does, and notes in c what AppendCase needs. Of a decoded case it takes the outcomes that were kept.
func (p *Policy) JudgeCase(c *Case) []mail.Verdict {
	c.NotJudged = nil
	if !c.kept {
		c.notes, c.back, c.Retreats = c.notes[:0], p.back.Load(), nil
		if c.back != nil {
			c.Retreats = c.back.list
		}
	}
	return p.judge(c.Tx, c.Rcpts, c, nil)
}

// backOf returns the rules that have stepped back: as they had when the case was judged, or as they have now.
func (p *Policy) backOf(c *Case) *retreats {
	switch {
	case c == nil:
		return p.back.Load()
	case c.kept:
		return p.retreatsOf(c.Retreats)
	}
	return c.back
}

// noted evaluates an atom, and keeps its outcome when it reads what is not kept, or takes the outcome that was.
func (s *state) noted(c *cond) tri {
	if s.kase == nil || !s.readsCut(c) {
		return s.atom(c)
	}
	if s.kase.kept {
		return s.recall(c)
	}
	n := note{key: c.sum, rcpt: s.at}
	steps, failed, over := s.mail, len(s.failed), s.over
	s.over = false
	n.result = s.atom(c)
	n.over, n.steps, n.failed = s.over, s.mail-steps, slices.Clone(s.failed[failed:])
	s.over = s.over || over
	if !slices.ContainsFunc(s.kase.notes, func(o note) bool { return o.key == n.key && o.rcpt == n.rcpt }) {
		s.kase.notes = append(s.kase.notes, n)
	}
	return n.result
}

// readsCut reports whether all that an atom reads is known, and some of it is not kept: a long value, or what the directory said.
func (s *state) readsCut(c *cond) bool {
	cut := c.asks
	for _, r := range c.reads {
		if !s.known[r] {
			return false
		}
		cut = cut || s.cut[r]
	}
	return cut
}

func (s *state) recall(c *cond) tri {
	best := -1
	for i := range s.kase.notes {
		n := &s.kase.notes[i]
		if n.key != c.sum {
			continue
		}
		// What reads nothing of the recipient was evaluated once, for the first of them.
		if n.rcpt == s.at || best < 0 && !s.perRcpt(c) {
			best = i
		}
	}
	if best < 0 && s.kase.filled && !c.asks && !slices.ContainsFunc(c.reads, func(r int) bool { return s.part[r] }) {
		return s.atom(c)
	}
	if best < 0 {
		s.unseen = true
		return unknown
	}
	n := &s.kase.notes[best]
	s.rule += n.steps
	s.mail += n.steps
	s.over = s.over || n.over
	for _, f := range n.failed {
		s.fail(f)
	}
	return n.result
}

func (s *state) perRcpt(c *cond) bool {
	return slices.ContainsFunc(c.reads, func(r int) bool { return s.words[r].perRcpt })
}

// unseen notes that a rule depends on the outcome of a condition that was not kept.
func (j *judging) unseen(r *rule) {
	if c := j.s.kase; c != nil && !slices.Contains(c.NotJudged, r.id) {
		c.NotJudged = append(c.NotJudged, r.id)
	}
}

// SameVerdict reports whether two verdicts do the same for the same reason. The place of the rule may differ, and so may texts.
func SameVerdict(a, b *mail.Verdict) bool {
	return a.Rcpt == b.Rcpt && a.Action == b.Action && a.Would == b.Would && a.Class == b.Class && a.RuleID == b.RuleID && a.Final == b.Final &&
		math.Abs(a.Score-b.Score) < 1e-9 && a.Redirect == b.Redirect && a.Discard == b.Discard && a.Keep == b.Keep &&
		slices.Equal(a.Strip, b.Strip) && a.Original == b.Original &&
		slices.Equal(a.Copies, b.Copies) && slices.Equal(a.Observed, b.Observed) && slices.Equal(a.Unknown, b.Unknown)
}

// Fingerprint names the set of rules: all that decides, the lists and the thresholds included. Two policies of the same files have the
// same one, as long as the program gives symbols the same points: those in force are a part of it, so that what was judged before an upgrade that
// changed one is not taken for what the same set says. It begins with Options.Name where there is one.
func (p *Policy) Fingerprint() string { return p.fingerprint }

// identify gives the set of rules and its conditions what they are recognised by.
func (l *loader) identify(docs []parsed) {
	h := fnv.New64a()
	put := func(texts ...string) {
		for _, s := range texts {
			_, _ = io.WriteString(h, s+"\x00")
		}
	}
	for _, doc := range docs {
		put(doc.f.base, string(doc.f.data))
	}
	put(l.o.Defaults, l.o.Mode)
	put(l.o.Disable...)
	for _, t := range l.p.thresholds {
		put(t.action.String(), show(t.points))
	}
	put(l.o.Protected...)
	for _, name := range keysOf(l.vocab.lists) {
		list := l.vocab.lists[name]
		if list.sum == 0 { // it stands in no file of its own
			list.sum = hashOf([]byte(list.base + "\x00" + strings.Join(keysOf(list.entries), "\x00") + netsText(list)))
		}
		put(name, string(hex64(list.sum)))
	}
	l.p.name = orElse(l.o.Name, l.p.version+"-"+string(hex64(h.Sum64())))
	l.p.fingerprint = l.p.name + "-" + string(hex64(scoresSum(l.p.scores)))[8:]
	for _, r := range l.p.rules {
		r.cond.atoms(func(c *cond) { c.sum = l.sumOf(c) })
	}
	l.p.names = append(keysOf(l.vocab.facts), l.vocab.attrFacts()...)
	slices.Sort(l.p.names)
	l.p.asked = map[string]bool{}
	for _, w := range l.vocab.words {
		switch w.kind {
		case headerWord, headersWord, rawHeaderWord, rawHeadersWord:
			l.p.asked[strings.ToLower(w.arg)] = true
		}
	}
}

// scoresSum is a hash of the points that findings have.
func scoresSum(scores map[string]float64) uint64 {
	h := fnv.New64a()
	for _, name := range keysOf(scores) {
		_, _ = io.WriteString(h, name+"\x00"+strconv.FormatFloat(scores[name], 'g', -1, 64)+"\x00")
	}
	return h.Sum64()
}

// sumOf is the hash of a condition's text and of the lists that it asks.
func (l *loader) sumOf(c *cond) uint64 {
	h := fnv.New64a()
	_, _ = io.WriteString(h, c.src)
	for _, name := range keysOf(l.vocab.lists) {
		if strings.Contains(c.src, "lists."+name) {
			list := l.vocab.lists[name]
			_, _ = h.Write(hex64(list.sum))
			c.asks = c.asks || list.member != nil
		}
	}
	return h.Sum64()
}

func netsText(l *list) string {
	var all []string
	for n := range l.nets {
		all = append(all, n.String())
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

func hashOf(b []byte) uint64 {
	h := fnv.New64a()
	_, _ = h.Write(b)
	return h.Sum64()
}

func hex64(n uint64) []byte {
	const digits = "0123456789abcdef"
	b := make([]byte, 16)
	for i := range b {
		b[15-i] = digits[n&15]
		n >>= 4
	}
	return b
}
