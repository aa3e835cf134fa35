package config

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// document is a parsed file: its values, and where each key and value stands. The library's decoder stops at the first
// value of a wrong type, so values are decoded by our own decoder, which goes on and reports every error.
type document struct {
	file   string
	text   []byte
	root   map[string]any
	places map[string]place // by pathKey

	env       func(string) string // the environment
	skipFiles bool                // Options.SkipFiles
}

type place struct{ key, value int } // offsets into text

// pathKey joins a path; TOML keys cannot hold a raw NUL.
func pathKey(path []string) string { return strings.Join(path, "\x00") }

// parseDocument reads TOML. A BOM and CRLF line ends are accepted. The error is an Errors of one.
func parseDocument(file string, text []byte) (*document, error) {
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	d := &document{file: file, text: text, root: map[string]any{}, places: map[string]place{}, env: os.Getenv}
	if err := toml.Unmarshal(text, &d.root); err != nil {
		e := Error{File: file, Message: strings.TrimPrefix(err.Error(), "toml: ")}
		var de *toml.DecodeError
		if errors.As(err, &de) {
			e.Line, e.Column = de.Position()
		}
		return nil, Errors{e}
	}
	d.index()
	return d, nil
}

func (d *document) index() {
	var p unstable.Parser
	p.Reset(d.text)
	ix := indexer{doc: d, counts: map[string]int{}}
	var table []string
	for p.NextExpression() {
		switch n := p.Expression(); n.Kind {
		case unstable.Table:
			table = ix.table(n.Key(), false)
		case unstable.ArrayTable:
			table = ix.table(n.Key(), true)
		case unstable.KeyValue:
			ix.keyValue(table, n)
		}
	}
}

type indexer struct {
	doc    *document
	counts map[string]int // arrays of tables: how many elements so far
}

// table resolves the name in a header: a part that names an array of tables means its last element.
func (ix *indexer) table(key unstable.Iterator, array bool) []string {
	var path []string
	at := 0
	for key.Next() {
		n := key.Node()
		path = append(path, string(n.Data))
		at = int(n.Raw.Offset)
		k := pathKey(path)
		if key.IsLast() && array {
			ix.counts[k]++
		}
		ix.put(path, at, at)
		if c := ix.counts[k]; c > 0 {
			path = append(path, strconv.Itoa(c-1))
			ix.put(path, at, at)
		}
	}
	return path
}

func (ix *indexer) keyValue(table []string, n *unstable.Node) {
	path := append([]string(nil), table...)
	at := 0
	for key := n.Key(); key.Next(); {
		path = append(path, string(key.Node().Data))
		at = int(key.Node().Raw.Offset)
		ix.put(path, at, at)
	}
	ix.value(path, at, n.Value())
}

func (ix *indexer) value(path []string, keyAt int, n *unstable.Node) {
	at := keyAt
	if n.Raw.Length > 0 {
		at = int(n.Raw.Offset)
	}
	ix.doc.places[pathKey(path)] = place{keyAt, at}
	switch n.Kind {
	case unstable.Array:
		i := 0
		for it := n.Children(); it.Next(); {
			if it.Node().Kind == unstable.Comment {
				continue
			}
			ix.value(append(path[:len(path):len(path)], strconv.Itoa(i)), at, it.Node())
			i++
		}
	case unstable.InlineTable:
		for it := n.Children(); it.Next(); {
			if it.Node().Kind == unstable.KeyValue {
				ix.keyValue(path, it.Node())
			}
		}
	}
}

// put keeps the first place of a table that is opened several times.
func (ix *indexer) put(path []string, key, value int) {
	if k := pathKey(path); ix.doc.places[k] == (place{}) {
		ix.doc.places[k] = place{key, value}
	}
}

// has reports whether the path stands in the file.
func (d *document) has(path ...string) bool {
	if d == nil {
		return false
	}
	_, ok := d.places[pathKey(path)]
	return ok
}

// errorAt makes an Error at the value (or the key) of path, or of its nearest parent that stands in the file.
func (d *document) errorAt(path []string, atKey bool, format string, args ...any) Error {
	e := Error{Message: fmt.Sprintf(format, args...)}
	if d == nil {
		return e
	}
	e.File = d.file
	for n := len(path); n >= 0; n-- {
		if pl, ok := d.places[pathKey(path[:n])]; ok && n > 0 {
			off := pl.value
			if atKey || n < len(path) {
				off = pl.key
			}
			e.Line, e.Column = d.position(off)
			break
		}
	}
	return e
}

func (d *document) position(offset int) (line, column int) {
	before := d.text[:min(offset, len(d.text))]
	return bytes.Count(before, []byte("\n")) + 1, len(before) - bytes.LastIndexByte(before, '\n')
}

// showPath writes a path as people write it: domain[0].names[1].
func showPath(path []string) string {
	var b strings.Builder
	for i, p := range path {
		if _, err := strconv.Atoi(p); err == nil && i > 0 {
			b.WriteString("[" + p + "]")
			continue
		}
		if i > 0 {
			b.WriteByte('.')
		}
		if strings.ContainsAny(p, ".[]\" ") {
			p = strconv.Quote(p)
		}
		b.WriteString(p)
	}
	return b.String()
}

// splitPath is the inverse of showPath; `a[0].b`, `a.0.b` and `a."127.0.0.2"` are understood.
func splitPath(s string) []string {
	var path []string
	var part strings.Builder
	flush := func() {
		if part.Len() > 0 {
			path = append(path, part.String())
			part.Reset()
		}
	}
	quoted := false
	for _, r := range s {
		switch {
		case r == '"':
			quoted = !quoted
		case !quoted && (r == '.' || r == '[' || r == ']'):
			flush()
		default:
			part.WriteRune(r)
		}
	}
	flush()
	return path
}
