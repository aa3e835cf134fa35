package recipients

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"sekimori/internal/mail"
)

// Bounds of what is kept of the attributes of one address, so that a story keeps them whole.
const (
	maxValue   = 256 // octets of one value
	maxValues  = 20  // of one attribute
	maxOfThem  = 2 << 10
	mostForOne = 40 // attributes
)

// attributes are those of one address: names in lower case, shared by all of a source, and for each its values. Without names nobody
// has looked; with names and no values there are none.
type attributes struct {
	names  []string
	values [][]string
}

// get returns the values of the attribute with that number; none is an empty list.
func (a attributes) get(i int) []string {
	if i < len(a.values) && a.values[i] != nil {
		return a.values[i]
	}
	return []string{}
}

// lowered gives names as they are compared.
func lowered(names []string) []string {
	list := make([]string, len(names))
	for i, n := range names {
		list[i] = strings.ToLower(n)
	}
	return list
}

// Attributes returns what is known of an address: for each attribute that its source is read for, by its name in lower case, all
// values; none is an empty list. Of an alias that stands for one mailbox, what it has no value for is that of the mailbox. What is not in the map
// nobody knows. Only memory is asked. ErrStale: the copy of its directory is too old to say.
func (d *Directory) Attributes(a mail.Address) (map[string][]string, error) {
	dom := d.domains[a.Domain]
	if dom == nil {
		return nil, nil
	}
	s, _ := d.next(a)
	all := map[string][]string{}
	add := func(from attributes) {
		for i, name := range from.names {
			if values := from.get(i); len(all[name]) == 0 && len(all) < mostForOne {
				all[name] = values
			}
		}
	}
	add(s.rec.attrs)
	r := Resolution{Address: a}
	d.follow(&r, s.at, s.rec)
	asked := []*domain{dom}
	if len(r.Mailboxes) == 1 && r.Mailboxes[0].Key() != s.at.Key() {
		box, _ := d.next(r.Mailboxes[0])
		asked = append(asked, d.domains[box.at.Domain])
		add(box.rec.attrs)
	}
	for _, dom := range asked {
		if dom != nil && dom.place.status().Stale {
			return nil, fmt.Errorf("%s: %w", a.Domain, ErrStale)
		}
	}
	return all, nil
}

// fitting leaves out of the values of one address what is empty, stands there already or is beyond the bounds; unfit is told of the
// latter.
func fitting(values [][]string, unfit func(attribute int, why string)) [][]string {
	some, octets := false, 0
	for i, list := range values {
		kept := list[:0:0]
		for _, v := range list {
			v = strings.TrimSpace(v)
			switch octets += len(v); {
			case v == "" || slices.Contains(kept, v):
				octets -= len(v)
				continue
			case !utf8.ValidString(v) || strings.ContainsFunc(v, unicode.IsControl):
				unfit(i, "is no text")
			case len(v) > maxValue:
				unfit(i, fmt.Sprintf("has a value of more than %d octets", maxValue))
			case len(kept) == maxValues:
				unfit(i, fmt.Sprintf("has more than %d values", maxValues))
			case octets > maxOfThem:
				unfit(i, fmt.Sprintf("has no room: all values of one address are at most %d octets", maxOfThem))
			default:
				kept, some = append(kept, v), true
				continue
			}
			octets -= len(v)
		}
		values[i] = kept
	}
	if !some {
		return nil
	}
	return values
}
