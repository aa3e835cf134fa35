package rules

import (
	"math"
	"slices"
	"strings"
	"time"

	"sekimori/internal/mail"
)

func (r *caseReader) outcomes() []mail.Outcome {
	m := r.m
	for range r.count() {
		o := mail.Outcome{Check: r.text(), Stage: mail.Stage(r.octet()), State: mail.State(r.octet()), Why: r.text()}
		if o.State&bitOff != 0 {
			o.State, o.Off = o.State&^bitOff, true
		}
		o.Partial = r.texts()
		from := len(m.findings)
		for range r.count() {
			f := mail.Finding{Symbol: r.text(), Weight: r.float(), Rcpt: r.address()}
			for range r.count() {
				key, value := r.text(), r.text()
				if r.only == nil {
					f.Evidence = append(f.Evidence, mail.Evidence{Key: key, Value: value})
				}
			}
			m.findings = append(m.findings, f)
		}
		if to := len(m.findings); to > from {
			o.Findings = m.findings[from:to:to]
		}
		m.outcomes = append(m.outcomes, o)
	}
	return m.outcomes
}

func (r *caseReader) header() {
	m := r.m
	for range r.count() {
		f := mail.Field{Name: r.text()}
		if r.octet()&1 != 0 {
			f.End = cutField
		}
		f.Value = r.text()
		if r.only == nil || slices.ContainsFunc(r.only.fields, func(name string) bool { return strings.EqualFold(f.Name, name) }) {
			m.header = append(m.header, f)
		}
	}
	if r.octet()&1 != 0 {
		m.header = append(m.header, mail.Field{End: cutField})
	}
	m.message.Header = m.header
}

func (r *caseReader) parts() {
	m := r.m
	for range r.count() {
		bits := r.octet()
		p := mail.Part{Attached: bits&1 != 0, Type: r.text(), Encoding: r.text(), Name: r.text()}
		if r.only == nil || r.only.parts {
			p.OtherNames = r.texts()
		} else {
			r.skipTexts()
		}
		if bits&2 != 0 {
			p.Text = "x"
		}
		p.End = int(r.uvarint() & math.MaxInt32)
		if r.only == nil || r.only.parts {
			m.parts = append(m.parts, p)
		}
	}
	m.message.Parts = m.parts
}

func (r *caseReader) note() note {
	n := note{key: r.word64(), rcpt: int(r.uvarint()), result: tri(r.octet()), over: r.octet()&1 != 0, steps: int(r.uvarint()), failed: r.texts()}
	if n.result > unknown || n.steps < 0 || n.steps > mailBudget {
		r.fail()
	}
	return n
}

func (r *caseReader) verdicts(rcpts []mail.Address) []mail.Verdict {
	m := r.m
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
		m.verdicts = append(m.verdicts, v)
	}
	return m.verdicts
}
