package rules

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"sekimori/internal/mail"
)

var errCase = errors.New("rules: not a case")

// DecodeCase is the inverse of AppendCase. It takes any input and does not keep it.
func DecodeCase(b []byte) (*Case, error) {
	r := &caseReader{b: b}
	if v := r.octet(); v != caseVersion {
		if v > caseVersion {
			return nil, fmt.Errorf("%w of a version that this program knows: %d", errCase, v)
		}
		return nil, errCase
	}
	tx := &mail.Transaction{Stage: mail.Stage(r.octet()), Session: &mail.Session{}}
	if tx.Stage > mail.Conclude {
		return nil, errCase
	}
	bits := r.octet()
	tx.Session.KeepRefused = bits&1 != 0
	tx.Start = r.time()
	c := &Case{Tx: tx, kept: true, Rules: r.text(), Retreats: r.retreats()}
	for range r.count() {
		rcpt := r.address()
		c.Rcpts = append(c.Rcpts, rcpt)
		for range r.count() {
			if tx.Mailboxes == nil {
				tx.Mailboxes = map[mail.Address][]mail.Address{}
			}
			tx.Mailboxes[rcpt] = append(tx.Mailboxes[rcpt], r.address())
		}
	}
	if tx.Stage >= mail.Data {
		tx.Rcpts = c.Rcpts
	}
	tx.Facts = r.facts()
	for _, rcpt := range c.Rcpts {
		if f := r.facts(); len(f) > 0 {
			if tx.RcptFacts == nil {
				tx.RcptFacts = map[mail.Address]map[string]any{}
			}
			tx.RcptFacts[rcpt] = f
		}
	}
	tx.Outcomes = r.outcomes()
	if bits&2 != 0 {
		tx.Message = r.header()
		tx.Message.Parts = r.parts()
	}
	for range r.count() {
		c.notes = append(c.notes, r.note())
	}
	c.Verdicts = r.verdicts(c.Rcpts)
	c.Failed = r.texts()
	if r.bad || len(r.b) > 0 {
		return nil, errCase
	}
	return c, nil
}

// caseReader reads the parts of a case. After the first one that is not there all are empty.
type caseReader struct {
	b   []byte
	bad bool
}

func (r *caseReader) fail() { r.bad, r.b = true, nil }

func (r *caseReader) octet() byte {
	if len(r.b) == 0 {
		r.fail()
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *caseReader) uvarint() uint64 {
	n, w := binary.Uvarint(r.b)
	if w <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[w:]
	return n
}

func (r *caseReader) varint() int64 {
	n, w := binary.Varint(r.b)
	if w <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[w:]
	return n
}

func (r *caseReader) word64() uint64 {
	if len(r.b) < 8 {
		r.fail()
		return 0
	}
	n := binary.LittleEndian.Uint64(r.b)
	r.b = r.b[8:]
	return n
}

func (r *caseReader) float() float64 { return math.Float64frombits(r.word64()) }

// count is how many of something follow; each takes an octet at least.
func (r *caseReader) count() int {
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.fail()
		return 0
	}
	return int(n)
}

func (r *caseReader) text() string {
	n := r.count()
	s := string(r.b[:n])
	r.b = r.b[n:]
	return s
}

func (r *caseReader) texts() []string {
	n := r.count()
	if n == 0 {
		return nil
	}
	list := make([]string, 0, n)
	for range n {
		list = append(list, r.text())
	}
	return list
}

func (r *caseReader) address() (a mail.Address) {
	_ = a.UnmarshalText([]byte(r.text())) // never fails
	return a
}

func (r *caseReader) time() time.Time {
	if r.octet() == 0 {
		return time.Time{}
	}
	sec, offset := r.varint(), r.varint()
	const most = 1 << 37 // some thousand years
	if sec < -most || sec > most || offset < -24*3600 || offset > 24*3600 {
		r.fail()
		return time.Time{}
	}
	return time.Unix(sec, 0).In(time.FixedZone("", int(offset)))
}

func (r *caseReader) retreats() []Retreat {
	var list []Retreat
	for range r.count() {
		list = append(list, Retreat{r.text(), r.text(), r.text()})
	}
	return list
}

func (r *caseReader) facts() map[string]any {
	facts := map[string]any{}
	for {
		name := r.text()
		if name == "" {
			return facts
		}
		facts[name] = r.value()
	}
}

func (r *caseReader) value() any {
	switch form := r.octet(); form {
	case formFalse, formTrue:
		return form == formTrue
	case formInt:
		return int(r.varint())
	case formFloat:
		return r.float()
	case formString:
		return r.text()
	case formStrings:
		return r.list()
	case formCutString:
		n := int(r.uvarint())
		return cutValue{r.text(), n}
	case formCutStrings:
		n := int(r.uvarint())
		return cutValue{r.list(), n}
	}
	r.fail()
	return nil
}

// list reads a fact of type Strings, which is known when it is empty, too.
func (r *caseReader) list() []string {
	if l := r.texts(); l != nil {
		return l
	}
	return []string{}
}

func (r *caseReader) outcomes() []mail.Outcome {
	var list []mail.Outcome
	for range r.count() {
		o := mail.Outcome{Check: r.text(), Stage: mail.Stage(r.octet()), State: mail.State(r.octet()), Why: r.text()}
		if o.State&bitOff != 0 {
			o.State, o.Off = o.State&^bitOff, true
		}
		o.Partial = r.texts()
		for range r.count() {
			f := mail.Finding{Symbol: r.text(), Weight: r.float(), Rcpt: r.address()}
			for range r.count() {
				f.Evidence = append(f.Evidence, mail.Evidence{Key: r.text(), Value: r.text()})
			}
			o.Findings = append(o.Findings, f)
		}
		list = append(list, o)
	}
	return list
}

func (r *caseReader) header() *mail.Message {
	m := &mail.Message{}
	for range r.count() {
		f := mail.Field{Name: r.text()}
		if r.octet()&1 != 0 {
			f.End = cutField
		}
		f.Value = r.text()
		m.Header = append(m.Header, f)
	}
	if r.octet()&1 != 0 {
		m.Header = append(m.Header, mail.Field{End: cutField})
	}
	return m
}

func (r *caseReader) parts() []mail.Part {
	var list []mail.Part
	for range r.count() {
		bits := r.octet()
		p := mail.Part{Attached: bits&1 != 0, Type: r.text(), Encoding: r.text(), Name: r.text(), OtherNames: r.texts()}
		if bits&2 != 0 {
			p.Text = "x"
		}
		p.End = int(r.uvarint() & math.MaxInt32)
		list = append(list, p)
	}
	return list
}

func (r *caseReader) note() note {
	n := note{key: r.word64(), rcpt: int(r.uvarint()), result: tri(r.octet()), over: r.octet()&1 != 0, steps: int(r.uvarint()), failed: r.texts()}
	if n.result > unknown || n.steps < 0 || n.steps > mailBudget {
		r.fail()
	}
	return n
}

func (r *caseReader) verdicts(rcpts []mail.Address) []mail.Verdict {
	var list []mail.Verdict
	n := r.count()
	if n > len(rcpts) {
		r.fail()
		return nil
	}
	for i := range n {
		v := mail.Verdict{Rcpt: rcpts[i], Action: mail.Action(r.octet())}
		bits := r.octet()
		v.Final, v.Discard = bits&1 != 0, bits&2 != 0
		v.Class, v.Rule, v.RuleID, v.Redirect, v.Would = r.text(), r.text(), r.text(), r.address(), r.text()
		v.Score, v.Limit = r.float(), r.float()
		v.Keep = time.Duration(r.varint())
		v.Original = time.Duration(r.varint())
		for range r.count() {
			v.Strip = append(v.Strip, int(r.uvarint()&math.MaxInt32))
		}
		v.Unknown, v.Observed = r.texts(), r.texts()
		for range r.count() {
			v.Copies = append(v.Copies, r.address())
		}
		list = append(list, v)
	}
	return list
}
