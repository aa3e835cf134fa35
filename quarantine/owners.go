package quarantine

import (
	"slices"

	"sekimori/internal/mail"
)

// stands reports whether mail for a recipient belongs to owner although it is addressed to somebody else.
func (h *Held) stands(rcpt, owner mail.Address) bool {
	key := owner.Key()
	return slices.ContainsFunc(h.Owners[rcpt.Key()], func(a mail.Address) bool { return a.Key() == key })
}

// everybody returns under whose addresses the mail is found: the recipients, and those for whom they stand. Each stands once.
func (h *Held) everybody() []mail.Address {
	if len(h.Owners) == 0 {
		return h.Rcpts
	}
	seen := make(map[string]bool, len(h.Rcpts)+len(h.Owners))
	var all []mail.Address
	add := func(a mail.Address) {
		if key := a.Key(); !seen[key] {
			seen[key] = true
			all = append(all, a)
		}
	}
	for _, r := range h.Rcpts {
		add(r)
	}
	for _, r := range h.Rcpts {
		for _, o := range h.Owners[r.Key()] {
			add(o)
		}
	}
	return all
}

// RcptsOf returns which of the mail's recipients somebody with these addresses stands behind: his own, and those that stand for him.
func (h *Held) RcptsOf(who []mail.Address) []mail.Address {
	var list []mail.Address
	for _, r := range h.Rcpts {
		if slices.ContainsFunc(who, func(a mail.Address) bool { return a.Key() == r.Key() || h.stands(r, a) }) {
			list = append(list, r)
		}
	}
	return list
}

// pick returns the mail's own recipients among those asked for; all when none was asked for. Who is asked for and is no
// recipient means those that stand for him.
func (m *meta) pick(want []mail.Address) ([]mail.Address, error) {
	if len(want) == 0 {
		return m.Rcpts, nil
	}
	var list []mail.Address
	for _, w := range want {
		found := m.pickOne(w)
		if len(found) == 0 {
			return nil, notFor(m.ID, w)
		}
		for _, a := range found {
			if !slices.Contains(list, a) {
				list = append(list, a)
			}
		}
	}
	return list, nil
}

func (m *meta) pickOne(w mail.Address) []mail.Address {
	if i := slices.IndexFunc(m.Rcpts, func(a mail.Address) bool { return a.Key() == w.Key() }); i >= 0 {
		return m.Rcpts[i : i+1]
	}
	var list []mail.Address
	for _, r := range m.Rcpts {
		if m.stands(r, w) {
			list = append(list, r)
		}
	}
	return list
}
