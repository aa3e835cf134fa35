package quarantine

import (
	"context"
	"fmt"
	"strings"
	"time"

	"sekimori/internal/mail"
	"sekimori/internal/store"
)

// Keep says for how long mail of a class, or for a recipient domain, is kept. An empty field fits every mail.
type Keep struct {
	Class, Domain string // Domain as in mail.Address.Domain, in small letters
	Retention     time.Duration
}

func (k *Keep) fits(class, domain string) bool {
	return (k.Class == "" || k.Class == class) && (k.Domain == "" || k.Domain == strings.ToLower(domain))
}

// kept returns for how long a mail is kept: as its rule says, or as the first fitting Keep; of the domains of several
// recipients, the longest.
func (q *Store) kept(h *Held) time.Duration {
	if h.Keep > 0 {
		return h.Keep
	}
	longest := time.Duration(0)
	for _, a := range h.Rcpts {
		d := q.o.Retention
		for i := range q.o.Keep {
			if q.o.Keep[i].fits(h.Class, a.Domain) {
				d = q.o.Keep[i].Retention
				break
			}
		}
		longest = max(longest, d)
	}
	return longest
}

// longest returns for how long any mail is kept, with what it may stay longer because nobody was told of it. Mail that its rule
// keeps for longer is covered by the backstop.
func (q *Store) longest() time.Duration {
	longest := q.o.Retention
	for _, k := range q.o.Keep {
		longest = max(longest, k.Retention)
	}
	return longest + min(longest, mostLate)
}

const (
	mostLate  = backstop - 24*time.Hour // the keys must outlive the mail
	lateEvery = time.Hour
)

// deadline is when a mail expires although not everybody was told of it: it stays at most as long again as it was to be kept, and at
// most 29 days.
func (r *record) deadline() time.Time {
	return r.Until.Add(min(max(r.Until.Sub(r.Time), 0), mostLate))
}

// expire ends a mail whose retention is over, for those recipients who were told of it, and for all at the deadline. It
// reports how many stay.
func (q *Store) expire(ctx context.Context, r *record, now time.Time) (stay int, err error) {
	last := !now.Before(r.deadline())
	var who []mail.Address
	untold := 0
	for _, s := range r.rcpts() {
		if s.State != StateHeld {
			continue
		}
		told := q.o.Announcer == nil || r.Refused || q.o.Announcer.Announced(ctx, r.ID, s.Rcpt)
		if !told && !last {
			stay++
			continue
		}
		if !told {
			untold++
		}
		who = append(who, s.Rcpt)
	}
	if len(who) > 0 {
		done, err := q.move(ctx, r.ID, StateHeld+"|", encodeState(StateExpired, now, ""), who)
		if err != nil {
			return stay, err
		}
		q.ended(r, done, StateExpired, "", now)
		if untold > 0 {
			q.untold.Add(int64(untold))
			q.o.Log.Warn("quarantine: a mail expires of which nobody was told in time", "id", r.ID, "recipients", untold)
		}
	}
	if stay > 0 {
		return stay, q.o.Store.Client().ZAdd(ctx, lateKey, store.Z{Score: float64(r.deadline().UnixMilli()), Member: r.ID}).Err()
	}
	return 0, nil
}

// warnLate tells of mail that stays because nobody was told of it.
func (q *Store) warnLate(ctx context.Context) error {
	first, err := q.o.Store.Client().ZRangeWithScores(ctx, lateKey, 0, 0).Result()
	if err != nil {
		return err
	}
	if len(first) == 0 {
		q.o.Warn("quarantine.late", "")
		return nil
	}
	n, err := q.o.Store.Client().ZCard(ctx, lateKey).Result()
	if err != nil {
		return err
	}
	q.o.Warn("quarantine.late", fmt.Sprintf("%d held mails stay although their retention is over, because the people whose they are were not told of them; "+
		"the first of them expires all the same at %s", n, time.UnixMilli(int64(first[0].Score)).UTC().Format(time.RFC3339)))
	return nil
}

// later looks again at the end of the retention, or soon when a release is on its way, or in an hour when people are to be told.
func (q *Store) later(ctx context.Context, r *record, stay int, now time.Time) error {
	at := r.Until
	if !at.After(now) {
		at = now.Add(sweepEvery)
		if stay > 0 {
			at = now.Add(lateEvery)
			if end := r.deadline(); end.After(now) && end.Before(at) {
				at = end
			}
		}
	}
	return q.o.Store.Client().ZAdd(ctx, dueIndex, store.Z{Score: float64(at.UnixMilli()), Member: r.ID}).Err()
}
