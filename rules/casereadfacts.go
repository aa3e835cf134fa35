package rules

import "sekimori/internal/mail"

func (r *caseReader) factsOfRcpts(c *Case) {
	m := r.m
	for _, rcpt := range c.Rcpts {
		var f map[string]any
		if n := len(m.spare); n > 0 {
			f, m.spare = m.spare[n-1], m.spare[:n-1]
		} else {
			f = map[string]any{}
		}
		if r.facts(f); len(f) == 0 {
			m.spare = append(m.spare, f)
			continue
		}
		if m.rcptFacts == nil {
			m.rcptFacts = map[mail.Address]map[string]any{}
		}
		m.rcptFacts[rcpt] = f
	}
	if len(m.rcptFacts) > 0 {
		c.Tx.RcptFacts = m.rcptFacts
	}
}

func (r *caseReader) facts(into map[string]any) {
	at := 0
	for {
		name := r.text()
		if name == "" {
			return
		}
		if r.only == nil {
			into[name] = r.value()
			continue
		}
		want := r.only.facts // they come sorted; when not, the search begins anew
		if at > 0 && want[at-1] >= name {
			at = 0
		}
		for at < len(want) && want[at] < name {
			at++
		}
		if at < len(want) && want[at] == name {
			into[want[at]] = r.value()
		} else {
			r.skipValue()
		}
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

func (r *caseReader) skipValue() {
	switch r.octet() {
	case formFalse, formTrue:
	case formInt:
		r.uvarint()
	case formFloat:
		r.word64()
	case formString:
		r.text()
	case formStrings:
		r.skipTexts()
	case formCutString:
		r.uvarint()
		r.text()
	case formCutStrings:
		r.uvarint()
		r.skipTexts()
	default:
		r.fail()
	}
}

// list reads a fact of type Strings, which is known when it is empty, too.
func (r *caseReader) list() []string {
	if l := r.texts(); l != nil {
		return l
	}
	return []string{}
}
