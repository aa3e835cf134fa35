package rules

import (
	"fmt"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"

	"sekimori/internal/mail"
)

// attrKinds are the functions behind rcpt. that ask for an attribute of the recipient: its first value, or all.
var attrKinds = map[string]wordKind{"attr": attrWord, "attrs": attrsWord}

// attr gives the word for an attribute that some source is read for; false when none is.
func (v *vocabulary) attr(fn, name string) (int, bool) {
	i := slices.IndexFunc(v.attrs, func(a string) bool { return strings.EqualFold(a, name) })
	if i < 0 {
		return 0, false
	}
	w := word{key: `rcpt.` + fn + `("` + v.attrs[i] + `")`, kind: attrKinds[fn], arg: mail.AttrFact(name), typ: mail.String, stage: mail.Rcpt, perRcpt: true}
	if w.kind == attrsWord {
		w.typ = mail.Strings
	}
	return v.intern(w), true
}

// attrCall reads attr("NAME") and attrs("NAME") where a name of a fact stands: in tests, and in the text of a header field.
func attrCall(s string) (fn, name string, ok bool) {
	fn, rest, _ := strings.Cut(s, `("`)
	name, ok = strings.CutSuffix(rest, `")`)
	return fn, name, ok && attrKinds[fn] != 0
}

// attribute handles rcpt.attr("NAME"); nil when the call is another.
func (c *reader) attribute(x *ast.CallNode) ast.Node {
	m, ok := x.Callee.(*ast.MemberNode)
	if !ok {
		return nil
	}
	base, is := m.Node.(*ast.IdentifierNode)
	prop, named1 := m.Property.(*ast.StringNode)
	if !is || !named1 || base.Value != "rcpt" {
		return nil
	}
	if attrKinds[prop.Value] == 0 {
		if likely := suggest("rcpt."+prop.Value, []string{"rcpt.attr", "rcpt.attrs"}); likely != "" {
			c.nodeError(prop, "unknown function \"rcpt.%s\"%s", prop.Value, likely)
			return x
		}
		return nil
	}
	var arg *ast.StringNode
	if len(x.Arguments) == 1 {
		arg, _ = x.Arguments[0].(*ast.StringNode)
	}
	if arg == nil {
		c.nodeError(x, "rcpt.%s takes one name as a string written here: rcpt.%s(%q)", prop.Value, prop.Value, "department")
		return x
	}
	i, ok := c.vocab.attr(prop.Value, arg.Value)
	if !ok {
		c.nodeError(arg, "no directory is read for the attribute %q%s", arg.Value, c.vocab.otherAttributes(arg.Value))
		return x
	}
	c.reads[i] = true
	return named(c.vocab.words[i].key, x)
}

// otherAttributes says which there are, and where one is added.
func (v *vocabulary) otherAttributes(name string) string {
	if s := suggest(name, v.attrs); s != "" {
		return s
	}
	const where = "; it is named in rule_attributes of [ldap.NAME], [sql.NAME] or [recipients]"
	if len(v.attrs) == 0 {
		return where
	}
	return where + ", which now have " + strings.Join(v.attrs, ", ")
}

// noFact says that there is no such fact, of one that stands in quotes.
func (v *vocabulary) noFact(key string) string {
	if _, name, ok := attrCall(strings.TrimPrefix(key, "rcpt.")); ok && strings.HasPrefix(key, "rcpt.") {
		return fmt.Sprintf("no directory is read for the attribute %q%s", name, v.otherAttributes(name))
	}
	return fmt.Sprintf("unknown fact %q%s", key, suggest(key, v.names()))
}

// fromDirectory reports whether a directory says what a word reads.
func fromDirectory(w *word) bool {
	return w.kind == attrWord || w.kind == attrsWord || w.key == "rcpt.groups"
}

// attrValue is what a word reads of the recipient's attributes; nil when nobody knows them.
func attrValue(tx *mail.Transaction, rcpt mail.Address, w *word) any {
	all, ok := tx.RcptFact(rcpt, w.arg).([]string)
	switch {
	case !ok:
		return nil
	case w.kind == attrsWord:
		return all
	case len(all) == 0:
		return ""
	}
	return all[0]
}

// attrFacts are the names of the facts in which the attributes stand.
func (v *vocabulary) attrFacts() []string {
	all := make([]string, len(v.attrs))
	for i, a := range v.attrs {
		all[i] = mail.AttrFact(a)
	}
	return all
}
