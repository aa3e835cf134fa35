package recipients

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-ldap/ldap/v3"
	"golang.org/x/net/idna"

	"sekimori/internal/mail"
)

// object is what matters of one entry of a directory.
type object struct {
	id, dn   string         // dn in the form of dnKey
	addrs    []mail.Address // the primary first
	members  []string       // DNs in the form of dnKey
	targets  []mail.Address // that it names itself
	group    bool
	internal bool
	lang     string
	attrs    [][]string
	modified string // modifyTimestamp, generalized time in UTC
}

// read makes an object of an entry, with all members of a group.
func (r *ldapRun) read(ctx context.Context, e *ldap.Entry) (*object, error) {
	o := &object{
		id: objectID(e, r.schema.ID), dn: dnKey(e.DN), modified: first(e, "modifyTimestamp"),
		internal: strings.EqualFold(first(e, r.schema.Internal), "TRUE"), lang: language(first(e, r.schema.Lang)),
	}
	r.addresses(e, o)
	o.attrs = r.attributes(e)
	for _, name := range r.schema.Target {
		for _, v := range values(e, name) {
			if a, ok := r.address(e.DN, v); ok {
				o.targets = append(o.targets, a)
			}
		}
	}
	for _, name := range r.schema.Member {
		list, err := r.c.members(ctx, e, name)
		if err != nil {
			return nil, err
		}
		for _, dn := range list {
			o.members = append(o.members, dnKey(dn))
		}
	}
	o.group = len(o.members) > 0 || slices.ContainsFunc(values(e, "objectClass"), func(c string) bool {
		c = strings.ToLower(c)
		return c == "group" || c == "groupofnames" || c == "groupofuniquenames"
	})
	return o, nil
}

// attributes collects the values that rules may ask for.
func (r *ldapRun) attributes(e *ldap.Entry) [][]string {
	names := r.src.cfg.RuleAttributes
	if len(names) == 0 {
		return nil
	}
	all := make([][]string, len(names))
	for i, name := range names {
		all[i] = values(e, name)
	}
	return fitting(all, func(i int, why string) { r.problem("%s: %s %s", e.DN, names[i], why) })
}

// addresses collects the addresses of an entry. Where it has typed addresses (proxyAddresses), they alone count: Exchange
// does not deliver to a mail attribute that is not among them.
func (r *ldapRun) addresses(e *ldap.Entry, o *object) {
	primary := -1
	add := func(s string, isPrimary bool) {
		a, ok := r.address(e.DN, s)
		if !ok {
			return
		}
		i := slices.IndexFunc(o.addrs, func(b mail.Address) bool { return a.Key() == b.Key() })
		if i < 0 {
			i = len(o.addrs)
			o.addrs = append(o.addrs, a)
		}
		if isPrimary && primary < 0 {
			primary = i
		}
	}
	for _, v := range values(e, r.schema.Proxy) {
		kind, s, typed := strings.Cut(v, ":")
		switch {
		case !typed:
			add(v, false)
		case strings.EqualFold(kind, "smtp"):
			add(s, kind == "SMTP")
		}
	}
	if len(o.addrs) == 0 {
		for i, name := range r.schema.Mail {
			for j, v := range values(e, name) {
				add(v, i == 0 && j == 0)
			}
		}
	}
	for _, name := range r.schema.Alias {
		for _, v := range values(e, name) {
			if kind, s, typed := strings.Cut(v, ":"); typed && strings.EqualFold(kind, "smtp") {
				v = s
			}
			add(v, false)
		}
	}
	if primary > 0 {
		o.addrs[0], o.addrs[primary] = o.addrs[primary], o.addrs[0]
	}
}

// maxTold bounds what one Fetch complains of.
const maxTold = 100

func (r *ldapRun) address(dn, s string) (mail.Address, bool) {
	a, err := mail.ParseAddress(strings.TrimSpace(s), true)
	if err != nil {
		r.problem("%s: %q: %v", dn, s, err)
	}
	return a, err == nil
}

func (r *ldapRun) problem(format string, args ...any) {
	r.problems.add(fmt.Sprintf(format, args...))
}

// problems are sentences, at most maxTold and a last one that says how many there are more.
type problems struct {
	list []string
	more int
}

func (p *problems) add(s string) {
	if len(p.list) == maxTold {
		p.more++
		return
	}
	p.list = append(p.list, s)
}

func (p *problems) all() []string {
	if p.more == 0 {
		return p.list
	}
	return append(slices.Clone(p.list), fmt.Sprintf("and %d more", p.more))
}

// objectID is the name of an object that survives a change of its DN: a GUID in Microsoft's way of writing it (the first three
// parts are little-endian), a text as it is. An object without one goes by its DN.
func objectID(e *ldap.Entry, attr string) string {
	a := attribute(e, attr)
	if a == nil || len(a.ByteValues) == 0 {
		return "dn:" + dnKey(e.DN)
	}
	b := a.ByteValues[0]
	if len(b) == 16 {
		return fmt.Sprintf("%02x%02x%02x%02x-%02x%02x-%02x%02x-%x-%x", b[3], b[2], b[1], b[0], b[5], b[4], b[7], b[6], b[8:10], b[10:])
	}
	if utf8.Valid(b) {
		return string(b)
	}
	return hex.EncodeToString(b)
}

// dnKey writes a DN so that two ways of writing the same one are equal, as far as directories mix them: in lower case, and
// parsed only where there are spaces or escapes to normalise.
func dnKey(dn string) string {
	if strings.Contains(dn, `\`) || strings.Contains(dn, ", ") || strings.Contains(dn, " ,") || strings.Contains(dn, " =") || strings.Contains(dn, "= ") {
		if d, err := ldap.ParseDN(dn); err == nil {
			dn = d.String()
		}
	}
	return strings.ToLower(dn)
}

// language reads preferredLanguage, which has the form of Accept-Language, or a locale such as ja_JP: the first of ja and en.
func language(s string) string {
	for part := range strings.SplitSeq(strings.ToLower(s), ",") {
		tag, _, _ := strings.Cut(strings.TrimSpace(part), ";")
		if i := strings.IndexAny(tag, "-_"); i > 0 {
			tag = tag[:i]
		}
		if tag == "ja" || tag == "en" {
			return tag
		}
	}
	return ""
}

// spellings are the ways in which a source may have written an address: with A-labels, and with U-labels (RFC 5890).
func spellings(a mail.Address) []string {
	list := []string{a.Key()}
	if u, err := idna.ToUnicode(a.Domain); err == nil && u != a.Domain {
		list = append(list, strings.ToLower(a.Local)+"@"+u)
	}
	return list
}
