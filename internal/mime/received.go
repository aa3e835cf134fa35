package mime

import (
	"errors"
	"net/netip"
	"strings"

	"sekimori/internal/mail"
)

const (
	maxReceivedLen  = 4096 // octets of one field that are read: what servers write is a tenth of it
	maxFromComments = 8
)

// Hop is what one Received field says of a hand-over (RFC 5321 section 4.4): who gave the mail to the host By.
type Hop struct {
	Addr  netip.Addr // of who handed it over, as the host saw the connection; unmapped, without a zone
	Helo  string     // what that one said in HELO; empty when the field does not say
	Name  string     // its reverse name; empty when there was none or the field does not say
	By    string     // the host that took it and wrote the field, in lower case
	Local bool       // it came from inside of the host: a program there, its own queue, its own mailbox
}

// Errors of ParseReceived. They say what the field lacks, in words that fit behind "the field".
var (
	ErrReceivedLong      = errors.New("is too long")
	ErrReceivedShape     = errors.New("has a form that is not known")
	ErrReceivedNoAddress = errors.New("does not say from which address")
	ErrReceivedAmbiguous = errors.New("names two addresses")
)

// ParseReceived reads the value of one Received field, unfolded, as Postfix, Sendmail, qmail, Exim, Exchange, Courier, Domino and the
// usual appliances write it. What a client may have chosen, its HELO above all, stands in the same line: an address is taken only
// from the place where the server itself writes it, and a field in which two places could be that one is an error. The time is
// linear in the length.
func ParseReceived(value string) (Hop, error) {
	if len(value) > maxReceivedLen {
		return Hop{}, ErrReceivedLong
	}
	s := receivedScanner{rest: value}
	tok := s.next()
	// qmail begins a local field with a comment and has no "by"; Sendmail puts the user into a comment.
	if tok.comment && (strings.HasPrefix(tok.text, "qmail ") || strings.HasPrefix(tok.text, "from ")) {
		h := Hop{Local: true}
		if next := s.next(); !next.comment && strings.EqualFold(next.text, "by") {
			h.By = byName(s.next())
		}
		return h, nil
	}
	switch {
	case !tok.comment && strings.EqualFold(tok.text, "by"):
		by := s.next()
		if by.comment || by.text == "" {
			return Hop{}, ErrReceivedShape
		}
		return Hop{By: byName(by), Local: true}, nil
	case tok.comment || !strings.EqualFold(tok.text, "from"):
		return Hop{}, ErrReceivedShape
	}
	return parseFrom(&s)
}

// parseFrom reads what follows "from".
func parseFrom(s *receivedScanner) (Hop, error) {
	word := s.next()
	if word.comment || word.text == "" || strings.EqualFold(word.text, "by") {
		return Hop{}, ErrReceivedShape
	}
	var comments []string
	for {
		tok := s.next()
		if tok.comment {
			if comments = append(comments, tok.text); len(comments) > maxFromComments {
				return Hop{}, ErrReceivedShape
			}
			continue
		}
		if !strings.EqualFold(tok.text, "by") {
			return Hop{}, ErrReceivedShape
		}
		break
	}
	by := s.next()
	if by.comment || by.text == "" {
		return Hop{}, ErrReceivedShape
	}
	if ambiguousTail(s.rest) {
		return Hop{}, ErrReceivedAmbiguous
	}
	h := Hop{By: byName(by)}
	err := h.peer(word.text, comments, s)
	return h, err
}

// peer finds the address among the comments of the from clause and, where a server writes it there, in the word itself.
func (h *Hop) peer(word string, comments []string, s *receivedScanner) error {
	tail := s.rest
	heloIn, exim, places := "", false, 0
	for _, c := range comments {
		p, ok := peerComment(c)
		if p.helo != "" && heloIn == "" {
			heloIn = p.helo
		}
		exim = exim || p.exim
		if !ok {
			continue
		}
		if places++; places > 1 && p.addr != h.Addr {
			return ErrReceivedAmbiguous
		}
		h.Addr, h.Name = p.addr, p.name
	}
	literal, isLiteral := addressLiteral(strings.TrimSuffix(word, portOf(word)))
	switch {
	case places > 0 && isLiteral && (exim || heloIn != "") && !strings.HasPrefix(comments[0], "HELO ") && !strings.HasPrefix(comments[0], "EHLO "):
		// Exim puts the address first and the HELO behind it, be it empty: with a second address somebody's HELO has more in it.
		if literal != h.Addr {
			return ErrReceivedAmbiguous
		}
		h.Helo = heloIn
	case places > 0 && heloIn != "":
		h.Helo = heloIn
		if h.Name == "" && !isLiteral {
			h.Name = known(word)
		}
	case places > 0:
		h.Helo = word
	case isLiteral && (heloIn != "" || strings.Contains(tail, "(Exim ") || strings.Contains(tail, "(CommuniGate ")):
		// Elsewhere a word in brackets is what the client said.
		h.Addr, h.Helo = literal, heloIn
	case strings.Contains(" "+tail, " with local"):
		h.Local = true
		return nil
	default:
		return ErrReceivedNoAddress
	}
	if !mail.IsHostname(h.Helo) {
		if _, ok := addressLiteral(h.Helo); !ok {
			h.Helo = ""
		}
	}
	h.Helo = known(h.Helo)
	if h.sameHost(s) {
		h.Local = true
	}
	return nil
}

// ambiguousTail reports whether what stands behind "by HOST" has another "by" or "from" outside of comments, or a comment that does
// not end: then a HELO like "x by gw with local" stands in the field, and the server's own words follow. The date is looked at too.
func ambiguousTail(tail string) bool {
	depth, start := 0, 0 // of the word
	for i := 0; i <= len(tail); i++ {
		c := byte(' ')
		if i < len(tail) {
			c = tail[i]
		}
		switch {
		case depth == 0 && !strings.ContainsRune(" \t\r\n();", rune(c)):
			continue
		case depth == 0 && (strings.EqualFold(tail[start:i], "by") || strings.EqualFold(tail[start:i], "from")):
			return true
		case c == '\\' && depth > 0:
			i++
		case c == '(':
			depth++
		case c == ')' && depth > 0:
			depth--
		}
		start = i + 1
	}
	return depth > 0
}

// sameHost reports whether the host names its own address behind "by": Exchange hands mail from one of its parts to another.
func (h *Hop) sameHost(s *receivedScanner) bool {
	tok := s.next()
	if !tok.comment {
		return false
	}
	p, ok := peerComment(tok.text)
	return ok && p.addr == h.Addr
}

// known drops the words that servers write where they know nothing.
func known(name string) string {
	switch strings.ToLower(name) {
	case "unknown", "missing":
		return ""
	}
	return name
}

func byName(tok token) string {
	if tok.comment {
		return ""
	}
	return strings.ToLower(strings.TrimRight(tok.text, ".;"))
}

type peerInfo struct {
	addr netip.Addr
	name string
	helo string
	exim bool // it has words key=value
}

// peerComment reads a comment of the forms
//
//	NAME [ADDR]    [ADDR]    IDENT@NAME [ADDR] (may be forged)    Postfix, Sendmail, Courier, most appliances
//	[ADDR] helo=HELO    helo=HELO    port=N helo=HELO              Exim; with :PORT behind the bracket
//	HELO NAME                                                      qmail, IronPort, CommuniGate: no address
//	ADDR    IDENT@ADDR                                             qmail, Exchange
//
// ok says that it gives an address.
func peerComment(c string) (p peerInfo, ok bool) {
	words := strings.Fields(c)
	switch {
	case len(words) == 0 || len(words) > 12:
		return p, false
	case words[0] == "HELO" || words[0] == "EHLO":
		if len(words) == 2 {
			p.helo = words[1]
		}
		return p, false
	}
	all := len(words)
	words, p.helo = eximWords(words)
	p.exim = len(words) < all
	if len(words) == 0 {
		return p, false
	}
	if len(words) > 3 && strings.Join(words[len(words)-3:], " ") == "(may be forged)" {
		words = words[:len(words)-3]
	}
	last := words[len(words)-1]
	switch a, isLiteral := addressLiteral(strings.TrimSuffix(last, portOf(last))); {
	case isLiteral && len(words) <= 2:
		p.addr = a
		if len(words) == 2 {
			_, host, found := strings.Cut(words[0], "@")
			if !found {
				host = words[0]
			}
			if p.name = known(host); !mail.IsHostname(p.name) {
				p.name = ""
			}
		}
		return p, true
	case len(words) == 1:
		if i := strings.LastIndexByte(last, '@'); i >= 0 {
			last = last[i+1:]
		}
		p.addr, ok = bareAddress(last)
	}
	return p, ok
}

// eximWords takes the words key=value off the end; what follows helo= is the client's.
func eximWords(words []string) (left []string, helo string) {
	for i, w := range words {
		key, value, ok := strings.Cut(w, "=")
		if !ok || (key != "helo" && key != "port" && key != "ident") {
			continue
		}
		for _, x := range words[i:] {
			if v, ok := strings.CutPrefix(x, "helo="); ok && helo == "" {
				helo = v
			}
		}
		if key == "helo" && helo == "" {
			helo = value
		}
		return words[:i], helo
	}
	return words, ""
}

// portOf returns what stands behind the bracket of "[192.0.2.1]:4321", with the colon.
func portOf(word string) string {
	i := strings.LastIndex(word, "]:")
	if i < 0 {
		return ""
	}
	return word[i+1:]
}

// addressLiteral reads "[192.0.2.1]", "[IPv6:2001:db8::1]" and "[2001:db8::1%12]".
func addressLiteral(s string) (netip.Addr, bool) {
	if len(s) < 4 || s[0] != '[' || s[len(s)-1] != ']' {
		return netip.Addr{}, false
	}
	return bareAddress(s[1 : len(s)-1])
}

func bareAddress(s string) (netip.Addr, bool) {
	if len(s) > 5 && strings.EqualFold(s[:5], "IPv6:") {
		s = s[5:]
	}
	if len(s) > 60 {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(s)
	return a.Unmap().WithZone(""), err == nil
}
