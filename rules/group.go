package rules

import (
	"errors"
	"fmt"
	"strings"

	"sekimori/internal/mail"
)

const groupPrefix = "group:"

// group makes a list of the members of a group of the directory, which is asked anew for every mail.
func (l *loader) group(x *decoder, into *list, v *value) {
	a, err := mail.ParseAddress(strings.TrimPrefix(v.str, groupPrefix), true)
	if err != nil {
		x.errorf(v.off, "a group is named by its address, as in \"group:board@example.jp\": %s", err)
		return
	}
	into.base, into.group = v.str, a
	into.member = l.o.Member
	if into.member == nil {
		into.member = func(mail.Address, mail.Address) (bool, error) { return false, errors.New("no directory is asked here") }
	}
}

// has reports whether an address, as text, is in the list; an error means that nobody can say.
func (l *list) has(s string) (bool, error) {
	if l.member == nil {
		_, ok := l.find(s)
		return ok, nil
	}
	a, err := mail.ParseAddress(s, true)
	if err != nil {
		return false, nil // what is no address is in no group
	}
	in, err := l.member(l.group, a)
	if err != nil {
		return false, fmt.Errorf("lists.%s: %w", l.name, err)
	}
	return in, nil
}
