package rules

import (
	"embed"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sekimori/internal/mail"
)

//go:embed defaults/*.toml
var embedded embed.FS

// Options say what Load reads and what the rules may speak of.
type Options struct {
	Dir        string             // the directory of rule files and lists; "" for none
	Extra      map[string][]byte  // further rule files by name, as if they stood in Dir
	Defaults   string             // version of the built-in rules; "" for the newest
	Disable    []string           // ids of built-in rules that are switched off
	Thresholds map[string]float64 // tag, hold, reject; nil: those of the rule files
	Mode       string             // one of Modes; "": enforce
	// Name is what the set is known by, with which Policy.Fingerprint then begins: the same for the same rules, lists and settings, and no other.
	// "": a hash of them.
	Name    string
	Facts   []mail.Fact // of all checks; the base facts need not be among them
	Symbols []mail.Symbol
	States  []string // names of all checks
	// Attributes are those of recipients that the sources are read for, each once whatever its case. A rule that asks for another is an
	// error.
	Attributes []string
	// Domains are ours, for which rules can be; nil: every domain will do.
	Domains []string
	// Member says whether an address is a member of a group of the directory. Its error says that nobody can tell: what is asked
	// is unknown. It is called from within Judge and answers from memory. nil: nobody can tell.
	Member func(group, a mail.Address) (bool, error)
	// Now is the clock by which a rule that has ended is noted; nil: time.Now.
	Now func() time.Time
	// Reachable says why mail cannot be sent to an address that a rule names, nil when it can; nil: every address will do.
	Reachable func(mail.Address) error
	// Protected are classes that what recipients allow for themselves does not let through; malware is always one.
	Protected []string
	// DecodeHeader decodes header values (RFC 2047) for header() and headers(); nil: what the standard library can.
	DecodeHeader func(string) string
	// OnSuspend is told, at most once for each, of a rule that is out of force until the next Load because it takes too long. It
	// is called from within Judge and does not block. nil: nobody is told.
	OnSuspend func(id, place string)
}

// Policy is a set of rules that was loaded without an error. It is immutable, but for the rules that have stepped back (SetRetreats),
// and safe for concurrent use.
type Policy struct {
	rules      []*rule
	stages     [mail.Conclude + 1][]*rule
	scores     map[string]float64
	thresholds []threshold // harshest first
	domains    map[string]*domainPolicy
	vocab      *vocabulary
	mode       string
	version    string
	warnings   Errors
	decode     func(string) string
	onSuspend  func(id, place string)
	protected  []string
	states     sync.Pool
	back       atomic.Pointer[retreats]

	name        string // what people know it by
	fingerprint string
	names       []string        // of all facts, sorted
	asked       map[string]bool // header fields that rules read, in lower case
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
	if l.o.Now == nil {
		l.o.Now = time.Now
	}
	l.env = &environment{vocab: l.vocab, reachable: l.o.Reachable, domains: l.o.Domains, today: l.o.Now().Format(time.DateOnly), soon: l.o.Now().AddDate(0, 0, soon).Format(time.DateOnly)}
	l.p = &Policy{scores: map[string]float64{}, domains: map[string]*domainPolicy{}, vocab: l.vocab, mode: o.Mode, decode: o.DecodeHeader, onSuspend: o.OnSuspend, protected: append([]string{classMalware}, o.Protected...)}
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
	l.resolveDomains()
	l.setThresholds()
	l.unusedLists()
	if err := l.d.err(); err != nil {
		return nil, err
	}
	p := l.p
	for i, r := range p.rules {
		r.n, r.placed = i, r.place()
		p.stages[r.at] = append(p.stages[r.at], r)
	}
	l.shadows()
	p.warnings = l.d.warns
	l.identify(docs)
	p.states.New = func() any {
		s := newState(p.vocab)
		s.cache, s.cached = make([]tri, len(p.rules)), make([]bool, len(p.rules))
		return s
	}
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
	docs = append(docs, l.readDir()...)
	for name, data := range l.o.Extra {
		docs = append(docs, l.parse(name, name, data))
	}
	if len(l.o.Extra) > 0 {
		slices.SortStableFunc(docs[min(1, len(docs)):], func(a, b parsed) int { return strings.Compare(a.f.base, b.f.base) })
	}
	return docs
}

func (l *loader) readDir() []parsed {
	if l.o.Dir == "" {
		return nil
	}
	var docs []parsed
	entries, err := os.ReadDir(l.o.Dir)
	if err != nil {
		l.d.errorf(nil, 0, "rules_dir: %s", err)
		return nil
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

// decode reads everything else of one file.
func (l *loader) decode(doc parsed) {
	x := &decoder{env: l.env, d: l.d, f: doc.f}
	x.unknownKeys(doc.root, []string{"rule", "scores", "lists", "disable", "policy", "domain"}, "a rule file")
	l.scores(x, doc.root.get("scores"), l.p.scores)
	l.policy(x, doc.root.get("policy"))
	l.domainSections(x, doc.root.get("domain"))
	l.disabled = append(l.disabled, x.disabled(doc.root.get("disable"))...)
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

// Warnings returns what `rules check` notes: nothing that keeps the rules from being used.
func (p *Policy) Warnings() Errors { return slices.Clone(p.warnings) }

// Decides reports whether some rule is judged at a stage.
func (p *Policy) Decides(stage mail.Stage) bool { return len(p.stages[stage]) > 0 }

// Version returns the version of the built-in rules in use.
func (p *Policy) Version() string { return p.version }

// Score returns the points of a finding of weight 1 of a symbol, as the rule files set it; 0 for an unknown symbol.
func (p *Policy) Score(symbol string) float64 { return p.scores[symbol] }
