package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Error is one thing that is wrong in a configuration file. Line and Column start at 1; they are 0 when the place is not
// known (a value that does not stand in the file). Column counts octets.
type Error struct {
	File    string
	Line    int
	Column  int
	Message string
}

// Error gives file:line:column: message.
func (e Error) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.File + ":")
	}
	if e.Line > 0 {
		fmt.Fprintf(&b, "%d:%d:", e.Line, e.Column)
	}
	if b.Len() > 0 {
		b.WriteByte(' ')
	}
	b.WriteString(e.Message)
	return b.String()
}

// Errors is everything that is wrong, in the order of the file.
type Errors []Error

// Error gives one error a line.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i := range e {
		lines[i] = e[i].Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.As find each Error.
func (e Errors) Unwrap() []error {
	all := make([]error, len(e))
	for i := range e {
		all[i] = e[i]
	}
	return all
}

// orNil sorts and returns nil when there is nothing, so that a nil error is really nil.
func (e Errors) orNil() error {
	if len(e) == 0 {
		return nil
	}
	slices.SortStableFunc(e, func(a, b Error) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return slices.CompactFunc(e, func(a, b Error) bool { return a == b })
}

// notAt returns those that do not stand where one of others stands: a value that could not be decoded is reported once.
func (e Errors) notAt(others Errors) Errors {
	var rest Errors
	for _, a := range e {
		same := func(b Error) bool { return a.Line == b.Line && a.Column == b.Column && a.Line > 0 }
		if !slices.ContainsFunc(others, same) {
			rest = append(rest, a)
		}
	}
	return rest
}
