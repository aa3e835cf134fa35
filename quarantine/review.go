package quarantine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"sekimori/internal/spool"
	"sekimori/internal/store"
)

// Review is what the sender of a refused mail wrote, who asks that it be looked at again. Anybody who knows the id may have written it.
type Review struct {
	At   time.Time `json:"at"`
	Note string    `json:"note"`
}

// MaxNote is how many characters of a note are kept.
const MaxNote = 500

const reviewField = "review"

func placeReview(id string) string { return "review:" + id }

// reviewLua keeps the first note at a mail that is there. KEYS: mail. ARGV: field, note.
const reviewLua = `
if redis.call('HEXISTS', KEYS[1], 'm') == 0 or redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 1`

// AskReview keeps a note at the copy of a mail that was refused, once; later ones change nothing. It does not say whether there is such a
// mail: an error is one of the store.
func (q *Store) AskReview(ctx context.Context, id, note string) error {
	if !spool.ValidID(id) {
		return nil
	}
	r, err := q.record(ctx, id)
	if errors.Is(err, ErrNotFound) || err == nil && (!r.Refused || r.review != nil) {
		return nil
	}
	if err != nil {
		return err
	}
	if runes := []rune(strings.ToValidUTF8(note, "?")); len(runes) > MaxNote {
		note = string(runes[:MaxNote])
	}
	b, err := json.Marshal(Review{q.o.Now().UTC(), note})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	// The index comes first, so that no note is without an entry; an entry without a note is not listed.
	c := q.o.Store.Client()
	if err := c.ZAddNX(ctx, reviewIndex, store.Z{Score: float64(q.o.Now().UnixMilli()), Member: id}).Err(); err != nil {
		return fmt.Errorf("quarantine: %w", err)
	}
	err = q.scripts.review.Run(ctx, c, []string{mailKey(id)}, reviewField, q.codec.seal(b, placeReview(id))).Err()
	if err != nil && !errors.Is(err, store.Nil) {
		return fmt.Errorf("quarantine: %w", err)
	}
	q.o.Log.Info("quarantine: the sender of a refused mail asks for a review", "id", id)
	return nil
}

// ReviewsPage is how many requests for a review Reviews returns at most.
const ReviewsPage = 50

// Reviews returns mails whose senders ask for a review and about which nothing is decided, the oldest request first, at most 50.
func (q *Store) Reviews(ctx context.Context) ([]Item, error) {
	ids, err := q.o.Store.Client().ZRange(ctx, reviewIndex, 0, 999).Result()
	if err != nil {
		return nil, fmt.Errorf("quarantine: %w", err)
	}
	var list []Item
	for _, id := range ids {
		if len(list) == ReviewsPage {
			break
		}
		r, err := q.record(ctx, id)
		if errors.Is(err, ErrNotFound) || err == nil && r.fin {
			if err := q.CloseReview(ctx, id); err != nil {
				return list, err
			}
			continue
		}
		if err != nil {
			return list, err
		}
		if i := r.item(); i.Review != nil && i.Undecided() {
			list = append(list, i)
		}
	}
	return list, nil
}

// CloseReview takes a request for a review off the list; the note stays at the mail.
func (q *Store) CloseReview(ctx context.Context, id string) error {
	if err := q.o.Store.Client().ZRem(ctx, reviewIndex, id).Err(); err != nil {
		return fmt.Errorf("quarantine: %w", err)
	}
	return nil
}
