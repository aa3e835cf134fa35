package front

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/netip"

	"github.com/pires/go-proxyproto"
)

// Reasons why a balancer's header is refused.
var (
	errProxyMissing = errors.New("no PROXY header from a listed balancer")
	errProxyUnknown = errors.New("the PROXY header names no client")
)

// proxied is what a PROXY header says.
type proxied struct {
	client netip.Addr // the zero Addr: the balancer itself speaks (LOCAL of version 2, a health check)
	port   uint16     // the client's
	local  netip.AddrPort
	rest   []byte // octets behind the header that were already read
}

// readProxyHeader reads a PROXY header, version 1 or 2. The caller has set a read deadline. A header is required; one that
// names no client (UNKNOWN, unix sockets, UDP) is refused, because the checks would judge the balancer in its place.
func readProxyHeader(r io.Reader) (proxied, error) {
	br := bufio.NewReaderSize(r, 512)
	h, err := proxyproto.Read(br)
	if err != nil {
		return proxied{}, errors.Join(errProxyMissing, err)
	}
	p := proxied{rest: buffered(br)}
	if h.Command.IsLocal() {
		if h.Version != 2 {
			return proxied{}, errProxyUnknown
		}
		return p, nil
	}
	src, ok := h.SourceAddr.(*net.TCPAddr)
	if !ok || src == nil {
		return proxied{}, errProxyUnknown
	}
	addr, ok := netip.AddrFromSlice(src.IP)
	if !ok || addr.IsUnspecified() {
		return proxied{}, errProxyUnknown
	}
	p.client, p.port = addr.Unmap(), uint16(src.Port)
	if dst, ok := h.DestinationAddr.(*net.TCPAddr); ok && dst != nil {
		ap := dst.AddrPort()
		p.local = netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return p, nil
}

func buffered(br *bufio.Reader) []byte {
	n := br.Buffered()
	if n == 0 {
		return nil
	}
	rest := make([]byte, n)
	_, _ = io.ReadFull(br, rest)
	return rest
}
