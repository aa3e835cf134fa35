package front

import (
	"strconv"
	"strings"

	"github.com/emersion/go-smtp"

	"sekimori/internal/mail"
)

// withID puts the identifier behind a reply's text; one that names it already stays.
func withID(line, id string) string {
	if strings.Contains(line, "id="+id) {
		return line
	}
	return line + " id=" + id
}

// smtpError makes go-smtp say a reply: a fresh value each time, because go-smtp prints any other error in full.
func smtpError(r mail.Reply) *smtp.SMTPError {
	e := r.Enhanced()
	return &smtp.SMTPError{Code: r.Code(), EnhancedCode: smtp.EnhancedCode{e[0], e[1], e[2]}, Message: ascii(r.Text())}
}

// ascii makes a text fit for a reply: printable ASCII on one line, far below 512 octets.
func ascii(s string) string {
	if len(s) > 300 {
		s = s[:300]
	}
	b := []byte(s)
	for i, c := range b {
		if c < ' ' || c > '~' {
			b[i] = '?'
		}
	}
	return string(b)
}

// settle completes the reply to the present command and counts what it refused. It is called when go-smtp asks for more
// input, which is when it has said all it has to say.
func (w *wire) settle() {
	said := w.reply
	w.reply = nil
	verb, override := w.verb, w.override
	w.verb, w.override = "", ""
	if w.dead || (len(said) == 0 && override == "") {
		return
	}
	switch {
	case verb == "" && override == "": // the banner (RFC 5321 section 4.2: the host name comes first)
		w.out = append(w.out, "220 "+w.set.cfg.Hostname+" ESMTP\r\n"...)
		return
	case override == "-":
		return
	case override != "":
		w.out = append(w.out, override...)
		return
	}
	code := replyCode(said)
	if code < 400 {
		w.out = append(w.out, said...)
		return
	}
	line, _, _ := strings.Cut(string(said), "\r\n")
	w.out = append(w.out, withID(line, w.currentID())+"\r\n"...)
	w.weigh(verb, code)
}

// weigh counts a refusal that came from go-smtp or the session.
func (w *wire) weigh(verb string, code int) {
	switch {
	case code == 421:
		w.closing = true
	case verb == "RCPT":
		w.countRcpt(code)
	case verb == "DATA":
	case code >= 500:
		w.countError()
	}
}

func (w *wire) countRcpt(code int) {
	if code >= 500 {
		w.tally.failed++
	} else {
		w.tally.surplus++
	}
	if w.session.Trusted || w.session.Relayed() {
		return // our own printer, or somebody else's guesses that an older gateway passes on
	}
	limit := w.set.cfg.SMTP.MaxFailedRecipients
	if (limit > 0 && w.tally.failed > limit) || w.tally.surplus > maxSurplus {
		w.hangUp("too many failed recipients", "failed_recipients")
	}
}

func replyCode(reply []byte) int {
	if len(reply) < 3 {
		return 0
	}
	n, err := strconv.Atoi(string(reply[:3]))
	if err != nil {
		return 0
	}
	return n
}
