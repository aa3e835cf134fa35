package digest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/mail"
	"sekimori/internal/people"
	"sekimori/quarantine"
)

// Mail is a digest on its way out, from the null sender. ID is the same whenever the same digest is handed over again.
type Mail struct {
	ID      string
	To      mail.Address
	Content []byte
	Names   []string // the held mails that it tells of, for Retract
}

// Sender takes digests.
type Sender interface {
	// Queue returns nil when the mail is safe on the disk, or when it was handed over before under this ID. After an error it is not
	// there.
	Queue(ctx context.Context, m Mail) error
	// Known reports which of these IDs were ever handed over at this host.
	Known(ctx context.Context, ids []string) (map[string]bool, error)
}

// Options of New. All but Log and Progress must be set.
type Options struct {
	Keeper    *quarantine.Store
	People    *people.Store
	Directory *people.Directory
	Config    func() *config.Config
	Sender    Sender
	Links     Links
	Dangerous func(class string) bool
	Node      string // name of this host, the same after a restart
	Now       func() time.Time
	Log       *slog.Logger
	Progress  func(done, of int) // during a run, every now and then; may be nil
}

const (
	lookEvery = 20 * time.Second
	askEvery  = 2 * time.Second
	lapse     = 2 * time.Minute // of a claim
	claimStep = 100             // slots that are claimed at a time
	workers   = 8
	mostNew   = 2000 // mails of one address that one digest tells of; the others come with the next
	stepGet   = 500
)

// Counters count since the start.
type Counters struct {
	Sent    atomic.Int64 // digests handed over
	Mails   atomic.Int64 // that they named
	Nothing atomic.Int64 // due times at which nothing was left to tell
	Failed  atomic.Int64 // attempts that came to nothing and are repeated
}

// Runner sends the digests that are due. One goroutine runs it; SendListNow, Compose, Due and Retract may be called beside it.
type Runner struct {
	Counters Counters

	o      Options
	signer atomic.Pointer[signing]
	desks  desks

	// Of the goroutine that runs it.
	known   map[string]*known // by Key of the person
	version int64             // of what people chose
}

// known is what is remembered of a person, so that the store is asked only when something may be due.
type known struct {
	schedule config.Schedule // chosen
	done     int64           // the last due time that is of no concern any more
	wait     time.Time       // not before
}

// signing is the Signer of a configuration.
type signing struct {
	of *config.Config
	s  *Signer
}

// New makes a Runner.
func New(o Options) *Runner {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Progress == nil {
		o.Progress = func(int, int) {}
	}
	return &Runner{o: o, known: map[string]*known{}}
}

// Run sends what is due until ctx ends.
func (r *Runner) Run(ctx context.Context) {
	t := time.NewTicker(askEvery)
	defer t.Stop()
	var looked time.Time
	failing := false
	for {
		err := r.asked(ctx)
		if now := r.o.Now(); err == nil && now.Sub(looked) >= lookEvery {
			looked = now
			err = r.Tick(ctx)
		}
		if err != nil && ctx.Err() == nil && !failing {
			r.o.Log.Warn("digests cannot be sent, it will be tried again", "error", err)
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// job is a person for whom something may be due.
type job struct {
	person   mail.Address
	boxes    []mail.Address // with something new
	since    time.Time      // the oldest of it
	due      time.Time
	settings config.DigestOf
	next     int64 // the due time as it is claimed
	finished bool  // its slot has come to its end
}

// Tick looks once who is due, and sends.
func (r *Runner) Tick(ctx context.Context) error {
	jobs, err := r.waiting(ctx)
	if err != nil {
		return err
	}
	now := r.o.Now()
	due := jobs[:0]
	for _, j := range jobs {
		k := r.known[j.person.Key()]
		if r.isDue(j, now, k.schedule) && k.done < j.next && !now.Before(k.wait) {
			due = append(due, j)
		}
	}
	return r.send(ctx, due)
}

// isDue fills in when the digest is, or was, due. What came after that waits for the next time.
func (r *Runner) isDue(j *job, now time.Time, chosen config.Schedule) bool {
	schedule, settings := r.o.Directory.Schedule(j.person, chosen)
	at, ok := schedule.Last(now, settings.Location())
	j.due, j.settings, j.next = at, settings, at.Unix()
	return ok && j.since.Before(at)
}

// waiting returns everybody for whom something is new.
func (r *Runner) waiting(ctx context.Context) ([]*job, error) {
	if err := r.learn(ctx); err != nil {
		return nil, err
	}
	news, err := r.o.Keeper.News(ctx)
	if err != nil {
		return nil, err
	}
	jobs := jobsOf(news, r.o.Directory)
	var fresh []mail.Address
	for _, j := range jobs {
		if r.known[j.person.Key()] == nil {
			fresh = append(fresh, j.person)
		}
	}
	for step := range slices.Chunk(fresh, stepGet) {
		states, err := r.o.People.Get(ctx, step)
		if err != nil {
			return nil, err
		}
		for i, st := range states {
			r.known[step[i].Key()] = &known{schedule: st.Schedule}
		}
	}
	return jobs, nil
}

// learn takes up what people chose since the last look.
func (r *Runner) learn(ctx context.Context) error {
	changed, version, err := r.o.People.Changed(ctx, r.version)
	if err != nil {
		return err
	}
	for _, a := range changed {
		delete(r.known, a.Key())
	}
	r.version = version
	return nil
}

// jobsOf collects what is new by person, who waits longest first.
func jobsOf(news []quarantine.News, d *people.Directory) []*job {
	by := map[string]*job{}
	var jobs []*job
	for _, n := range news {
		for _, a := range d.Readers(n.Addr) {
			j := by[a.Key()]
			if j == nil {
				j = &job{person: a, since: n.Since}
				by[a.Key()] = j
				jobs = append(jobs, j)
			}
			j.boxes = append(j.boxes, n.Addr)
			if n.Since.Before(j.since) {
				j.since = n.Since
			}
		}
	}
	return jobs
}

// send claims the slots and sends, some persons side by side. Each host begins at another place, so that they share the work.
func (r *Runner) send(ctx context.Context, jobs []*job) error {
	if len(jobs) == 0 {
		return nil
	}
	begin := int(place(r.o.Node) % uint64(len(jobs)))
	jobs = slices.Concat(jobs[begin:], jobs[:begin])
	done, start := 0, r.o.Now()
	told := start
	for step := range slices.Chunk(jobs, claimStep) {
		if err := r.step(ctx, step); err != nil {
			return err
		}
		done += len(step)
		if now := r.o.Now(); now.Sub(told) >= 10*time.Second || done == len(jobs) && now.Sub(start) >= 10*time.Second {
			told = now
			r.o.Log.Info("digests", "done", done, "of", len(jobs), "sent", r.Counters.Sent.Load())
		}
		r.o.Progress(done, len(jobs))
	}
	return nil
}

func place(node string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(node))
	return h.Sum64()
}

// step claims and sends for some persons.
func (r *Runner) step(ctx context.Context, jobs []*job) error {
	claims := make([]people.Claim, len(jobs))
	for i, j := range jobs {
		claims[i] = people.Claim{Person: j.person, Due: j.next, Node: r.o.Node, Lapse: lapse}
	}
	taken, err := r.o.People.Take(ctx, claims)
	if err != nil {
		return err
	}
	if err := r.recover(ctx, jobs, taken); err != nil {
		return err
	}
	results := make([]error, len(jobs))
	todo := make(chan int)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := range todo {
				results[i] = r.tell(ctx, jobs[i], taken[i].Slot)
			}
		})
	}
	for i := range jobs {
		if taken[i].Mine {
			todo <- i
		}
	}
	close(todo)
	wg.Wait()
	r.note(jobs, taken, results)
	return ctx.Err()
}

// note remembers what is done with, so that nobody is asked about it again.
func (r *Runner) note(jobs []*job, taken []people.Taken, results []error) {
	now := r.o.Now()
	for i, j := range jobs {
		j.finished = j.finished || !taken[i].Mine && taken[i].Slot.State == people.Sent && taken[i].Slot.Due >= j.next
		k := r.known[j.person.Key()]
		if k == nil {
			continue
		}
		switch {
		case results[i] != nil:
			r.Counters.Failed.Add(1)
			k.wait = now.Add(lapse)
			r.o.Log.Error("a digest could not be sent, it will be tried again", "person", j.person.String(), "error", results[i])
		case taken[i].Mine, taken[i].Slot.State != people.Claimed && taken[i].Slot.Due >= j.next:
			k.done = max(k.done, j.next)
		default: // another host is at it
			k.wait = now.Add(lapse / 2)
		}
	}
}

// EntryID is the name of a digest's entry in the queue.
func EntryID(person mail.Address, due int64) string {
	sum := sha256.Sum256([]byte(person.Key()))
	return fmt.Sprintf("digest-%s-%d", hex.EncodeToString(sum[:8]), due)
}
