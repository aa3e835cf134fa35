package recipients

import (
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"sekimori/internal/config"
)

// adFilter finds whatever Exchange delivers to in Active Directory: users, groups, contacts, public folders. An account that
// is switched off is left out, unless it is one that Exchange itself switches off: shared mailboxes, rooms, equipment, and
// their like in the cloud have another msExchRecipientTypeDetails than a person's mailbox (1, or 2147483648 in the cloud).
const adFilter = "(&(|(proxyAddresses=*)(mail=*))" +
	"(|(objectClass=user)(objectClass=group)(objectClass=contact)(objectClass=publicFolder)(objectClass=msExchDynamicDistributionList))" +
	"(!(objectClass=computer))" +
	"(!(&(userAccountControl:1.2.840.113556.1.4.803:=2)" +
	"(|(!(msExchRecipientTypeDetails=*))(msExchRecipientTypeDetails=1)(msExchRecipientTypeDetails=2147483648)))))"

// groupFilter finds groups that have no address themselves but may be members of one that has.
const groupFilter = "(|(objectClass=group)(objectClass=groupOfNames)(objectClass=groupOfUniqueNames))"

// ldapSchema is how one kind of directory says what a recipient is.
type ldapSchema struct {
	ad     bool
	filter string
	scope  int
	extra  []string // for rules
	config.LDAPAttributes
}

// schemaOf fills in what the configuration leaves to the kind of directory.
func schemaOf(cfg config.LDAP, root rootDSE) ldapSchema {
	s := ldapSchema{ad: cfg.Kind == "ad" || cfg.Kind != "openldap" && root.ad, filter: cfg.Filter, extra: cfg.RuleAttributes, LDAPAttributes: cfg.Attributes}
	s.scope = ldap.ScopeWholeSubtree
	if cfg.Scope == "one" {
		s.scope = ldap.ScopeSingleLevel
	}
	def := config.LDAPAttributes{
		ID: "entryUUID", Alias: []string{"mailLocalAddress", "mailAlternateAddress"}, Target: []string{"rfc822MailMember"},
		Mail: []string{"mail"}, Member: []string{"member", "uniqueMember"}, Lang: "preferredLanguage",
	}
	if s.ad {
		def.ID, def.Proxy, def.Internal = "objectGUID", "proxyAddresses", "msExchRequireAuthToSendTo"
		def.Alias, def.Target, def.Member = nil, nil, []string{"member"}
	}
	one := func(v *string, def string) {
		if *v == "" {
			*v = def
		}
	}
	one(&s.ID, def.ID)
	one(&s.Proxy, def.Proxy)
	one(&s.Internal, def.Internal)
	one(&s.Lang, def.Lang)
	for _, l := range []struct{ v, def *[]string }{
		{&s.Mail, &def.Mail}, {&s.Alias, &def.Alias}, {&s.Member, &def.Member}, {&s.Target, &def.Target},
	} {
		if *l.v == nil {
			*l.v = *l.def
		}
	}
	if s.filter == "" && s.ad {
		s.filter = adFilter
	}
	if s.filter == "" {
		s.filter = anyOf(s.addressAttributes(), func(a string) string { return "(" + a + "=*)" })
	}
	return s
}

func (s ldapSchema) addressAttributes() []string {
	list := slices.Concat(s.Mail, s.Alias)
	if s.Proxy != "" {
		list = append(list, s.Proxy)
	}
	return list
}

// everything is the filter of a Fetch: what has an address, and groups.
func (s ldapSchema) everything() string { return "(|" + s.filter + groupFilter + ")" }

// attributes are those that an object is made of.
func (s ldapSchema) attributes() []string {
	list := append(s.addressAttributes(), s.ID, "objectClass", "modifyTimestamp")
	list = append(append(append(list, s.Member...), s.Target...), s.extra...)
	for _, a := range []string{s.Internal, s.Lang} {
		if a != "" {
			list = append(list, a)
		}
	}
	return list
}

// having is the filter for the objects that have one of the addresses, which are escaped (RFC 4515 section 3).
func (s ldapSchema) having(addrs []string) string {
	return "(&" + s.filter + anyOf(addrs, func(a string) string {
		a = ldap.EscapeFilter(a)
		f := anyOf(slices.Concat(s.Mail, s.Alias), func(attr string) string { return "(" + attr + "=" + a + ")" })
		if s.Proxy == "" {
			return f
		}
		return "(|(" + s.Proxy + "=smtp:" + a + ")" + f + ")"
	}) + ")"
}

func anyOf(list []string, filter func(string) string) string {
	var b strings.Builder
	for _, v := range list {
		b.WriteString(filter(v))
	}
	if len(list) == 1 {
		return b.String()
	}
	return "(|" + b.String() + ")"
}
