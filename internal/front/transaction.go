package front

import (
	"runtime"
	"time"

	"sekimori/internal/mail"
)

// transaction is one mail on its way through a connection. It is made by MAIL, and dropped after the answer to the
// message or when it is abandoned; nothing of it is used again.
type transaction struct {
	id      string
	from    mail.Address
	params  mail.Params
	judging Judging
	session *mail.Session // with the client behind a trusted relay; nil before the header, and for others
	rcpts   []mail.Address
	owners  map[string][]mail.Address // of recipients that stand for others, by Key
	bare    bool                      // the present RCPT was <postmaster>
	drop    string                    // the class that it teaches; "": it is for people
	chunks  bool                      // BDAT has begun

	body       body
	message    *mail.Message
	normalized bool
	verdicts   []mail.Verdict
	ends       []string // what became of each recipient, as dispose found
	reply      mail.Reply
	said       string // with the acceptance; "": nothing more

	start, dataStart, received       time.Time
	rcptTime, judgeTime, disposeTime time.Duration
}

// who is the session that the mail is judged by.
func (tx *transaction) who(w *wire) *mail.Session {
	if tx.session != nil {
		return tx.session
	}
	return w.session
}

// has reports whether the recipient was accepted already.
func (tx *transaction) has(a mail.Address) bool {
	key := a.Key()
	for _, r := range tx.rcpts {
		if r.Key() == key {
			return true
		}
	}
	return false
}

// begin makes ready for the message.
func (tx *transaction) begin(w *wire) {
	tx.dataStart = time.Now()
	tx.body.spool = w.srv.opts.Spool
	tx.body.limit = int64(w.set.cfg.SMTP.MaxMessageSize)
	tx.body.hint = tx.params.Size
}

// keepMapped ties a mapped message to the value that checks hold: one that overran its deadline may still read.
func (tx *transaction) keepMapped() {
	if tx.body.tmp == nil || tx.normalized {
		return
	}
	runtime.AddCleanup(tx.message, func(t Temp) { _ = t.Close() }, tx.body.tmp)
	tx.body.tmp = nil
}

// eightBit reports whether the message needs 8BITMIME, whatever the client said (RFC 6152).
func (tx *transaction) eightBit() bool {
	if tx.params.EightBit || tx.params.UTF8 {
		return true
	}
	for _, c := range tx.message.Raw {
		if c >= 0x80 {
			return true
		}
	}
	return false
}

// refuse ends the transaction with a refusal of the whole message and returns the reply.
func (tx *transaction) refuse(w *wire, r mail.Reply, why string) mail.Reply {
	tx.reply = r
	tx.finish(w, "", why)
	return r
}

// finish ends the transaction: it is recorded and forgotten. action overrides what the verdicts and the reply say.
func (tx *transaction) finish(w *wire, action, why string) {
	if w.tx != tx {
		return
	}
	w.srv.record(w, tx, action, why)
	w.tx = nil
	tx.body.drop()
}

// abandon ends a transaction that got no answer to a message.
func (w *wire) abandon(why string) {
	if w.tx != nil {
		w.tx.finish(w, "aborted", why)
	}
}
