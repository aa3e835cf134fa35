package rules

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"time"

	"sekimori/internal/mail"
)

// caseVersion is the format that AppendCase writes, and the newest that DecodeCase reads. A case is: the version, and then, each as
// appended below: session and stage, the time, the fingerprint of the rules and those that had stepped back, recipients with their mailboxes, facts, facts of recipients, outcomes of
// checks, header, notes, verdicts, what failed. Numbers are varints, texts a length and their octets.
const caseVersion = 2

// bulky are header fields that are long and say nothing to a rule that does not ask for them.
var bulky = []string{"dkim-signature", "arc-seal", "arc-message-signature", "arc-authentication-results", "authentication-results", "x-google-dkim-signature"}

// AppendCase encodes a case that JudgeCase has judged: 1 to 3 KB for a usual mail.
func (p *Policy) AppendCase(b []byte, c *Case, verdicts []mail.Verdict) []byte {
	tx := c.Tx
	b = append(b, caseVersion, byte(tx.Stage), flags(tx.Session != nil && tx.Session.KeepRefused, tx.Message != nil))
	b = appendTime(b, tx.When())
	b = appendRetreats(appendText(b, p.fingerprint), c.Retreats)
	b = binary.AppendUvarint(b, uint64(len(c.Rcpts)))
	for _, r := range c.Rcpts {
		b = appendText(b, r.String())
		boxes := tx.Mailboxes[r]
		b = binary.AppendUvarint(b, uint64(len(boxes)))
		for _, m := range boxes {
			b = appendText(b, m.String())
		}
	}
	b = p.appendFacts(b, tx.Facts)
	for _, r := range c.Rcpts {
		b = p.appendFacts(b, tx.RcptFacts[r])
	}
	b = appendOutcomes(b, tx.Outcomes)
	if tx.Message != nil {
		b = appendParts(p.appendHeader(b, tx.Message), tx.Message)
	}
	b = binary.AppendUvarint(b, uint64(len(c.notes)))
	for i := range c.notes {
		b = c.notes[i].append(b)
	}
	return appendVerdicts(b, verdicts)
}

// appendTime writes a time to the second with its distance from UTC: the time facts and what a rule asks of days and hours follow.
func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(b, 0)
	}
	_, offset := t.Zone()
	return binary.AppendVarint(binary.AppendVarint(append(b, 1), t.Unix()), int64(offset))
}

func appendRetreats(b []byte, list []Retreat) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, r := range list {
		b = appendText(appendText(appendText(b, r.ID), r.Sum), r.Mode)
	}
	return b
}

func flags(bits ...bool) (f byte) {
	for i, is := range bits {
		if is {
			f |= 1 << i
		}
	}
	return f
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendTexts(b []byte, list []string) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, s := range list {
		b = appendText(b, s)
	}
	return b
}

func appendFloat(b []byte, f float64) []byte {
	return binary.LittleEndian.AppendUint64(b, math.Float64bits(f))
}

// The forms of a value.
const (
	formFalse = iota
	formTrue
	formInt
	formFloat
	formString
	formStrings
	formCutString
	formCutStrings
)

// appendFacts writes those that are declared: no other can be asked for.
func (p *Policy) appendFacts(b []byte, facts map[string]any) []byte {
	if len(facts) == 0 {
		return appendText(b, "")
	}
	for _, name := range p.names {
		v, ok := facts[name]
		if !ok {
			continue
		}
		n := len(b)
		if b, ok = appendValue(appendText(b, name), name, v); !ok {
			b = b[:n] // of another type than was declared: nobody can ask for it
		}
	}
	return appendText(b, "")
}

func appendValue(b []byte, name string, v any) (_ []byte, ok bool) {
	switch x := v.(type) {
	case bool:
		return append(b, flags(x)), true
	case int:
		return binary.AppendVarint(append(b, formInt), int64(x)), true
	case float64:
		return appendFloat(append(b, formFloat), x), true
	case string:
		if keptWhole(name, x) {
			return appendText(append(b, formString), x), true
		}
		shown := clip(x, keepEvidence+8)
		if name == "message.text" {
			shown = ""
		}
		b = binary.AppendUvarint(append(b, formCutString), uint64(octets(bounded(x))))
		return appendText(b, shown), true
	case []string:
		if keptWhole(name, x) {
			return appendTexts(append(b, formStrings), x), true
		}
		b = binary.AppendUvarint(append(b, formCutStrings), uint64(octets(bounded(x))))
		shown := make([]string, min(len(x), 20))
		for i := range shown {
			shown[i] = clip(x[i], keepEvidence)
		}
		return appendTexts(b, shown), true
	}
	return b, false
}

// bitOff in the octet of a state is mail.Outcome.Off.
const bitOff = 0x80

func appendOutcomes(b []byte, list []mail.Outcome) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for i := range list {
		o := &list[i]
		b = appendText(b, o.Check)
		state := byte(o.State)
		if o.Off {
			state |= bitOff
		}
		b = append(b, byte(o.Stage), state)
		b = appendText(b, o.Why)
		b = appendTexts(b, o.Partial)
		b = binary.AppendUvarint(b, uint64(len(o.Findings)))
		for k := range o.Findings {
			f := &o.Findings[k]
			b = appendText(b, f.Symbol)
			b = appendFloat(b, f.Weight)
			b = appendText(b, f.Rcpt.String())
			b = binary.AppendUvarint(b, uint64(len(f.Evidence)))
			for _, e := range f.Evidence {
				b = appendText(appendText(b, e.Key), clip(e.Value, keepEvidence))
			}
		}
	}
	return b
}

func (p *Policy) appendHeader(b []byte, m *mail.Message) []byte {
	fields := m.Header[:min(len(m.Header), keepFields)]
	b = binary.AppendUvarint(b, uint64(len(fields)))
	room := keepOthers
	for i := range fields {
		f := &fields[i]
		name := strings.ToLower(f.Name)
		limit := keepHeader
		if !p.asked[name] {
			limit = min(keepOther, room)
			if slices.Contains(bulky, name) {
				limit = 0
			}
			room -= min(limit, len(f.Value))
		}
		cut := len(f.Value) > limit
		value := f.Value
		if cut {
			value = value[:min(limit, keepEvidence)]
		}
		b = append(appendText(b, f.Name), flags(cut))
		b = appendText(b, value)
	}
	return append(b, flags(len(m.Header) > keepFields))
}

const keepParts = 100

// appendParts writes what decides whether a part is taken out: not its text, only that there is one.
func appendParts(b []byte, m *mail.Message) []byte {
	parts := m.Parts[:min(len(m.Parts), keepParts)]
	b = binary.AppendUvarint(b, uint64(len(parts)))
	for i := range parts {
		p := &parts[i]
		b = append(b, flags(p.Attached, p.Text != ""))
		for _, s := range [...]string{p.Type, p.Encoding, p.Name} {
			b = appendText(b, s)
		}
		b = appendTexts(b, p.OtherNames)
		b = binary.AppendUvarint(b, uint64(max(p.End-p.Start, 0)))
	}
	return b
}

func (n *note) append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint64(b, n.key)
	b = binary.AppendUvarint(b, uint64(n.rcpt))
	b = append(b, byte(n.result), flags(n.over))
	b = binary.AppendUvarint(b, uint64(n.steps))
	return appendTexts(b, n.failed)
}

func appendVerdicts(b []byte, list []mail.Verdict) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	var failed []string
	for i := range list {
		v := &list[i]
		b = append(b, byte(v.Action), flags(v.Final, v.Discard))
		for _, s := range [...]string{v.Class, v.Rule, v.RuleID, v.Redirect.String(), v.Would} {
			b = appendText(b, s)
		}
		b = appendFloat(appendFloat(b, v.Score), v.Limit)
		b = binary.AppendVarint(b, int64(v.Keep))
		b = binary.AppendVarint(b, int64(v.Original))
		b = binary.AppendUvarint(b, uint64(len(v.Strip)))
		for _, n := range v.Strip {
			b = binary.AppendUvarint(b, uint64(n))
		}
		b = appendTexts(appendTexts(b, v.Unknown), v.Observed)
		b = binary.AppendUvarint(b, uint64(len(v.Copies)))
		for _, a := range v.Copies {
			b = appendText(b, a.String())
		}
		for _, d := range v.Degraded {
			if f, ok := strings.CutPrefix(d, "rules: "); ok && !slices.Contains(failed, f) {
				failed = append(failed, f)
			}
		}
	}
	return appendTexts(b, failed)
}
