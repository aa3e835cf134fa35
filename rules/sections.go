package rules

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sekimori/internal/mail"
)

// standard makes the lists that an administrator can just create.
func (l *loader) standard() {
	l.used = map[string]bool{}
	l.ours()
	for _, s := range standardLists {
		l.vocab.lists[s.name] = newList(s.name)
		l.used[s.name+".txt"] = true
		if l.o.Dir != "" {
			l.listFile(l.vocab.lists[s.name], s.name+".txt", s.kind, nil, 0)
		}
	}
}

// listFile reads a list; asked is the file that names it, nil for a standard list, which may be absent.
func (l *loader) listFile(into *list, name string, kind listKind, asked *file, off int) {
	path := name
	if !filepath.IsAbs(name) {
		path = filepath.Join(l.o.Dir, name)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		if asked != nil {
			l.d.errorf(asked, off, "the list cannot be read: %s", err)
		} else if !errors.Is(err, fs.ErrNotExist) {
			l.d.add(Error{File: path, Message: "the list cannot be read: " + err.Error()})
		}
		return
	}
	into.parse(newFile(path, filepath.Base(name), data), kind, l.d)
}

// lists reads [lists] of one file; all files are read before any rule, so that a rule may use the list of another file.
func (l *loader) lists(doc parsed) {
	x := &decoder{env: l.env, d: l.d, f: doc.f}
	e := doc.root.get("lists")
	if !x.want(e, kindTable) {
		return
	}
	for _, k := range e.val.tab.keys {
		if !isID(k.name) || strings.Contains(k.name, "-") {
			x.errorf(k.off, "the name of a list is of letters, digits and _: %q", clip(k.name, 80))
			continue
		}
		if l.vocab.lists[k.name] != nil {
			x.errorf(k.off, "there is a list %q already%s", k.name, standardHint(k.name))
			continue
		}
		l.vocab.lists[k.name] = newList(k.name)
		l.fill(x, l.vocab.lists[k.name], k.val)
	}
}

// fill reads a list from where its value says: a file, a group of the directory ("group:ADDRESS"), or the value itself.
func (l *loader) fill(x *decoder, into *list, v *value) {
	switch {
	case v.kind == kindArray:
		into.base = x.f.base
		for _, item := range v.items {
			if item.kind != kindString {
				x.errorf(item.off, "a list holds strings, not %s", item.kind)
			} else if err := into.add(item.str, x.f.line(item.off), anyEntries); err != nil {
				x.errorf(item.off, "%q: %s", clip(item.str, 80), err)
			}
		}
		into.index()
	case v.kind != kindString:
		x.errorf(v.off, "a list is the name of a file, \"group:ADDRESS\", or its entries as [\"…\", \"…\"], not %s", v.kind)
		return
	case strings.HasPrefix(v.str, groupPrefix):
		l.group(x, into, v)
		return
	default:
		name, kind := v.str, anyEntries
		if rest, ok := strings.CutPrefix(name, namesPrefix); ok {
			name, kind = rest, namesOnly
		}
		l.used[name] = true
		before := len(l.d.errs)
		l.listFile(into, name, kind, x.f, v.off)
		if len(l.d.errs) > before {
			return
		}
	}
	if into.size() == 0 {
		x.d.warnf(x.f, v.off, "the list %s is empty, so that nothing is ever in it", into.name)
	}
}

// ourDomains is the name of the list that holds the domains of the configuration, each with all below it.
const ourDomains = "our_domains"

func (l *loader) ours() {
	into := newList(ourDomains)
	into.base = "[[domain]]"
	for _, d := range l.o.Domains {
		if err := into.add("."+d, 0, addressesOnly); err != nil {
			l.d.errorf(nil, 0, "domain %q: %s", d, err)
		}
	}
	l.vocab.lists[ourDomains] = into
}

func standardHint(name string) string {
	if name == ourDomains {
		return ": it holds the domains of the configuration"
	}
	for _, s := range standardLists {
		if s.name == name {
			return ": it is the file " + name + ".txt"
		}
	}
	return ""
}

// scores reads points by symbol into a map.
func (l *loader) scores(x *decoder, e *entry, into map[string]float64) {
	if !x.want(e, kindTable) {
		return
	}
	for _, k := range e.val.tab.keys {
		if _, ok := l.vocab.symbols[k.name]; !ok {
			x.errorf(k.off, "unknown symbol %q%s", k.name, suggest(k.name, keysOf(l.vocab.symbols)))
			continue
		}
		if x.want(k, kindFloat) {
			if k.val.num < -1000 || k.val.num > 1000 {
				x.errorf(k.val.off, "a score is between -1000 and 1000")
			}
			into[k.name] = k.val.num
		}
	}
}

var thresholdNames = []string{"tag", "hold", "reject"}

func (l *loader) policy(x *decoder, e *entry) {
	if !x.want(e, kindTable) {
		return
	}
	x.unknownKeys(e.val.tab, []string{"thresholds"}, "[policy] of a rule file")
	t := e.val.tab.get("thresholds")
	if !x.want(t, kindTable) {
		return
	}
	l.limits = x.limits(t.val.tab)
}

// limits reads thresholds by name.
func (x *decoder) limits(t *table) map[string]float64 {
	limits := map[string]float64{}
	x.unknownKeys(t, thresholdNames, "thresholds")
	for _, k := range t.keys {
		if slices.Contains(thresholdNames, k.name) && x.want(k, kindFloat) {
			limits[k.name] = k.val.num
		}
	}
	return limits
}

// disabled reads the ids of a disable.
func (x *decoder) disabled(e *entry) (all []disabledID) {
	if !x.want(e, kindArray) {
		return nil
	}
	for _, v := range e.val.items {
		if v.kind != kindString {
			x.errorf(v.off, "disable lists ids as strings, not %s", v.kind)
			continue
		}
		all = append(all, disabledID{v.str, x.f, v.off})
	}
	return all
}

// disable takes rules out, once all are known.
func (l *loader) disable() {
	for _, id := range l.o.Disable {
		l.disabled = append(l.disabled, disabledID{id: id})
	}
	var ids []string
	for _, r := range l.p.rules {
		ids = append(ids, r.id)
	}
	off := map[string]bool{}
	for _, d := range l.disabled {
		if !slices.Contains(ids, d.id) {
			prefix := ""
			if d.f == nil {
				prefix = "policy.disable: "
			}
			l.d.errorf(d.f, d.off, "%sthere is no rule %q%s", prefix, d.id, suggest(d.id, ids))
		}
		off[d.id] = true
	}
	l.p.rules = slices.DeleteFunc(l.p.rules, func(r *rule) bool { return off[r.id] })
}

func (l *loader) setThresholds() {
	limits := l.limits
	if l.o.Thresholds != nil {
		limits = l.o.Thresholds
	}
	l.p.thresholds = l.limitList(limits)
}

// limitList sorts thresholds, the harshest first.
func (l *loader) limitList(limits map[string]float64) []threshold {
	list := []threshold{}
	for _, name := range keysOf(limits) {
		a, ok := mail.ParseAction(name)
		if !ok || !slices.Contains(thresholdNames, name) {
			l.d.errorf(nil, 0, "policy.thresholds: unknown threshold %q: one of tag, hold, reject%s", name, suggest(name, thresholdNames))
			continue
		}
		list = append(list, threshold{a, limits[name]})
	}
	slices.SortFunc(list, func(a, b threshold) int { return int(b.action - a.action) })
	for i := 1; i < len(list); i++ {
		if harsh, mild := list[i-1], list[i]; mild.points >= harsh.points {
			l.d.warns = append(l.d.warns, Error{Message: fmt.Sprintf("thresholds: %s (%g) never applies, because %s begins at %g",
				mild.action, mild.points, harsh.action, harsh.points)})
		}
	}
	return list
}

// unusedLists warns of files that look like lists and are read by nothing: a misspelt name would protect nobody.
func (l *loader) unusedLists() {
	if l.o.Dir == "" {
		return
	}
	names := keysOf(l.used)
	entries, err := os.ReadDir(l.o.Dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		n := e.Name()
		if e.IsDir() || strings.HasPrefix(n, ".") || strings.HasPrefix(n, "README") || strings.HasSuffix(n, "~") || filepath.Ext(n) == ".toml" || l.used[n] {
			continue
		}
		if hint := suggest(n, names); hint != "" || filepath.Ext(n) == ".txt" {
			l.d.warns = append(l.d.warns, Error{File: filepath.Join(l.o.Dir, n), Message: "no rule file names this list, so it is not read" + hint})
		}
	}
}
