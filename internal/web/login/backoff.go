package login

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"sekimori/internal/store"
)

// backoffLua charges a try before it is made, so that many at once are no way around it. It returns how many milliseconds the
// next try has to wait, 0 when this one may be made. From the free-th failure on the wait doubles.
// KEYS: tries. ARGV: now (ms), free, first wait (ms), longest wait (ms), keep (ms).
const backoffLua = `
local now = tonumber(ARGV[1])
local till = tonumber(redis.call('HGET', KEYS[1], 'till') or '0')
if till > now then return till - now end
local n = redis.call('HINCRBY', KEYS[1], 'n', 1)
local free = tonumber(ARGV[2])
if n >= free then
  local wait = math.min(tonumber(ARGV[3]) * 2 ^ math.min(n - free, 20), tonumber(ARGV[4]))
  redis.call('HSET', KEYS[1], 'till', string.format('%.0f', now + wait))
end
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return 0`

// A name from one network is locked soon, a network that tries many names a little later, and a name that many networks try last, and
// for a short time only: else anybody could keep an administrator out.
const (
	freeSame    = 5
	freeNetwork = 20
	freeName    = 50

	firstWait   = 30 * time.Second
	longWait    = time.Hour
	longName    = time.Minute
	keepTries   = 24 * time.Hour
	keepTrusted = 30 * 24 * time.Hour
)

// Backoff makes those wait who fail to sign in, on all nodes. Safe for concurrent use.
type Backoff struct {
	Client store.Client
	Now    func() time.Time
}

func tryKey(kind, what string) string {
	sum := sha256.Sum256([]byte(kind + "\x00" + strings.ToLower(what)))
	return store.Volatile + "login:{" + hex.EncodeToString(sum[:16]) + "}"
}

// Network is what tries are counted for: of IPv4 a /24, of IPv6 a /56.
func Network(a netip.Addr) string {
	bits := 24
	if a = a.Unmap(); a.Is6() {
		bits = 56
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return ""
	}
	return p.String()
}

// Try charges one try to sign in and returns how long to wait, 0 when it may be made. A name that its owner has used from this network
// lately is not locked by what others try.
func (b Backoff) Try(ctx context.Context, name string, from netip.Addr) (time.Duration, error) {
	network := Network(from)
	trusted, err := b.Client.Exists(ctx, tryKey("trusted", name+"\x00"+network)).Result()
	if err != nil {
		return 0, fmt.Errorf("login: %w", err)
	}
	var most time.Duration
	for _, c := range []struct {
		key  string
		free int
		most time.Duration
		skip bool
	}{
		{tryKey("same", name+"\x00"+network), freeSame, longWait, false},
		{tryKey("network", network), freeNetwork, longWait, false},
		{tryKey("name", name), freeName, longName, trusted > 0},
	} {
		if c.skip || most > 0 {
			continue
		}
		ms, err := store.NewScript(backoffLua).Run(ctx, b.Client, []string{c.key}, b.Now().UnixMilli(), c.free, firstWait.Milliseconds(),
			c.most.Milliseconds(), keepTries.Milliseconds()).Int64()
		if err != nil {
			return 0, fmt.Errorf("login: %w", err)
		}
		most = max(most, time.Duration(ms)*time.Millisecond)
	}
	return most, nil
}

// spareLua takes back the charge of a try that could not be made. KEYS: tries.
const spareLua = `
if tonumber(redis.call('HGET', KEYS[1], 'n') or '0') > 0 then
  redis.call('HINCRBY', KEYS[1], 'n', -1)
  redis.call('HDEL', KEYS[1], 'till')
end
return 0`

// Spare takes back what Try charged, because the directory could not be asked: that was nobody's wrong password.
func (b Backoff) Spare(ctx context.Context, name string, from netip.Addr) error {
	network := Network(from)
	for _, key := range []string{tryKey("same", name+"\x00"+network), tryKey("network", network), tryKey("name", name)} {
		if err := store.NewScript(spareLua).Run(ctx, b.Client, []string{key}).Err(); err != nil {
			return fmt.Errorf("login: %w", err)
		}
	}
	return nil
}

// Succeeded forgets the failures of a name from a network. Those of the network stay: one good password is no licence to guess others.
func (b Backoff) Succeeded(ctx context.Context, name string, from netip.Addr) error {
	network := Network(from)
	if err := b.Client.Del(ctx, tryKey("same", name+"\x00"+network)).Err(); err != nil {
		return err
	}
	return b.Client.SetArgs(ctx, tryKey("trusted", name+"\x00"+network), "1", store.SetArgs{TTL: keepTrusted}).Err()
}
