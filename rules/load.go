package rules

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"sekimori/internal/mail"
)

//go:embed defaults/*.toml
var embedded embed.FS

// Options say what Load reads and what the rules may speak of.
type Options struct {
	Dir        string             // the directory of rule files and lists; "" for none
	Defaults   string             // version of the built-in rules; "" for the newest
	Disable    []string           // ids of built-in rules that are switched off
	Thresholds map[string]float64 // tag, hold, reject; nil: those of the rule files
	Mode       string             // enforce ("" too), observe or soft
	Facts      []mail.Fact        // of all checks; the base facts need not be among them
	Symbols    []mail.Symbol
	States     []string // names of all checks
	// DecodeHeader decodes header values (RFC 2047) for header() and headers(); nil: what the standard library can.
	DecodeHeader func(string) string
}

// Policy is a set of rules that was loaded without an error. It is immutable and safe for concurrent use.
type Policy struct {
	rules      []*rule
	stages     [mail.Conclude + 1][]*rule
	scores     map[string]float64
	thresholds []threshold // harshest first
	vocab      *vocabulary
	mode       string
	version    string
	warnings   Errors
	decode     func(string) string
	states     sync.Pool
}

type threshold struct {
	action mail.Action
	points float64
}

// Versions returns the versions of the built-in rules, oldest first.
func Versions() []string {
	entries, err := fs.ReadDir(embedded, "defaults")
	if err != nil {
		return nil
	}
	var all []string
	for _, e := range entries {
		all = append(all, strings.TrimSuffix(e.Name(), ".toml"))
	}
	slices.Sort(all)
	return all
}

// Load reads the built-in rules and those of the directory and checks everything. Its error is an Errors with all that
// is wrong. A directory that does not exist is an error; an empty one is not.
func Load(o Options) (*Policy, error) {
	l := &loader{o: o, d: &diagnostics{}, vocab: newVocabulary(o)}
	l.env = &environment{vocab: l.vocab}
	l.p = &Policy{scores: map[string]float64{}, vocab: l.vocab, mode: o.Mode, decode: o.DecodeHeader}
	if l.p.decode == nil {
		l.p.decode = decodeHeader
	}
	for _, s := range o.Symbols {
		l.p.scores[s.Name] = s.Score
	}
	l.mode()
	l.standard()
	docs := l.read()
	for _, doc := range docs {
		l.lists(doc)
	}
	for _, doc := range docs {
		l.decode(doc)
	}
	l.disable()
	l.setThresholds()
	l.unusedLists()
	if err := l.d.err(); err != nil {
		return nil, err
	}
	p := l.p
	p.warnings = l.d.warns
	for i, r := range p.rules {
		r.n = i
		p.stages[r.at] = append(p.stages[r.at], r)
	}
	p.states.New = func() any { return newState(p.vocab) }
	return p, nil
}

// loader is the work of one Load.
type loader struct {
	o        Options
	d        *diagnostics
	vocab    *vocabulary
	env      *environment
	p        *Policy
	disabled []disabledID
	limits   map[string]float64 // thresholds of the rule files
	used     map[string]bool    // list files
}

type disabledID struct {
	id  string
	f   *file // nil: from Options
	off int
}

type parsed struct {
	f    *file
	root *table
}

var modes = []string{"enforce", "observe", "soft"}

func (l *loader) mode() {
	if l.o.Mode != "" && !slices.Contains(modes, l.o.Mode) {
		l.d.errorf(nil, 0, "policy.mode: unknown mode %q: one of %s%s", l.o.Mode, strings.Join(modes, ", "), suggest(l.o.Mode, modes))
	}
}

// standard makes the lists that an administrator can just create.
func (l *loader) standard() {
	l.used = map[string]bool{}
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

// read parses the built-in file and those of the directory, in name order.
func (l *loader) read() []parsed {
	version := l.o.Defaults
	all := Versions()
	if version == "" {
		version = all[len(all)-1]
	}
	l.p.version = version
	var docs []parsed
	if data, err := embedded.ReadFile("defaults/" + version + ".toml"); err != nil {
		l.d.errorf(nil, 0, "policy.defaults: there is no version %q of the built-in rules; there is %s", version, strings.Join(all, ", "))
	} else {
		docs = append(docs, l.parse("defaults/"+version+".toml", "defaults/"+version+".toml", data))
	}
	if l.o.Dir == "" {
		return docs
	}
	entries, err := os.ReadDir(l.o.Dir)
	if err != nil {
		l.d.errorf(nil, 0, "rules_dir: %s", err)
		return docs
	}
	for _, e := range entries { // ReadDir sorts by name
		if e.IsDir() || strings.HasPrefix(e.Name(), ".") || filepath.Ext(e.Name()) != ".toml" {
			continue
		}
		path := filepath.Join(l.o.Dir, e.Name())
		data, err := os.ReadFile(path)
		if err != nil {
			l.d.add(Error{File: path, Message: err.Error()})
			continue
		}
		docs = append(docs, l.parse(path, e.Name(), data))
	}
	return docs
}

func (l *loader) parse(path, base string, data []byte) parsed {
	f := newFile(path, base, data)
	return parsed{f, parseTOML(f, l.d)}
}

// lists reads [lists] of one file; all files are read before any rule, so that a rule may use the list of another file.
func (l *loader) lists(doc parsed) {
	x := &decoder{env: l.env, d: l.d, f: doc.f}
	e := doc.root.get("lists")
	if !x.want(e, kindTable) {
		return
	}
	for _, k := range e.val.tab.keys {
		if !x.want(k, kindString) {
			continue
		}
		if !isID(k.name) || strings.Contains(k.name, "-") {
			x.errorf(k.off, "the name of a list is of letters, digits and _: %q", clip(k.name, 80))
			continue
		}
		if l.vocab.lists[k.name] != nil {
			x.errorf(k.off, "there is a list %q already%s", k.name, standardHint(k.name))
			continue
		}
		l.vocab.lists[k.name] = newList(k.name)
		l.used[k.val.str] = true
		l.listFile(l.vocab.lists[k.name], k.val.str, anyEntries, doc.f, k.val.off)
	}
}

func standardHint(name string) string {
	for _, s := range standardLists {
		if s.name == name {
			return ": it is the file " + name + ".txt"
		}
	}
	return ""
}

// decode reads everything else of one file.
func (l *loader) decode(doc parsed) {
	x := &decoder{env: l.env, d: l.d, f: doc.f}
	x.unknownKeys(doc.root, []string{"rule", "scores", "lists", "disable", "policy"}, "a rule file")
	l.scores(x, doc.root.get("scores"))
	l.policy(x, doc.root.get("policy"))
	if e := doc.root.get("disable"); x.want(e, kindArray) {
		for _, v := range e.val.items {
			if v.kind != kindString {
				x.errorf(v.off, "disable lists ids as strings, not %s", v.kind)
				continue
			}
			l.disabled = append(l.disabled, disabledID{v.str, doc.f, v.off})
		}
	}
	e := doc.root.get("rule")
	if e == nil {
		return
	}
	if e.val.kind != kindArray {
		x.errorf(e.off, "rules are written as [[rule]], with two brackets")
		return
	}
	for _, v := range e.val.items {
		if v.kind != kindTable {
			x.errorf(v.off, "rules are written as [[rule]]")
			continue
		}
		l.addRule(x, v.tab)
	}
}

func (l *loader) addRule(x *decoder, t *table) {
	r := x.rule(t)
	if r == nil {
		return
	}
	for _, other := range l.p.rules {
		if other.id == r.id {
			_, off := x.str(t, "id")
			x.errorf(off, "there is a rule %q already, at %s", r.id, other.place())
			return
		}
	}
	if _, ok := l.vocab.symbols[r.id]; ok {
		_, off := x.str(t, "id")
		x.errorf(off, "%q is the name of a symbol; a rule needs an id of its own", r.id)
		return
	}
	l.p.rules = append(l.p.rules, r)
}

func (l *loader) scores(x *decoder, e *entry) {
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
			l.p.scores[k.name] = k.val.num
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
	limits := map[string]float64{}
	x.unknownKeys(t.val.tab, thresholdNames, "thresholds")
	for _, k := range t.val.tab.keys {
		if slices.Contains(thresholdNames, k.name) && x.want(k, kindFloat) {
			limits[k.name] = k.val.num
		}
	}
	l.limits = limits
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
	for _, name := range keysOf(limits) {
		a, ok := mail.ParseAction(name)
		if !ok || !slices.Contains(thresholdNames, name) {
			l.d.errorf(nil, 0, "policy.thresholds: unknown threshold %q: one of tag, hold, reject%s", name, suggest(name, thresholdNames))
			continue
		}
		l.p.thresholds = append(l.p.thresholds, threshold{a, limits[name]})
	}
	slices.SortFunc(l.p.thresholds, func(a, b threshold) int { return int(b.action - a.action) })
	for i := 1; i < len(l.p.thresholds); i++ {
		if harsh, mild := l.p.thresholds[i-1], l.p.thresholds[i]; mild.points >= harsh.points {
			l.d.warns = append(l.d.warns, Error{Message: fmt.Sprintf("thresholds: %s (%g) never applies, because %s begins at %g",
				mild.action, mild.points, harsh.action, harsh.points)})
		}
	}
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

// Warnings returns what `rules check` notes: nothing that keeps the rules from being used.
func (p *Policy) Warnings() Errors { return slices.Clone(p.warnings) }

// Version returns the version of the built-in rules in use.
func (p *Policy) Version() string { return p.version }

// Score returns the points of a finding of weight 1 of a symbol, as the rule files set it; 0 for an unknown symbol.
func (p *Policy) Score(symbol string) float64 { return p.scores[symbol] }
