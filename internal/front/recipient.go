package front

import (
	"net/netip"
	"time"

	"sekimori/internal/mail"
	"sekimori/internal/recipients"
)

// question is one recipient that a client asks for.
type question struct {
	addr      mail.Address
	mailboxes []mail.Address // whose mail it is, when the address stands for others
	reply     mail.Reply     // the refusal; zero while there is none
	why       string         // of the refusal, in a word
	// behind is the refusal that is said after policy has had its say, so that a client which is refused anyway does not learn
	// who exists, and so that "unknown" takes as long as "known".
	behind    mail.Reply
	behindWhy string
	drop      string // the class that mail to it teaches; "" for all but learning addresses
}

// recipient reads what stands in RCPT and finds out whether it is ours.
func (w *wire) recipient(to string) question {
	tx := w.tx
	a, err := mail.ParseAddress(to, tx.params.UTF8)
	q := question{addr: a}
	switch {
	case err != nil:
		q.reply, q.why = mail.Permanent(553, 1, 3, err.Error()), "address"
		return q
	case tx.has(a):
		return q
	case w.set.cfg.Bayes.Drop.Class(a) != "":
		w.dropRcpt(&q, w.set.cfg.Bayes.Drop.Class(a))
		return q
	case tx.drop != "":
		q.reply, q.why = besideDrop, "drop"
		return q
	case !tx.bare && !w.set.rcpts.Ours(a):
		q.reply, q.why = mail.Permanent(550, 7, 1, "relaying denied"), "relay"
		return q
	}
	if limit := w.set.cfg.SMTP.MaxRecipients; limit > 0 && len(tx.rcpts) >= limit {
		q.reply, q.why = mail.Transient(452, 5, 3, "too many recipients"), "max_recipients"
		return q
	}
	if w.srv.opts.Relay.Down(a) {
		q.reply, q.why = backendDown, "backend_down"
		return q
	}
	if tx.bare {
		return q
	}
	if !w.exempt() && !recipients.AlwaysOpen(a) && w.srv.harvest.over(network(w.session.Client)) {
		q.reply, q.why = mail.Transient(450, 7, 1, "too many unknown recipients from your network, try again later"), "harvest"
		return q
	}
	w.resolve(&q)
	return q
}

// resolve asks who the address is. From one's own machines the time it takes is not hidden.
func (w *wire) resolve(q *question) {
	ask := w.set.rcpts.Resolve
	if w.session.Trusted {
		ask = w.set.rcpts.Find
	}
	begun := time.Now()
	r := ask(w.ctx, q.addr)
	w.tx.rcptTime += time.Since(begun)
	if r.IsAlias() {
		q.mailboxes = r.Mailboxes
	}
	switch {
	case r.Result == recipients.Known, r.Result == recipients.Internal && w.session.Trusted:
	case r.Result == recipients.Internal:
		q.behind, q.behindWhy = mail.Permanent(550, 7, 1, "this address takes mail from inside only"), "internal_only"
	case r.Result == recipients.NotNow:
		q.behind, q.behindWhy = mail.Transient(451, 4, 3, "the recipient cannot be looked up at the moment, try again later"), "directory"
		w.srv.log.Warn("recipient cannot be looked up", "id", w.tx.id, "rcpt", clean(q.addr.String()), "source", r.Source, "why", clean(r.Why))
	default:
		q.behind, q.behindWhy = mail.Permanent(550, 1, 1, "no such user here"), "unknown_user"
	}
}

// judgeRcpt lets policy judge the recipient and fills in the refusal, if there is one: that of policy before "unknown".
func (w *wire) judgeRcpt(q *question) mail.Verdict {
	tx := w.tx
	begun := time.Now()
	v := tx.judging.Rcpt(w.ctx, q.addr, q.mailboxes)
	tx.rcptTime += time.Since(begun)
	switch {
	case v.Action == mail.Defer, v.Action == mail.Reject && !recipients.AlwaysOpen(q.addr):
		q.reply, q.why = verdictReply(v), "policy"
	case !q.behind.IsZero():
		q.reply, q.why = q.behind, q.behindWhy
	}
	if (q.behindWhy == "unknown_user" || q.behindWhy == "internal_only") && !w.exempt() {
		w.srv.harvest.failed(network(w.session.Client), w.set.cfg.SMTP.MaxFailedPerNetwork)
	}
	return v
}

// exempt reports whether unknown recipients do not count against the client: it is one of ours, or a relay of ours that hands
// over what others sent.
func (w *wire) exempt() bool { return w.session.Trusted || w.session.Relayed() }

// accept takes a recipient into the transaction.
func (tx *transaction) accept(q question) {
	tx.judging.Accept(q.addr)
	tx.drop = q.drop
	tx.rcpts = append(tx.rcpts, q.addr)
	if len(q.mailboxes) > 0 {
		if tx.owners == nil {
			tx.owners = map[string][]mail.Address{}
		}
		tx.owners[q.addr.Key()] = q.mailboxes
	}
}

// ownersOf returns whose mail it is for those of rcpts that stand for others.
func (tx *transaction) ownersOf(rcpts []mail.Address) map[string][]mail.Address {
	var some map[string][]mail.Address
	for _, r := range rcpts {
		if boxes, ok := tx.owners[r.Key()]; ok {
			if some == nil {
				some = map[string][]mail.Address{}
			}
			some[r.Key()] = boxes
		}
	}
	return some
}

// network is what one client usually has to himself: a /24 of IPv4, a /64 of IPv6.
func network(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := 64
	if a.Is4() {
		bits = 24
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}
