package session

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"sekimori/internal/mail"
	"sekimori/internal/store"
)

// burstLua counts the different links of one person that were opened within a window.
// KEYS: openings. ARGV: now (ms), window (ms), link, keep (ms).
const burstLua = `
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', tonumber(ARGV[1]) - tonumber(ARGV[2]))
redis.call('ZADD', KEYS[1], ARGV[1], ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return redis.call('ZCARD', KEYS[1])`

const burstWindow = 10 * time.Second

// Burst notes that a link was opened and returns how many different ones of the same person were in the last ten seconds, this
// one among them. The count is lost at a restart of an embedded store.
func (s *Store) Burst(ctx context.Context, person mail.Address, token string) (int, error) {
	who := sha256.Sum256([]byte(person.Key()))
	which := sha256.Sum256([]byte(token))
	k := store.Volatile + "opened:{" + hex.EncodeToString(who[:16]) + "}"
	n, err := store.NewScript(burstLua).Run(ctx, s.o.Client, []string{k}, s.o.Now().UnixMilli(), burstWindow.Milliseconds(),
		hex.EncodeToString(which[:8]), (2 * burstWindow).Milliseconds()).Int()
	if err != nil {
		return 0, fmt.Errorf("session: %w", err)
	}
	return n, nil
}
