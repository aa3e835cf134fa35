package relay

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"sekimori/internal/mail"
)

// Bounds of what a backend may say. RFC 5321 section 4.5.3.1.5 allows 512 octets a line; some say more.
const (
	maxReplyLine  = 2048
	maxReplyLines = 128
	maxReplyText  = 400 // octets that are kept for people
)

var (
	errReplyLong   = errors.New("the reply is longer than can be meant")
	errReplySyntax = errors.New("what came is not an SMTP reply")
)

// reply is what a server said (RFC 5321 section 4.2), with the enhanced code (RFC 3463) when there is one.
type reply struct {
	code            int
	enhanced        bool
	subject, detail int
	text            string // printable ASCII, lines joined by a space; empty for 2xx and 3xx unless asked for
}

func (p reply) ok() bool        { return p.code/100 == 2 }
func (p reply) transient() bool { return p.code/100 == 4 }
func (p reply) permanent() bool { return p.code/100 == 5 }

// mail gives it as a reply of ours; the zero Reply for 2xx and 3xx.
func (p reply) mail() mail.Reply {
	switch {
	case p.transient():
		return mail.Transient(p.code, p.subject, p.detail, p.text)
	case p.permanent():
		return mail.Permanent(p.code, p.subject, p.detail, p.text)
	}
	return mail.Reply{}
}

// replyReader reads replies from a connection within bounds. A read error (a deadline that passed) loses nothing: the
// next call goes on where the last one stopped.
type replyReader struct {
	src  io.Reader
	buf  [maxReplyLine]byte
	r, w int

	code  int // of the reply that is being read, 0 between replies
	lines int
	first reply
	text  []byte
	words bool // what is said with 2xx is kept, too

	challenge []byte // the text of the last line with code 334 (RFC 4954), valid until the next read
}

// buffered reports whether there are octets that were not asked for.
func (r *replyReader) buffered() bool { return r.w > r.r }

// read returns the next reply. With each not nil it is called with the text of every line after the first.
func (r *replyReader) read(each func(line []byte)) (reply, error) {
	for {
		line, err := r.line()
		if err != nil {
			return reply{}, err
		}
		l, ok := parseLine(line)
		if !ok || (r.code != 0 && r.code != l.code) {
			return reply{}, errReplySyntax
		}
		if r.lines++; r.lines > maxReplyLines {
			return reply{}, errReplyLong
		}
		if each != nil && r.lines > 1 {
			each(l.text)
		}
		r.take(l.code, l.text)
		if !l.more {
			return r.finish(), nil
		}
	}
}

// take adds one line to the reply that is being read.
func (r *replyReader) take(code int, text []byte) {
	if r.code == 0 {
		r.code, r.first, r.text = code, reply{code: code}, r.text[:0]
	}
	if code == 334 {
		r.challenge = append(r.challenge[:0], text...)
	}
	if code < 400 && !r.words {
		return
	}
	if e, rest, ok := cutEnhanced(text); ok {
		text = rest
		r.first.enhanced, r.first.subject, r.first.detail = true, e[0], e[1]
	}
	if len(r.text) < maxReplyText {
		if len(r.text) > 0 {
			r.text = append(r.text, ' ')
		}
		r.text = append(r.text, text...)
	}
}

func (r *replyReader) finish() reply {
	p := r.first
	if p.code >= 400 || r.words {
		p.text = printable(r.text)
	}
	r.code, r.lines = 0, 0
	return p
}

// line returns the next line without its end, valid until the next call.
func (r *replyReader) line() ([]byte, error) {
	for seen := 0; ; {
		if i := bytes.IndexByte(r.buf[r.r+seen:r.w], '\n'); i >= 0 {
			line := r.buf[r.r : r.r+seen+i]
			r.r += seen + i + 1
			return bytes.TrimSuffix(line, []byte{'\r'}), nil
		}
		seen = r.w - r.r
		if r.r > 0 {
			copy(r.buf[:], r.buf[r.r:r.w])
			r.r, r.w = 0, seen
		}
		if r.w == len(r.buf) {
			return nil, errReplyLong
		}
		if err := r.fill(); err != nil {
			return nil, err
		}
	}
}

// fill reads once what there is room for. With nil there may be more than before.
func (r *replyReader) fill() error {
	if r.r == r.w {
		r.r, r.w = 0, 0
	}
	n, err := r.src.Read(r.buf[r.w:])
	r.w += n
	if n > 0 {
		return nil
	}
	return err
}

// replyLine is one line of a reply: three digits, then a space, a hyphen (more lines follow), or nothing.
type replyLine struct {
	code int
	more bool
	text []byte
}

func parseLine(line []byte) (replyLine, bool) {
	if len(line) < 3 {
		return replyLine{}, false
	}
	var l replyLine
	for _, c := range line[:3] {
		if c < '0' || c > '9' {
			return replyLine{}, false
		}
		l.code = l.code*10 + int(c-'0')
	}
	if l.code < 200 || l.code > 599 {
		return replyLine{}, false
	}
	if len(line) == 3 {
		return l, true
	}
	l.more, l.text = line[3] == '-', line[4:]
	return l, l.more || line[3] == ' '
}

// cutEnhanced cuts "4.2.1 " or "5.7.1 " from the front of a text and returns subject and detail. The class is not looked at:
// the basic code has it.
func cutEnhanced(text []byte) (enhanced [2]int, rest []byte, ok bool) {
	if len(text) < 5 || (text[0] != '4' && text[0] != '5') || text[1] != '.' {
		return enhanced, text, false
	}
	enhanced[0], rest, ok = cutNumber(text[2:])
	if !ok || len(rest) == 0 || rest[0] != '.' {
		return enhanced, text, false
	}
	enhanced[1], rest, ok = cutNumber(rest[1:])
	if !ok || (len(rest) > 0 && rest[0] != ' ') {
		return enhanced, text, false
	}
	return enhanced, bytes.TrimLeft(rest, " "), true
}

func cutNumber(b []byte) (n int, rest []byte, ok bool) {
	i := 0
	for i < len(b) && i < 3 && b[i] >= '0' && b[i] <= '9' {
		n = n*10 + int(b[i]-'0')
		i++
	}
	return n, b[i:], i > 0
}

// printable makes words of a backend safe for our replies, logs and files.
func printable(b []byte) string {
	b = b[:min(len(b), maxReplyText)]
	var s strings.Builder
	s.Grow(len(b))
	for _, c := range b {
		switch {
		case c >= ' ' && c < 0x7F:
			s.WriteByte(c)
		case c == '\t':
			s.WriteByte(' ')
		default:
			s.WriteByte('?')
		}
	}
	return strings.TrimSpace(s.String())
}

// parseWords is the inverse of mail.Reply.String for replies that stand in the spool; other words become a 554.
func parseWords(words string) mail.Reply {
	l, ok := parseLine([]byte(words))
	if !ok || l.code < 400 {
		return mail.Permanent(554, 0, 0, words)
	}
	e, text, _ := cutEnhanced(l.text)
	p := reply{code: l.code, subject: e[0], detail: e[1], text: printable(text)}
	return p.mail()
}
