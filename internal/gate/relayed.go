package gate

import (
	"sekimori/filters"
	"sekimori/internal/mail"
)

// Client says for whom a trusted relay has handed the message over; it is called before Conclude. Nothing was asked before: the
// checks of the connection, the greeting, the sender and the recipients start now, for this client, and Conclude waits for them
// together with those of the message. Without it, and with a session that says Unknown, they are skipped with that reason.
func (j *Judging) Client(s *mail.Session) { j.tx.Session = s }

// relayed reports whether the client was not known before the header.
func (j *Judging) relayed() bool { return j.tx.Session.Relayed() }

// deferred starts what was put off, all of it side by side with the checks of the message.
func (j *Judging) deferred(msg *mail.Message) {
	v := j.visit
	if j.tx.Session == v.session {
		next := *v.session
		next.Unknown = "the header was not read"
		j.tx.Session = &next
	}
	start := func(stage mail.Stage) *filters.Run { return v.gate.chain.Start(v.ctx, j.forChecks(stage)) }
	for _, stage := range []mail.Stage{mail.Connect, mail.Helo, mail.Mail} {
		j.early = append(j.early, start(stage))
	}
	runs := make([]*filters.Run, len(j.tx.Rcpts))
	for i, rcpt := range j.tx.Rcpts {
		tx := j.forChecks(mail.Rcpt)
		tx.Rcpts, tx.Rcpt = tx.Rcpts[:i], rcpt
		runs[i] = v.gate.chain.Start(v.ctx, tx)
	}
	j.tx.Message = msg
	j.data = start(mail.Data)
	for i, run := range runs {
		j.atRcpt[i].outcomes = run.Wait()
	}
}
