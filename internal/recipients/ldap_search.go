package recipients

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// maxPages bounds what a server with a cookie that never ends can make of us.
const maxPages = 100_000

// rootDSE is what a server says of itself (RFC 4512 section 5.1).
type rootDSE struct {
	url           string
	ad            bool
	usn           uint64 // highestCommittedUSN of Active Directory
	service       string // dsServiceName
	invocation    string // changes when the server's database is restored
	namingContext string
	showDeleted   bool
}

// server names the numbering of changes that a mark belongs to.
func (r rootDSE) server() string {
	switch {
	case r.invocation != "":
		return "invocation " + r.invocation
	case r.service != "":
		return r.service
	}
	return r.url
}

func (c *ldapConn) readRoot(ctx context.Context) error {
	var root *ldap.Entry
	attrs := []string{"highestCommittedUSN", "dsServiceName", "defaultNamingContext", "supportedCapabilities", "supportedControl"}
	err := c.search(ctx, ldapQuery{scope: ldap.ScopeBaseObject, filter: "(objectClass=*)", attrs: attrs}, func(e *ldap.Entry) { root = e })
	if err != nil {
		return fmt.Errorf("the root DSE: %w", err)
	}
	r := rootDSE{url: c.url}
	if root != nil {
		r.ad = slices.Contains(values(root, "supportedCapabilities"), "1.2.840.113556.1.4.800")
		r.showDeleted = slices.Contains(values(root, "supportedControl"), ldap.ControlTypeMicrosoftShowDeleted)
		r.service, r.namingContext = first(root, "dsServiceName"), first(root, "defaultNamingContext")
		r.usn, _ = strconv.ParseUint(first(root, "highestCommittedUSN"), 10, 64)
	}
	if r.service != "" && r.service == c.root.service {
		r.invocation = c.root.invocation
	}
	if r.service != "" && r.invocation == "" {
		q := ldapQuery{base: r.service, scope: ldap.ScopeBaseObject, filter: "(objectClass=*)", attrs: []string{"invocationId"}}
		err := c.search(ctx, q, func(e *ldap.Entry) { r.invocation = hex.EncodeToString([]byte(first(e, "invocationId"))) })
		if err != nil && !notAllowed(err) {
			return fmt.Errorf("the invocation id: %w", err)
		}
	}
	c.root = r
	return nil
}

// notAllowed reports whether the server answered that we may not see something, or that it is not there.
func notAllowed(err error) bool {
	return ldap.IsErrorAnyOf(err, ldap.LDAPResultInsufficientAccessRights, ldap.LDAPResultNoSuchObject, ldap.LDAPResultUnwillingToPerform,
		ldap.LDAPResultUnavailableCriticalExtension, ldap.LDAPResultNoSuchAttribute)
}

type ldapQuery struct {
	base, filter string
	scope        int
	attrs        []string
	controls     []ldap.Control
}

// search calls each for everything that is found, page by page (RFC 2696). With an error, what each was called for is a part
// only and must be dropped: the list is complete when search returns nil.
func (c *ldapConn) search(ctx context.Context, q ldapQuery, each func(*ldap.Entry)) error {
	paging := ldap.NewControlPaging(c.pageSize)
	req := ldap.NewSearchRequest(q.base, q.scope, ldap.NeverDerefAliases, 0, 0, false, q.filter, q.attrs, q.controls)
	if q.scope != ldap.ScopeBaseObject {
		req.Controls = append(slices.Clone(q.controls), paging)
	}
	for range maxPages {
		var res *ldap.SearchResult
		err := c.do(ctx, func() (err error) {
			res, err = c.Search(req)
			return err
		})
		if err != nil {
			return err
		}
		for _, e := range res.Entries {
			each(e)
		}
		for _, r := range res.Referrals {
			c.referrals[r] = true
		}
		answer, ok := ldap.FindControl(res.Controls, ldap.ControlTypePaging).(*ldap.ControlPaging)
		if !ok || len(answer.Cookie) == 0 {
			return nil
		}
		paging.SetCookie(answer.Cookie)
	}
	return fmt.Errorf("the list did not end after %d pages", maxPages)
}

// attribute finds an attribute without regard to case and options.
func attribute(e *ldap.Entry, name string) *ldap.EntryAttribute {
	if name == "" {
		return nil
	}
	var empty *ldap.EntryAttribute
	for _, a := range e.Attributes {
		base, _, _ := strings.Cut(a.Name, ";")
		if !strings.EqualFold(a.Name, name) && !strings.EqualFold(base, name) {
			continue
		}
		if len(a.Values) > 0 {
			return a
		}
		empty = a
	}
	return empty
}

func values(e *ldap.Entry, name string) []string {
	if a := attribute(e, name); a != nil {
		return a.Values
	}
	return nil
}

func first(e *ldap.Entry, name string) string {
	if v := values(e, name); len(v) > 0 {
		return v[0]
	}
	return ""
}

// members gives all values of a group's attribute. Active Directory hands out 1,500 at a time, as member;range=0-1499.
func (c *ldapConn) members(ctx context.Context, e *ldap.Entry, name string) ([]string, error) {
	a := attribute(e, name)
	if a == nil {
		return nil, nil
	}
	all := a.Values
	for range maxPages {
		next, more := rangeEnd(a.Name)
		if !more {
			return all, nil
		}
		var page *ldap.EntryAttribute
		q := ldapQuery{
			base: e.DN, scope: ldap.ScopeBaseObject, filter: "(objectClass=*)",
			attrs: []string{fmt.Sprintf("%s;range=%d-*", name, next)},
		}
		if err := c.search(ctx, q, func(e *ldap.Entry) { page = attribute(e, name) }); err != nil {
			return nil, fmt.Errorf("the members of %s from the %dth: %w", e.DN, next, err)
		}
		if page == nil || len(page.Values) == 0 {
			return nil, fmt.Errorf("the members of %s: the directory announced more than %d and sent no more", e.DN, next)
		}
		all = append(all, page.Values...)
		a = page
	}
	return nil, fmt.Errorf("the members of %s do not end", e.DN)
}

// rangeEnd reads an attribute's name such as member;range=0-1499: where the next range begins, and whether there is one.
func rangeEnd(name string) (next int, more bool) {
	_, options, _ := strings.Cut(name, ";")
	for o := range strings.SplitSeq(options, ";") {
		spec, ok := cutPrefixFold(o, "range=")
		if !ok {
			continue
		}
		_, end, _ := strings.Cut(spec, "-")
		n, err := strconv.Atoi(end)
		return n + 1, err == nil
	}
	return 0, false
}

func cutPrefixFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}
