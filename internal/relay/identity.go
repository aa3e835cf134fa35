package relay

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"sekimori/internal/mail"
)

// attributes is a set of what XCLIENT and XFORWARD can name (https://www.postfix.org/XCLIENT_README.html).
type attributes uint8

const (
	attrName attributes = 1 << iota
	attrAddr
	attrPort
	attrProto
	attrHelo
)

var attributeNames = [...]string{"NAME", "ADDR", "PORT", "PROTO", "HELO"}

func attributesOf(arg []byte) attributes {
	var set attributes
	for word := range bytes.FieldsSeq(arg) {
		for i, name := range attributeNames {
			if strings.EqualFold(string(word), name) {
				set |= 1 << i
			}
		}
	}
	return set
}

// clientMode is how a backend is told who the client is.
type clientMode uint8

const (
	tellNobody   clientMode = iota
	tellXclient             // the backend then acts as if the client had connected itself
	tellXforward            // for the backend's log only
	tellProxy               // the PROXY header, version 2: a connection belongs to one client
	tellProxyV1
)

func clientModeOf(s string) clientMode {
	return map[string]clientMode{"xclient": tellXclient, "xforward": tellXforward, "proxy": tellProxy, "proxy-v1": tellProxyV1}[s]
}

// perClient reports whether a connection can serve one client only.
func (m clientMode) perClient() bool { return m == tellProxy || m == tellProxyV1 }

// attributeLine writes a command with the attributes that the server knows. The values are xtext (RFC 3461 section 4), so nothing that
// a client says can become a command.
func attributeLine(verb string, set attributes, c mail.Client) string {
	var b strings.Builder
	b.WriteString(verb)
	add := func(a attributes, name, value string) {
		if set&a != 0 {
			b.WriteString(" " + name + "=" + xtext(value))
		}
	}
	add(attrName, "NAME", orWord(c.Name, "[UNAVAILABLE]"))
	addr := "[UNAVAILABLE]"
	if c.Addr.IsValid() {
		if addr = c.Addr.String(); c.Addr.Is6() {
			addr = "IPV6:" + addr
		}
	}
	add(attrAddr, "ADDR", addr)
	if c.Port != 0 {
		add(attrPort, "PORT", fmt.Sprint(c.Port))
	}
	proto := "SMTP"
	if c.Esmtp {
		proto = "ESMTP"
	}
	add(attrProto, "PROTO", proto)
	add(attrHelo, "HELO", orWord(c.Helo, "[UNAVAILABLE]"))
	return b.String()
}

// xtext encodes what is not printable ASCII, and + and =; more than a name can be long is cut off.
func xtext(s string) string {
	var b strings.Builder
	for i := 0; i < len(s) && i < 255; i++ {
		if c := s[i]; c <= ' ' || c > '~' || c == '+' || c == '=' {
			fmt.Fprintf(&b, "+%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// helloName is what is said in the EHLO behind XCLIENT: what the client said, when that can stand in a command.
func helloName(c mail.Client, own string) string {
	for i := 0; i < len(c.Helo); i++ {
		if b := c.Helo[i]; b <= ' ' || b > '~' {
			return own
		}
	}
	if c.Helo == "" || len(c.Helo) > 255 {
		return own
	}
	return c.Helo
}

var errOtherClient = errors.New("the connection is another client's")

// introduce tells the server who the client of the next mail is, when that is another than it was told. XCLIENT starts the session
// anew: a banner, EHLO, and the login again.
func (c *client) introduce(who mail.Client) error {
	if c.b == nil || c.b.tell != tellXclient || who == c.told {
		return nil
	}
	if who.IsZero() || c.bound() {
		return errOtherClient // it cannot be taken back: see smtpBackend.send
	}
	if c.caps.xclient&attrAddr == 0 {
		c.b.lacks("XCLIENT", c)
		return nil
	}
	if c.dirty { // XCLIENT is refused within a transaction
		if err := c.command("RSET", "RSET", nil); err != nil {
			return err
		}
		c.dirty = false
	}
	if err := c.command("XCLIENT", attributeLine("XCLIENT", c.caps.xclient, who), nil); err != nil {
		return err
	}
	c.told = who
	if err := c.hello(helloName(who, c.b.hello)); err != nil {
		return err
	}
	if a := c.b.auth.Load(); a != nil && c.caps.auth != 0 {
		return c.again(a)
	}
	return nil
}

// bound reports whether the connection can serve no other client: the PROXY header stands in front of all, and Postfix does not offer
// XCLIENT again to the client that it was told of.
func (c *client) bound() bool {
	if c.b == nil {
		return false
	}
	return c.b.tell.perClient() || c.b.tell == tellXclient && !c.told.IsZero() && c.caps.xclient&attrAddr == 0
}

// serves reports whether a mail of the client may go by this connection.
func (c *client) serves(who mail.Client) bool {
	switch {
	case !c.bound():
		return true
	case c.b.tell.perClient():
		return c.told.Addr == who.Addr
	}
	return c.told == who
}

// again logs in behind XCLIENT. A server that kept the first login says 503.
func (c *client) again(a *authenticator) error {
	err := c.authenticate(a)
	var step *stepError
	if errors.As(err, &step) && step.reply.code == 503 {
		return nil
	}
	return err
}

// proxyHeader is what stands in front of everything on a connection to a backend that wants it
// (https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt). Without a client it says that the connection is our own.
func proxyHeader(mode clientMode, who mail.Client, to netip.AddrPort) []byte {
	from := netip.AddrPortFrom(who.Addr, who.Port)
	known := who.Addr.IsValid() && to.IsValid()
	four := known && who.Addr.Is4() && to.Addr().Unmap().Is4()
	if mode == tellProxyV1 {
		if !known {
			return []byte("PROXY UNKNOWN\r\n")
		}
		family := "TCP6"
		src, dst := netip.AddrFrom16(from.Addr().As16()).String(), netip.AddrFrom16(to.Addr().As16()).String()
		if four {
			family, src, dst = "TCP4", from.Addr().String(), to.Addr().Unmap().String()
		}
		return fmt.Appendf(nil, "PROXY %s %s %s %d %d\r\n", family, src, dst, from.Port(), to.Port())
	}
	h := []byte("\r\n\r\n\x00\r\nQUIT\n")
	switch {
	case !known:
		return append(h, 0x20, 0x00, 0, 0) // LOCAL
	case four:
		h = append(h, 0x21, 0x11, 0, 12)
		a, b := from.Addr().As4(), to.Addr().Unmap().As4()
		h = append(append(h, a[:]...), b[:]...)
	default:
		h = append(h, 0x21, 0x21, 0, 36)
		a, b := from.Addr().As16(), to.Addr().As16()
		h = append(append(h, a[:]...), b[:]...)
	}
	h = binary.BigEndian.AppendUint16(h, from.Port())
	return binary.BigEndian.AppendUint16(h, to.Port())
}

// lacks tells the administrator, once, of something that the configuration wants and the backend does not offer. A connection from
// before it was last offered says nothing about today.
func (b *smtpBackend) lacks(what string, c *client) {
	if c.since.UnixNano() < b.offered.Load() || b.lacking.Swap(true) {
		return
	}
	b.warn("backend "+b.name()+" "+what, "does not offer "+what+" to us, so it is not told who the client is; "+
		"Postfix: smtpd_authorized_xclient_hosts or smtpd_authorized_xforward_hosts must name this machine")
}

// has ends the warning of lacks when a connection that was made at the time given offers the thing.
func (b *smtpBackend) has(k caps, made time.Time) {
	what := ""
	switch {
	case b.tell == tellXclient && k.xclient&attrAddr != 0:
		what = "XCLIENT"
	case b.tell == tellXforward && k.xforward != 0:
		what = "XFORWARD"
	default:
		return
	}
	b.offered.Store(made.UnixNano())
	if b.lacking.Swap(false) {
		b.warn("backend "+b.name()+" "+what, "")
	}
}
