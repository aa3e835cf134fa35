package front

import (
	"context"
	"errors"
	"io"
	"log"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-smtp"

	"sekimori/internal/mail"
)

// newProtocol sets up go-smtp. What it is configured for is only what the wire lets through.
func newProtocol(s *Server) *smtp.Server {
	p := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		w, ok := c.Conn().(*wire)
		if !ok {
			return nil, smtpError(mail.Transient(421, 3, 0, "internal error"))
		}
		return dialogue{w}, nil
	}))
	// Name and size limit are the configuration's, which may change: the wire and the session say and mind them.
	p.Domain = "sekimori"
	// It would cut the lines of the body too; commands are measured by the wire.
	p.MaxLineLength = 1 << 20
	p.EnableSMTPUTF8 = true // whether it is offered changes with the backends: see hello and Mail
	p.ErrorLog = log.New(logWriter{s}, "", 0)
	return p
}

type logWriter struct{ s *Server }

func (l logWriter) Write(p []byte) (int, error) {
	l.s.log.Error("smtp: protocol", "err", clean(strings.TrimSpace(string(p))))
	return len(p), nil
}

// dialogue is the smtp.Session of one connection. Its state is the wire's: a second EHLO keeps the same dialogue.
type dialogue struct{ w *wire }

// Reset implements smtp.Session.
func (d dialogue) Reset() { d.w.abandon(d.w.verb) }

// Logout implements smtp.Session. Everything is given back in wire.Close.
func (d dialogue) Logout() error { return nil }

// Mail implements smtp.Session.
func (d dialogue) Mail(from string, o *smtp.MailOptions) (err error) {
	w := d.w
	defer w.contain(&err)
	if w.srv.draining.Load() {
		return smtpError(mail.Transient(421, 3, 2, "shutting down, try again later"))
	}
	p := mail.Params{Size: o.Size, EightBit: o.Body == smtp.Body8BitMIME, UTF8: o.UTF8}
	if p.UTF8 && !w.srv.opts.Relay.UTF8() {
		return w.refuseMail(from, mail.Permanent(555, 6, 7, "SMTPUTF8 is not offered"), "utf8")
	}
	if p.Size > int64(w.set.cfg.SMTP.MaxMessageSize) {
		return w.refuseMail(from, mail.Permanent(552, 3, 4, "the message is too large"), "size")
	}
	var addr mail.Address
	if from != "" {
		var perr error
		if addr, perr = mail.ParseAddress(from, p.UTF8); perr != nil {
			return w.refuseMail(from, mail.Permanent(553, 1, 7, perr.Error()), "address")
		}
	}
	if err := w.srv.opts.Spool.Room(); err != nil {
		return w.refuseMail(from, mail.Transient(452, 3, 1, "out of space, try again later"), "spool")
	}
	tx := &transaction{id: w.srv.opts.NewID(), from: addr, params: p, start: time.Now()}
	tx.judging = w.visit.Begin(tx.id, addr, p)
	w.tx = tx
	w.override = "250 2.1.0 sender ok id=" + tx.id + "\r\n"
	return nil
}

func (w *wire) refuseMail(from string, r mail.Reply, why string) error {
	w.srv.watch.Refusal("command", why)
	w.srv.watch.Refused(Refusal{Where: "mail", Why: why, Session: w.session, From: from, Reply: r.String()})
	w.srv.log.Info("sender refused", "id", w.id, "client", w.session.Client.String(), "helo", clean(w.session.Helo),
		"from", clean(from), "why", why, "reply", r.String())
	return smtpError(r)
}

// Rcpt implements smtp.Session.
func (d dialogue) Rcpt(to string, _ *smtp.RcptOptions) (err error) {
	w := d.w
	defer w.contain(&err)
	tx := w.tx
	if tx == nil {
		return smtpError(mail.Permanent(503, 5, 1, "MAIL comes before RCPT"))
	}
	q := w.recipient(to)
	if q.reply.IsZero() && tx.has(q.addr) {
		w.override = rcptOK(tx)
		return nil
	}
	var v mail.Verdict
	if q.reply.IsZero() && q.drop == "" {
		v = w.judgeRcpt(&q)
	}
	if !q.reply.IsZero() {
		w.logRcpt(to, q.reply, q.why, v)
		return smtpError(q.reply)
	}
	tx.accept(q)
	w.override = rcptOK(tx)
	return nil
}

func rcptOK(tx *transaction) string { return "250 2.1.5 recipient ok id=" + tx.id + "\r\n" }

// refuseRcpt refuses a recipient that go-smtp is not even shown.
func (w *wire) refuseRcpt(to string, r mail.Reply, why string) {
	w.logRcpt(to, r, why, mail.Verdict{})
	w.say(r)
	w.countRcpt(r.Code())
}

// verdictReply is the reply of a verdict, or a plain one where the rule named none. Its class fits the action.
func verdictReply(v mail.Verdict) mail.Reply {
	if v.Action == mail.Defer {
		if v.Reply.IsZero() || v.Reply.IsPermanent() {
			return mail.Transient(451, 7, 1, "try again later")
		}
		return v.Reply
	}
	if v.Reply.IsZero() {
		return mail.Permanent(550, 7, 1, "refused by policy")
	}
	return v.Reply // a mode may have made a 4xx of it
}

// Data implements smtp.Session. r is go-smtp's view of what the wire reads itself.
func (d dialogue) Data(r io.Reader) (err error) {
	w := d.w
	defer w.contain(&err)
	tx := w.tx
	if tx == nil {
		return smtpError(mail.Permanent(503, 5, 1, "MAIL and RCPT come before DATA"))
	}
	if !tx.chunks {
		tx.begin(w)
		w.out = append(w.out, "354 end the message with CR LF . CR LF\r\n"...)
		w.reply = nil
		if err := w.receive(&tx.body); err != nil {
			// The end did not come, so nothing is accepted, and what did come never becomes a command: the wire is dead.
			w.dead = true
			tx.finish(w, "aborted", "the message was cut off")
			return smtpError(mail.Transient(421, 4, 2, "the message was cut off"))
		}
	}
	w.reply = nil
	w.endOfData(r)
	reply := w.srv.conclude(w, tx)
	if reply.IsZero() {
		w.tally.junk, w.tally.errors = 0, 0
		w.override = "250 2.0.0 " + tx.accepted() + " id=" + tx.id + "\r\n"
		return nil
	}
	w.override = withID(reply.WithText(ascii(reply.Text())).String(), tx.id) + "\r\n"
	return smtpError(reply)
}

// contain turns a panic into 421 and the end of this connection; others go on.
func (w *wire) contain(err *error) {
	if p := recover(); p != nil {
		w.srv.panicked(w, p)
		if w.tx != nil {
			w.tx.finish(w, "aborted", "internal error")
		}
		w.override = ""
		*err = smtpError(mail.Transient(421, 3, 0, "internal error"))
	}
}

func (s *Server) panicked(w *wire, p any) {
	s.log.Error("smtp: panic", "id", w.id, "client", w.session.Client.String(), "panic", p, "stack", string(debug.Stack()))
}

// conclude judges the complete message and disposes of it. The zero Reply means that it is accepted and safe.
func (s *Server) conclude(w *wire, tx *transaction) mail.Reply {
	tx.received = time.Now()
	tx.body.dots.finish()
	raw, err := tx.body.raw()
	switch {
	case errors.Is(err, errBodyLarge):
		return tx.refuse(w, mail.Permanent(552, 3, 4, "the message is too large"), "size")
	case err != nil:
		s.log.Error("smtp: spool", "id", tx.id, "err", err)
		return tx.refuse(w, mail.Transient(452, 3, 1, "out of space, try again later"), "spool")
	}
	if raw, err = w.lineEnds(tx, raw); err != nil {
		// Where the sender and we differ about lines, what follows may be part of a mail: it is not read as commands.
		w.closing = true
		return tx.refuse(w, mail.Permanent(554, 6, 0, "CR or LF stands alone: lines must end in CR LF"), "bare_line_end")
	}
	tx.message = s.opts.Parse(raw)
	tx.keepMapped()
	// Fields that decide, or that are ours to remove, would stand where nobody looks.
	if slices.Contains(tx.message.Anomalies, "header_overflow") {
		return tx.refuse(w, mail.Permanent(554, 6, 0, "the message has too many header fields"), "header_overflow")
	}
	if loops(tx.message, w.set.cfg.Hostname) {
		return tx.refuse(w, mail.Permanent(554, 4, 6, "the mail is going round in circles"), "loop")
	}
	if tx.drop != "" {
		return s.handIn(w, tx)
	}
	w.findClient(tx)
	begun := time.Now()
	tx.verdicts = tx.judging.Conclude(w.ctx, tx.message)
	tx.judgeTime = time.Since(begun)
	if w.ctx.Err() != nil {
		// The drain's time is up and the checks were cut short: what they did not say is no verdict.
		return tx.refuse(w, mail.Transient(451, 3, 2, "shutting down, try again later"), "drain")
	}
	begun = time.Now()
	// A client that hangs up, or the end of a drain, must not stop half way what was begun.
	reply := s.dispose(context.WithoutCancel(w.ctx), w, tx)
	tx.disposeTime = time.Since(begun)
	tx.reply = reply
	tx.finish(w, "", "")
	return reply
}

var errLineEnds = errors.New("front: CR or LF alone")

func (w *wire) lineEnds(tx *transaction, raw []byte) ([]byte, error) {
	d := tx.body.dots
	if d.bareCR || (d.bareLF && !w.set.cfg.SMTP.NormalizeBareLF) {
		return nil, errLineEnds
	}
	if d.bareLF {
		tx.normalized = true
		raw = normalLF(raw)
	}
	return raw, nil
}
