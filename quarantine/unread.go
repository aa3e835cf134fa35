package quarantine

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"sekimori/internal/mail"
	"sekimori/internal/store"
)

// sizeField says of an encrypted mail in the clear how much it takes and where its body is, so that it counts, and its body can be
// given up, when its key is missing: own|paid|zsize|hash, as in meta.
const sizeField = "z"

func encodeSize(m *meta) string {
	return fmt.Sprintf("%d|%d|%d|%s", m.Own, m.Paid, m.ZSize, m.Hash)
}

// unread is a mail that is there and cannot be read, because its key is missing.
type unread struct {
	id     string
	fields map[string]string // of its hash
	err    error
}

// clear returns what is known of the mail all the same: its recipients, their states, and what it takes.
func (u *unread) clear() *record {
	r := &record{meta: meta{Held: Held{ID: u.id}}, states: map[string]string{}}
	for k, v := range u.fields {
		rcpt, is := strings.CutPrefix(k, "s:")
		if !is {
			continue
		}
		var a mail.Address
		_ = a.UnmarshalText([]byte(rcpt)) // never fails
		r.Rcpts = append(r.Rcpts, a)
		r.states[a.Key()] = v
		if _, at, _ := decodeState(v); r.Time.IsZero() || at.Before(r.Time) {
			r.Time = at
		}
	}
	_, r.fin = u.fields["fin"]
	_, r.forgotten = u.fields[forgottenField]
	if w := strings.SplitN(u.fields[sizeField], "|", 4); len(w) == 4 {
		r.Own, _ = strconv.ParseInt(w[0], 10, 64)
		r.Paid, _ = strconv.ParseInt(w[1], 10, 64)
		r.ZSize, _ = strconv.ParseInt(w[2], 10, 64)
		r.Hash = w[3]
	}
	return r
}

// clearRecord is clear, and looks at the header where the mail was held before its size was written down.
func (q *Store) clearRecord(ctx context.Context, u *unread) (*record, error) {
	r := u.clear()
	if r.Hash != "" || r.fin {
		return r, nil
	}
	head, err := q.o.Store.Client().HGet(ctx, headKey(u.id), "head").Bytes()
	if err != nil && !errors.Is(err, store.Nil) {
		return r, fmt.Errorf("quarantine: %w", err)
	}
	r.Own, r.Paid = int64(len(head)), int64(len(head))
	return r, nil
}
