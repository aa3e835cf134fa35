package rules

import (
	"reflect"
	"slices"
	"strings"

	"sekimori/internal/mail"
)

// vocabulary is what conditions may speak of: the declared facts, the states of checks, symbols and lists.
type vocabulary struct {
	facts   map[string]mail.Fact
	symbols map[string]mail.Symbol
	checks  []string
	lists   map[string]*list
	attrs   []string // that directories are read for
	words   []*word  // every name that some rule reads, by number
	byKey   map[string]int
}

// word is one name that a condition reads. The values of all words of a policy stand in one flat map for the evaluation,
// under their keys.
type word struct {
	key     string // geoip.country, geoip.state, symbol("X"), header("X"), headers("X")
	kind    wordKind
	arg     string // the check of a state, the name of a symbol or header field
	typ     mail.FactType
	stage   mail.Stage
	perRcpt bool
	machine bool // some atom that reads it has no quick form
}

type wordKind int

const (
	factWord wordKind = iota
	stateWord
	symbolWord
	headerWord
	headersWord
	rawHeaderWord
	rawHeadersWord
	attrWord  // arg is the name of the fact that holds all values
	attrsWord // likewise
)

var stateNames = []string{"ok", "skipped", "temperror", "pending"}

func newVocabulary(o Options) *vocabulary {
	v := &vocabulary{facts: map[string]mail.Fact{}, symbols: map[string]mail.Symbol{}, lists: map[string]*list{}, byKey: map[string]int{}, attrs: o.Attributes}
	for _, f := range slices.Concat(mail.BaseFacts, o.Facts) {
		v.facts[f.Name] = f
	}
	for _, s := range o.Symbols {
		v.symbols[s.Name] = s
	}
	v.checks = slices.Clone(o.States)
	for _, f := range o.Facts {
		if c := f.Check(); !slices.Contains(v.checks, c) && !isBase(c) {
			v.checks = append(v.checks, c)
		}
	}
	return v
}

func isBase(prefix string) bool {
	return slices.ContainsFunc(mail.BaseFacts, func(f mail.Fact) bool { return f.Check() == prefix })
}

// intern gives a word its number.
func (v *vocabulary) intern(w word) int {
	if i, ok := v.byKey[w.key]; ok {
		return i
	}
	v.words = append(v.words, &w)
	v.byKey[w.key] = len(v.words) - 1
	return len(v.words) - 1
}

// member finds base.name; ok is false when there is no such fact or state.
func (v *vocabulary) member(base, name string) (int, bool) {
	key := base + "." + name
	if f, ok := v.facts[key]; ok {
		return v.intern(word{key: key, kind: factWord, typ: f.Type, stage: f.Stage, perRcpt: f.PerRcpt}), true
	}
	if base == "rcpt" {
		if fn, arg, ok := attrCall(name); ok {
			return v.attr(fn, arg)
		}
	}
	if name == "state" && slices.Contains(v.checks, base) {
		return v.intern(word{key: key, kind: stateWord, arg: base, typ: mail.String, stage: v.lastStage(base)}), true
	}
	return 0, false
}

func (v *vocabulary) symbol(name string) int {
	return v.intern(word{key: `symbol("` + name + `")`, kind: symbolWord, arg: name, typ: mail.Bool, stage: v.lastStage(v.checkOf(name))})
}

// headerKinds are the functions that read the header.
var headerKinds = map[string]wordKind{
	"header": headerWord, "headers": headersWord, "raw_header": rawHeaderWord, "raw_headers": rawHeadersWord,
}

func (v *vocabulary) header(fn, name string) int {
	w := word{key: fn + `("` + name + `")`, kind: headerKinds[fn], arg: name, typ: mail.String, stage: mail.Data}
	if w.kind == headersWord || w.kind == rawHeadersWord {
		w.typ = mail.Strings
	}
	return v.intern(w)
}

// checkOf returns the check to which a symbol belongs: the one whose name, in upper case, the symbol begins with.
func (v *vocabulary) checkOf(symbol string) string {
	best := ""
	for _, c := range v.checks {
		if strings.HasPrefix(symbol, strings.ToUpper(c)+"_") && len(c) > len(best) {
			best = c
		}
	}
	return best
}

// lastStage is the stage at which all of a check has run: the latest of its facts. A check without facts is taken to run
// last.
func (v *vocabulary) lastStage(check string) mail.Stage {
	last, found := mail.Connect, false
	for _, f := range v.facts {
		if f.Check() == check {
			last, found = max(last, f.Stage), true
		}
	}
	if !found {
		return mail.Conclude
	}
	return last
}

// names returns all that can stand before and after the dot, for suggestions.
func (v *vocabulary) names() []string {
	all := keysOf(v.facts)
	for _, c := range v.checks {
		all = append(all, c+".state")
	}
	return all
}

func (v *vocabulary) bases() []string {
	var all []string
	for _, n := range v.names() {
		base, _, _ := strings.Cut(n, ".")
		all = append(all, base)
	}
	slices.Sort(all)
	return append(slices.Compact(all), "lists")
}

var goTypes = map[mail.FactType]reflect.Type{
	mail.Bool: reflect.TypeFor[bool](), mail.Int: reflect.TypeFor[int](), mail.Float: reflect.TypeFor[float64](),
	mail.String: reflect.TypeFor[string](), mail.Strings: reflect.TypeFor[[]string](),
}

var typeNames = map[mail.FactType]string{
	mail.Bool: "true or false", mail.Int: "an integer", mail.Float: "a number", mail.String: "a string", mail.Strings: "a list of strings",
}

// fits reports whether a value has the type that was declared; what has not is treated as unknown.
func fits(v any, t mail.FactType) bool {
	switch v.(type) {
	case bool:
		return t == mail.Bool
	case int:
		return t == mail.Int
	case float64:
		return t == mail.Float
	case string:
		return t == mail.String
	case []string:
		return t == mail.Strings
	}
	return false
}
