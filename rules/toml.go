package rules

import (
	"bytes"
	"errors"
	"math"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2/unstable"
)

// file is one file as read, for turning offsets into places.
type file struct {
	path  string // as shown in errors
	base  string // as shown in verdicts
	data  []byte // without the byte order mark
	lines []int  // offsets of the beginnings of lines
}

var utf8BOM = []byte("\xef\xbb\xbf")

func newFile(path, base string, data []byte) *file {
	f := &file{path: path, base: base, data: bytes.TrimPrefix(data, utf8BOM), lines: []int{0}}
	for i, c := range f.data {
		if c == '\n' {
			f.lines = append(f.lines, i+1)
		}
	}
	return f
}

// at makes an Error for an offset; a negative offset stands for the whole file.
func (f *file) at(off int, message string) Error {
	if f == nil {
		return Error{Message: message}
	}
	if off < 0 {
		return Error{File: f.path, Message: message}
	}
	off = min(off, len(f.data))
	line := f.line(off)
	col := utf8.RuneCount(f.data[f.lines[line-1]:off]) + 1
	return Error{File: f.path, Line: line, Column: col, Message: message}
}

func (f *file) line(off int) int {
	return sort.SearchInts(f.lines, off+1)
}

type kind int

const (
	kindOther kind = iota // dates and times; a date has its text in str
	kindString
	kindInt
	kindFloat
	kindBool
	kindArray
	kindTable
)

func (k kind) String() string {
	return [...]string{"a date or time", "a string", "an integer", "a number", "true or false", "an array", "a table"}[k]
}

// value is one TOML value with its place.
type value struct {
	kind  kind
	off   int
	raw   []byte // of a string: with its quotes
	str   string
	num   float64 // of integers too
	int   int
	b     bool
	items []*value
	tab   *table
	multi bool // an array made by [[name]]
}

// table keeps its keys in order. A broken table held a syntax error, so that what it lacks is not reported.
type table struct {
	off      int
	keys     []*entry
	explicit bool // has its own [header]
	closed   bool // an inline table, which nothing may extend
	broken   bool
}

type entry struct {
	name string
	off  int
	val  *value
}

func (t *table) get(name string) *entry {
	for _, e := range t.keys {
		if e.name == name {
			return e
		}
	}
	return nil
}

// document reads the AST of one file into tables.
type document struct {
	f     *file
	d     *diagnostics
	base  int // offset of what the parser was given
	p     unstable.Parser
	root  *table
	cur   *table
	loose *table // where keys go whose table could not be made
}

const maxFileSize = 4 << 20

// parseTOML reads a file. After a syntax error it goes on at the next line that begins with "[", so that one typing
// error does not hide the others.
func parseTOML(f *file, d *diagnostics) *table {
	doc := &document{f: f, d: d, root: &table{explicit: true}, loose: &table{}}
	doc.cur = doc.root
	if len(f.data) > maxFileSize {
		d.errorf(f, -1, "the file is larger than 4 MiB")
		return doc.root
	}
	if !f.encoding(d) {
		doc.root.broken = true
		return doc.root
	}
	for {
		doc.p.Reset(f.data[doc.base:])
		for doc.p.NextExpression() {
			doc.expression(doc.p.Expression())
		}
		err := doc.p.Error()
		if err == nil {
			return doc.root
		}
		off := doc.syntaxError(err)
		doc.cur.broken = true
		next := bytes.Index(f.data[off:], []byte("\n["))
		if next < 0 {
			return doc.root
		}
		doc.base = off + next + 1
	}
}

func (doc *document) syntaxError(err error) int {
	off := len(doc.f.data)
	var pe *unstable.ParserError
	if errors.As(err, &pe) && cap(pe.Highlight) > 0 {
		// A slice of the input shares its end of capacity, which gives its offset.
		off = min(max(cap(doc.f.data)-cap(pe.Highlight), doc.base), len(doc.f.data))
	}
	doc.d.errorf(doc.f, off, "not TOML: %s%s", err, doc.f.tomlHint(off, err.Error()))
	return off
}

func (doc *document) expression(n *unstable.Node) {
	switch n.Kind {
	case unstable.Table, unstable.ArrayTable:
		doc.header(n)
	case unstable.KeyValue:
		doc.keyValue(doc.cur, n)
	}
}

func (doc *document) offset(r unstable.Range) int { return doc.base + int(r.Offset) }

type keyPart struct {
	name string
	off  int
}

func (doc *document) key(n *unstable.Node) []keyPart {
	var parts []keyPart
	for it := n.Key(); it.Next(); {
		k := it.Node()
		parts = append(parts, keyPart{string(k.Data), doc.offset(k.Raw)})
	}
	return parts
}

// header makes the table of a [name] or [[name]] line the current one.
func (doc *document) header(n *unstable.Node) {
	parts := doc.key(n)
	parent := doc.descend(doc.root, parts[:len(parts)-1], false)
	last := parts[len(parts)-1]
	off := doc.f.lines[doc.f.line(last.off)-1]
	off += len(doc.f.data[off:last.off]) - len(bytes.TrimLeft(doc.f.data[off:last.off], " \t"))
	t := &table{off: off, explicit: true}
	doc.cur = t
	if parent == nil {
		return
	}
	e := parent.get(last.name)
	if n.Kind == unstable.ArrayTable {
		switch {
		case e == nil:
			parent.keys = append(parent.keys, &entry{last.name, last.off, &value{kind: kindArray, off: last.off, multi: true, items: []*value{{kind: kindTable, off: off, tab: t}}}})
		case e.val.multi:
			e.val.items = append(e.val.items, &value{kind: kindTable, off: off, tab: t})
		default:
			doc.d.errorf(doc.f, last.off, "%q is already %s (line %d) and cannot be [[%s]]", last.name, e.val.kind, doc.f.line(e.off), last.name)
		}
		return
	}
	switch {
	case e == nil:
		parent.keys = append(parent.keys, &entry{last.name, last.off, &value{kind: kindTable, off: off, tab: t}})
	case e.val.kind == kindTable && !e.val.tab.explicit && !e.val.tab.closed:
		e.val.tab.explicit = true
		doc.cur = e.val.tab
	default:
		doc.d.errorf(doc.f, last.off, "%q is given twice; the first is in line %d", last.name, doc.f.line(e.off))
	}
}

// descend walks and makes the tables of a dotted name; nil after an error.
func (doc *document) descend(t *table, parts []keyPart, dotted bool) *table {
	for _, k := range parts {
		e := t.get(k.name)
		switch {
		case e == nil:
			next := &table{off: k.off, explicit: dotted}
			t.keys = append(t.keys, &entry{k.name, k.off, &value{kind: kindTable, off: k.off, tab: next}})
			t = next
		case e.val.kind == kindTable && !e.val.tab.closed:
			t = e.val.tab
		case e.val.multi && !dotted:
			t = e.val.items[len(e.val.items)-1].tab
		default:
			doc.d.errorf(doc.f, k.off, "%q is already %s (line %d) and cannot have keys", k.name, e.val.kind, doc.f.line(e.off))
			return nil
		}
	}
	return t
}

func (doc *document) keyValue(t *table, n *unstable.Node) {
	parts := doc.key(n)
	last := parts[len(parts)-1]
	v := doc.value(n.Value(), last.off)
	if t = doc.descend(t, parts[:len(parts)-1], true); t == nil {
		return
	}
	if e := t.get(last.name); e != nil {
		doc.d.errorf(doc.f, last.off, "%q is given twice; the first is in line %d", last.name, doc.f.line(e.off))
		return
	}
	t.keys = append(t.keys, &entry{last.name, last.off, v})
}

// value reads a value; off stands in where the parser does not say where an array begins.
func (doc *document) value(n *unstable.Node, off int) *value {
	if n.Raw.Length > 0 {
		off = doc.offset(n.Raw)
	}
	v := &value{off: off}
	switch n.Kind {
	case unstable.String:
		v.kind, v.str, v.raw = kindString, string(n.Data), doc.p.Raw(n.Raw)
	case unstable.LocalDate:
		v.str = string(n.Data)
	case unstable.Bool:
		v.kind, v.b = kindBool, n.Data[0] == 't'
	case unstable.Integer:
		doc.integer(v, string(n.Data))
	case unstable.Float:
		doc.float(v, string(n.Data))
	case unstable.Array:
		v.kind = kindArray
		for it := n.Children(); it.Next(); {
			v.items = append(v.items, doc.value(it.Node(), off))
		}
	case unstable.InlineTable:
		v.kind, v.tab = kindTable, &table{off: off, explicit: true}
		for it := n.Children(); it.Next(); {
			doc.keyValue(v.tab, it.Node())
		}
		v.tab.closed = true
	}
	return v
}

func (doc *document) integer(v *value, text string) {
	v.kind = kindInt
	i, err := strconv.ParseInt(strings.TrimPrefix(strings.ReplaceAll(text, "_", ""), "+"), 0, 64)
	if err != nil {
		doc.d.errorf(doc.f, v.off, "the integer %s is out of range", text)
	}
	v.int, v.num = int(i), float64(i)
}

func (doc *document) float(v *value, text string) {
	v.kind = kindFloat
	x, err := strconv.ParseFloat(strings.ReplaceAll(text, "_", ""), 64)
	if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
		doc.d.errorf(doc.f, v.off, "%s is not a finite number", text)
		x = 0
	}
	v.num = x
}

// within turns a byte offset of the decoded string into an offset of the file.
func (v *value) within(decoded int) int {
	raw, quote := v.raw, 1
	if len(raw) >= 6 && raw[0] == raw[1] && raw[1] == raw[2] {
		quote = 3
	}
	i := quote
	if quote == 3 { // a line end right after the quotes does not count
		i += len(raw[i:]) - len(bytes.TrimPrefix(bytes.TrimPrefix(raw[i:], []byte("\r")), []byte("\n")))
	}
	if len(raw) == 0 || raw[0] == '\'' {
		return v.off + i + decoded
	}
	for n := 0; n < decoded && i < len(raw)-quote; {
		width, bytesOut := escape(raw[i:])
		i += width
		n += bytesOut
	}
	return v.off + i
}

// escape says how many bytes of a basic string the next character takes, and how many it stands for.
func escape(raw []byte) (width, out int) {
	if raw[0] != '\\' || len(raw) < 2 {
		return 1, 1
	}
	digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[raw[1]]
	if digits > 0 && len(raw) >= 2+digits {
		r, err := strconv.ParseUint(string(raw[2:2+digits]), 16, 32)
		if err != nil {
			return 2 + digits, 1
		}
		return 2 + digits, max(utf8.RuneLen(rune(r)), 1)
	}
	if strings.IndexByte(" \t\r\n", raw[1]) >= 0 { // a line-ending backslash
		rest := bytes.TrimLeft(raw[1:], " \t\r\n")
		return len(raw) - len(rest), 0
	}
	return 2, 1
}
