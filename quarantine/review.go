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
	err = q.scripts.review.Run(ctx, q.o.Store.Client(), []string{mailKey(id)}, reviewField, q.codec.seal(b, placeReview(id))).Err()
	if err != nil && !errors.Is(err, store.Nil) {
		return fmt.Errorf("quarantine: %w", err)
	}
	q.o.Log.Info("quarantine: the sender of a refused mail asks for a review", "id", id)
	return nil
}
