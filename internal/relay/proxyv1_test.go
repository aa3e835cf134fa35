package relay

import (
	"context"
	"net"
	"testing"

	"sekimori/internal/config"
)

// local is a connection that says where it comes from.
type local struct{ net.Conn }

func (local) LocalAddr() net.Addr  { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 200), Port: 40000} }
func (local) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 25} }

// TestProxyV1Probe: Postfix ends a connection on which the header says UNKNOWN, so a probe and a mail without a client name us. A
// client's mail never goes by such a connection.
func TestProxyV1Probe(t *testing.T) {
	s := &fakeServer{ehlo: pipelining, proxy: true}
	run(t, []*fakeServer{s}, func(w *world) {
		w.restart(func(b *config.Backend) { b.Client = "proxy-v1" })
		be := w.relay.backends()[0].(*smtpBackend)
		be.pool.flush()
		be.dialer.dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
			nc, err := s.dial(ctx)
			return local{nc}, err
		}
		s.set(func() { s.headers = nil })
		if err := be.probe(context.Background()); err != nil {
			t.Fatal(err)
		}
		w.want("own mail", w.deliver("m", "x@example.jp"), "delivered")
		w.want("a client's mail", w.from("n", clientA, "x@example.jp"), "delivered")
		s.set(func() {
			if len(s.headers) != 2 || s.headers[0] != "PROXY TCP4 192.0.2.200 192.0.2.1 40000 25" || s.headers[1] != "PROXY TCP4 198.51.100.7 192.0.2.1 4711 25" {
				t.Errorf("%q", s.headers)
			}
		})
		w.wantInt("mails", len(s.got()), 2)
	})
}
