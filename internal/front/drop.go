package front

import (
	"context"

	"sekimori/internal/config"
	"sekimori/internal/mail"
)

// Handed is a mail to a learning address, with the mails that are to be learned attached.
type Handed struct {
	Config  *config.Config // by which its recipients were accepted
	ID      string
	Class   string // spam | ham
	From    mail.Address
	Rcpts   []mail.Address
	Session *mail.Session
	Message *mail.Message
}

// Drop learns from what is handed in.
type Drop interface {
	// Learn returns what to say, in ASCII and short, with the zero Reply once everything is learned durably; else the refusal. A mail
	// that comes again teaches nothing twice.
	Learn(ctx context.Context, h Handed) (said string, refusal mail.Reply)
}

const endLearned = "learned" // and kept nowhere

// dropRcpt decides about a learning address.
func (w *wire) dropRcpt(q *question, class string) {
	tx := w.tx
	switch {
	case w.srv.opts.Drop == nil:
		q.reply, q.why = mail.Transient(451, 3, 0, "nothing can be learned here at the moment, try again later"), "drop"
	case !w.mayHandIn():
		// Behind policy, as for addresses that are not there.
		q.behind, q.behindWhy = mail.Permanent(550, 7, 1, "this address takes mail from inside only"), "internal_only"
	case tx.from.IsNull() || !w.set.rcpts.Ours(tx.from):
		q.reply, q.why = mail.Permanent(550, 7, 1, "this address takes mail of people of our own domains only"), "drop"
	case len(tx.rcpts) > 0 && tx.drop == "":
		q.reply, q.why = besideDrop, "drop"
	case tx.drop != "" && tx.drop != class:
		q.reply, q.why = mail.Permanent(550, 5, 1, "a mail is handed in as spam or as ham, not as both"), "drop"
	default:
		q.drop = class
	}
}

// mayHandIn reports whether the client is one of our own. A relay that brings mail of strangers is none.
func (w *wire) mayHandIn() bool {
	s, d := w.session, &w.set.cfg.Bayes.Drop
	if s.Relayed() {
		return false
	}
	return s.Trusted || within(d.From, s.Client) || d.Certificate && s.Verified
}

// handIn has a mail to a learning address learned. It is judged by nobody: what is attached is spam, as a rule.
func (s *Server) handIn(w *wire, tx *transaction) mail.Reply {
	begun := s.now()
	ctx, stop := context.WithTimeout(context.WithoutCancel(w.ctx), holdWait)
	defer stop()
	said, refusal := s.opts.Drop.Learn(ctx, Handed{
		Config: w.set.cfg, ID: tx.id, Class: tx.drop, From: tx.from, Rcpts: tx.rcpts, Session: w.session, Message: tx.message,
	})
	end := endRejected
	switch {
	case refusal.IsZero():
		end = endLearned
		ends := make([]End, len(tx.rcpts))
		for i, r := range tx.rcpts {
			ends[i] = End{r, end, "as " + tx.drop + ": " + said}
		}
		if err := s.opts.Ends.Direct(tx.id, ends); err != nil {
			// It comes again, and is known then.
			s.log.Error("smtp: the ledger cannot be written", "id", tx.id, "err", err)
			refusal, end = mail.Transient(451, 3, 0, "the mail cannot be stored now, try again later"), endDeferred
		}
	case !refusal.IsPermanent():
		end = endDeferred
	}
	tx.ends = make([]string, len(tx.rcpts))
	for i := range tx.ends {
		tx.ends[i] = end
	}
	tx.said = said
	tx.disposeTime = s.now().Sub(begun)
	tx.reply = refusal
	tx.finish(w, "", "")
	return refusal
}

// accepted is what the reply to an accepted message says before its id.
func (tx *transaction) accepted() string {
	if tx.said == "" {
		return "accepted"
	}
	return "accepted: " + ascii(tx.said)
}

// besideDrop is the refusal of a learning address beside other recipients, and of another one beside it.
var besideDrop = mail.Transient(452, 5, 3, "too many recipients: mail to a learning address goes by itself")
