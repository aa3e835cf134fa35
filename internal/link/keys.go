package link

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"sekimori/internal/store"
)

// MinKey is the smallest number of octets that a line of quarantine.key_file may have.
const MinKey = 16

// Options of New.
type Options struct {
	Store    store.Client  // nil: the keys of File alone
	File     string        // the content of quarantine.key_file; "": keys of the store
	Lifetime time.Duration // of a link at most
	Rotation time.Duration // for how long one key of the store signs
	Log      *slog.Logger
	Now      func() time.Time
	Rand     io.Reader // nil: crypto/rand
}

// Keys sign and verify links. Safe for concurrent use.
type Keys struct {
	o     Options
	file  []key
	renew *store.Script

	loading sync.Mutex // one look into the store at a time
	mu      sync.Mutex // guards what follows
	shared  []sharedKey
	looked  time.Time // when the store last answered
}

// sharedKey is a key of the store.
type sharedKey struct {
	key
	from time.Time // when it begins to sign
}

const (
	keysKey = "link:keys"
	refresh = time.Minute
	lead    = 5 * time.Minute // between the making of a key and its first signature: every node has looked by then
	again   = time.Second     // between two looks because of unknown ids, which anybody can make up
	length  = 32
)

// New makes Keys; it does not talk to the store. An error says what is wrong with the key file, and never its content.
func New(o Options) (*Keys, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	k := &Keys{o: o, renew: store.NewScript(renewLua)}
	for line := range strings.Lines(o.File) {
		line = strings.TrimSpace(line)
		switch {
		case line == "":
		case len(line) < MinKey:
			return nil, fmt.Errorf("link: a line of the key file has less than %d octets: not a key", MinKey)
		default:
			k.file = append(k.file, newKey([]byte(line)))
		}
	}
	if len(k.file) == 0 && o.Store == nil {
		return nil, errors.New("link: neither a store nor a key file")
	}
	return k, nil
}

// Sign returns the token of a claim. Expires is cut to the lifetime of a link, because the key is not kept for longer; times
// are cut to whole seconds. ErrNoKey while the store has not answered yet.
func (k *Keys) Sign(ctx context.Context, c Claim) (string, error) {
	now := k.o.Now()
	if c.Issued.IsZero() {
		c.Issued = now
	}
	if last := now.Add(k.o.Lifetime); c.Expires.IsZero() || c.Expires.After(last) {
		c.Expires = last
	}
	if err := c.check(); err != nil {
		return "", err
	}
	signer, ok := k.signer(now)
	if !ok {
		if err := k.Load(ctx); err != nil {
			return "", fmt.Errorf("%w: %w", ErrNoKey, err)
		}
		if signer, ok = k.signer(now); !ok {
			return "", ErrNoKey
		}
	}
	return signer.sign(c), nil
}

// signer returns the first key of the file, or the newest of the store that has begun to sign. Where none has, the first one
// signs: it was made a moment after now was read, or by a node whose clock is ahead, and every node knows it.
func (k *Keys) signer(now time.Time) (key, bool) {
	if len(k.file) > 0 {
		return k.file[0], true
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range slices.Backward(k.shared) {
		if !s.from.After(now) {
			return s.key, true
		}
	}
	if len(k.shared) > 0 {
		return k.shared[0].key, true
	}
	return key{}, false
}

// Verify returns what a token opens. With ErrExpired the Claim is filled in, so that the page can offer a new link to the
// same person; with every other error it is empty.
func (k *Keys) Verify(ctx context.Context, token string, now time.Time) (Claim, error) {
	b, id, err := open(token)
	if err != nil {
		return Claim{}, err
	}
	if found, ok := k.find(id); ok {
		return found.verify(b, now)
	}
	if k.o.Store == nil {
		return Claim{}, ErrKey
	}
	if err := k.lookAgain(ctx); err != nil {
		return Claim{}, fmt.Errorf("%w: %w", ErrNoKey, err)
	}
	if found, ok := k.find(id); ok {
		return found.verify(b, now)
	}
	return Claim{}, ErrKey
}

func (k *Keys) find(id keyID) (key, bool) {
	for _, f := range k.file {
		if f.id == id {
			return f, true
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range k.shared {
		if s.id == id {
			return s.key, true
		}
	}
	return key{}, false
}

// lookAgain loads the keys unless that was done a moment ago.
func (k *Keys) lookAgain(ctx context.Context) error {
	k.mu.Lock()
	fresh := k.o.Now().Sub(k.looked) < again && !k.looked.IsZero()
	k.mu.Unlock()
	if fresh {
		return nil
	}
	return k.Load(ctx)
}

// Load reads the keys of the store, and makes one there when it is time.
func (k *Keys) Load(ctx context.Context) error {
	if k.o.Store == nil {
		return nil
	}
	k.loading.Lock()
	defer k.loading.Unlock()
	fields, err := k.fields(ctx)
	if err != nil {
		return err
	}
	shared := make([]sharedKey, 0, len(fields))
	for id, value := range fields {
		s, ok := parseShared(value)
		if !ok || hex.EncodeToString(s.id[:]) != id {
			k.o.Log.Error("a key for links in the store cannot be read and is passed over", "key", id)
			continue
		}
		shared = append(shared, s)
	}
	slices.SortFunc(shared, func(a, b sharedKey) int {
		if n := a.from.Compare(b.from); n != 0 {
			return n
		}
		return bytes.Compare(a.id[:], b.id[:])
	})
	k.mu.Lock()
	defer k.mu.Unlock()
	k.shared, k.looked = shared, k.o.Now()
	return nil
}

// fields returns the hash; keys are made there only where no file has them.
func (k *Keys) fields(ctx context.Context) (map[string]string, error) {
	if len(k.file) > 0 {
		return k.o.Store.HGetAll(ctx, keysKey).Result()
	}
	secret := make([]byte, length)
	if _, err := io.ReadFull(k.o.Rand, secret); err != nil {
		return nil, err
	}
	fresh := newKey(secret)
	keep := k.o.Lifetime + 24*time.Hour
	list, err := k.renew.Run(ctx, k.o.Store, []string{keysKey}, k.o.Now().UnixMilli(), hex.EncodeToString(fresh.id[:]),
		hex.EncodeToString(secret), k.o.Rotation.Milliseconds(), lead.Milliseconds(), keep.Milliseconds()).StringSlice()
	if err != nil {
		return nil, err
	}
	fields := map[string]string{}
	for i := 0; i+1 < len(list); i += 2 {
		fields[list[i]] = list[i+1]
	}
	return fields, nil
}

func parseShared(value string) (sharedKey, bool) {
	at, text, ok := strings.Cut(value, " ")
	ms, err := strconv.ParseInt(at, 10, 64)
	secret, hexErr := hex.DecodeString(text)
	if !ok || err != nil || hexErr != nil || len(secret) != length {
		return sharedKey{}, false
	}
	return sharedKey{newKey(secret), time.UnixMilli(ms)}, true
}

// renewLua makes a key where there is none or the newest has signed for long enough, drops those whose last link has
// expired, and returns the hash. A key signed last when the next one began.
// KEYS: link:keys. ARGV: now (ms), id, secret, rotation (ms), lead (ms), keep (ms).
const renewLua = `
local now = tonumber(ARGV[1])
local list = redis.call('HGETALL', KEYS[1])
local keys = {}
for i = 1, #list, 2 do
  local from = tonumber(string.match(list[i + 1], '^(%d+) '))
  if from then keys[#keys + 1] = {from = from, id = list[i]} end
end
table.sort(keys, function(a, b) if a.from == b.from then return a.id < b.id end return a.from < b.from end)
local newest = keys[#keys]
if not newest then
  redis.call('HSET', KEYS[1], ARGV[2], ARGV[1] .. ' ' .. ARGV[3])
elseif newest.from + tonumber(ARGV[4]) <= now then
  redis.call('HSET', KEYS[1], ARGV[2], string.format('%.0f', now + tonumber(ARGV[5])) .. ' ' .. ARGV[3])
end
for i = 1, #keys - 1 do
  if keys[i + 1].from + tonumber(ARGV[6]) <= now then redis.call('HDEL', KEYS[1], keys[i].id) end
end
return redis.call('HGETALL', KEYS[1])`

// Run keeps the keys fresh until ctx ends.
func (k *Keys) Run(ctx context.Context) {
	if k.o.Store == nil {
		return
	}
	t := time.NewTicker(refresh)
	defer t.Stop()
	for {
		look, cancel := context.WithTimeout(ctx, 5*time.Second)
		if err := k.Load(look); err != nil && ctx.Err() == nil {
			k.o.Log.Warn("the keys for links cannot be read; those known before stay in use", "err", err)
		}
		cancel()
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}
