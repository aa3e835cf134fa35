package dns

import (
	"context"
	"errors"
	"math"
	"net"
	"os"
	"syscall"
	"time"

	miekg "github.com/miekg/dns"
)

const (
	// maxChain bounds how many CNAME records are followed for one question; real chains have two or three.
	maxChain = 10
	maxTries = 3
)

// errLame is for an answer that is none: neither records nor "there are none", from a server that does not resolve.
var errLame = errors.New("the server does not resolve")

// tries is how many servers are asked for one question; a single one is asked twice, for a packet may be lost.
func (r *resolver) tries() int { return min(max(len(r.servers), 2), maxTries) }

// resolve asks the servers and follows aliases that they left to us. It says how long the result may be kept; zero is
// not at all. The error is a bare *net.DNSError.
func (r *resolver) resolve(ctx context.Context, q question) (*answer, time.Duration, error) {
	a, name := &answer{}, q.name
	ttl := uint32(math.MaxUint32)
	for range maxChain {
		msg, err := r.overServers(ctx, question{name, q.qtype})
		if err != nil {
			return nil, keepFailure, err
		}
		next := collect(a, msg, canonical(name), q.qtype, &ttl)
		switch {
		case !a.empty():
			return a, min(time.Duration(ttl)*time.Second, maxPositive), nil
		case next == "" || msg.Rcode == miekg.RcodeNameError:
			return nil, negativeTTL(msg, ttl), notFound(q.name)
		}
		name = next
	}
	return nil, keepFailure, temporary(q.name, "too many aliases")
}

// collect reads the answer section from name on: records of the type go into a, aliases are followed, whatever belongs to
// other names is passed over. ttl becomes the smallest on the way. It returns the alias at which the section ends, or "".
func collect(a *answer, msg *miekg.Msg, name string, qtype uint16, ttl *uint32) string {
	alias := ""
	for range maxChain {
		next := ""
		for _, rr := range msg.Answer {
			h := rr.Header()
			if h.Rrtype != qtype && h.Rrtype != miekg.TypeCNAME || h.Class != miekg.ClassINET || canonical(h.Name) != name {
				continue
			}
			if c, ok := rr.(*miekg.CNAME); ok {
				next = canonical(c.Target)
			} else {
				a.add(rr)
			}
			*ttl = min(*ttl, sane(h.Ttl))
		}
		if !a.empty() {
			return ""
		}
		if next == "" {
			return alias
		}
		name, alias = next, next
	}
	return alias
}

// sane reads a TTL with the top bit set as zero (RFC 2181 section 8).
func sane(ttl uint32) uint32 {
	if ttl > math.MaxInt32 {
		return 0
	}
	return ttl
}

// negativeTTL is how long "there is none" holds: the smaller of the SOA's TTL and its MINIMUM (RFC 2308 section 5), and
// of the aliases that led there; without an SOA it is not kept.
func negativeTTL(msg *miekg.Msg, ttl uint32) time.Duration {
	for _, rr := range msg.Ns {
		if soa, ok := rr.(*miekg.SOA); ok {
			ttl = min(ttl, sane(soa.Hdr.Ttl), sane(soa.Minttl))
			return min(time.Duration(ttl)*time.Second, maxNegative)
		}
	}
	return 0
}

// overServers asks one server after the other until one has an answer: NOERROR or NXDOMAIN.
func (r *resolver) overServers(ctx context.Context, q question) (*miekg.Msg, error) {
	fail := temporary(q.name, "no DNS server answers")
	asked := 0
	for i := 0; asked < r.tries() && i < 2*len(r.servers); i++ {
		s := r.servers[i%len(r.servers)]
		if ctx.Err() != nil || s.isDown() {
			continue
		}
		// A server that answered badly once will do so again; only silence is worth a second packet.
		if i >= len(r.servers) && !fail.IsTimeout {
			break
		}
		asked++
		msg, err := r.exchange(ctx, s, q)
		if err == nil {
			return msg, nil
		}
		fail = failure(q.name, err)
	}
	if err := r.ctx.Err(); err != nil {
		return nil, temporary(q.name, "the resolver is closed")
	}
	return nil, fail
}

// rcodeError is an answer that says that the server could not tell.
type rcodeError int

func (e rcodeError) Error() string { return "server answered " + miekg.RcodeToString[int(e)] }

func failure(name string, err error) *net.DNSError {
	var rcode rcodeError
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return timeout(name, "time is up")
	case errors.As(err, &rcode) && int(rcode) == miekg.RcodeServerFailure:
		return temporary(name, "server failure")
	case errors.As(err, &rcode), errors.Is(err, errLame), errors.Is(err, errForged):
		return temporary(name, err.Error())
	}
	return temporary(name, "server cannot be reached")
}

// exchange asks one server: over UDP, and over TCP when the answer did not fit; once more without EDNS when the server
// does not know it.
func (r *resolver) exchange(ctx context.Context, s *server, q question) (*miekg.Msg, error) {
	msg, err := r.once(ctx, s, q, true)
	if err == nil && (msg.Rcode == miekg.RcodeFormatError || msg.Rcode == miekg.RcodeNotImplemented) {
		msg, err = r.once(ctx, s, q, false)
	}
	switch {
	case err != nil:
		return nil, err
	case msg.Rcode != miekg.RcodeSuccess && msg.Rcode != miekg.RcodeNameError:
		return nil, rcodeError(msg.Rcode)
	case msg.Rcode == miekg.RcodeSuccess && len(msg.Answer) == 0 && !msg.RecursionAvailable && !msg.Authoritative:
		return nil, errLame
	}
	return msg, nil
}

func (r *resolver) once(ctx context.Context, s *server, q question, edns bool) (*miekg.Msg, error) {
	query, err := newQuery(q, edns)
	if err != nil {
		return nil, err
	}
	sent := time.Now()
	raw, err := query.udp(ctx, s.sockets, r.o.Timeout, func() { r.suspect(s, sent) })
	if err != nil {
		if errors.Is(err, syscall.ECONNREFUSED) {
			r.refused(s)
		}
		return nil, err
	}
	s.heard()
	if truncated(raw) {
		if raw, err = query.tcp(ctx, s.addr, r.o.Timeout); err != nil {
			return nil, err
		}
	}
	var msg miekg.Msg
	// Unpack takes a message that ends early for a whole one: the counts tell.
	if err := msg.Unpack(raw); err != nil || len(msg.Answer) != int(raw[6])<<8+int(raw[7]) {
		return nil, errForged
	}
	return &msg, nil
}
