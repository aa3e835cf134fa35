package front

import (
	"bytes"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pires/go-proxyproto"

	"sekimori/internal/config"
)

var balancer = config.Listener{ProxyProtocolFrom: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32")}}

func proxyV2(t testing.TB, h proxyproto.Header) string {
	t.Helper()
	h.Version = 2
	b, err := h.Format()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func tcpAddr(s string) *net.TCPAddr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(s)) }

func TestProxyHeader(t *testing.T) {
	v2 := func(fam proxyproto.AddressFamilyAndProtocol, src, dst string) string {
		return proxyV2(t, proxyproto.Header{Command: proxyproto.PROXY, TransportProtocol: fam, SourceAddr: tcpAddr(src), DestinationAddr: tcpAddr(dst)})
	}
	for _, tt := range []struct {
		name, header, client string
		listener             config.Listener
		from                 string
	}{
		{name: "v1", header: "PROXY TCP4 192.0.2.7 192.0.2.25 40000 25\r\n", client: "192.0.2.7"},
		{name: "v1 six", header: "PROXY TCP6 2001:db8::7 2001:db8::25 40000 25\r\n", client: "2001:db8::7"},
		{name: "v2", header: v2(proxyproto.TCPv4, "192.0.2.7:4000", "192.0.2.25:25"), client: "192.0.2.7"},
		{name: "v2 six", header: v2(proxyproto.TCPv6, "[2001:db8::7]:4000", "[2001:db8::25]:25"), client: "2001:db8::7"},
		{name: "v2 mapped", header: v2(proxyproto.TCPv6, "[::ffff:192.0.2.7]:4000", "[::ffff:192.0.2.25]:25"), client: "192.0.2.7"},
		{name: "v2 LOCAL is the balancer", header: proxyV2(t, proxyproto.Header{Command: proxyproto.LOCAL, TransportProtocol: proxyproto.UNSPEC}), client: "10.0.0.1"},
		{name: "v1 UNKNOWN", header: "PROXY UNKNOWN\r\n"},
		{name: "v2 UDP", header: "\r\n\r\n\x00\r\nQUIT\n\x21\x12\x00\x0c\xc0\x00\x02\x07\xc0\x00\x02\x19\x0f\xa0\x00\x19"},
		{name: "v2 unspecified", header: v2(proxyproto.TCPv4, "0.0.0.0:4000", "192.0.2.25:25")},
		{name: "missing", header: "EHLO client.example\r\n"},
		{name: "missing, silent", header: ""},
		{name: "half", header: "PROXY TCP4 192.0.2.7"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t).start()
				c := w.dialTo("10.0.0.1", balancer, tt.header)
				if tt.client == "" {
					if l := c.line(); l != "EOF" {
						t.Fatalf("%q", l)
					}
					synctest.Wait()
					if !w.sawRefusal("connection proxy_header") || w.srv.limits.total != 0 {
						t.Error(w.refusals, w.srv.limits.total)
					}
					return
				}
				c.hello()
				if got := w.sessions[0].Client.String(); got != tt.client || w.sessions[0].Early {
					t.Errorf("client %s, early %v", got, w.sessions[0].Early)
				}
			})
		})
	}
}

// TestProxySpoof: from anyone else the header is a bad command, said too early.
func TestProxySpoof(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t).start()
		c := w.dialTo("192.0.2.1", balancer, "PROXY TCP4 10.0.0.2 192.0.2.25 40000 25\r\n")
		c.want("", "220")
		c.want("", "500 5.5.2")
		c.want("EHLO client.example", "250")
		if s := w.sessions[0]; s.Client.String() != "192.0.2.1" || !s.Early {
			t.Errorf("%+v", s)
		}
	})
}

// TestProxyEarly: what a client says right behind the balancer's header is early.
func TestProxyEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t).start()
		c := w.dialTo("10.0.0.1", balancer, "PROXY TCP4 192.0.2.7 192.0.2.25 40000 25\r\nEHLO client.example\r\n")
		c.want("", "220")
		c.want("", "250 ")
		if !w.sessions[0].Early {
			t.Error("not noticed")
		}
	})
}

// TestProxyStalled: a balancer's connection without a header holds up nobody.
func TestProxyStalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t).start()
		begun := time.Now()
		w.dialTo("10.0.0.1", balancer, "")
		w.dialTo("192.0.2.1", balancer, "").hello()
		if time.Since(begun) > time.Second {
			t.Error("held up for", time.Since(begun))
		}
	})
}

func FuzzProxyHeader(f *testing.F) {
	f.Add([]byte("PROXY TCP4 192.0.2.7 192.0.2.25 40000 25\r\nEHLO"))
	f.Add([]byte("PROXY UNKNOWN\r\n"))
	f.Add([]byte(proxyV2(f, proxyproto.Header{Command: proxyproto.PROXY, TransportProtocol: proxyproto.TCPv4, SourceAddr: tcpAddr("192.0.2.7:1"), DestinationAddr: tcpAddr("192.0.2.8:25")})))
	f.Add([]byte(proxyV2(f, proxyproto.Header{Command: proxyproto.LOCAL, TransportProtocol: proxyproto.UNSPEC})))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		p, err := readProxyHeader(r)
		if err != nil {
			return
		}
		if p.client.IsValid() && (p.client.IsUnspecified() || p.client.Is4In6()) {
			t.Errorf("client %v", p.client)
		}
		if !bytes.HasSuffix(b[:len(b)-r.Len()], p.rest) {
			t.Errorf("the rest is not the end of what came: %q", p.rest)
		}
		if !p.client.IsValid() && !strings.HasPrefix(string(b), "\r\n\r\n\x00\r\nQUIT\n\x20") {
			t.Errorf("the balancer itself, by %q", b)
		}
	})
}
