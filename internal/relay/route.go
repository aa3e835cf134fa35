package relay

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"sekimori/internal/config"
	"sekimori/internal/mail"
)

// set is the backends that one recipient's mail may go to. Equal sets are the same pointer.
type set struct {
	key     string
	members []member // by priority, the lowest number first
	// deferring says that mail is left with its senders while no member lives (on_backend_down).
	deferring bool
}

type member struct {
	b        backend
	priority int
	weight   int
}

// order returns the members as they are to be tried: by priority, then at random by weight. Dead ones are left out.
func (s *set) order(random func() float64) []backend {
	var list []backend
	for i := 0; i < len(s.members); {
		end := i
		var alive []member
		for end < len(s.members) && s.members[end].priority == s.members[i].priority {
			if m := s.members[end]; !m.b.health().isOpen() {
				alive = append(alive, m)
			}
			end++
		}
		for len(alive) > 0 {
			k := pick(alive, random)
			list = append(list, alive[k].b)
			alive = slices.Delete(alive, k, k+1)
		}
		i = end
	}
	return list
}

func pick(members []member, random func() float64) int {
	if len(members) == 1 {
		return 0
	}
	sum := 0
	for _, m := range members {
		sum += m.weight
	}
	at := int(random() * float64(sum))
	for i, m := range members {
		if at -= m.weight; at < 0 {
			return i
		}
	}
	return len(members) - 1
}

// alive reports whether a backend of the set is worth asking.
func (s *set) alive() bool { return s.aliveBeside("") }

// aliveBeside is alive without the backend of that name.
func (s *set) aliveBeside(name string) bool {
	for _, m := range s.members {
		if !m.b.health().isOpen() && m.b.name() != name {
			return true
		}
	}
	return false
}

// router knows which set a recipient belongs to.
type router struct {
	domains map[string]*domainRoute
	first   *set // for the bare postmaster, who has no domain
	nowhere *set // for domains that are not ours any more

	outbound *set      // of [bounce]; nowhere without it
	journal  *set      // of the archive; nil: by its address
	inbound  []backend // those that take mail for our domains
}

type domainRoute struct {
	set    *set
	exact  map[string]*set // local parts in lower case
	routes []wildRoute
	tags   string // each character separates a tag from the user
}

type wildRoute struct {
	pattern string // of the local part, lower case, with *
	set     *set
}

func (r *router) of(a mail.Address) *set {
	if a.Domain == "" {
		if r.first != nil {
			return r.first
		}
		return r.nowhere
	}
	d := r.domains[strings.ToLower(a.Domain)]
	if d == nil {
		return r.nowhere
	}
	if len(d.exact) == 0 && len(d.routes) == 0 {
		return d.set
	}
	names := d.names(strings.ToLower(a.Local))
	for _, local := range names {
		if s := d.exact[local]; s != nil {
			return s
		}
	}
	for _, local := range names {
		for _, w := range d.routes {
			if matchWild(w.pattern, local) {
				return w.set
			}
		}
	}
	return d.set
}

// names are the local part and, with subaddressing, what is left of it without a tag, the longest first: a tag does not lead mail
// away from where its user's mail goes.
func (d *domainRoute) names(local string) []string {
	list := []string{local}
	for i := len(local) - 1; i > 0 && len(list) < 5; i-- {
		if strings.IndexByte(d.tags, local[i]) >= 0 {
			list = append(list, local[:i])
		}
	}
	return list
}

// matchWild reports whether s is the pattern, in which * stands for any characters, none included.
func matchWild(pattern, s string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == s
	}
	s, ok := strings.CutPrefix(s, parts[0])
	if !ok {
		return false
	}
	for _, p := range parts[1 : len(parts)-1] {
		i := strings.Index(s, p)
		if i < 0 {
			return false
		}
		s = s[i+len(p):]
	}
	return strings.HasSuffix(s, parts[len(parts)-1])
}

// builder makes the router: backends that are the same server share one pool and one breaker, whatever domains name them.
type builder struct {
	r        *Relay
	c        *config.Config
	old      *routes // nil at the start
	backends map[string]backend
	sets     map[string]*set
	list     []backend
	made     []making // as list
}

// buildRouter makes what a configuration describes, of what there is already where that is the same.
func (r *Relay) buildRouter(c *config.Config) (*routes, error) {
	b := &builder{r: r, c: c, old: r.routes.Load(), backends: map[string]backend{}, sets: map[string]*set{}}
	rt, err := b.router(c)
	if err != nil {
		return nil, err
	}
	t := &routes{cfg: c, router: rt, backends: b.list, made: b.made, limit: concurrency(c)}
	if t.sameWays(b.old) {
		t.router = b.old.router
	}
	return t, nil
}

func (b *builder) router(c *config.Config) (*router, error) {
	rt := &router{domains: map[string]*domainRoute{}, nowhere: &set{key: "nowhere"}}
	for i := range c.Domains {
		d := &c.Domains[i]
		s, err := b.set(d.Backends, d.OnBackendDown == "defer")
		if err != nil {
			return nil, err
		}
		if rt.first == nil {
			rt.first = s
		}
		for _, name := range d.Names {
			rt.domains[strings.ToLower(name)] = &domainRoute{set: s, exact: map[string]*set{}, tags: d.Subaddress}
		}
		if err := b.routes(rt, d); err != nil {
			return nil, err
		}
	}
	rt.inbound = slices.Clone(b.list)
	if err := b.lanes(rt, c); err != nil {
		return nil, err
	}
	return rt, nil
}

func (b *builder) routes(rt *router, d *config.Domain) error {
	for _, route := range d.Routes {
		s, err := b.set(route.Backends, d.OnBackendDown == "defer")
		if err != nil {
			return err
		}
		for _, match := range route.Match {
			local, domain, found := strings.Cut(strings.ToLower(match), "@")
			names := []string{domain}
			if !found {
				names = d.Names
			}
			for _, name := range names {
				to := rt.domains[strings.ToLower(name)]
				if to == nil {
					return fmt.Errorf("route %q: %q is not one of the domains", match, name)
				}
				to.add(local, s)
			}
		}
	}
	return nil
}

func (d *domainRoute) add(local string, s *set) {
	if !strings.Contains(local, "*") {
		if d.exact[local] == nil {
			d.exact[local] = s
		}
		return
	}
	d.routes = append(d.routes, wildRoute{local, s})
}

func (b *builder) set(list []config.Backend, deferring bool) (*set, error) {
	s := &set{deferring: deferring}
	for _, c := range list {
		be, err := b.backend(c)
		if err != nil {
			return nil, err
		}
		s.members = append(s.members, member{be, c.Priority, max(c.Weight, 1)})
	}
	slices.SortStableFunc(s.members, func(a, b member) int { return a.priority - b.priority })
	var key strings.Builder
	for _, m := range s.members {
		key.WriteString(strconv.Itoa(slices.Index(b.list, m.b)) + "/" + strconv.Itoa(m.priority) + "/" + strconv.Itoa(m.weight) + " ")
	}
	if deferring {
		key.WriteString("defer")
	}
	s.key = key.String()
	if old := b.sets[s.key]; old != nil {
		return old, nil
	}
	b.sets[s.key] = s
	return s, nil
}

func (b *builder) backend(c config.Backend) (backend, error) {
	secret := sha256.Sum256([]byte(c.Auth.Password)) // which shows itself as ***
	key := fmt.Sprintf("%s %+v %+v %x %s %v", c.URL, c.TLS, c.Auth, secret[:8], c.Client, c.Chunking)
	if be := b.backends[key]; be != nil {
		return be, nil
	}
	m, err := makingOf(b.c, c)
	if err != nil {
		return nil, err
	}
	be := b.old.find(m)
	if be == nil {
		if be, err = b.r.makeBackend(b.c, c); err != nil {
			return nil, err
		}
	}
	b.backends[key] = be
	b.list, b.made = append(b.list, be), append(b.made, m)
	return be, nil
}
