package reputation

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"sekimori/internal/store"
)

// In the store there is one hash for each class and month, whose fields are tokens and whose values are counts, and one
// key for each mail that was shown. All share a hash tag, because learning a mail is one transaction, which on a Redis
// Cluster reaches one slot only. The model is the sum of the last months; ageing is the deletion of a hash.
const (
	keyPrefix  = "{bayes}:"
	channel    = keyPrefix + "delta"
	tokenShown = "\x00shown"
	months     = 12
	recordTTL  = 400 * 24 * time.Hour
	// maxDelta is the longest delta that is published; after more the others load anew.
	maxDelta = 1 << 20
)

func monthOf(t time.Time) string { return t.UTC().Format("200601") }

// oldest is the first month that counts.
func oldest(now time.Time) string { return monthBefore(now, months-1) }

// monthBefore is the month n months before now, whatever the day of the month.
func monthBefore(now time.Time, n int) string {
	y, m, _ := now.UTC().Date()
	return monthOf(time.Date(y, m-time.Month(n), 1, 0, 0, 0, 0, time.UTC))
}

func hashKey(c Class, month string) string     { return keyPrefix + string(c) + ":" + month }
func fingerprintKey(fingerprint string) string { return keyPrefix + "seen:" + fingerprint }

// record says what became of a mail that was shown.
type record struct {
	class   Class
	month   string
	learned bool // its tokens were counted
}

func (r record) String() string {
	flag := "0"
	if r.learned {
		flag = "1"
	}
	return string(r.class) + " " + r.month + " " + flag
}

func parseRecord(s string) (record, bool) {
	w := strings.Fields(s)
	if len(w) != 3 || len(w[1]) != 6 {
		return record{}, false
	}
	c, ok := ParseClass(w[0])
	return record{class: c, month: w[1], learned: w[2] == "1"}, ok
}

// change is what a transaction adds to the hashes, and to the model at once.
type change struct {
	node    string
	hashes  map[string]map[string]int // by key
	records map[string]string
	forget  []string
	delta   delta
}

// delta tells the other processes what was added.
type delta struct {
	Node   string                   `json:"node"`
	Reload bool                     `json:"reload,omitempty"`
	Counts map[Class]map[string]int `json:"counts,omitempty"`
}

func newChange(node string) *change {
	return &change{
		node: node, hashes: map[string]map[string]int{}, records: map[string]string{},
		delta: delta{Node: node, Counts: map[Class]map[string]int{}},
	}
}

// add counts a mail (sign 1) or takes it back (sign -1), here and in the model.
func (ch *change) add(m *Model, r record, tokens []string, sign int) {
	m.addShown(r.class, sign)
	ch.count(r, tokenShown, sign)
	if !r.learned {
		return
	}
	m.learn(r.class, tokens, sign)
	ch.count(r, tokenMail, sign)
	for _, t := range tokens {
		ch.count(r, t, sign)
	}
}

func (ch *change) count(r record, token string, sign int) {
	key := hashKey(r.class, r.month)
	h, d := ch.hashes[key], ch.delta.Counts[r.class]
	if h == nil {
		h = map[string]int{}
		ch.hashes[key] = h
	}
	if d == nil {
		d = map[string]int{}
		ch.delta.Counts[r.class] = d
	}
	h[token] += sign
	d[token] += sign
}

// undo takes the change out of the model again.
func (ch *change) undo(m *Model) { ch.delta.apply(m, -1) }

func (d *delta) apply(m *Model, sign int) {
	for c, tokens := range d.Counts {
		for t, n := range tokens {
			if t == tokenShown {
				m.addShown(c, sign*n)
			} else {
				m.observe(c, t, sign*n)
			}
		}
	}
}

// write does the change in one transaction, and publishes it.
func (ch *change) write(ctx context.Context, tx *store.Tx) error {
	if len(ch.hashes) == 0 && len(ch.forget) == 0 {
		return nil
	}
	message, err := json.Marshal(ch.delta)
	if err != nil || len(message) > maxDelta {
		message, _ = json.Marshal(delta{Node: ch.node, Reload: true})
	}
	_, err = tx.TxPipelined(ctx, func(p store.Pipeliner) error {
		for key, h := range ch.hashes {
			for token, n := range h {
				if n != 0 {
					p.HIncrBy(ctx, key, token, int64(n))
				}
			}
		}
		for key, text := range ch.records {
			p.Set(ctx, key, text, recordTTL)
		}
		for _, key := range ch.forget {
			p.Del(ctx, key)
		}
		p.Publish(ctx, channel, message)
		return nil
	})
	return err
}

// parseCount reads a field's value.
func parseCount(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}
