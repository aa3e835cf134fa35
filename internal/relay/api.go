package relay

import (
	"cmp"
	"slices"
	"time"

	"sekimori/internal/mail"
	"sekimori/internal/spool"
)

const verbRetry = "queue.retry"

// Item is a queued mail as commands show it.
type Item struct {
	ID       string       `json:"id"`
	State    string       `json:"state"` // queued | inflight
	Kind     string       `json:"kind"`  // mail, or what else it is: a kind of mail.Origin; "unknown" when that cannot be read
	From     mail.Address `json:"from"`
	Rcpts    []spool.Rcpt `json:"rcpts"`
	Size     int64        `json:"size"`
	Created  time.Time    `json:"time"`
	Age      string       `json:"age"`
	Next     time.Time    `json:"next"`
	Attempts int          `json:"attempts"`
	Reason   string       `json:"reason"`              // the last words about a recipient that still waits
	Once     bool         `json:"once,omitempty"`      // it is sent at most once
	WaitsFor []string     `json:"waits_for,omitempty"` // backends that are all known to be dead: it is tried when one is back, whatever Next says
}

// List returns what is in the queue, oldest first. It works beside a running serve.
func List(r *spool.Reader, now time.Time) ([]Item, error) {
	entries, err := r.List(spool.KindQueue)
	if err != nil {
		return nil, err
	}
	items := make([]Item, len(entries))
	for i := range entries {
		items[i] = ItemOf(&entries[i], now)
	}
	slices.SortStableFunc(items, func(a, b Item) int { return a.Created.Compare(b.Created) })
	return items, nil
}

// ItemOf shows one entry.
func ItemOf(e *spool.Entry, now time.Time) Item {
	it := Item{
		ID: e.ID, State: e.State, From: e.From, Rcpts: e.Rcpts, Size: e.Size, Created: e.Created, Next: e.Next, Once: e.Once,
		Age: now.Sub(e.Created).Round(time.Second).String(),
	}
	switch o, err := mail.ParseOrigin(e.Meta); {
	case err != nil:
		it.Kind = "unknown"
	default:
		it.Kind = cmp.Or(o.Kind, "mail")
	}
	for _, c := range e.Rcpts {
		it.Attempts = max(it.Attempts, c.Attempts)
		if !c.Done && c.Last != "" {
			it.Reason = c.Last
		}
	}
	return it
}

// RequestRetry asks the serve that runs on this spool to try entries now; the id "all" means all of them.
func RequestRetry(spoolDir string, now time.Time, ids ...string) error {
	return spool.Ask(spoolDir, verbRetry, ids, now)
}

// Retry tries an entry now, or all with the id "all"; false when it is not in the queue.
func (r *Relay) Retry(id string) bool { return r.queue.retry(id) }

// Status is how a backend is.
type Status struct {
	URL                 string
	Up                  bool
	Cause               string // why it is held to be dead
	Busy, Idle, Waiting int    // connections in use and idle, deliveries that wait for one
	Limit               int    // how many connections there may be at present; 0: there are none to count
}

// Backends returns how all backends are.
func (r *Relay) Backends() []Status {
	backends := r.backends()
	list := make([]Status, len(backends))
	for i, b := range backends {
		st := Status{URL: b.name(), Up: true}
		if err := b.health().why(); err != nil {
			st.Up, st.Cause = false, err.Error()
		}
		st.Busy, st.Idle, st.Waiting = b.counts()
		if s, ok := b.(*smtpBackend); ok {
			st.Limit = s.pool.size()
		}
		list[i] = st
	}
	return list
}

// QueueLen returns how many mails are in the queue, and how many of these are in flight.
func (r *Relay) QueueLen() (all, inflight int) { return r.queue.counts() }
