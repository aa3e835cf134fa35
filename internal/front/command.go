package front

import (
	"fmt"
	"net/netip"
	"strings"

	"sekimori/internal/mail"
)

const (
	maxJunk    = 100  // commands that lead nowhere (NOOP, RSET, EHLO, VRFY) since the last mail
	maxSurplus = 1000 // recipients answered 4xx on one connection
)

// tally counts what a client must not do without end.
type tally struct {
	errors  int // bad commands
	junk    int
	failed  int // recipients refused for good
	surplus int // recipients refused for now
}

// next reads commands until one is for go-smtp, which is returned; nil ends the connection.
func (w *wire) next() []byte {
	for !w.dead {
		if w.closing {
			w.flush()
			w.dead = true
			return nil
		}
		line, err := w.readLine()
		if err != nil {
			return nil
		}
		if pass := w.command(line); pass != "" {
			return []byte(pass + "\r\n")
		}
		if len(w.out) > outputSize {
			w.flush()
		}
	}
	return nil
}

// command answers a command here, or returns what go-smtp is to be given for it.
func (w *wire) command(line string) string {
	if line == "" {
		return ""
	}
	verb, arg, _ := strings.Cut(line, " ")
	arg = strings.TrimSpace(arg)
	w.verb, w.override = strings.ToUpper(verb), ""
	switch w.verb {
	case "HELO", "EHLO":
		return w.hello(arg)
	case "MAIL":
		return w.mailFrom(line, arg)
	case "RCPT":
		return w.rcptTo(line, arg)
	case "DATA":
		return w.data(arg)
	case "BDAT":
		return w.bdat(arg)
	case "NOOP":
		return w.idleCommand("NOOP")
	case "VRFY":
		return w.idleCommand("VRFY x")
	case "RSET":
		if arg != "" {
			w.bad(mail.Permanent(501, 5, 4, "RSET takes no argument"))
			return ""
		}
		return w.idleCommand("RSET")
	case "QUIT":
		w.closing, w.polite = true, true
		w.out = append(w.out, "221 2.0.0 "+w.set.cfg.Hostname+" closing the connection\r\n"...)
		return ""
	case "STARTTLS":
		return w.startTLS(arg)
	case "HELP", "EXPN", "AUTH", "TURN", "ETRN", "SEND", "SOML", "SAML", "LHLO", "XCLIENT", "XFORWARD":
		w.bad(mail.Permanent(502, 5, 1, "the command is not offered"))
	default:
		w.bad(mail.Permanent(500, 5, 2, "the command is not known"))
	}
	return ""
}

// bad refuses a command that the client should not have given.
func (w *wire) bad(r mail.Reply) {
	w.say(r)
	w.countError()
}

func (w *wire) countError() {
	if w.tally.errors++; w.set.cfg.SMTP.MaxErrors > 0 && w.tally.errors > w.set.cfg.SMTP.MaxErrors {
		w.hangUp("too many errors", "errors")
	}
}

// hangUp says 421 and closes after it.
func (w *wire) hangUp(text, why string) {
	if w.closing {
		return
	}
	r := mail.Transient(421, 7, 0, text)
	w.say(r)
	w.closing = true
	w.refused(why, r)
	w.srv.log.Info("connection closed", "id", w.id, "client", w.session.Client.String(), "why", why)
}

// idleCommand passes on a command that leads nowhere, a limited number of times.
func (w *wire) idleCommand(pass string) string {
	if w.tally.junk++; w.tally.junk > maxJunk {
		w.hangUp("too many commands without a mail", "flood")
		return ""
	}
	return pass
}

// hello is HELO and EHLO. go-smtp is told, so that it clears its state; the answer is ours.
func (w *wire) hello(arg string) string {
	if !validHelo(arg) {
		w.bad(mail.Permanent(501, 5, 4, "a host name or an address literal is required"))
		return ""
	}
	pass := w.idleCommand(w.verb + " " + arg)
	if pass == "" {
		return ""
	}
	w.abandon(w.verb)
	next := *w.session
	next.Helo, next.Esmtp, next.Early = arg, w.verb == "EHLO", w.early
	w.session, w.greeted = &next, true
	w.visit.Helo(&next)
	w.override = w.greeting(arg)
	return pass
}

func (w *wire) greeting(helo string) string {
	host := w.set.cfg.Hostname
	if !w.session.Esmtp {
		return "250 " + host + "\r\n"
	}
	caps := []string{host + " greets " + helo, "PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "CHUNKING"}
	if w.set.certs != nil && w.session.TLS == nil {
		caps = append(caps, "STARTTLS")
	}
	if w.srv.opts.Relay.UTF8() {
		caps = append(caps, "SMTPUTF8")
	}
	caps = append(caps, fmt.Sprintf("SIZE %d", w.set.cfg.SMTP.MaxMessageSize))
	var b strings.Builder
	for i, c := range caps {
		sep := "-"
		if i == len(caps)-1 {
			sep = " "
		}
		b.WriteString("250" + sep + c + "\r\n")
	}
	return b.String()
}

// validHelo is Domain or address-literal of RFC 5321 section 4.1.1.1, with the single labels and underscores that hosts
// have in practice.
func validHelo(arg string) bool {
	if in, ok := strings.CutPrefix(arg, "["); ok {
		in, ok = strings.CutSuffix(in, "]")
		six := len(in) > 5 && strings.EqualFold(in[:5], "IPv6:")
		if six {
			in = in[5:]
		}
		a, err := netip.ParseAddr(in)
		return ok && err == nil && a.Zone() == "" && a.Is6() == six
	}
	return mail.IsHostname(arg)
}

func (w *wire) mailFrom(line, arg string) string {
	switch {
	case !w.greeted:
		w.bad(mail.Permanent(503, 5, 1, "say EHLO or HELO first"))
	case w.tx != nil:
		w.bad(mail.Permanent(503, 5, 1, "a transaction is already open"))
	case strings.Contains(arg, `"`):
		w.bad(mail.Permanent(553, 1, 7, "quoted local parts are not accepted"))
	default:
		return line
	}
	return ""
}

func (w *wire) rcptTo(line, arg string) string {
	switch {
	case w.tx == nil:
		w.bad(mail.Permanent(503, 5, 1, "MAIL comes before RCPT"))
	case w.tx.chunks:
		w.bad(mail.Permanent(503, 5, 1, "the message has begun"))
	case strings.Contains(arg, `"`):
		// go-smtp would hand over the local part without its quotes: another address.
		w.refuseRcpt(arg, mail.Permanent(553, 1, 3, "quoted local parts are not accepted"), "address")
	case strings.Contains(arg, "<@"):
		w.refuseRcpt(arg, mail.Permanent(553, 1, 3, "source routes are not accepted"), "address")
	default:
		w.tx.bare = false
		if rest, ok := barePostmaster(arg); ok {
			w.tx.bare = true
			return "RCPT TO:<postmaster@" + w.set.rcpts.First(w.set.cfg.Hostname) + ">" + rest
		}
		return line
	}
	return ""
}

// barePostmaster finds TO:<postmaster>, the one path without a domain (RFC 5321 section 4.5.1), and returns what follows.
func barePostmaster(arg string) (string, bool) {
	if len(arg) < 3 || !strings.EqualFold(arg[:3], "TO:") {
		return "", false
	}
	const path = "<postmaster>"
	arg = strings.TrimSpace(arg[3:])
	if len(arg) < len(path) || !strings.EqualFold(arg[:len(path)], path) {
		return "", false
	}
	return arg[len(path):], true
}

func (w *wire) data(arg string) string {
	switch {
	case arg != "":
		w.bad(mail.Permanent(501, 5, 4, "DATA takes no argument"))
	case w.tx == nil:
		w.bad(mail.Permanent(503, 5, 1, "MAIL and RCPT come before DATA"))
	case w.tx.chunks:
		w.bad(mail.Permanent(503, 5, 1, "the message has begun with BDAT"))
	case len(w.tx.rcpts) == 0:
		w.bad(mail.Permanent(554, 5, 1, "no valid recipients"))
	default:
		return "DATA"
	}
	return ""
}

// startTLS makes the handshake itself: go-smtp would go on in clear text after a failed one.
func (w *wire) startTLS(arg string) string {
	switch {
	case w.set.certs == nil:
		w.bad(mail.Permanent(502, 5, 1, "STARTTLS is not offered"))
		return ""
	case w.session.TLS != nil:
		w.bad(mail.Permanent(503, 5, 1, "TLS is already in use"))
		return ""
	case arg != "":
		w.bad(mail.Permanent(501, 5, 4, "STARTTLS takes no argument"))
		return ""
	case w.pos < len(w.in):
		// Commands sent along in clear text must not count as said under TLS (RFC 3207 section 4.2).
		w.hangUp("nothing may follow STARTTLS before the handshake", "starttls_injection")
		return ""
	}
	w.abandon("STARTTLS")
	w.out = append(w.out, "220 2.0.0 ready to start TLS\r\n"...)
	w.flush()
	if w.dead {
		return ""
	}
	if err := w.secure(w.set.certs.config()); err != nil {
		w.srv.watch.Refusal("tls", "handshake")
		w.srv.log.Info("TLS handshake failed", "id", w.id, "client", w.session.Client.String(), "err", clean(err.Error()))
		return ""
	}
	// go-smtp forgets the transaction; that the client has to say EHLO again is enforced here.
	w.override = "-"
	return "RSET"
}
