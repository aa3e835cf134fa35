package web

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sekimori/internal/audit"
	"sekimori/internal/config"
	"sekimori/internal/link"
	"sekimori/internal/mail"
	"sekimori/internal/people"
	"sekimori/internal/web/pages"
	"sekimori/internal/web/session"
	"sekimori/quarantine"
	"sekimori/quarantine/acts"
	"sekimori/reputation"
)

// Links checks the links of digests; link.Keys does.
type Links interface {
	Verify(ctx context.Context, token string, now time.Time) (link.Claim, error)
}

// Quarantine is what pages read of the held mail; quarantine.Store does.
type Quarantine interface {
	List(ctx context.Context, q quarantine.Query) (quarantine.Page, error)
	AskReview(ctx context.Context, id, note string) error
	Reviews(ctx context.Context) ([]quarantine.Item, error)
	ListFor(ctx context.Context, who []mail.Address, q quarantine.Query) (quarantine.Page, error)
}

// Acts carries out what people choose; package acts does. It says who may do what with which mail: the pages only offer.
type Acts interface {
	Show(ctx context.Context, a acts.Actor, id string) (acts.Item, error)
	Body(ctx context.Context, a acts.Actor, id string) (mail.Content, func(), error)
	Release(ctx context.Context, a acts.Actor, id string, rcpts []mail.Address, o acts.How) (acts.Receipt, error)
	Delete(ctx context.Context, a acts.Actor, id string, rcpts []mail.Address) (acts.Receipt, error)
	ReportSpam(ctx context.Context, a acts.Actor, id string, rcpts []mail.Address) (acts.Receipt, error)
	Ask(ctx context.Context, a acts.Actor, id, note string) (acts.Receipt, error)
	Undo(ctx context.Context, a acts.Actor, receipt string) (acts.Receipt, error)
	Receipt(ctx context.Context, a acts.Actor, receipt string) (acts.Receipt, error)
	Allows(ctx context.Context, a acts.Actor, rcpts ...mail.Address) ([]reputation.Allow, error)
	Revoke(ctx context.Context, a acts.Actor, id string) error
	Similar(ctx context.Context, a acts.Actor, id string) (acts.Similar, error)
	Preview(ctx context.Context, a acts.Actor, q acts.BulkQuery) (acts.Plan, error)
	Bulk(ctx context.Context, a acts.Actor, plan string) (acts.Receipt, error)
	Progress(ctx context.Context, a acts.Actor, receipt string) (acts.Progress, error)
	Asks(ctx context.Context, a acts.Actor) ([]acts.Question, error)
	Talk(ctx context.Context, a acts.Actor, id string) ([]acts.Asked, *acts.Answered, error)
	Answer(ctx context.Context, a acts.Actor, id, note string) error
}

// AuditLog keeps who did what; audit.Log does.
type AuditLog interface {
	audit.Appender
	Tally(ctx context.Context, e audit.Entry, n int) error
	List(ctx context.Context, q audit.Query) (audit.Page, error)
}

// ListSender sends a person's list by mail, with a link, when the address is that of a person here. It tells nobody whether it
// is: an error means that it could not look or could not send.
type ListSender interface {
	SendListNow(ctx context.Context, a mail.Address) error
}

// Limit charges one unit of a rate that all nodes count together; wait is 0 when it is not exceeded.
type Limit func(ctx context.Context, key string, r config.Rate) (wait time.Duration, err error)

// Options of NewSite. All are needed but Lists, without which no list can be asked for, Choices, without which nothing about
// the digests can be chosen, and SSO.
type Options struct {
	Config     func() *config.Config
	Sessions   *session.Store
	Links      Links
	People     people.Finder
	Quarantine Quarantine
	Acts       Acts
	Audit      AuditLog
	Lists      ListSender
	Choices    Choices
	Limit      Limit
	Logins     Logins
	SSO        SSO // nil: there is none
	Tries      Tries
	Status     *Status
	Log        *slog.Logger
	Now        func() time.Time
	// Opened is told that a person opened the page of a held mail. It does not block; nil: nobody is told.
	Opened func(id, person string)
}

// Counters are for the metrics.
type Counters struct {
	Opened   atomic.Int64 // links that were opened, by whomever
	Machine  atomic.Int64 // of these: by a machine
	Refused  atomic.Int64 // links that were refused: forged, expired, of an unknown key
	Acted    atomic.Int64 // forms that were carried out
	Strange  atomic.Int64 // forms from elsewhere or without a valid nonce
	Failed   atomic.Int64 // failed sign-ins
	Limited  atomic.Int64 // requests over a rate
	SentList atomic.Int64 // lists that were asked for and accepted for sending
}

// Site are the pages for persons and administrators. Safe for concurrent use.
type Site struct {
	o        Options
	pages    *pages.Set
	secure   bool           // the browser comes over TLS
	origin   string         // of public_url; "" when it is not set
	work     sync.WaitGroup // behind answers
	Counters Counters
}

// NewSite makes the pages.
func NewSite(o Options) (*Site, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Site{o: o}
	http := o.Config().HTTP
	s.secure = http.TLSCertFile != ""
	if u, err := url.Parse(http.PublicURL); err == nil && u.Host != "" {
		s.secure, s.origin = u.Scheme == "https", u.Scheme+"://"+u.Host
	}
	var err error
	s.pages, err = pages.New(time.Local)
	return s, err
}

// Handler serves everything on [http].
func (s *Site) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, r := range routes() {
		mux.Handle(r.pattern, s.guard(r))
	}
	mux.HandleFunc(pages.AssetPattern, pages.Assets)
	return s.armour(mux)
}

// client is where a request comes from. Behind a proxy of ours it is the last address of X-Forwarded-For that is not one of our
// proxies; what stands further left anybody can write.
func (s *Site) client(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	addr := ap.Addr().Unmap().WithZone("")
	trusted := s.o.Config().HTTP.TrustedProxies
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && contains(trusted, addr); i-- {
		hop := strings.TrimSpace(hops[i])
		next, err := netip.ParseAddr(hop)
		if err != nil {
			ap, apErr := netip.ParseAddrPort(hop)
			if apErr != nil {
				break
			}
			next = ap.Addr()
		}
		addr = next.Unmap().WithZone("")
	}
	return addr
}

func contains(list []netip.Prefix, a netip.Addr) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// network is what a rate counts together: an address, of IPv6 the /64 that one client has.
func network(a netip.Addr) string {
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.String()
		}
	}
	return a.String()
}

// actor is who acts in a session. A person acts for the addresses that are his now, not for those he had when he signed in.
func (s *Site) actor(r *http.Request, n session.Session) acts.Actor {
	a := acts.Actor{Name: n.Name, Role: acts.Role(n.Role), Peer: s.client(r), Via: "web"}
	if n.Via == "link" {
		a.Via = "link"
	}
	if n.Kind != session.Person {
		return a
	}
	a.Role, a.Addresses = acts.Person, []mail.Address{n.Person}
	if p, ok := s.o.People.Person(r.Context(), n.Person); ok {
		a.Addresses = p.All()
		if p.Address != n.Person {
			a.Addresses = append(a.Addresses, n.Person)
		}
	}
	return a
}

// Close waits for what still runs behind answers.
func (s *Site) Close() { s.work.Wait() }
