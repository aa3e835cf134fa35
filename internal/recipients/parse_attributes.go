package recipients

import (
	"errors"
	"slices"
	"strings"
)

var errAttributes = errors.New("the attributes cannot be read")

// attributes reads {name = value | value; name = value} at the start of s, and returns what stands behind it. What is wrong is noted.
func (p *parser) attributes(n, column int, s string) (rest string, values [][]string, err error) {
	end := strings.IndexByte(s, '}')
	if end < 0 {
		p.fail(n, column, "the { has no } on its line")
		return "", nil, errAttributes
	}
	values = make([][]string, len(p.attrs))
	at := column + 1
	for pair := range strings.SplitSeq(s[1:end], ";") {
		name, value, ok := strings.Cut(pair, "=")
		name = strings.TrimSpace(name)
		i := slices.Index(p.attrs, strings.ToLower(name))
		start := at + len(pair) - len(strings.TrimLeft(pair, " \t"))
		at += len(pair) + 1
		switch {
		case strings.TrimSpace(pair) == "":
		case !ok:
			p.fail(n, start, "%q is no attribute: write {name = value; name = value}", name)
			err = errAttributes
		case i < 0:
			p.fail(n, start, "the attribute %q is not named in recipients.rule_attributes%s", name, ofThem(p.attrs))
			err = errAttributes
		case values[i] != nil:
			p.fail(n, start, "the attribute %q stands there twice; several values are written as {%s = one | two}", name, name)
			err = errAttributes
		default:
			values[i] = strings.Split(value, "|")
		}
	}
	values = fitting(values, func(i int, why string) {
		p.fail(n, column, "%s %s", p.attrs[i], why)
		err = errAttributes
	})
	return strings.TrimLeft(s[end+1:], ": \t"), values, err
}

func ofThem(names []string) string {
	if len(names) == 0 {
		return ", which names none"
	}
	return ", which names " + strings.Join(names, ", ")
}
