package front

import (
	"context"
	"slices"
	"time"

	"sekimori/internal/mail"
)

const keepWait = 3 * time.Second // the reply does not depend on the copy

// keepRefused keeps copies of a mail that is refused for everybody, where the rules say so, and completes the reply. The sender is told
// the same refusal whether that succeeds or not: the copy is a help for the recipients and was promised to nobody.
func (s *Server) keepRefused(ctx context.Context, w *wire, tx *transaction, reply mail.Reply) mail.Reply {
	keeps := func(v mail.Verdict) bool { return v.Action == mail.Reject && v.Keep > 0 }
	if !reply.IsPermanent() || !slices.ContainsFunc(tx.verdicts, keeps) {
		return reply
	}
	ctx, stop := context.WithTimeout(ctx, keepWait)
	defer stop()
	d := &disposal{
		s: s, w: w, tx: tx, content: kept(tx.message, w.set.cfg.Hostname), trace: s.newTrace(w, tx), eight: tx.eightBit(),
		origin: mail.OriginOf(tx.judging.Transaction(), s.now()), refusing: true,
	}
	ends := slices.Clone(tx.ends)
	defer func() { tx.ends = ends }() // it was refused, whatever is kept
	for _, b := range d.batches(keeps) {
		if err := d.hold(ctx, b); err != nil {
			s.log.Warn("smtp: no copy is kept of what is refused", "id", tx.id, "err", err)
			return reply
		}
	}
	page := w.set.cfg.HTTP.ReviewURL(tx.id)
	if page == "" {
		return reply
	}
	e := reply.Enhanced()
	return mail.Permanent(reply.Code(), e[1], e[2], reply.Text()+"; if this is a mistake, see "+page)
}
