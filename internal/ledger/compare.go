package ledger

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
)

// Where says what is found of a recipient outside the ledger.
type Where struct {
	Waits bool   // it is kept: nothing has ended
	Fresh bool   // it waits only just, and its line may be still to come
	State State  // when it does not wait: how it ended
	By    string // who or what brought that about
}

// Sources are what the ledger is compared with. Keys are IDs, then recipients as Key writes them.
type Sources struct {
	Ledger func() (Snapshot, error)
	// Queue returns everything in the spool's queue; damaged what cannot be read, by ID.
	Queue func() (kept map[string]map[string]Where, damaged map[string]string, err error)
	// Pending returns the holds on this host's disk.
	Pending func() (kept map[string]map[string]Where, damaged map[string]string, err error)
	// Held returns what the quarantine knows of these mails, in its store or on the disk.
	Held func(ctx context.Context, rcpts map[string][]string) (map[string]map[string]Where, error)
	// Wait lets what moves move on, before the look with this number (1, 2, …); nil sleeps 100 ms, 200 ms, 400 ms …
	Wait func(ctx context.Context, look int)
}

// The kinds of mismatches.
const (
	Missing    = "missing"    // acknowledged, not ended, and nowhere to be found: lost
	Unfinished = "unfinished" // ended where it is kept, and not in the ledger
	Unknown    = "unknown"    // kept without a line
	Damaged    = "damaged"    // kept, and not as it was stored
	Unreadable = "unreadable" // a line of the ledger
	Uneven     = "uneven"     // accepted is not ended and open
)

// Mismatch is something that is not as it must be. Do says what to do, in words.
type Mismatch struct {
	Kind   string `json:"kind"`
	ID     string `json:"id,omitempty"`
	Rcpt   string `json:"rcpt,omitempty"`
	Ledger string `json:"ledger"`
	Found  string `json:"found"`
	Do     string `json:"do"`
}

type mismatchKey struct{ kind, id, rcpt string }

func (m *Mismatch) key() mismatchKey { return mismatchKey{m.Kind, m.ID, m.Rcpt} }

// Closing is a held mail that ended at another node, or while the ledger could not be written: its line is still to come.
type Closing struct {
	ID, Rcpt string
	State    State
	By       string
}

// Report is the result of a comparison.
type Report struct {
	Totals
	Mismatches  []Mismatch `json:"mismatches"`
	NotCompared []string   `json:"not_compared"` // what could not be asked, and why
	Closing     []Closing  `json:"-"`
}

// Fine reports whether everything was compared and nothing is wrong.
func (r *Report) Fine() bool { return len(r.Mismatches) == 0 && len(r.NotCompared) == 0 }

const looks = 6 // before something that does not match is called a mismatch

// Compare finds what the ledger and the places do not agree on. It works while mail moves: what does not match is looked at
// again several times. The error is that of reading the ledger.
func Compare(ctx context.Context, s Sources) (Report, error) {
	if s.Wait == nil {
		s.Wait = pause
	}
	var last map[mismatchKey]bool
	for look := 0; ; look++ {
		r, err := compareOnce(ctx, &s)
		if err != nil {
			return r, err
		}
		if look > 0 {
			r.Mismatches = slices.DeleteFunc(r.Mismatches, func(m Mismatch) bool { return !last[m.key()] })
		}
		if len(r.Mismatches) == 0 || look == looks-1 || ctx.Err() != nil {
			slices.SortFunc(r.Mismatches, func(a, b Mismatch) int {
				return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Rcpt, b.Rcpt))
			})
			return r, nil
		}
		last = map[mismatchKey]bool{}
		for i := range r.Mismatches {
			last[r.Mismatches[i].key()] = true
		}
		s.Wait(ctx, look+1)
	}
}

func pause(ctx context.Context, look int) {
	t := time.NewTimer(50 * time.Millisecond << look)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

func compareOnce(ctx context.Context, s *Sources) (Report, error) {
	r := Report{Mismatches: []Mismatch{}, NotCompared: []string{}}
	// The places first: a mail that comes meanwhile is then at most missing in them, and looked at again.
	queue, damaged, qerr := s.Queue()
	pending, damagedHolds, perr := s.Pending()
	snap, err := s.Ledger()
	if err != nil {
		return r, err
	}
	r.Totals = snap.Totals
	open := map[string]map[string]Place{}
	holds := map[string][]string{}
	for _, i := range snap.Open {
		if open[i.ID] == nil {
			open[i.ID] = map[string]Place{}
		}
		for _, rcpt := range i.Rcpts {
			open[i.ID][rcpt] = i.Place
		}
		if i.Place == Hold {
			holds[i.ID] = append(holds[i.ID], i.Rcpts...)
		}
	}
	c := comparison{r: &r, open: open}
	c.problems(&snap)
	if qerr != nil {
		r.NotCompared = append(r.NotCompared, fmt.Sprintf("the queue: %v", qerr))
	} else {
		c.queue(queue)
		c.unknown(queue, Queue)
		c.damaged(damaged)
	}
	if perr != nil {
		r.NotCompared = append(r.NotCompared, fmt.Sprintf("holds on the disk: %v", perr))
	} else {
		c.unknown(pending, Hold)
		c.damaged(damagedHolds)
	}
	if len(holds) == 0 {
		return r, nil
	}
	found, herr := s.Held(ctx, holds)
	if herr != nil {
		r.NotCompared = append(r.NotCompared, fmt.Sprintf("%d mails that are held: %v", len(holds), herr))
		return r, nil
	}
	c.holds(holds, found)
	return r, nil
}

type comparison struct {
	r    *Report
	open map[string]map[string]Place
}

func (c *comparison) add(kind, id, rcpt, led, found, do string) {
	c.r.Mismatches = append(c.r.Mismatches, Mismatch{kind, id, rcpt, led, found, do})
}

func (c *comparison) problems(s *Snapshot) {
	for _, p := range s.Problems {
		c.add(Unreadable, "", "", p.String(), "", "a disk that returns other octets than were written needs a look; the next start of serve leaves the line out")
	}
	sum := s.Queued + s.Held
	for _, n := range s.Ended {
		sum += n
	}
	if sum != s.Accepted {
		c.add(Uneven, "", "", fmt.Sprintf("%d were accepted", s.Accepted), fmt.Sprintf("%d have ended or are open", sum),
			"lines of the ledger were lost or changed by hand; the mails below, if any, say which")
	}
}

const lookForIt = "look in the backup of data_dir, and ask the backend's log for the ID and the recipient's log; the sender believes it was delivered"

func (c *comparison) queue(kept map[string]map[string]Where) {
	for id, rcpts := range c.open {
		for rcpt, place := range rcpts {
			if place != Queue {
				continue
			}
			w, ok := kept[id][rcpt]
			switch {
			case !ok:
				c.add(Missing, id, rcpt, "queued", "not in the queue", lookForIt)
			case !w.Waits:
				c.add(Unfinished, id, rcpt, "queued", "the entry says "+string(w.State), "restart serve: it writes the end down and removes the entry")
			}
		}
	}
}

func (c *comparison) unknown(kept map[string]map[string]Where, place Place) {
	what := "waits in the queue"
	if place == Hold {
		what = "is held on the disk"
	}
	for id, rcpts := range kept {
		for rcpt, w := range rcpts {
			if _, ok := c.open[id][rcpt]; w.Waits && !w.Fresh && !ok {
				c.add(Unknown, id, rcpt, "no open line", what, "restart serve: it takes the entry up, or ends it when it ended before")
			}
		}
	}
}

func (c *comparison) damaged(list map[string]string) {
	for id, why := range list {
		c.add(Damaged, id, "", "", why, "restore the files of this ID from a backup, or give it up: sekimori queue delete "+id)
	}
}

func (c *comparison) holds(want map[string][]string, found map[string]map[string]Where) {
	for id, rcpts := range want {
		for _, rcpt := range rcpts {
			w, ok := found[id][rcpt]
			switch {
			case !ok:
				c.add(Missing, id, rcpt, "held", "neither in the quarantine's store nor on the disk", "restore the store's data from a backup; "+lookForIt)
			case !w.Waits:
				c.r.Closing = append(c.r.Closing, Closing{id, rcpt, w.State, w.By})
			}
		}
	}
}
