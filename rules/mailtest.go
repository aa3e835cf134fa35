package rules

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"sekimori/internal/mail"
)

// MailTest is one [[mail]] of a file in the folder tests of a rules directory: a mail in a file, who brings it, what the checks
// find, and what is expected.
type MailTest struct {
	Place string // file:line
	Name  string // its own, else that of the mail's file
	File  string // path of the mail

	Client netip.Addr
	Helo   string
	From   *mail.Address // MAIL FROM; nil: the address in the header
	Rcpts  []mail.Address
	Time   time.Time // zero: now
	Zone   string    // what DNS answers; see DNS
	DNS    bool      // there is a Zone; without one, checks that ask DNS do not look

	// Facts are of checks, which do not look themselves then, and what the directory says of all recipients: rcpt.groups and mail.AttrFact.
	Facts []mail.FactValue
	Found []string // symbols that checks found
	Down  []string // checks that could not look

	Expect MailExpect
}

// RuleInfo names a rule.
type RuleInfo struct {
	ID      string
	Place   string // file:line
	Builtin bool
	// Describe is its text for people, by language; not to be changed.
	Describe map[string]string
	// Sum is a hash of all that the rule does. It is the same for a rule of which only words or tests are others.
	Sum     string
	Mode    string  // observe, tag, hold, or reject for no limit
	Percent float64 // of the recipients; for the others it observes
}

// Rules returns all rules in force, in the order in which they are read.
func (p *Policy) Rules() []RuleInfo {
	list := make([]RuleInfo, 0, len(p.rules))
	for _, r := range p.rules {
		list = append(list, RuleInfo{
			ID: r.id, Place: r.place(), Builtin: strings.HasPrefix(r.f.path, "defaults/"), Describe: r.describe, Sum: r.sum, Mode: r.mode.String(), Percent: r.percent,
		})
	}
	return list
}

// MailTests reads the tests of a rules directory: every *.toml in its folder tests. The error is an Errors with all that is
// wrong; a folder that is not there has no tests.
func (p *Policy) MailTests(dir string) ([]MailTest, error) {
	folder := filepath.Join(dir, "tests")
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	x := &testReader{p: p, folder: folder, decoder: &decoder{d: &diagnostics{}}}
	for _, e := range entries {
		if e.IsDir() || strings.HasPrefix(e.Name(), ".") || filepath.Ext(e.Name()) != ".toml" {
			continue
		}
		path := filepath.Join(folder, e.Name())
		data, err := os.ReadFile(path)
		if err != nil {
			x.d.add(Error{File: path, Message: err.Error()})
			continue
		}
		x.f = newFile(path, e.Name(), data)
		x.file(parseTOML(x.f, x.d))
	}
	return x.tests, x.d.err()
}

// testReader is the work of one MailTests.
type testReader struct {
	*decoder
	p      *Policy
	folder string
	tests  []MailTest
}

var (
	mailKeys   = []string{"file", "name", "client", "helo", "from", "rcpt", "time", "dns", "facts", "found", "down", "expect"}
	expectKeys = []string{"action", "rule", "hits", "misses", "unknown", "observed", "min_score", "max_score"}
	mailWords  = []string{"deliver", "tag", "hold", "defer", "reject", "discard", "redirect"}
)

func (x *testReader) file(root *table) {
	x.unknownKeys(root, []string{"default", "mail"}, "a file of tests")
	base := &table{}
	if e := root.get("default"); x.want(e, kindTable) {
		base = e.val.tab
		x.unknownKeys(base, mailKeys[2:8], "[default]")
	}
	e := root.get("mail")
	if e == nil {
		return
	}
	if e.val.kind != kindArray {
		x.errorf(e.off, "tests are written as [[mail]], with two brackets")
		return
	}
	for _, v := range e.val.items {
		if v.kind == kindTable {
			x.one(base, v.tab)
		}
	}
}

// one reads one [[mail]]; what it does not say of the envelope, [default] does.
func (x *testReader) one(base, t *table) {
	x.unknownKeys(t, mailKeys, "[[mail]]")
	whole := &table{off: t.off, keys: slices.Clone(t.keys)}
	for _, e := range base.keys {
		if t.get(e.name) == nil {
			whole.keys = append(whole.keys, e)
		}
	}
	m := MailTest{Place: x.f.base + ":" + strconv.Itoa(x.f.line(t.off)), Client: netip.MustParseAddr("192.0.2.1"), Helo: "client.example"}
	file, off := x.str(t, "file")
	if file == "" {
		x.errorf(off, "the test names no file with the mail (file = \"…\")")
	} else if m.File = filepath.Join(x.folder, file); !exists(m.File) {
		x.errorf(off, "%s: there is no such file beside %s", file, x.f.base)
	}
	m.Name = file
	if name, _ := x.str(t, "name"); name != "" {
		m.Name = name
	}
	x.envelope(&m, whole)
	x.findings(&m, t)
	x.expect(&m, t)
	x.tests = append(x.tests, m)
}

func exists(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

func (x *testReader) envelope(m *MailTest, t *table) {
	var err error
	if s, off := x.str(t, "client"); s != "" {
		if m.Client, err = netip.ParseAddr(s); err != nil {
			x.errorf(off, "client: %q is not an IP address", clip(s, 80))
		}
	}
	if s, _ := x.str(t, "helo"); s != "" {
		m.Helo = s
	}
	if e := t.get("from"); e != nil {
		s, off := x.str(t, "from")
		var a mail.Address
		if s != "" && s != "<>" {
			if a, err = mail.ParseAddress(s, true); err != nil {
				x.errorf(off, "from: %q: %s", clip(s, 80), err)
			}
		}
		m.From = &a
	}
	list, off := x.texts(t, "rcpt")
	for _, s := range list {
		a, err := mail.ParseAddress(s, true)
		if err != nil {
			x.errorf(off, "rcpt: %q: %s", clip(s, 80), err)
		}
		m.Rcpts = append(m.Rcpts, a)
	}
	if len(list) == 0 {
		x.errorf(t.off, "the test names no recipient (rcpt = \"…\", here or in [default])")
	}
	if s, off := x.str(t, "time"); s != "" {
		if m.Time, err = time.Parse(time.RFC3339, s); err != nil {
			x.errorf(off, "time is written as \"2026-11-27T09:00:00+09:00\", not %q", clip(s, 80))
		}
	}
	if e := t.get("dns"); e != nil {
		m.Zone, _ = x.str(t, "dns")
		m.DNS = true
	}
}

// texts reads a string or a list of strings.
func (x *testReader) texts(t *table, key string) ([]string, int) {
	e := t.get(key)
	if e == nil {
		return nil, t.off
	}
	if e.val.kind == kindString {
		return []string{e.val.str}, e.val.off
	}
	list, ok := convert(e.val, mail.Strings)
	if !ok {
		x.errorf(e.val.off, "%s is a string or a list of strings, not %s", key, e.val.kind)
		return nil, e.val.off
	}
	return list.([]string), e.val.off
}

// findings reads what the checks find.
func (x *testReader) findings(m *MailTest, t *table) {
	if e := t.get("facts"); x.want(e, kindTable) {
		x.facts(m, "", e.val.tab)
	}
	var off int
	m.Found, off = x.texts(t, "found")
	for _, s := range m.Found {
		if _, ok := x.p.vocab.symbols[s]; !ok {
			x.errorf(off, "unknown symbol %q%s", s, suggest(s, keysOf(x.p.vocab.symbols)))
		}
	}
	m.Down, off = x.texts(t, "down")
	for _, s := range m.Down {
		if !slices.Contains(x.p.vocab.checks, s) {
			x.errorf(off, "unknown check %q%s", s, suggest(s, x.p.vocab.checks))
		}
	}
}

func (x *testReader) facts(m *MailTest, prefix string, t *table) {
	for _, e := range t.keys {
		key := prefix + e.name
		if e.val.kind == kindTable {
			x.facts(m, key+".", e.val.tab)
			continue
		}
		base, name, _ := strings.Cut(key, ".")
		i, ok := x.p.vocab.member(base, name)
		switch {
		case !ok:
			x.errorf(e.off, "%s", x.p.vocab.noFact(key))
			continue
		case fromDirectory(x.p.vocab.words[i]):
		case !slices.Contains(x.p.vocab.checks, base):
			x.errorf(e.off, "%s comes from the mail and its envelope (client, helo, from, rcpt, time), it cannot be given", key)
			continue
		case name == "state":
			x.errorf(e.off, "%s follows from the test: down = [%q] makes it \"temperror\"", key, base)
			continue
		}
		val, ok := convert(e.val, x.p.vocab.words[i].typ)
		if !ok {
			x.errorf(e.val.off, "%s is %s, not %s", key, typeNames[x.p.vocab.words[i].typ], e.val.kind)
			continue
		}
		if w := x.p.vocab.words[i]; w.kind == attrWord {
			key, val = w.arg, []string{val.(string)}
		} else if w.kind == attrsWord {
			key = w.arg
		}
		m.Facts = append(m.Facts, mail.FactValue{Name: key, Value: val})
	}
}
