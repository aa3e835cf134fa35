package filters

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"sekimori/internal/dns"
)

// Timing of what happens beside the mail.
const (
	testEvery   = time.Hour        // while all is well
	retestFirst = 30 * time.Second // after a failure, doubling
	retestMost  = 10 * time.Minute
	// maxSilent is how many look-ups in a row may fail before the list is left out.
	maxSilent = 5
)

// blocklist is one list and what is known of its health. A list that answers what no list should is suspended: it is not
// asked for mails, only tested in the background until it is right again. Its key is in zone, so no name that was asked
// may get into an error or a log.
type blocklist struct {
	listSettings
	dns     dns.Resolver
	warn    func(key, message string)
	woken   chan struct{} // by a suspension
	tested  chan struct{} // closed after the first test: no mail is judged by a list before it
	timeout time.Duration

	mu        sync.Mutex
	suspended string // why; "" while it is asked
	silent    int    // failed look-ups in a row
}

// ask looks an address up.
func (l *blocklist) ask(ctx context.Context, client netip.Addr) listAnswer {
	select {
	case <-l.tested:
	case <-ctx.Done():
		return listAnswer{failed: "timeout"}
	}
	if why := l.state(); why != "" {
		return listAnswer{failed: "suspended: " + why}
	}
	name := dns.ReverseName(client, l.zone)
	codes, why := l.lookup(ctx, name)
	if why != "" {
		return listAnswer{failed: why}
	}
	var best listAnswer
	for _, code := range codes {
		if p, ok := l.points(code); ok && (!best.listed || p > best.points) {
			best = listAnswer{listed: true, points: p, code: code.String()}
		}
	}
	if best.listed && l.text {
		best.text = l.reason(ctx, name)
	}
	return best
}

// lookup asks for one name and keeps account of how the list behaves. why is empty when it answered as a list does: with
// codes in 127/8, or none when it does not have the name.
func (l *blocklist) lookup(ctx context.Context, name string) (codes []netip.Addr, why string) {
	codes, err := l.dns.LookupNetIP(ctx, "ip4", name)
	switch {
	case isNotFound(err):
		l.heard()
		return nil, ""
	case err != nil:
		why = failedWhy(err)
		// What the caller gave up is no failure of the list.
		if !errors.Is(ctx.Err(), context.Canceled) {
			l.unheard(why)
		}
		return nil, why
	}
	l.heard()
	for _, c := range codes {
		if why := wrongCode(c); why != "" {
			l.suspend(why)
			return nil, why
		}
	}
	return codes, ""
}

// wrongCode says what is wrong with an answer that is no listing. Operators use 127.255.255.0/24 to say that the query
// was refused (wrong key, too many, through a public resolver); an answer outside 127/8 comes from a domain that was
// sold, or from a resolver that lies.
func wrongCode(code netip.Addr) string {
	o := code.As4()
	switch {
	case o[0] == 127 && o[1] == 255 && o[2] == 255:
		return "the list refuses our queries (" + code.String() + ")"
	case o[0] != 127:
		return "answers outside 127/8, so it is no list"
	}
	return ""
}

// failedWhy names a failure without the name that was asked.
func failedWhy(err error) string {
	var e *net.DNSError
	switch {
	case errors.As(err, &e) && e.IsTimeout, errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.As(err, &e):
		return e.Err
	}
	return "failed"
}

// reason asks for the text of a listing; a list that has none is no worse.
func (l *blocklist) reason(ctx context.Context, name string) string {
	ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	texts, err := l.dns.LookupTXT(ctx, name)
	if err != nil {
		return ""
	}
	s := strings.Join(texts, "; ")
	if l.key != "" {
		s = strings.ReplaceAll(s, l.key, "***")
	}
	return s[:min(len(s), 200)]
}

func (l *blocklist) state() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.suspended
}

func (l *blocklist) heard() {
	l.mu.Lock()
	l.silent = 0
	l.mu.Unlock()
}

func (l *blocklist) unheard(why string) {
	l.mu.Lock()
	l.silent++
	n := l.silent
	l.mu.Unlock()
	if n >= maxSilent {
		l.suspend("does not answer (" + why + ")")
	}
}

func (l *blocklist) suspend(why string) {
	l.mu.Lock()
	again := l.suspended != ""
	l.suspended = why
	l.mu.Unlock()
	if again {
		return
	}
	l.warn(l.name, "the list "+l.name+" is not asked any more: "+why)
	select {
	case l.woken <- struct{}{}:
	default:
	}
}

func (l *blocklist) resume() {
	l.mu.Lock()
	was := l.suspended
	l.suspended, l.silent = "", 0
	l.mu.Unlock()
	if was != "" {
		l.warn(l.name, "")
	}
}

// watch tests the list at once, hourly, and more often while it is suspended, until ctx ends.
func (l *blocklist) watch(ctx context.Context) {
	pause := retestFirst
	for first := true; ; first = false {
		next := testEvery
		if l.test(ctx) {
			pause = retestFirst
		} else {
			next, pause = pause, min(2*pause, retestMost)
		}
		if first {
			close(l.tested)
		}
		timer := time.NewTimer(next)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		case <-l.woken:
			// By a mail while it was well, or by the test that has just failed: either way wait a little.
			timer.Reset(min(next, retestFirst))
			select {
			case <-ctx.Done():
				return
			case <-timer.C:
			}
		}
	}
}

// test asks for the test points of RFC 5782 section 5: 127.0.0.2 must be listed and 127.0.0.1 must not. A list that does
// as it should is taken back. It reports whether it does.
func (l *blocklist) test(ctx context.Context) bool {
	listed, why := l.testPoint(ctx, netip.AddrFrom4([4]byte{127, 0, 0, 2}))
	if why == "" && !listed && !l.untest {
		why = "its test entry 127.0.0.2 is missing"
		l.suspend(why)
	}
	if why != "" {
		return false
	}
	listed, why = l.testPoint(ctx, netip.AddrFrom4([4]byte{127, 0, 0, 1}))
	if why == "" && listed {
		why = "lists 127.0.0.1, and so perhaps everybody"
		l.suspend(why)
	}
	if why != "" || ctx.Err() != nil {
		return false
	}
	l.resume()
	return true
}

func (l *blocklist) testPoint(ctx context.Context, addr netip.Addr) (listed bool, why string) {
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	codes, why := l.lookup(ctx, dns.ReverseName(addr, l.zone))
	return len(codes) > 0, why
}
