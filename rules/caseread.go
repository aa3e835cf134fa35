package rules

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"sekimori/internal/mail"
)

var errCase = errors.New("rules: not a case")

// DecodeCase is the inverse of AppendCase. It takes any input and does not keep it.
func DecodeCase(b []byte) (*Case, error) {
	return decodeCase(b, &caseMemory{}, nil)
}

// caseMemory is what a case is made of. It is used again for the next one, which then takes the place of the one before.
type caseMemory struct {
	c       Case
	tx      mail.Transaction
	session mail.Session
	message mail.Message

	rcpts     []mail.Address
	boxes     map[mail.Address][]mail.Address
	facts     map[string]any
	rcptFacts map[mail.Address]map[string]any
	spare     []map[string]any // for rcptFacts
	outcomes  []mail.Outcome
	findings  []mail.Finding
	header    []mail.Field
	parts     []mail.Part
	notes     []note
	texts     []string
	verdicts  []mail.Verdict
	zone      *time.Location
	offset    int // of zone
}

// reset forgets the case before, and keeps its memory.
func (m *caseMemory) reset() {
	m.c, m.tx, m.session, m.message = Case{}, mail.Transaction{}, mail.Session{}, mail.Message{}
	m.rcpts, m.outcomes, m.findings, m.header, m.parts = m.rcpts[:0], m.outcomes[:0], m.findings[:0], m.header[:0], m.parts[:0]
	m.notes, m.texts, m.verdicts = m.notes[:0], m.texts[:0], m.verdicts[:0]
	for _, f := range m.rcptFacts {
		clear(f)
		m.spare = append(m.spare, f)
	}
	clear(m.boxes)
	clear(m.facts)
	clear(m.rcptFacts)
}

// wanted is what a set of rules reads of a case, beside what every set does.
type wanted struct {
	facts  []string // sorted
	fields []string // of the header
	parts  bool
}

// decodeCase reads a case into m; with only, what that does not name is left out, and so is what only people read.
func decodeCase(b []byte, m *caseMemory, only *wanted) (*Case, error) {
	r := &caseReader{s: string(b), m: m, only: only}
	if v := r.octet(); v != caseVersion {
		if v > caseVersion {
			return nil, fmt.Errorf("%w of a version that this program knows: %d", errCase, v)
		}
		return nil, errCase
	}
	m.reset()
	tx, c := &m.tx, &m.c
	tx.Stage, tx.Session, c.Tx, c.kept = mail.Stage(r.octet()), &m.session, tx, true
	if tx.Stage > mail.Conclude {
		return nil, errCase
	}
	bits := r.octet()
	tx.Session.KeepRefused = bits&1 != 0
	tx.Start = r.time()
	c.Rules, c.Retreats = r.text(), r.retreats()
	r.people(c)
	if tx.Stage >= mail.Data {
		tx.Rcpts = c.Rcpts
	}
	if m.facts == nil {
		m.facts = make(map[string]any)
	}
	tx.Facts = m.facts
	r.facts(m.facts)
	r.factsOfRcpts(c)
	tx.Outcomes = r.outcomes()
	if bits&2 != 0 {
		tx.Message = &m.message
		r.header()
		r.parts()
	}
	for range r.count() {
		m.notes = append(m.notes, r.note())
	}
	c.notes = m.notes
	c.Verdicts = r.verdicts(c.Rcpts)
	c.Failed = r.texts()
	if r.bad || r.s != "" {
		return nil, errCase
	}
	return c, nil
}

// caseReader reads the parts of a case. After the first one that is not there all are empty. Texts are parts of s.
type caseReader struct {
	s    string
	bad  bool
	m    *caseMemory
	only *wanted // nil: all
}

func (r *caseReader) fail() { r.bad, r.s = true, "" }

func (r *caseReader) octet() byte {
	if r.s == "" {
		r.fail()
		return 0
	}
	c := r.s[0]
	r.s = r.s[1:]
	return c
}

func (r *caseReader) uvarint() uint64 {
	var n uint64
	for i := range len(r.s) {
		c := r.s[i]
		if i == 9 && c > 1 {
			break
		}
		if n |= uint64(c&0x7f) << (7 * i); c < 0x80 {
			r.s = r.s[i+1:]
			return n
		}
	}
	r.fail()
	return 0
}

func (r *caseReader) varint() int64 {
	n := r.uvarint()
	return int64(n>>1) ^ -int64(n&1)
}

func (r *caseReader) word64() (n uint64) {
	if len(r.s) < 8 {
		r.fail()
		return 0
	}
	for i := range 8 {
		n |= uint64(r.s[i]) << (8 * i)
	}
	r.s = r.s[8:]
	return n
}

func (r *caseReader) float() float64 { return math.Float64frombits(r.word64()) }

// count is how many of something follow; each takes an octet at least.
func (r *caseReader) count() int {
	n := r.uvarint()
	if n > uint64(len(r.s)) {
		r.fail()
		return 0
	}
	return int(n)
}

func (r *caseReader) text() string {
	n := r.count()
	s := r.s[:n]
	r.s = r.s[n:]
	return s
}

func (r *caseReader) texts() []string {
	n := r.count()
	if n == 0 {
		return nil
	}
	from := len(r.m.texts)
	for range n {
		r.m.texts = append(r.m.texts, r.text())
	}
	return r.m.texts[from:len(r.m.texts):len(r.m.texts)]
}

func (r *caseReader) skipTexts() {
	for range r.count() {
		r.text()
	}
}

func (r *caseReader) address() mail.Address {
	s := r.text()
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		return mail.Address{Local: s[:i], Domain: s[i+1:]}
	}
	return mail.Address{Local: s}
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
	if r.m.zone == nil || r.m.offset != int(offset) {
		r.m.zone, r.m.offset = time.FixedZone("", int(offset)), int(offset)
	}
	return time.Unix(sec, 0).In(r.m.zone)
}

func (r *caseReader) retreats() []Retreat {
	var list []Retreat
	for range r.count() {
		list = append(list, Retreat{r.text(), r.text(), r.text()})
	}
	return list
}

// people reads the recipients, with the mailboxes for which they stand.
func (r *caseReader) people(c *Case) {
	m := r.m
	for range r.count() {
		rcpt := r.address()
		m.rcpts = append(m.rcpts, rcpt)
		for range r.count() {
			if m.boxes == nil {
				m.boxes = map[mail.Address][]mail.Address{}
			}
			m.boxes[rcpt] = append(m.boxes[rcpt], r.address())
		}
	}
	c.Rcpts = m.rcpts
	if len(m.boxes) > 0 {
		c.Tx.Mailboxes = m.boxes
	}
}
