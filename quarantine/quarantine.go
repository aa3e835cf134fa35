package quarantine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"sekimori/internal/mail"
	"sekimori/internal/spool"
	"sekimori/internal/store"
)

// Held is one mail to keep: what the recipients and the administrators are shown, and the octets.
type Held struct {
	ID           string // unique; letters, digits, dots, hyphens, underscores
	Class        string
	From         mail.Address
	Rcpts        []mail.Address
	Subject      string // decoded
	HeaderFrom   string
	Time         time.Time
	Size         int64 // of Body; filled in by Hold
	Score        float64
	Rule         string
	Reasons      []mail.Counted
	Degraded     []string
	Client, Helo string
	EightBit     bool
	UTF8         bool
	Trace        []byte       `json:"-"` // our header fields, put on top at release
	Body         mail.Content `json:"-"` // the mail as it came in, without what is never relayed
	// Owners says, by Key, for those of Rcpts that stand for others (aliases, groups), whose the mail is.
	Owners map[string][]mail.Address `json:",omitempty"`

	FromName    string            `json:",omitempty"` // the display name in From, decoded
	Confirmed   bool              `json:",omitempty"` // the domain in From was confirmed (DMARC passed)
	Attachments []string          `json:",omitempty"` // decoded names, at most MaxNames
	Attached    int               `json:",omitempty"` // how many there are
	Describe    map[string]string `json:",omitempty"` // the deciding rule's text for people, by language
	Final       bool              `json:",omitempty"` // a rule decided, not the sum
	Limit       float64           `json:",omitempty"` // the threshold that the score reached
	Proof       mail.Proof        `json:",omitzero"`  // what was confirmed of the author

	// Keep is for how long it is kept, when not as configured.
	Keep time.Duration `json:",omitempty"`
	// Refused says that the sender was told so: nobody was promised this mail. It is a copy for the recipients to look at; it is not
	// in the ledger, and it expires in time whoever was told of it.
	Refused bool `json:",omitempty"`

	// What a refusal for want of room would hit as well, so that the quota of a domain gives way up to twice its size: Shared says that
	// the same mail is delivered to somebody, Others are the domains of other recipients for whom it is held by itself.
	Shared bool     `json:"-"`
	Others []string `json:"-"`
}

// Errors of this package, for errors.Is.
var (
	ErrNotFound = errors.New("quarantine: there is no mail with this id")
	ErrFull     = errors.New("quarantine: full")
	ErrState    = errors.New("quarantine: not possible any more")
	ErrInvalid  = errors.New("quarantine: not a valid mail to hold")
	// ErrLost says that the octets are not in the store although the mail is; it is an emergency and never a state of its own.
	ErrLost = errors.New("quarantine: the octets of this mail are missing in the store")
)

// Backend is what is needed of store.Store.
type Backend interface {
	Client() store.Client
	Embedded() bool
	// Durable reports whether an acknowledged write survives a kill of the store.
	Durable(ctx context.Context) bool
	// Saved tells when the last save that succeeded was begun; ok is false when none is known.
	Saved(ctx context.Context) (begun time.Time, ok bool, err error)
}

// Release is a mail on its way out. ID is the same whenever the same release is handed over again.
type Release struct {
	ID       string
	From     mail.Address
	Rcpts    []mail.Address
	Content  mail.Content // valid until Queue returns
	EightBit bool
	UTF8     bool
}

// Deliverer takes released mail. Queue returns nil when the mail is safe on the disk; an ID that it has already is not an
// error (spool.ErrExists counts as nil as well).
type Deliverer interface {
	Queue(ctx context.Context, r Release) error
}

// End is one recipient's mail reaching an end state, for the log and the history.
type End struct {
	ID    string
	Rcpt  mail.Address
	State string // released | deleted | expired
	By    string
	At    time.Time
}

// Options of New. Commands leave Spool and Deliverer out.
type Options struct {
	Store     Backend
	Spool     *spool.Spool // of the running serve; nil: Hold and Run are not possible
	SpoolDir  string       // data_dir/spool; where commands leave requests and look for pending holds; "" with Spool set: its own
	Deliverer Deliverer
	// Route groups recipients whose mail stands in one entry of the relay's queue (relay.Route); each group is a release of
	// its own, so that a hand-over is whole or not at all. nil: every recipient alone.
	Route func([]mail.Address) [][]mail.Address
	// Mark says by what the backend knows a released mail, as it is now; nil: by the plain X-Sekimori-Released only.
	Mark      func() Marker
	Node      string        // name of this host, the same after a restart, for claims
	Retention time.Duration // default 14 days
	Keep      []Keep        // what is kept for another time; the first that fits decides
	Quota     int64         // octets in the store; 0: none
	// DomainQuota is the octets that may be held for a recipient domain (in small letters); a domain without an entry has no limit.
	DomainQuota map[string]int64
	// Keys encrypt what is held: the first encrypts, the others still decrypt; none: nothing is encrypted.
	Keys []Key
	// Announcer is asked before a mail expires; nil: nobody is told of held mail, and it expires in time.
	Announcer Announcer
	OnEnd     func(End) // optional; called at least once per end
	// Decide carries out a decision that waited for the store, with all that belongs to an act of its kind: audit, learning. It is called
	// again until it returns nil, or an error that is ErrState, ErrNotFound or ErrInvalid. nil: only the states are changed.
	Decide   func(ctx context.Context, id string, rcpts []mail.Address, deleted bool, by string) error
	Recorder Recorder // optional
	Warn     func(key, message string)
	Log      *slog.Logger
	Now      func() time.Time
}

const (
	backstop      = 30 * 24 * time.Hour // keys live so much longer than the retention
	storeBudget   = time.Second         // how long a hold waits for the store, small mails
	embeddedMails = 20000               // the cap of the embedded store
	grace         = time.Hour           // for how long what was deleted can still be released
)

// Store is the quarantine. Safe for concurrent use.
type Store struct {
	o       Options
	codec   codec
	reader  *spool.Reader // pending holds; nil when there is no spool
	scripts scripts

	large chan struct{} // has a place for each large mail that is being packed
	mu    sync.Mutex    // one of Run's tasks at a time; guards what follows
	retry map[string]retry
	next  map[string]time.Time // of Run's slower tasks
	round *round               // of repair; nil: none is going on

	scanMu  sync.Mutex         // guards scanned, which the nodes of a Cluster change side by side
	scanned map[string]*uint64 // by node: where its keys go on; nil: no rescan is going on

	untold   atomic.Int64 // recipients whose mail expired though nobody was told
	complete atomic.Bool  // the indexes are known to be

	pendMu sync.Mutex // one change of a hold on the disk at a time
	doneMu sync.Mutex
	done   []any // intents that are fulfilled
}

type retry struct {
	at   time.Time
	wait time.Duration
}

// New makes a quarantine. It does not talk to the store.
func New(o Options) (*Store, error) {
	if o.Retention <= 0 {
		o.Retention = 14 * 24 * time.Hour
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Warn == nil {
		o.Warn = func(string, string) {}
	}
	if o.OnEnd == nil {
		o.OnEnd = func(End) {}
	}
	if o.Mark == nil {
		o.Mark = func() Marker { return Marker{} }
	}
	if o.Route == nil {
		o.Route = alone
	}
	if o.Node == "" {
		o.Node = "localhost"
	}
	c, err := newCodec(o.Keys)
	if err != nil {
		return nil, fmt.Errorf("quarantine: %w", err)
	}
	q := &Store{o: o, codec: c, scripts: newScripts(), large: make(chan struct{}, largeAtOne), retry: map[string]retry{}, next: map[string]time.Time{}}
	switch {
	case o.Spool != nil:
		q.reader = &o.Spool.Reader
		if o.SpoolDir == "" {
			q.o.SpoolDir = o.Spool.Dir()
		}
	case o.SpoolDir != "":
		// A host on which serve never ran has no spool and nothing pending.
		q.reader, _ = spool.OpenReadOnly(o.SpoolDir)
	}
	return q, nil
}

// Large mails are packed in memory, each as often as its size; so many at a time.
const (
	largeMail  = 256 << 10
	largeAtOne = 4
)

// enter waits for a place for a large mail, so that many at once do not take the memory.
func (q *Store) enter(ctx context.Context, size int64) (leave func(), err error) {
	if size < largeMail {
		return func() {}, nil
	}
	select {
	case q.large <- struct{}{}:
		return func() { <-q.large }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("quarantine: too many large mails at once: %w", ctx.Err())
	}
}

// Hold keeps a mail. It returns nil only when the mail is safe: confirmed by the store, and, unless the store is durable,
// also on our disk until a save begun later has succeeded; or on our disk alone when the store is down or slow (Run moves
// it). It waits for the store about a second at most, more for large mails. ErrFull when the quota or the cap of the
// embedded store is reached; then the mail must be deferred.
func (q *Store) Hold(ctx context.Context, h Held) error {
	if q.o.Spool == nil {
		return errors.New("quarantine: opened for looking only")
	}
	if !spool.ValidID(h.ID) || len(h.ID) > 80 || len(h.Rcpts) == 0 {
		return fmt.Errorf("%w: id %q with %d recipients", ErrInvalid, h.ID, len(h.Rcpts))
	}
	h.Size = h.Body.Len()
	if h.Time.IsZero() {
		h.Time = q.o.Now()
	}
	done, err := q.enter(ctx, h.Size)
	if err != nil {
		return err
	}
	defer done()
	p, err := q.codec.pack(h.ID, h.Body)
	if err != nil {
		return fmt.Errorf("quarantine: %w", err)
	}
	budget := storeBudget + time.Duration(p.zsize/(32<<20))*time.Second
	sctx, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	err = q.save(sctx, &h, p, nil, true)
	if errors.Is(err, ErrFull) {
		return err
	}
	if err != nil {
		q.o.Log.Warn("quarantine: the store did not take a mail, it is held on the disk", "id", h.ID, "error", err)
		if err := q.putPending(&h, false); err != nil {
			return err
		}
		return q.note(ctx, &h, true, false)
	}
	if q.o.Store.Durable(sctx) {
		return q.note(sctx, &h, false, true)
	}
	if err = q.putPending(&h, true); err != nil {
		return errors.Join(err, q.takeBack(sctx, &h))
	}
	return q.note(sctx, &h, true, true)
}
