package recipients

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-ldap/ldap/v3"

	"sekimori/internal/config"
)

// StaffMember is somebody in a directory who may sign in at the pages.
type StaffMember struct {
	DN   string
	Name string // as the directory writes it
	Role string // admin | helpdesk | auditor
}

var (
	// ErrNotStaff says that a name may not sign in: the directory knows nobody of that name or several, or who it is has no role.
	ErrNotStaff = errors.New("not somebody who may sign in")
	// ErrPassword says that the directory did not take the password.
	ErrPassword = errors.New("the directory does not take the password")
)

// Staff asks a directory who may sign in at the pages ([console.ldap]), and whether a password is theirs. Safe for concurrent use.
type Staff struct {
	cfg     config.ConsoleLDAP
	src     config.LDAP
	servers *ldapServers
	slots   chan struct{}
}

// namePart is one comparison of the filter with a name: how the value of an attribute has to be.
type namePart struct{ attr, before, after string }

var namePartForm = regexp.MustCompile(`\(([A-Za-z0-9.;-]+)=([^()*]*?)\{name\}([^()*]*)\)`)

// maxName is how many octets a name may have that is asked for.
const maxName = 256

// NewStaff connects to nothing, and nothing is left open between two questions. src is the [ldap.NAME] that cfg names. Errors say what is wrong with the filter or the files of src.
func NewStaff(cfg config.ConsoleLDAP, src config.LDAP, deps Deps) (*Staff, error) {
	if len(cfg.Bases) == 0 {
		cfg.Bases = src.Bases
	}
	for _, f := range []string{cfg.Filter, adAccounts, otherAccounts} {
		if f == "" {
			continue
		}
		if _, err := ldap.CompileFilter(strings.ReplaceAll(f, "{name}", "x")); err != nil {
			return nil, fmt.Errorf("console.ldap.filter: %w", err)
		}
	}
	servers, err := newServers(src, deps.filled())
	if err != nil {
		return nil, err
	}
	return &Staff{cfg: cfg, src: src, servers: servers, slots: make(chan struct{}, maxLookups)}, nil
}

// Find asks for the one who has a name, and for their role. insist asks even servers that did not answer a moment ago. ErrNotStaff
// with the reason, which is for administrators; every other error means that the directory could not be asked.
func (a *Staff) Find(ctx context.Context, name string, insist bool) (StaffMember, error) {
	if !plausibleName(name) {
		return StaffMember{}, fmt.Errorf("%w: the name has characters that no name has", ErrNotStaff)
	}
	var found StaffMember
	err := a.ask(ctx, insist, func(c *ldapConn) (err error) {
		found, err = a.find(ctx, c, name)
		return err
	})
	if err != nil {
		return StaffMember{}, err
	}
	return found, nil
}

// plausibleName keeps out what directories read over when they compare: one account would have many names then.
func plausibleName(s string) bool {
	if s == "" || len(s) > maxName || !utf8.ValidString(s) || s != strings.TrimSpace(s) || strings.Contains(s, "  ") {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsGraphic(r) || r != ' ' && unicode.IsSpace(r) })
}

// ask runs f over a new connection, on another server when one fails. People sign in too seldom for connections to wait for them.
func (a *Staff) ask(ctx context.Context, insist bool, f func(*ldapConn) error) error {
	select {
	case a.slots <- struct{}{}:
		defer func() { <-a.slots }()
	case <-ctx.Done():
		return fmt.Errorf("ldap %s: %d questions wait for the directory: %w", a.src.Name, maxLookups, ctx.Err())
	}
	var errs []error
	for range a.src.URLs {
		c, err := a.servers.connect(ctx, insist)
		if err != nil {
			errs = append(errs, err)
			break
		}
		err = f(c)
		if err == nil || errors.Is(err, ErrNotStaff) {
			c.end()
			return err
		}
		a.servers.done(c, err)
		errs = append(errs, fmt.Errorf("%s: %w", c.url, explainLDAP(err)))
		if ctx.Err() != nil || !isAway(err) {
			break
		}
	}
	return fmt.Errorf("ldap %s: %w", a.src.Name, errors.Join(errs...))
}

// find looks for the account and its role.
func (a *Staff) find(ctx context.Context, c *ldapConn, name string) (StaffMember, error) {
	filter := a.filter(c.root)
	parts := nameParts(filter)
	attrs := []string{"objectClass", "uid"}
	for _, p := range parts {
		attrs = append(attrs, p.attr)
	}
	if a.cfg.RoleAttribute != "" {
		attrs = append(attrs, a.cfg.RoleAttribute)
	}
	hits := map[string]*ldap.Entry{}
	for _, base := range a.cfg.Bases {
		q := ldapQuery{base: base, scope: ldap.ScopeWholeSubtree, filter: strings.ReplaceAll(filter, "{name}", ldap.EscapeFilter(name)), attrs: attrs}
		list, err := c.few(ctx, q)
		if err != nil {
			return StaffMember{}, err
		}
		for _, e := range list {
			hits[dnKey(e.DN)] = e
		}
	}
	if len(hits) != 1 {
		why := "the directory knows nobody of that name"
		if len(hits) > 1 {
			why = "the directory knows several of that name, and none of them is let in"
		}
		return StaffMember{}, fmt.Errorf("%w: %s", ErrNotStaff, why)
	}
	for _, e := range hits {
		found := StaffMember{DN: e.DN, Name: spelt(e, parts, name)}
		if found.Name == "" {
			return StaffMember{}, fmt.Errorf("%w: the directory knows %s, whose name is spelt differently", ErrNotStaff, e.DN)
		}
		var err error
		found.Role, err = a.role(ctx, c, e)
		return found, err
	}
	return StaffMember{}, ErrNotStaff
}

func nameParts(filter string) []namePart {
	var list []namePart
	for _, m := range namePartForm.FindAllStringSubmatch(filter, -1) {
		list = append(list, namePart{attr: m[1], before: m[2], after: m[3]})
	}
	return list
}

// spelt is the name as the directory has it: directories find ä for a and much else, and who is kept waiting after wrong passwords is
// told by the name. "" when only the directory thinks it the same.
func spelt(e *ldap.Entry, parts []namePart, name string) string {
	for _, p := range parts {
		for _, v := range values(e, p.attr) {
			v = strings.TrimSpace(v)
			if len(v) < len(p.before)+len(p.after) {
				continue
			}
			middle := v[len(p.before) : len(v)-len(p.after)]
			if strings.EqualFold(v, p.before+middle+p.after) && strings.EqualFold(middle, name) {
				return middle
			}
		}
	}
	return ""
}

// few is a search for very few entries: more than two are not sent. Referrals are not followed.
func (c *ldapConn) few(ctx context.Context, q ldapQuery) ([]*ldap.Entry, error) {
	var res *ldap.SearchResult
	err := c.do(ctx, func() (err error) {
		res, err = c.Search(ldap.NewSearchRequest(q.base, q.scope, ldap.NeverDerefAliases, 2, 0, false, q.filter, q.attrs, nil))
		return err
	})
	if err != nil && (!ldap.IsErrorWithCode(err, ldap.LDAPResultSizeLimitExceeded) || res == nil || len(res.Entries) < 2) {
		return nil, err
	}
	return res.Entries, nil
}

// Bind tries a password on a connection of its own. With an empty dn it asks for somebody who cannot be there, so that the answer takes
// as long for a name that nobody has. ErrPassword with the reason, which is for administrators; every other error means that the
// directory could not be asked.
func (a *Staff) Bind(ctx context.Context, dn, password string) error {
	if password == "" {
		return fmt.Errorf("%w: it is empty", ErrPassword) // RFC 4513 section 5.1.2: the server would say that all is well
	}
	if dn == "" {
		dn = "cn=" + strings.ToLower(rand.Text()) + "," + a.cfg.Bases[0]
	}
	urls, err := a.servers.candidates(true)
	if err != nil {
		return err
	}
	var errs []error
	for _, u := range urls {
		err := a.bindAt(ctx, u, dn, password)
		if err == nil || errors.Is(err, ErrPassword) {
			a.servers.alive(u)
			return err
		}
		err = fmt.Errorf("%s: %w", u, explainLDAP(err))
		errs = append(errs, err)
		if ctx.Err() != nil || !isAway(err) {
			break
		}
		a.servers.failed(u, err)
	}
	return fmt.Errorf("ldap %s: %w", a.src.Name, errors.Join(errs...))
}

func (a *Staff) bindAt(ctx context.Context, url, dn, password string) error {
	ctx, cancel := context.WithTimeout(ctx, a.src.ConnectTimeout.D())
	defer cancel()
	c, err := a.servers.dial(ctx, url)
	if err != nil {
		return err
	}
	defer c.end()
	err = c.do(ctx, func() error { return c.Conn.Bind(dn, password) })
	if ldap.IsErrorAnyOf(err, refusals...) {
		return fmt.Errorf("%w: %s", ErrPassword, whyNot(err))
	}
	return err
}

// refusals are the answers to a bind that are about the account and its password.
var refusals = []uint16{
	ldap.LDAPResultInvalidCredentials, ldap.LDAPResultInappropriateAuthentication, ldap.LDAPResultUnwillingToPerform, ldap.LDAPResultNoSuchObject,
	ldap.LDAPResultInsufficientAccessRights, ldap.LDAPResultConstraintViolation, ldap.LDAPResultInvalidDNSyntax,
}

func whyNot(err error) string {
	if _, rest, ok := strings.Cut(err.Error(), "data "); ok && len(rest) >= 3 && adReasons[rest[:3]] != "" {
		return adReasons[rest[:3]]
	}
	return err.Error()
}

// eachOnce drops DNs that are there already, and those beyond most.
func eachOnce(list []string, most int) []string {
	var out []string
	seen := map[string]bool{}
	for _, dn := range list {
		if k := dnKey(dn); !seen[k] && len(out) < most {
			seen[k], out = true, append(out, dn)
		}
	}
	return slices.Clip(out)
}
