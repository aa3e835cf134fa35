package rules

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Source is what a set of rules is made of: the rule files and the lists, by their names in the directory (of a list elsewhere,
// its path). The built-in rules stand under BuiltinName.
type Source map[string][]byte

// BuiltinName is the name under which the built-in rules of a version stand in a Source. No file of a directory has it.
func BuiltinName(version string) string { return "built-in:" + version }

// IsBuiltin reports whether a name in a Source is that of built-in rules.
func IsBuiltin(name string) bool { return strings.HasPrefix(name, "built-in:") }

// ReadSource reads the files that Load would read: the rule files of the directory, the lists they name, the standard lists that
// are there, and the built-in rules of a version ("" for the newest). What the files hold is not checked; a list that is named and
// not there is left out. dir "" stands for no directory.
func ReadSource(dir, defaults string) (Source, error) {
	s := Source{}
	if defaults == "" {
		all := Versions()
		defaults = all[len(all)-1]
	}
	if data, err := embedded.ReadFile("defaults/" + defaults + ".toml"); err == nil {
		s[BuiltinName(defaults)] = data
	}
	if dir == "" {
		return s, nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if e.IsDir() || strings.HasPrefix(e.Name(), ".") || filepath.Ext(e.Name()) != ".toml" {
			continue
		}
		if err := s.read(dir, e.Name(), false); err != nil {
			return nil, err
		}
	}
	for _, l := range s.listFiles() {
		if err := s.read(dir, l, true); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// read takes a file in; one that may be absent is left out when it is.
func (s Source) read(dir, name string, absent bool) error {
	path := name
	if !filepath.IsAbs(name) {
		path = filepath.Join(dir, name)
	}
	data, err := os.ReadFile(path)
	if absent && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	s[name] = data
	return nil
}

// listFiles returns the files of all lists, sorted.
func (s Source) listFiles() []string {
	var files []string
	for _, file := range s.Outline().Lists {
		if file.File != "" {
			files = append(files, file.File)
		}
	}
	slices.Sort(files)
	return slices.Compact(files)
}

// Outline is what stands in a set of rules, read without checking it, so that a set that does not load, or no longer loads, can be
// compared, too.
type Outline struct {
	Rules      []OutlineRule // in the order in which they are judged
	Scores     map[string]string
	Thresholds map[string]string
	Domains    map[string]string // what the sections of domains say, by DOMAIN.KEY
	Disabled   []string          // sorted
	Lists      map[string]OutlineList
	Broken     []string // files that are not TOML throughout
}

// OutlineRule is one rule with its keys as they are written.
type OutlineRule struct {
	ID      string
	Place   string // file:line
	Builtin bool
	Keys    map[string]string
}

// OutlineList is one list.
type OutlineList struct {
	File    string   // "" for one that is written in a rule file, or a group of the directory, which is its only entry
	Entries []string // without comments, in the order of the file; nil also when the file is not there
}

// Outline reads a Source.
func (s Source) Outline() *Outline {
	o := &Outline{Scores: map[string]string{}, Thresholds: map[string]string{}, Domains: map[string]string{}, Lists: map[string]OutlineList{}}
	for _, l := range standardLists {
		o.list(s, l.name, l.name+".txt")
	}
	names := make([]string, 0, len(s))
	for name := range s {
		if IsBuiltin(name) || filepath.Ext(name) == ".toml" && filepath.Base(name) == name {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		switch {
		case IsBuiltin(a) != IsBuiltin(b) && IsBuiltin(a):
			return -1
		case IsBuiltin(a) != IsBuiltin(b):
			return 1
		}
		return strings.Compare(a, b)
	})
	for _, name := range names {
		o.file(s, name)
	}
	slices.Sort(o.Disabled)
	o.Disabled = slices.Compact(o.Disabled)
	return o
}

func (o *Outline) file(s Source, name string) {
	d := &diagnostics{}
	f := newFile(name, name, s[name])
	root := parseTOML(f, d)
	if d.err() != nil {
		o.Broken = append(o.Broken, name)
	}
	each(root.get("scores"), func(e *entry) { o.Scores[e.name] = e.val.source() })
	each(root.get("lists"), func(e *entry) {
		switch {
		case e.val.kind == kindArray:
			l := OutlineList{}
			for _, v := range e.val.items {
				l.Entries = append(l.Entries, v.str)
			}
			o.Lists[e.name] = l
		case e.val.kind != kindString:
		case strings.HasPrefix(e.val.str, groupPrefix):
			o.Lists[e.name] = OutlineList{Entries: []string{e.val.str}}
		default:
			o.list(s, e.name, strings.TrimPrefix(e.val.str, namesPrefix))
		}
	})
	each(root.get("domain"), func(e *entry) {
		each(e, func(k *entry) { o.Domains[e.name+"."+k.name] = k.val.source() })
	})
	each(root.get("policy"), func(e *entry) {
		if e.name == "thresholds" {
			o.Thresholds = map[string]string{}
			each(e, func(e *entry) { o.Thresholds[e.name] = e.val.source() })
		}
	})
	if e := root.get("disable"); e != nil {
		for _, v := range e.val.items {
			o.Disabled = append(o.Disabled, v.str)
		}
	}
	e := root.get("rule")
	if e == nil {
		return
	}
	for _, v := range e.val.items {
		if v.kind != kindTable {
			continue
		}
		r := OutlineRule{Place: name + ":" + strconv.Itoa(f.line(v.tab.off)), Builtin: IsBuiltin(name), Keys: map[string]string{}}
		for _, k := range v.tab.keys {
			if k.name == "id" {
				r.ID = k.val.str
			} else {
				r.Keys[k.name] = k.val.source()
			}
		}
		if r.ID != "" {
			o.Rules = append(o.Rules, r)
		}
	}
}

func (o *Outline) list(s Source, name, file string) {
	if filepath.IsAbs(file) {
		file = filepath.Clean(file)
	}
	l := OutlineList{File: file}
	for line := range strings.Lines(string(s[file])) {
		text, _, _ := strings.Cut(line, "#")
		if text = strings.TrimSpace(strings.TrimPrefix(text, "\ufeff")); text != "" {
			l.Entries = append(l.Entries, text)
		}
	}
	o.Lists[name] = l
}

// each goes over the keys of a table.
func each(e *entry, do func(*entry)) {
	if e == nil || e.val.kind != kindTable {
		return
	}
	for _, k := range e.val.tab.keys {
		do(k)
	}
}

// source gives a value as it would be written in one line.
func (v *value) source() string {
	switch v.kind {
	case kindString:
		return quoted(v.str)
	case kindInt:
		return strconv.Itoa(v.int)
	case kindFloat:
		return strconv.FormatFloat(v.num, 'g', -1, 64)
	case kindBool:
		return strconv.FormatBool(v.b)
	case kindArray:
		var all []string
		for _, i := range v.items {
			all = append(all, i.source())
		}
		return "[" + strings.Join(all, ", ") + "]"
	case kindTable:
		var all []string
		for _, e := range v.tab.keys {
			all = append(all, e.name+" = "+e.val.source())
		}
		return "{ " + strings.Join(all, ", ") + " }"
	}
	return "?"
}

// quoted writes a string in TOML, always the same way.
func quoted(s string) string {
	switch {
	case !strings.ContainsAny(s, "\"\\\n\r\t"):
		return `"` + s + `"`
	case !strings.ContainsAny(s, "'\n\r"):
		return "'" + s + "'"
	}
	return strconv.Quote(s)
}
