package rules

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"sekimori/internal/mail"
)

// stripping says which attachments a rule takes out of the copy that is delivered.
type stripping struct {
	names  []string // patterns of glob(), in lower case
	exts   []string
	types  []string // patterns, in lower case
	larger int      // octets; 0: of any size
	reads  []int    // words: message.types, attachments, attachment_size, attachment_count
}

var stripKeys = []string{"names", "extensions", "types", "larger"}

// strip reads strip = { names = […], extensions = […], types = […], larger = "5MiB" }: an attachment that fits one of the first
// three, and is larger than the last, is taken out.
func (x *decoder) strip(r *rule, t *table) {
	e := t.get("strip")
	if !x.want(e, kindTable) {
		return
	}
	s := &stripping{}
	x.unknownKeys(e.val.tab, stripKeys, "strip")
	s.names = x.patterns(e.val.tab.get("names"))
	s.types = x.patterns(e.val.tab.get("types"))
	for _, ext := range x.patterns(e.val.tab.get("extensions")) {
		s.exts = append(s.exts, strings.TrimPrefix(ext, "."))
	}
	if l := e.val.tab.get("larger"); x.want(l, kindString) {
		var ok bool
		if s.larger, ok = parseSize(l.val.str); !ok {
			x.errorf(l.val.off, "%q is not a size such as \"500KiB\" or \"5MiB\"", clip(l.val.str, 80))
		}
	}
	if len(e.val.tab.keys) == 0 {
		x.errorf(e.val.off, "strip says what is taken out: names, extensions, types, larger")
	}
	for _, name := range []string{"types", "attachments", "attachment_size", "attachment_count"} {
		if i, ok := x.env.vocab.member("message", name); ok {
			s.reads = append(s.reads, i)
		}
	}
	r.strip = s
}

func (x *decoder) patterns(e *entry) (all []string) {
	if !x.want(e, kindArray) {
		return nil
	}
	for _, v := range e.val.items {
		switch {
		case v.kind != kindString:
			x.errorf(v.off, "%s lists strings, not %s", e.name, v.kind)
		case strings.TrimSpace(v.str) == "":
			x.errorf(v.off, "an entry of %s is empty", e.name)
		default:
			if _, err := path.Match(v.str, ""); err != nil {
				x.errorf(v.off, "the pattern %q has a [ without its ]", clip(v.str, 80))
			}
			all = append(all, strings.ToLower(v.str))
		}
	}
	return all
}

// parseSize reads a whole number with a unit.
func parseSize(s string) (int, bool) {
	for _, u := range []struct {
		name string
		n    int
	}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"KB", 1e3}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"B", 1}} {
		if digits, ok := strings.CutSuffix(s, u.name); ok {
			n := 0
			_, err := fmt.Sscanf(digits, "%d", &n)
			return n * u.n, err == nil && n > 0 && n < 1<<20 && strings.Trim(digits, "0123456789") == ""
		}
	}
	return 0, false
}

// fits reports whether an attachment is to be taken out.
func (s *stripping) fits(p *mail.Part) bool {
	if s.larger > 0 && p.Size() <= s.larger {
		return false
	}
	if len(s.names)+len(s.exts)+len(s.types) == 0 {
		return true
	}
	matches := func(patterns []string, v string) bool {
		return slices.ContainsFunc(patterns, func(pattern string) bool { ok, _ := path.Match(pattern, v); return ok })
	}
	if matches(s.types, p.Type) {
		return true
	}
	for _, n := range append([]string{p.Name}, p.OtherNames...) {
		if n != "" && (matches(s.names, strings.ToLower(n)) || slices.Contains(s.exts, mail.Extension(n))) {
			return true
		}
	}
	return false
}

// strip enters the attachments that the rule takes out. A mail that is nothing but the attachment cannot go without it: it is held.
func (j *judging) strip(v *mail.Verdict, r *rule) {
	var names []string
	if only := j.onlyPart(r.strip); only != nil {
		if r.strip.fits(only) {
			names, j.whole = []string{orElse(only.Name, only.Type)}, r
		}
	} else if m := j.tx.Message; m != nil {
		files := m.Attachments()
		for i := 1; i < len(m.Parts); i++ {
			p := &m.Parts[i]
			if !slices.Contains(files, p) || !r.strip.fits(p) {
				continue
			}
			names = append(names, orElse(p.Name, p.Type))
			if !slices.Contains(v.Strip, i) {
				v.Strip = append(v.Strip, i)
			}
		}
	}
	if len(names) == 0 {
		return
	}
	slices.Sort(v.Strip)
	v.Original = max(v.Original, r.keep)
	v.Counted = append(v.Counted, mail.Counted{
		Name: r.id, Evidence: append(j.evidence(r), mail.Evidence{Key: "stripped", Value: show(names)}), Rule: r.place(), Describe: r.describe,
	})
}

// onlyPart is the mail itself, when it is nothing but one attachment; nil otherwise. It is made of facts, so that a mail of which no
// more was kept is judged alike.
func (j *judging) onlyPart(s *stripping) *mail.Part {
	values := make([]any, len(s.reads))
	for i, w := range s.reads {
		if !j.s.known[w] {
			return nil
		}
		values[i] = j.s.val[w]
	}
	types, names, size, count := values[0].([]string), values[1].([]string), values[2].(int), values[3].(int)
	if len(types) != 1 || count == 0 {
		return nil
	}
	p := &mail.Part{Type: types[0], End: size}
	if len(names) > 0 {
		p.Name, p.OtherNames = names[0], names[1:]
	}
	return p
}

// holdWhole is what becomes of a mail that is nothing but what a rule takes out.
func (j *judging) holdWhole(v *mail.Verdict) {
	if r := j.whole; r != nil && v.Action < mail.Hold && !v.Discard && j.p.mode != "observe" {
		v.Action, v.Final, v.Redirect = mail.Hold, true, mail.Address{}
		v.Class, v.Rule, v.RuleID, v.Describe, v.Limit = "content", r.place(), r.id, r.describe, 0
	}
}
