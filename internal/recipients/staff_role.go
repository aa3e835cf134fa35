package recipients

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// Who signs in where [console.ldap] has no filter. In Active Directory an account that is switched off is nobody.
const (
	adAccounts = "(&(objectClass=user)(!(objectClass=computer))(!(userAccountControl:1.2.840.113556.1.4.803:=2))" +
		"(|(sAMAccountName={name})(userPrincipalName={name})))"
	otherAccounts = "(uid={name})"
)

const (
	maxNesting = 8   // of groups in groups
	maxOfOne   = 500 // groups that somebody is in
)

func (a *Staff) isAD(root rootDSE) bool {
	return a.src.Kind == "ad" || a.src.Kind != "openldap" && root.ad
}

func (a *Staff) filter(root rootDSE) string {
	switch {
	case a.cfg.Filter != "":
		return a.cfg.Filter
	case a.isAD(root):
		return adAccounts
	}
	return otherAccounts
}

// role is the mightiest role that somebody has; ErrNotStaff when there is none.
func (a *Staff) role(ctx context.Context, c *ldapConn, e *ldap.Entry) (string, error) {
	if a.cfg.RoleAttribute != "" {
		for _, r := range a.cfg.Roles.List() {
			for _, want := range r.Values {
				if slices.ContainsFunc(values(e, a.cfg.RoleAttribute), func(have string) bool { return sameValue(have, want) }) {
					return r.Role, nil
				}
			}
		}
		return "", fmt.Errorf("%w: no value of %s of %s has a role", ErrNotStaff, a.cfg.RoleAttribute, e.DN)
	}
	filter, err := a.membership(ctx, c, e)
	if err != nil {
		return "", err
	}
	var missing []string
	for _, r := range a.cfg.Roles.List() {
		for _, group := range r.Values {
			list, err := c.few(ctx, ldapQuery{base: group, scope: ldap.ScopeBaseObject, filter: filter, attrs: []string{"1.1"}})
			switch {
			case ldap.IsErrorWithCode(err, ldap.LDAPResultNoSuchObject):
				missing = append(missing, group)
			case err != nil:
				return "", fmt.Errorf("the group %s: %w", group, err)
			case len(list) > 0:
				return r.Role, nil
			}
		}
	}
	why := e.DN + " is in none of the groups that have a role"
	if len(missing) > 0 {
		why += "; the directory does not have, or does not show: " + strings.Join(missing, "; ")
	}
	return "", fmt.Errorf("%w: %s", ErrNotStaff, why)
}

// sameValue compares as directories do, without regard to case; DNs however they are written.
func sameValue(a, b string) bool {
	return strings.EqualFold(a, b) || strings.Contains(a, "=") && dnKey(a) == dnKey(b)
}

// membership is the filter for groups that somebody is in, also by way of other groups. Active Directory follows those itself.
func (a *Staff) membership(ctx context.Context, c *ldapConn, e *ldap.Entry) (string, error) {
	if a.isAD(c.root) {
		return "(member:1.2.840.113556.1.4.1941:=" + ldap.EscapeFilter(e.DN) + ")", nil
	}
	uid, all, level := posixName(e), []string{e.DN}, []string{e.DN}
	bases := eachOnce(slices.Concat(a.src.Bases, a.cfg.Bases), maxOfOne)
	for range maxNesting {
		var next []string
		for _, base := range bases {
			q := ldapQuery{base: base, scope: ldap.ScopeWholeSubtree, filter: membersFilter(level, uid), attrs: []string{"1.1"}}
			if err := c.search(ctx, q, func(g *ldap.Entry) { next = append(next, g.DN) }); err != nil {
				return "", fmt.Errorf("the groups of %s: %w", e.DN, err)
			}
		}
		known := len(all)
		all = eachOnce(append(all, next...), maxOfOne)
		if level, uid = all[known:], ""; len(level) == 0 {
			break
		}
	}
	return membersFilter(all, posixName(e)), nil
}

// posixName is how groups of RFC 2307 name an account.
func posixName(e *ldap.Entry) string {
	if !slices.ContainsFunc(values(e, "objectClass"), func(s string) bool { return strings.EqualFold(s, "posixAccount") }) {
		return ""
	}
	return first(e, "uid")
}

// membersFilter finds the groups that have one of the DNs, or in the way of RFC 2307 the name, as a member.
func membersFilter(dns []string, uid string) string {
	var parts []string
	for _, dn := range dns {
		v := ldap.EscapeFilter(dn)
		parts = append(parts, "member="+v, "uniqueMember="+v)
	}
	if uid != "" {
		parts = append(parts, "memberUid="+ldap.EscapeFilter(uid))
	}
	return anyOf(parts, func(s string) string { return "(" + s + ")" })
}
