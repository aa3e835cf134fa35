package front

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"sekimori/internal/mail"
)

const (
	maxCommand = 512  // octets of a command line with its CRLF (RFC 5321 section 4.5.3.1.4)
	maxPath    = 1100 // of MAIL and RCPT, which extensions make longer (RFC 1870, 4954, 6531)
	maxDiscard = 64 << 10
)

// readLine returns one command line without its end; "" when it was answered here.
func (w *wire) readLine() (string, error) {
	// Between the chunks of a message the drain lets the client go on.
	waiting := w.tx == nil || !w.tx.chunks
	for {
		buf, err := w.input(waiting)
		for err == nil && bytes.IndexByte(buf, '\n') < 0 && len(buf) <= maxPath {
			buf, err = w.more(waiting)
		}
		if err != nil {
			return "", err
		}
		i := bytes.IndexByte(buf, '\n')
		if i < 0 || i >= maxPath {
			if err := w.skipLine(); err != nil {
				return "", err
			}
			w.bad(mail.Permanent(500, 5, 2, "the line is too long"))
			if w.closing {
				return "", nil
			}
			continue
		}
		line := string(buf[:i+1])
		w.pos += i + 1
		if i >= maxCommand && !longVerb(line) {
			w.bad(mail.Permanent(500, 5, 2, "the line is too long"))
			return "", nil
		}
		return w.checkLine(line), nil
	}
}

// checkLine refuses what no command line holds: it would reach logs, headers and other servers.
func (w *wire) checkLine(line string) string {
	body, ok := strings.CutSuffix(line, "\r\n")
	if !ok {
		w.bad(mail.Permanent(500, 5, 2, "lines must end in CR LF"))
		return ""
	}
	for i := 0; i < len(body); i++ {
		if body[i] < ' ' || body[i] == 0x7F {
			w.bad(mail.Permanent(500, 5, 2, "control characters are not accepted in commands"))
			return ""
		}
	}
	if !utf8.ValidString(body) {
		w.bad(mail.Permanent(500, 5, 2, "the line is not in UTF-8"))
		return ""
	}
	body = strings.TrimRight(body, " ")
	if body == "" {
		w.bad(mail.Permanent(500, 5, 2, "an empty line is no command"))
	}
	return body
}

func longVerb(line string) bool {
	return len(line) > 5 && (strings.EqualFold(line[:5], "MAIL ") || strings.EqualFold(line[:5], "RCPT "))
}

// skipLine drops input up to the end of an over-long line. A client that never ends it is disconnected.
func (w *wire) skipLine() error {
	for dropped := 0; dropped < maxDiscard; {
		buf, err := w.input(true)
		if err != nil {
			return err
		}
		if i := bytes.IndexByte(buf, '\n'); i >= 0 {
			w.pos += i + 1
			return nil
		}
		dropped += len(buf)
		w.pos = len(w.in)
	}
	return w.end(mail.Transient(421, 7, 0, "the line does not end"), "long_line")
}
