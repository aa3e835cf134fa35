package recipients

import (
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"sekimori/internal/mail"
)

// sqlColumns are the columns that are understood; address must be there.
var sqlColumns = []string{"address", "id", "owner", "targets", "internal", "lang", "deleted"}

// rowReader makes entries of the rows of one query.
type rowReader struct {
	into    []any
	columns map[string]*sql.NullString

	attrs []string // columns for rules, in lower case

	row      int
	entries  []Entry
	gone     []string
	problems problems
}

// newRowReader takes the names of the columns. Each of attrs, which are for rules, must be among them: without it nobody would have a
// value.
func newRowReader(names, attrs []string) (*rowReader, error) {
	r := &rowReader{columns: map[string]*sql.NullString{}, attrs: lowered(attrs)}
	for _, name := range names {
		name = strings.ToLower(name)
		if !slices.Contains(sqlColumns, name) && !slices.Contains(r.attrs, name) {
			return nil, fmt.Errorf("column %q is not understood: name it AS one of %s, or in rule_attributes", name, strings.Join(sqlColumns, ", "))
		}
		if r.columns[name] != nil {
			return nil, fmt.Errorf("column %q is there twice", name)
		}
		v := &sql.NullString{}
		r.columns[name] = v
		r.into = append(r.into, v)
	}
	if r.columns["address"] == nil {
		return nil, fmt.Errorf("there is no column address among %s: name it AS address", strings.Join(names, ", "))
	}
	for _, name := range r.attrs {
		if r.columns[name] == nil {
			return nil, fmt.Errorf("there is no column %s, which is one of rule_attributes", name)
		}
	}
	return r, nil
}

// text is the value of a column, "" when it is NULL or not there.
func (r *rowReader) text(name string) string {
	if v := r.columns[name]; v != nil && v.Valid {
		return strings.TrimSpace(v.String)
	}
	return ""
}

// take makes an entry of the row that was scanned. A row that is no recipient is a problem; the rest goes on.
func (r *rowReader) take() {
	r.row++
	s := r.text("address")
	a, err := parseRecipient(s)
	if err != nil {
		if s == "" && r.text("deleted") != "" && r.text("id") != "" && truth(r.text("deleted")) {
			r.gone = append(r.gone, r.text("id"))
			return
		}
		r.problems.add(fmt.Sprintf("row %d: address %q: %v", r.row, s, err))
		return
	}
	e := Entry{ID: r.text("id"), Address: a, Internal: truth(r.text("internal")), Lang: language(r.text("lang"))}
	if e.ID == "" {
		e.ID = a.Key()
	}
	if truth(r.text("deleted")) {
		r.gone = append(r.gone, e.ID)
		return
	}
	if o := r.text("owner"); o != "" {
		owner, err := mail.ParseAddress(o, true)
		if err != nil {
			r.problems.add(fmt.Sprintf("row %d: owner %q of %s: %v", r.row, o, a, err))
		} else if owner.Key() != a.Key() {
			e.Owner = owner
		}
	}
	e.Targets = r.targets(a)
	if len(r.attrs) > 0 {
		e.Attrs = make([][]string, len(r.attrs))
		for i, name := range r.attrs {
			e.Attrs[i] = []string{r.text(name)}
		}
		e.Attrs = fitting(e.Attrs, r.unfit(a))
	}
	r.entries = append(r.entries, e)
}

// targets reads addresses between commas or spaces; @domain is the same local part there. An alias for itself alone, which is how Postfixadmin writes a mailbox, is
// none.
func (r *rowReader) targets(a mail.Address) []mail.Address {
	var list []mail.Address
	for s := range strings.FieldsFuncSeq(r.text("targets"), func(c rune) bool { return c == ',' || c == ' ' || c == '\n' || c == '\r' || c == '\t' }) {
		t, err := parseRecipient(s)
		if err != nil {
			r.problems.add(fmt.Sprintf("row %d: target %q of %s: %v", r.row, s, a, err))
			continue
		}
		list = append(list, t)
	}
	if len(list) == 1 && list[0].Key() == a.Key() {
		return nil
	}
	return list
}

func (r *rowReader) unfit(a mail.Address) func(int, string) {
	return func(i int, why string) { r.problems.add(fmt.Sprintf("%s: %s %s", a, r.attrs[i], why)) }
}

// merge adds the values of another row of the same address.
func (r *rowReader) merge(have *Entry, e Entry) {
	for _, t := range e.Targets {
		if !slices.ContainsFunc(have.Targets, func(b mail.Address) bool { return t.Key() == b.Key() }) {
			have.Targets = append(have.Targets, t)
		}
	}
	have.Internal = have.Internal || e.Internal
	switch {
	case have.Attrs == nil:
		have.Attrs = e.Attrs
	case e.Attrs != nil:
		for i := range have.Attrs {
			have.Attrs[i] = append(have.Attrs[i], e.Attrs[i]...)
		}
		have.Attrs = fitting(have.Attrs, r.unfit(e.Address))
	}
}

// duplicates makes one entry of several of the same address: with the targets and attributes of all.
func (r *rowReader) duplicates() {
	at := make(map[string]int, len(r.entries))
	list := r.entries[:0]
	for _, e := range r.entries {
		i, known := at[e.Address.Key()]
		if !known {
			at[e.Address.Key()] = len(list)
			list = append(list, e)
			continue
		}
		have := &list[i]
		if have.ID != e.ID {
			r.problems.add(fmt.Sprintf("%s is there twice, with the ids %q and %q: the first counts", e.Address, have.ID, e.ID))
			continue
		}
		r.merge(have, e)
	}
	r.entries = list
}

// reallyGone are the ids of which every row is deleted.
func (r *rowReader) reallyGone() []string {
	there := make(map[string]bool, len(r.entries))
	for _, e := range r.entries {
		there[e.ID] = true
	}
	return slices.DeleteFunc(r.gone, func(id string) bool { return there[id] })
}

// parseRecipient reads an address, or @domain for every address of the domain.
func parseRecipient(s string) (mail.Address, error) {
	if domain, ok := strings.CutPrefix(s, "@"); ok {
		d, err := mail.ParseDomain(domain)
		return mail.Address{Domain: d}, err
	}
	return mail.ParseAddress(s, true)
}

// truth reads a boolean as PostgreSQL (t, true) and MySQL (1, and the octet 1 of a BIT) write it.
func truth(s string) bool {
	switch strings.ToLower(s) {
	case "1", "t", "true", "y", "yes", "on", "\x01":
		return true
	}
	return false
}
