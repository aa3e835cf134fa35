package config

import (
	"slices"
	"strings"
)

const (
	mostAttributes = 20 // of one source
	maxAttribute   = 64 // octets of a name
)

// sqlMeanings are the columns that mean something by themselves; those of rule_attributes cannot have their names.
var sqlMeanings = []string{"address", "id", "owner", "targets", "internal", "lang", "deleted"}

// ruleAttributes checks the attributes that are read for rules.
func (v *validator) ruleAttributes() {
	for _, name := range sortedKeys(v.cfg.LDAP) {
		v.attributeNames("ldap."+quoteKey(name)+".rule_attributes", v.cfg.LDAP[name].RuleAttributes, nil)
	}
	for _, name := range sortedKeys(v.cfg.SQL) {
		v.attributeNames("sql."+quoteKey(name)+".rule_attributes", v.cfg.SQL[name].RuleAttributes, sqlMeanings)
	}
	v.attributeNames("recipients.rule_attributes", v.cfg.Recipients.RuleAttributes, nil)
}

func (v *validator) attributeNames(path string, names, taken []string) {
	if len(names) > mostAttributes {
		v.fail(path, "names %d attributes; at most %d are read", len(names), mostAttributes)
	}
	var seen []string
	for i, name := range names {
		lower := strings.ToLower(name)
		switch {
		case len(name) > maxAttribute || !attributeName(name):
			v.fail(at(path, i), "%q is not the name of an attribute such as department", name)
		case slices.Contains(taken, lower):
			v.fail(at(path, i), "%q is a column with a meaning of its own; give it another name with AS", name)
		case slices.Contains(seen, lower):
			v.fail(at(path, i), "%q stands there twice", name)
		}
		seen = append(seen, lower)
	}
}

// attributeName takes letters, digits, - and _, a letter first: a name of RFC 4512 section 1.4, or a column.
func attributeName(s string) bool {
	for i := range len(s) {
		c := s[i] | 0x20
		if letter := c >= 'a' && c <= 'z'; !letter && (i == 0 || s[i] != '-' && s[i] != '_' && (s[i] < '0' || s[i] > '9')) {
			return false
		}
	}
	return s != ""
}

// RuleAttributes are the attributes that the sources of the domains are read for, sorted, each once whatever its case.
func (c *Config) RuleAttributes() []string {
	var all []string
	for i := range c.Domains {
		kind, name, _ := strings.Cut(c.Domains[i].Recipients, ":")
		all = append(all, c.SourceAttributes(kind, name)...)
	}
	all = append(all, c.Recipients.RuleAttributes...)
	slices.SortFunc(all, func(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) })
	return slices.CompactFunc(all, strings.EqualFold)
}

// SourceAttributes are those for which one source is read, such as "ldap" and its NAME.
func (c *Config) SourceAttributes(kind, name string) []string {
	switch {
	case kind == "ldap" && c.LDAP[name] != nil:
		return c.LDAP[name].RuleAttributes
	case kind == "sql" && c.SQL[name] != nil:
		return c.SQL[name].RuleAttributes
	}
	return nil
}
