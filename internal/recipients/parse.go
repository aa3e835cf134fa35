package recipients

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"sekimori/internal/mail"
)

// Bounds of a recipient or alias file.
const (
	maxFile      = 64 << 20
	maxTargets   = 10_000 // of one alias, with what it includes
	maxIncludes  = 8      // one in another
	mostIncludes = 1000   // in all
	maxProblems  = 20     // that are reported
)

// FileError is something wrong in a recipient or alias file.
type FileError struct {
	File         string
	Line, Column int
	Message      string
}

func (e FileError) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Message)
}

// parser reads one file. Lines have these forms:
//
//	address                    a recipient
//	@domain                    every address of a domain
//	name: target, target       aliases(5): a name without a domain holds for each domain that uses the file
//	alias@domain target …      virtual(5); @domain target catches all, @domain @other maps a domain to another
//	address error:text         there is no such address
//	address {name = value}     what rules may ask for; {a = x | y; b = z} has two values of a, and stands before the targets
//
// A target is an address, a name, \name (which is not followed further), "|command", /file or :include:/file. A line that
// begins with white space goes on with the targets of the line before. # begins a comment at the start of a line or
// behind white space.
type parser struct {
	name     string
	read     func(name string) ([]byte, error)
	attrs    []string // names of attributes, in lower case
	names    map[string]*record
	errs     []error
	more     int
	last     *record // whose targets may go on
	includes int
}

// parseFile reads the text of a file and returns what stands in it, by Key: "local@domain", "local" for the name in every
// domain that uses the file, and "@domain" for every address of a domain. A nil record is a mailbox. The error has
// everything that is wrong; what includes name is read by read. attrs are the names of attributes that may be given, in lower case.
func parseFile(name string, text []byte, attrs []string, read func(string) ([]byte, error)) (map[string]*record, error) {
	p := &parser{name: name, read: read, attrs: attrs, names: make(map[string]*record, bytes.Count(text, []byte{'\n'}))}
	n := 0
	for line := range strings.Lines(strings.TrimPrefix(string(text), "\ufeff")) {
		n++
		p.line(n, strings.TrimRight(line, "\r\n"))
	}
	if p.more > 0 {
		p.errs = append(p.errs, fmt.Errorf("%s: %d more lines cannot be read", name, p.more))
	}
	return p.names, errors.Join(p.errs...)
}

func (p *parser) fail(line, column int, format string, args ...any) {
	if len(p.errs) >= maxProblems {
		p.more++
		return
	}
	p.errs = append(p.errs, FileError{p.name, line, column, fmt.Sprintf(format, args...)})
}

// uncomment cuts a comment off; a # inside of a word or of quotes is a part of it.
func uncomment(s string) string {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case s[i] == '#' && !quoted && (i == 0 || s[i-1] == ' ' || s[i-1] == '\t'):
			return s[:i]
		}
	}
	return s
}

func (p *parser) line(n int, raw string) {
	s := uncomment(raw)
	text := strings.TrimSpace(s)
	if text == "" {
		return
	}
	start := strings.Index(s, text) + 1
	if start > 1 && p.last != nil {
		p.targets(n, start, text, p.last)
		return
	}
	p.last = nil
	name, rest, column := cutName(text)
	column += start
	key, err := p.key(name)
	if err != nil {
		p.fail(n, start, "%q: %v", name, err)
		return
	}
	colon := strings.HasSuffix(strings.TrimRight(text[:column-start], " \t"), ":")
	r := &record{attrs: attributes{names: p.attrs}}
	given := strings.HasPrefix(rest, "{")
	if given {
		whole := rest
		if rest, r.attrs.values, err = p.attributes(n, column, rest); err != nil {
			return
		}
		column += len(whole) - len(rest)
	}
	if rest == "" {
		switch {
		case colon:
			// aliases(5) allows targets on the lines that follow; without any, nobody gets the mail.
			p.last = r
			p.enter(n, start, key, p.last)
		case !strings.Contains(key, "@"):
			p.fail(n, start, "%q is no address: write local@domain, @domain, or name: target", name)
		case given:
			p.enter(n, start, key, r)
		default:
			p.enter(n, start, key, nil)
		}
		return
	}
	if !strings.Contains(key, "@") && !colon {
		// virtual(5) declares a domain by "domain anything"; ours are declared in the configuration.
		if !strings.Contains(key, ".") || strings.Contains(rest, "@") {
			p.fail(n, start, "%q is no address: write local@domain, @domain, or name: target", name)
		}
		return
	}
	p.last = r
	p.targets(n, column, rest, r)
	p.enter(n, start, key, r)
}

// enter puts a name down. A mailbox that stands there twice is no mistake; an alias with two meanings is.
func (p *parser) enter(n, column int, key string, r *record) {
	if old, twice := p.names[key]; twice {
		if old == nil && r == nil {
			return
		}
		p.fail(n, column, "%s stands in this file already", key)
		return
	}
	p.names[key] = r
}

// cutName divides a line into the name and what it stands for, and says how far the latter is from the start.
func cutName(s string) (name, rest string, column int) {
	end := strings.IndexAny(s, ": \t")
	if s[0] == '"' {
		if i := strings.IndexByte(s[1:], '"'); i >= 0 {
			name, end = s[1:i+1], i+2
		}
	}
	if end < 0 {
		return s, "", len(s)
	}
	if name == "" {
		name = s[:end]
	}
	after := strings.TrimLeft(s[end:], " \t")
	after = strings.TrimLeft(strings.TrimPrefix(after, ":"), " \t")
	return name, after, len(s) - len(after)
}

// key normalises the left side of a line.
func (p *parser) key(name string) (string, error) {
	switch at := strings.LastIndexByte(name, '@'); {
	case at == 0:
		d, err := mail.ParseDomain(name[1:])
		return "@" + d, err
	case at < 0:
		// The local part is checked by the rules for addresses.
		a, err := mail.ParseAddress(name+"@localhost", true)
		return strings.ToLower(a.Local), err
	}
	a, err := mail.ParseAddress(name, true)
	return a.Key(), err
}

// targets reads a list of targets, separated by commas or white space, and adds them to r.
func (p *parser) targets(n, column int, s string, r *record) {
	for len(s) > 0 {
		trimmed := strings.TrimLeft(s, ", \t")
		column += len(s) - len(trimmed)
		if s = trimmed; s == "" {
			return
		}
		word, used := cutTarget(s)
		if strings.HasPrefix(strings.ToLower(word), "error:") {
			r.refused = true
			return // the rest is the text
		}
		if err := p.target(word, r, 0); err != nil {
			p.fail(n, column, "%v", err)
		}
		column += used
		s = s[used:]
	}
}

// cutTarget returns the first target without its quotes, and how long it is with them.
func cutTarget(s string) (word string, used int) {
	if s[0] == '"' {
		for i := 1; i < len(s); i++ {
			switch s[i] {
			case '\\': // "|command \"a, b\"" is one
				i++
			case '"':
				return s[1:i], i + 1
			}
		}
	}
	if s[0] == '|' { // a command that is not quoted goes to the next comma
		if i := strings.IndexByte(s, ','); i >= 0 {
			return s[:i], i
		}
		return s, len(s)
	}
	if i := strings.IndexAny(s, ", \t"); i >= 0 {
		return s[:i], i
	}
	return s, len(s)
}

// target adds one target to r. Commands and files are no mailboxes; mail for them belongs to the alias itself.
func (p *parser) target(word string, r *record, depth int) error {
	if len(r.targets) >= maxTargets {
		return fmt.Errorf("more than %d targets", maxTargets)
	}
	switch file, include := strings.CutPrefix(word, ":include:"); {
	case word == "" || word[0] == '|' || word[0] == '/':
		return nil
	case include:
		return p.include(file, r, depth+1)
	}
	word = strings.TrimPrefix(word, `\`)
	at := strings.LastIndexByte(word, '@')
	switch {
	case at == 0:
		d, err := mail.ParseDomain(word[1:])
		if err != nil {
			return fmt.Errorf("%q: %w", word, err)
		}
		r.targets = append(r.targets, mail.Address{Domain: d})
		return nil
	case at < 0:
		a, err := mail.ParseAddress(word+"@localhost", true)
		if err != nil {
			return fmt.Errorf("%q: %w", word, err)
		}
		r.targets = append(r.targets, mail.Address{Local: a.Local})
		return nil
	}
	a, err := mail.ParseAddress(word, true)
	if err != nil {
		return fmt.Errorf("%q: %w", word, err)
	}
	r.targets = append(r.targets, a)
	return nil
}

// include reads a list of targets, one or several a line.
func (p *parser) include(file string, r *record, depth int) error {
	if depth > maxIncludes {
		return fmt.Errorf(":include:%s: more than %d files, one in another", file, maxIncludes)
	}
	if !filepath.IsAbs(file) {
		file = filepath.Join(filepath.Dir(p.name), file)
	}
	if p.includes++; p.includes > mostIncludes {
		return fmt.Errorf(":include:%s: more than %d files", file, mostIncludes)
	}
	text, err := p.read(file)
	if err != nil {
		return fmt.Errorf(":include:%s: %w", file, err)
	}
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		for s := strings.TrimSpace(uncomment(strings.TrimRight(line, "\r\n"))); s != ""; {
			word, used := cutTarget(s)
			if err := p.target(word, r, depth); err != nil {
				return fmt.Errorf(":include: %s:%d: %w", file, n, err)
			}
			s = strings.TrimLeft(s[used:], ", \t")
		}
	}
	return nil
}

// readBounded reads a file of at most maxFile octets.
func readBounded(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	switch {
	case info.IsDir():
		return nil, errors.New("is a directory")
	case !info.Mode().IsRegular(): // a pipe would be waited for, a device has no end
		return nil, errors.New("is no regular file")
	case info.Size() > maxFile:
		return nil, fmt.Errorf("is larger than %d octets", maxFile)
	}
	return os.ReadFile(name)
}
