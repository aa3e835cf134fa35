package mime

import (
	"strings"

	"sekimori/internal/mail"
)

// ParseMailboxes reads the mailboxes of From, To and the like (RFC 5322 section 3.4): groups, comments, quoted and
// encoded display names, obsolete routes, and what is malformed as far as an address can be seen in it. At most 1,000
// are returned. A Mailbox whose Addr is zero has a Raw in which no address could be read.
func ParseMailboxes(value string) []mail.Mailbox {
	if len(value) > maxValue {
		value = value[:maxValue]
	}
	p := mailboxParser{s: rawToUTF8(value)}
	for p.i < len(p.s) && len(p.out) < maxMailboxes {
		p.step()
	}
	p.end()
	return p.out
}

// mailboxParser reads one character or token a step. phrase collects what stands outside of angle brackets: the display
// name, or the address itself when no angle brackets follow.
type mailboxParser struct {
	s       string
	i       int
	phrase  strings.Builder
	quoted  bool // phrase holds a quoted string
	comment string
	angle   string
	hasAng  bool
	out     []mail.Mailbox
}

func (p *mailboxParser) step() {
	switch c := p.s[p.i]; c {
	case '"':
		text, next := quotedString(p.s, p.i)
		// "a b"@x: the quotes belong to the address.
		if next < len(p.s) && p.s[next] == '@' || p.phraseEndsInAddress() {
			p.phrase.WriteString(p.s[p.i:next])
		} else {
			p.phrase.WriteString(text)
			p.quoted = true
		}
		p.i = next
	case '(':
		end := skipComment(p.s, p.i)
		if p.comment == "" {
			p.comment = strings.Trim(p.s[p.i:end], "()")
		}
		p.phrase.WriteByte(' ')
		p.i = end
	case '<':
		end := strings.IndexByte(p.s[p.i:], '>')
		if end < 0 {
			end = len(p.s) - p.i
		}
		p.angle, p.hasAng = p.s[p.i+1:p.i+end], true
		p.i = min(p.i+end+1, len(p.s))
	case ',', ';':
		p.end()
		p.i++
	case ':':
		// "group: a, b;" the name of a group is no mailbox. A colon within an address is none.
		if !p.hasAng && !strings.Contains(p.phrase.String(), "@") {
			p.reset()
		}
		p.i++
	default:
		n := strings.IndexAny(p.s[p.i+1:], "\"(<,;:")
		if n < 0 {
			n = len(p.s) - p.i - 1
		}
		p.phrase.WriteString(p.s[p.i : p.i+1+n])
		p.i += 1 + n
	}
}

func (p *mailboxParser) phraseEndsInAddress() bool {
	s := p.phrase.String()
	return s != "" && len(s) < 400 && (s[len(s)-1] == '@' || s[len(s)-1] == '.') && !strings.ContainsAny(s, " \t")
}

// skipComment returns where the comment at s[i] ends: with its closing parenthesis, or with s.
func skipComment(s string, i int) int {
	depth := 0
	for ; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '(':
			if depth++; depth > maxCommentNest {
				return len(s)
			}
		case ')':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return len(s)
}

// end finishes the mailbox at hand, if there is one.
func (p *mailboxParser) end() {
	defer p.reset()
	phrase := strings.Join(strings.Fields(p.phrase.String()), " ")
	raw, name := phrase, ""
	if p.hasAng {
		raw, name = strings.TrimSpace(p.angle), phrase
	} else if strings.HasPrefix(phrase, `"`) && strings.Contains(phrase, `"@`) {
		raw = phrase // a quoted local part may hold spaces
	} else if at := strings.LastIndexByte(phrase, '@'); at >= 0 && strings.ContainsAny(phrase, " ") {
		raw, name = barePhrase(phrase, at)
	}
	if name == "" {
		name = p.comment
	}
	if raw == "" && name == "" {
		return
	}
	p.out = append(p.out, mail.Mailbox{Name: decodeName(name), Addr: headerAddress(raw), Raw: raw})
}

// barePhrase finds the address among words without angle brackets: the word around the "@".
func barePhrase(phrase string, at int) (raw, name string) {
	start := strings.LastIndexByte(phrase[:at], ' ') + 1
	end := len(phrase)
	if n := strings.IndexByte(phrase[at:], ' '); n >= 0 {
		end = at + n
	}
	if start == at || end == at+1 { // "user @ example.jp"
		return strings.ReplaceAll(phrase, " ", ""), ""
	}
	return phrase[start:end], strings.TrimSpace(phrase[:start] + phrase[end:])
}

func (p *mailboxParser) reset() {
	p.phrase.Reset()
	p.quoted, p.hasAng = false, false
	p.comment, p.angle = "", ""
}

func decodeName(name string) string {
	if isPlain(name) {
		return name
	}
	return strings.TrimSpace(decodeWords(name))
}

// headerAddress reads the address of a header field. It is more lenient than the envelope's: quoted local parts, routes
// and strange characters occur in it, and what the domain is matters most.
func headerAddress(raw string) mail.Address {
	raw = strings.Trim(raw, " \t<>")
	if strings.Contains(raw, "=?") {
		raw = decodeWords(raw)
	}
	if strings.HasPrefix(raw, "@") { // obsolete route: <@a,@b:user@c>
		if i := strings.LastIndexByte(raw, ':'); i >= 0 {
			raw = raw[i+1:]
		}
	}
	if a, err := mail.ParseAddress(raw, true); err == nil {
		return a
	}
	at := strings.LastIndexByte(raw, '@')
	if at <= 0 {
		return mail.Address{}
	}
	local, domain := strings.Trim(raw[:at], " \t"), strings.Trim(raw[at+1:], " \t.;,\"'")
	d, err := mail.ParseDomain(domain)
	if err != nil || len(local) > 254 {
		return mail.Address{}
	}
	if len(local) >= 2 && local[0] == '"' {
		local, _ = quotedString(local, 0)
	}
	return mail.Address{Local: cleanLine(local), Domain: d}
}
