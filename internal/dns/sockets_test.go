package dns

import (
	"net/netip"
	"testing"
)

func TestSocketsAreSharedOnLoopbackOnly(t *testing.T) {
	for addr, again := range map[string]bool{"127.0.0.1:5353": true, "[::ffff:127.0.0.1]:5353": true, "192.0.2.53:53": false} {
		s := newSockets(netip.MustParseAddrPort(addr))
		c, err := s.take(t.Context())
		if err != nil {
			t.Logf("no route to %s: %v", addr, err)
			continue
		}
		s.give(c, true)
		d, err := s.take(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if (c == d) != again {
			t.Errorf("%s: used again %v, want %v", addr, c == d, again)
		}
		s.give(d, false)
		if e, err := s.take(t.Context()); err != nil || e == d {
			t.Errorf("%s: a socket that did not hear its answer came back (%v)", addr, err)
		} else {
			s.give(e, true)
		}
		s.close()
	}
}
