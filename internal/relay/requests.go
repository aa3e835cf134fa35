package relay

import (
	"errors"

	"sekimori/internal/ledger"
	"sekimori/internal/spool"
)

// requests carries out what commands have asked for. One that touches a mail which is being tried is looked at again later.
func (r *Relay) requests() {
	list, err := r.o.Spool.Requests("queue.")
	if err != nil {
		r.o.Log.Error("relay: requests cannot be read", "error", err)
		return
	}
	for _, q := range list {
		if !r.request(q) {
			continue
		}
		if err := r.o.Spool.Answered(q); err != nil {
			r.o.Log.Error("relay: a request cannot be taken away", "error", err)
		}
	}
}

// request reports whether it is done with.
func (r *Relay) request(q spool.Request) bool {
	switch {
	case q.Verb == verbRetry:
		r.probeNow()
		for _, id := range q.Args {
			r.o.Log.Info("relay: retry was asked for", "id", id, "found", r.queue.retry(id))
		}
	case q.Verb == verbDelete && len(q.Args) > 0:
		return r.endAll(q.Args[1:], ledger.Deleted, q.Args[0])
	case q.Verb == verbImport && len(q.Args) == 2:
		r.importFile(q.Args[0], q.Args[1])
	default:
		r.o.Log.Error("relay: a request that is not known", "verb", q.Verb)
	}
	return true
}

// endAll ends entries; false when some are being tried just now.
func (r *Relay) endAll(ids []string, state ledger.State, detail string) bool {
	if r.o.Ledger == nil {
		return true
	}
	done := true
	for _, id := range ids {
		e, err := r.o.Spool.Get(id)
		if errors.Is(err, spool.ErrNotFound) {
			r.queue.remove(id)
			continue
		}
		damaged := err != nil
		if (damaged || e.Kind == spool.KindQueue) && !r.queue.take(id) {
			done = false
			continue
		}
		if damaged && state != ledger.Deleted {
			r.o.Log.Error("relay: an entry cannot be read and is left alone", "id", id, "error", err)
			continue
		}
		if err = (Keeper{r.o.Spool, r.o.Ledger}).End(id, state, detail); err != nil {
			r.o.Log.Error("relay: an entry cannot be ended as was asked", "id", id, "error", err)
			if e.Kind == spool.KindQueue {
				r.queue.add(id, r.way(&e), r.o.Now(), false)
			}
			continue
		}
		r.o.Log.Info("relay: ended on request", "id", id, "state", string(state), "detail", detail)
	}
	return done
}
