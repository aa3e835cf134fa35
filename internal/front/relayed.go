package front

import (
	"fmt"
	"log/slog"
	"strings"

	"sekimori/internal/config"
	"sekimori/internal/mail"
	"sekimori/internal/mime"
)

// maxHops is how many Received fields of trusted hosts are followed.
const maxHops = 30

// Trust enters into a new session what the configuration says of its client's address: a trusted relay, or one of our own. An
// address that is both is a relay.
func Trust(c *config.SMTP, s *mail.Session) {
	if within(c.TrustedRelays, s.Client) {
		s.Relay, s.KeepRefused = s.Client, !c.TrustedRelaysReject
		return
	}
	s.Trusted = within(c.MyNetworks, s.Client)
}

// findClient tells the gate for whom a trusted relay has handed the message over.
func (w *wire) findClient(tx *transaction) {
	if w.session.Relayed() {
		tx.session = BehindRelay(&w.set.cfg.SMTP, w.session, tx.message)
		tx.judging.Client(tx.session)
	}
}

// BehindRelay returns the session of a trusted relay with the client that the relay's Received field names in its place, and its
// HELO; or with Unknown set. Received fields are read from the top. A field is believed when the host that wrote it is trusted:
// the relay wrote the first one, and as long as a field says that the mail came from another trusted relay, from mynetworks or
// from inside of the same host, the next one was written there. The first other address is the client; what stands below its
// field may be forged and is not read.
func BehindRelay(c *config.SMTP, relay *mail.Session, m *mail.Message) *mail.Session {
	next := *relay
	next.Helo, next.TLS, next.Esmtp, next.Early = "", nil, false, false
	hop, own, why := walk(c, m)
	switch {
	case why != "":
		next.Unknown = why
	default:
		next.Client, next.Port, next.Helo, next.Trusted = hop.Addr, 0, hop.Helo, own
	}
	return &next
}

// walk follows the trusted hops. own says that the mail began in mynetworks.
func walk(c *config.SMTP, m *mail.Message) (client mime.Hop, own bool, why string) {
	var inside mime.Hop // the last hop from mynetworks: below it the mail is our own unless a stranger is found
	writer := ""        // who must have written the next field, where that is known
	n := 0
	for i := range m.Header {
		if !strings.EqualFold(m.Header[i].Name, "Received") {
			continue
		}
		n++
		hop, sort, why := follow(c, m.Header[i].Value, writer)
		switch {
		case n > maxHops:
			return mime.Hop{}, false, "the mail went through too many trusted hosts"
		case why != "" && inside.Addr.IsValid():
			return inside, true, ""
		case why != "":
			return mime.Hop{}, false, fmt.Sprintf("Received field %d %s", n, why)
		case sort == hopClient:
			return hop, false, ""
		case sort == hopInside:
			inside = hop
		}
		writer = ""
		if sort == hopLocal {
			writer = hop.By
		}
	}
	switch {
	case inside.Addr.IsValid():
		return inside, true, ""
	case n == 0:
		return mime.Hop{}, false, "the relay wrote no Received field"
	}
	return mime.Hop{}, false, mail.FromRelay
}

type hopSort int

const (
	hopClient hopSort = iota
	hopRelay          // another relay, or a program beside it, which wrote the next field
	hopLocal          // inside of one host, which wrote the next field as well
	hopInside         // mynetworks
)

// follow reads one field of a trusted host; why is what keeps it from being believed.
func follow(c *config.SMTP, value, writer string) (hop mime.Hop, sort hopSort, why string) {
	hop, err := mime.ParseReceived(value)
	if err != nil {
		return hop, 0, err.Error()
	}
	if writer != "" && hop.By != "" && hop.By != writer {
		return hop, 0, "is not of the host that wrote the one above it"
	}
	switch a := hop.Addr; {
	case a.IsValid() && (within(c.TrustedRelays, a) || a.IsLoopback()):
		return hop, hopRelay, ""
	case hop.Local:
		return hop, hopLocal, ""
	case within(c.MyNetworks, a):
		return hop, hopInside, ""
	case a.IsPrivate(), !a.IsGlobalUnicast():
		return hop, 0, "is from " + a.String() + ", which is neither in trusted_relays nor in mynetworks"
	}
	return hop, hopClient, ""
}

// clientText is who sent it, for the quarantine's list.
func clientText(s *mail.Session) string {
	if s.Unknown != "" {
		return "unknown, by way of " + s.Relay.String()
	}
	return s.Client.String()
}

// clientField names the client and the relay in the header; "" where the client came itself.
func clientField(s *mail.Session) string {
	switch {
	case !s.Relayed():
		return ""
	case s.Unknown != "":
		return fold("X-Sekimori-Client", "unknown ("+plain(s.Unknown, maxValue)+") by way of "+s.Relay.String())
	case s.Helo == "":
		return fold("X-Sekimori-Client", s.Client.String()+" by way of "+s.Relay.String())
	}
	return fold("X-Sekimori-Client", s.Client.String()+" (HELO "+token(s.Helo)+") by way of "+s.Relay.String())
}

func relayAttrs(s *mail.Session) []slog.Attr {
	if !s.Relayed() {
		return nil
	}
	attrs := []slog.Attr{slog.String("relay", s.Relay.String())}
	if s.Unknown != "" {
		attrs = append(attrs, slog.String("client_unknown", s.Unknown))
	}
	return attrs
}
