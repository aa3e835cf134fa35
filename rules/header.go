package rules

import (
	"slices"
	"strings"

	"sekimori/internal/mail"
)

// template is a header field that a rule adds: a name, and a value with facts in braces.
type template struct {
	name  string
	parts []part
}

// part is text, or a fact.
type part struct {
	text string
	word int // -1: text
}

const (
	mostHeaders   = 10
	maxHeaderName = 60
	maxHeaderText = 500 // characters of a value, facts filled in
)

// addHeader reads add_header = { X-NAME = "text {fact} text" }.
func (x *decoder) addHeader(r *rule, t *table) {
	e := t.get("add_header")
	if !x.want(e, kindTable) {
		return
	}
	if n := len(e.val.tab.keys); n == 0 || n > mostHeaders {
		x.errorf(e.val.off, "add_header has 1 to %d fields: { X-Name = \"value\" }", mostHeaders)
	}
	for _, k := range e.val.tab.keys {
		if why := unfitName(k.name); why != "" {
			x.errorf(k.off, "%q cannot be added: %s", clip(k.name, 80), why)
			continue
		}
		if x.want(k, kindString) {
			r.header = append(r.header, template{k.name, x.template(k.val)})
		}
	}
	if r.header == nil {
		r.header = []template{}
	}
}

// unfitName says why a field of that name is not added: a rule adds its own, and changes none that means something to others.
func unfitName(name string) string {
	lower := strings.ToLower(name)
	switch {
	case !strings.HasPrefix(lower, "x-") || len(name) < 3:
		return "only fields that begin with X- are"
	case strings.HasPrefix(lower, "x-sekimori-"):
		return "X-Sekimori-… is what we say ourselves"
	case len(name) > maxHeaderName || !isFieldName(name):
		return "it is not the name of a header field"
	}
	return ""
}

// template cuts a value at its facts; {{ stands for a brace.
func (x *decoder) template(v *value) (parts []part) {
	s, done := v.str, 0
	text := func(t string) { parts = append(parts, part{text: t, word: -1}) }
	for {
		open := strings.IndexByte(s[done:], '{')
		if open < 0 {
			text(s[done:])
			return parts
		}
		at := done + open
		text(s[done:at])
		if strings.HasPrefix(s[at:], "{{") {
			text("{")
			done = at + 2
			continue
		}
		end := strings.IndexByte(s[at:], '}')
		if end < 0 {
			x.errorf(v.within(at), "the { has no }; {{ stands for a brace")
			return parts
		}
		key := s[at+1 : at+end]
		base, name, _ := strings.Cut(key, ".")
		if i, ok := x.env.vocab.member(base, name); !ok {
			x.errorf(v.within(at+1), "%s", x.env.vocab.noFact(key))
		} else {
			parts = append(parts, part{word: i})
		}
		done = at + end + 1
	}
}

// reads are the words that a rule's own text needs, beside its condition.
func (r *rule) templateReads() (all []int) {
	for _, h := range r.header {
		for _, p := range h.parts {
			if p.word >= 0 {
				all = append(all, p.word)
			}
		}
	}
	return all
}

// header adds the rule's fields. What is unknown reads "unknown".
func (j *judging) header(v *mail.Verdict, r *rule) {
	for _, h := range r.header {
		if j.lean {
			break
		}
		var b strings.Builder
		for _, p := range h.parts {
			switch {
			case p.word < 0:
				b.WriteString(p.text)
			case j.s.known[p.word]:
				b.WriteString(show(j.s.val[p.word]))
			default:
				b.WriteString("unknown")
			}
		}
		f := mail.Field{Name: h.name, Value: oneLine(b.String(), maxHeaderText)}
		if !slices.ContainsFunc(v.Header, func(o mail.Field) bool { return strings.EqualFold(o.Name, f.Name) && o.Value == f.Value }) {
			v.Header = append(v.Header, f)
		}
	}
	v.Counted = append(v.Counted, mail.Counted{Name: r.id, Evidence: j.evidence(r), Rule: r.place(), Describe: r.describe})
}

// oneLine leaves out what could end a line or hide text, and bounds the length.
func oneLine(s string, most int) string {
	var b strings.Builder
	n := 0
	for _, r := range s {
		if n++; n > most {
			b.WriteString("…")
			break
		}
		if r < ' ' || r >= 0x7F && r < 0xA0 || r == 0xFFFD || r == 0x2028 || r == 0x2029 || r >= 0x202A && r <= 0x202E || r >= 0x2066 && r <= 0x2069 {
			r = ' '
		}
		b.WriteRune(r)
	}
	return strings.Join(strings.Fields(b.String()), " ")
}
