package reputation

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"sekimori/internal/mail"
	"sekimori/internal/store"
)

// Allow is a recipient's wish that mail of one sender passes. It never rests on a From address alone: the sender must be
// confirmed in the same way again.
type Allow struct {
	ID   string       `json:"id"`
	Rcpt mail.Address `json:"rcpt"`
	// Domain is the domain in From for which DKIM or SPF vouched (aligned as DMARC sees it). Subdomains are not meant.
	Domain string `json:"domain,omitempty"`
	// Address is the exact address in From: beside Domain where many people share that, and of a sender for whom neither vouches;
	// then SPF or Host is set and must be confirmed as well.
	Address string    `json:"address,omitempty"`
	SPF     string    `json:"spf,omitempty"`  // the domain of MAIL FROM or HELO for which SPF passed
	Host    string    `json:"host,omitempty"` // the domain of the server's name, confirmed in both directions
	By      string    `json:"by"`             // who allowed it
	Mail    string    `json:"mail,omitempty"` // the mail from which it was made
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
}

// Errors of Allows, for errors.Is.
var (
	ErrTooWide   = errors.New("reputation: a From address alone is not enough to allow a sender")
	ErrMostAllow = errors.New("reputation: so many senders are allowed already")
)

const (
	allowPrefix = "allow:"
	allowHint   = allowPrefix + "hint" // channel: a recipient whose list has changed
	allowIndex  = allowPrefix + "i"    // recipient -> the latest expiry of his
	allowFresh  = 10 * time.Second     // for how long what was read is believed; a change at another host is seen after it
	allowCached = 20000                // recipients
	allowMost   = 200                  // of one recipient
	allowLife   = 90 * 24 * time.Hour  // default
)

func allowKey(rcpt string) string { return allowPrefix + "{" + rcpt + "}" }
func allowIDKey(id string) string { return allowPrefix + "id:" + id }

// allowAddLua writes a permission, unless there are so many, and lets the list live as long as its longest. 0: there are.
// KEYS: list. ARGV: id, JSON, expires (ms), now (ms), most.
const allowAddLua = `
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[5]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[3]) - tonumber(ARGV[4]) then redis.call('PEXPIREAT', KEYS[1], ARGV[3]) end
return 1`

// Allows keeps what recipients allow, in the store under allow:, and for some seconds in memory. Safe for concurrent use.
type Allows struct {
	client store.Client
	now    func() time.Time
	add    *store.Script

	mu    sync.Mutex
	cache map[string]cachedAllows // by Address.Key
}

type cachedAllows struct {
	list  []Allow
	until time.Time
}

// NewAllows returns an Allows. It does not talk to the store.
func NewAllows(client store.Client, now func() time.Time) *Allows {
	return &Allows{client: client, now: now, add: store.NewScript(allowAddLua), cache: map[string]cachedAllows{}}
}

// narrow makes a permission comparable, or says that it is too wide.
func (a *Allow) narrow() error {
	a.Domain, a.Address = strings.ToLower(a.Domain), strings.ToLower(a.Address)
	a.SPF, a.Host = strings.ToLower(a.SPF), strings.ToLower(a.Host)
	switch {
	case a.Rcpt.IsNull():
		return fmt.Errorf("%w: it is for nobody", ErrTooWide)
	case a.Domain == "" && a.Address == "", a.Domain == "" && a.SPF == "" && a.Host == "":
		return ErrTooWide
	case a.Domain != "":
		a.SPF, a.Host = "", ""
	}
	sum := sha256.Sum256([]byte(strings.Join([]string{a.Rcpt.Key(), a.Domain, a.Address, a.SPF, a.Host}, "\x00")))
	a.ID = hex.EncodeToString(sum[:8])
	return nil
}

// Add keeps a permission and returns it with its ID. Created and Expires are filled in when they are zero. The same once more
// prolongs it. ErrTooWide; ErrMostAllow when the recipient has 200.
func (s *Allows) Add(ctx context.Context, a Allow) (Allow, error) {
	if err := a.narrow(); err != nil {
		return a, err
	}
	now := s.now().UTC().Truncate(time.Second)
	if a.Created.IsZero() {
		a.Created = now
	}
	if a.Expires.IsZero() {
		a.Expires = a.Created.Add(allowLife)
	}
	a.Expires = a.Expires.UTC().Truncate(time.Second)
	b, err := json.Marshal(a)
	if err != nil {
		return a, fmt.Errorf("reputation: %w", err)
	}
	if _, err := s.read(ctx, []string{a.Rcpt.Key()}, true); err != nil { // takes away what has expired
		return a, err
	}
	key := a.Rcpt.Key()
	done, err := s.add.Run(ctx, s.client, []string{allowKey(key)}, a.ID, b, a.Expires.UnixMilli(), now.UnixMilli(), allowMost).Int()
	if err != nil {
		return a, fmt.Errorf("reputation: %w", err)
	}
	if done == 0 {
		return a, fmt.Errorf("%w: %d", ErrMostAllow, allowMost)
	}
	pipe := s.client.Pipeline()
	pipe.Set(ctx, allowIDKey(a.ID), key, a.Expires.Sub(now))
	pipe.ZAdd(ctx, allowIndex, store.Z{Score: float64(a.Expires.UnixMilli()), Member: key})
	pipe.Publish(ctx, allowHint, key)
	_, err = pipe.Exec(ctx)
	s.forget(key)
	if err != nil {
		return a, fmt.Errorf("reputation: %w", err)
	}
	return a, nil
}

// Find returns a permission; ok is false when there is none, or it has expired.
func (s *Allows) Find(ctx context.Context, id string) (a Allow, ok bool, err error) {
	key, err := s.client.Get(ctx, allowIDKey(id)).Result()
	if errors.Is(err, store.Nil) {
		return a, false, nil
	}
	if err != nil {
		return a, false, fmt.Errorf("reputation: %w", err)
	}
	lists, err := s.read(ctx, []string{key}, true)
	if err != nil {
		return a, false, err
	}
	i := slices.IndexFunc(lists[key], func(a Allow) bool { return a.ID == id })
	if i < 0 {
		return a, false, nil
	}
	return lists[key][i], true, nil
}

// Revoke takes a permission away. It is in force at once where Run runs, and else within ten seconds.
func (s *Allows) Revoke(ctx context.Context, a Allow) error {
	key := a.Rcpt.Key()
	if err := s.client.HDel(ctx, allowKey(key), a.ID).Err(); err != nil {
		return fmt.Errorf("reputation: %w", err)
	}
	s.forget(key)
	s.client.Publish(ctx, allowHint, key) // the others see it within seconds anyway
	return s.client.Del(ctx, allowIDKey(a.ID)).Err()
}

// Forget takes away all that is kept of what recipients allow, also what has expired.
func (s *Allows) Forget(ctx context.Context, rcpts []mail.Address) error {
	for _, r := range rcpts {
		ids, err := s.client.HKeys(ctx, allowKey(r.Key())).Result()
		if err != nil {
			return fmt.Errorf("reputation: %w", err)
		}
		for _, id := range ids { // the ids first: a crash leaves the list that names them
			if err := s.client.Del(ctx, allowIDKey(id)).Err(); err != nil {
				return fmt.Errorf("reputation: %w", err)
			}
		}
		pipe := s.client.Pipeline()
		pipe.Del(ctx, allowKey(r.Key()))
		pipe.ZRem(ctx, allowIndex, r.Key())
		pipe.Publish(ctx, allowHint, r.Key())
		if _, err := pipe.Exec(ctx); err != nil {
			return fmt.Errorf("reputation: %w", err)
		}
		s.forget(r.Key())
	}
	return nil
}

// Of returns what these recipients allow, by Address.Key, newest first. What is in memory costs nothing, the rest is one round trip.
func (s *Allows) Of(ctx context.Context, rcpts []mail.Address) (map[string][]Allow, error) {
	keys := make([]string, len(rcpts))
	for i, r := range rcpts {
		keys[i] = r.Key()
	}
	return s.read(ctx, keys, false)
}

// All calls f with what every recipient allows, in the order of recipients, until f returns false.
func (s *Allows) All(ctx context.Context, f func([]Allow) bool) error {
	if err := s.client.ZRemRangeByScore(ctx, allowIndex, "-inf", fmt.Sprint(s.now().UnixMilli())).Err(); err != nil {
		return fmt.Errorf("reputation: %w", err)
	}
	keys, err := s.client.ZRange(ctx, allowIndex, 0, -1).Result()
	if err != nil {
		return fmt.Errorf("reputation: %w", err)
	}
	slices.Sort(keys)
	for part := range slices.Chunk(keys, 200) {
		lists, err := s.read(ctx, part, true)
		if err != nil {
			return err
		}
		for _, key := range part {
			if list := lists[key]; len(list) > 0 && !f(list) {
				return nil
			}
		}
	}
	return nil
}

// Run forgets what other processes change, until ctx ends. Without it that is noticed after ten seconds.
func (s *Allows) Run(ctx context.Context) {
	sub := s.client.Subscribe(ctx, allowHint)
	defer sub.Close()
	for {
		select {
		case <-ctx.Done():
			return
		case m, ok := <-sub.Channel():
			if !ok {
				return
			}
			s.forget(m.Payload)
		}
	}
}

func (s *Allows) forget(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.cache, key)
}

// cached returns what is in memory, and which keys are not.
func (s *Allows) cached(keys []string) (map[string][]Allow, []string) {
	found, now := make(map[string][]Allow, len(keys)), s.now()
	var missing []string
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range keys {
		c, ok := s.cache[k]
		if !ok || !now.Before(c.until) {
			missing = append(missing, k)
			continue
		}
		found[k] = valid(c.list, now)
	}
	return found, missing
}

func valid(list []Allow, now time.Time) []Allow {
	if !slices.ContainsFunc(list, func(a Allow) bool { return !now.Before(a.Expires) }) {
		return list
	}
	return slices.DeleteFunc(slices.Clone(list), func(a Allow) bool { return !now.Before(a.Expires) })
}

// read returns the lists of recipients, from the store alone when fresh is true.
func (s *Allows) read(ctx context.Context, keys []string, fresh bool) (map[string][]Allow, error) {
	found, missing := map[string][]Allow{}, keys
	if !fresh {
		if found, missing = s.cached(keys); len(missing) == 0 {
			return found, nil
		}
	}
	pipe := s.client.Pipeline()
	cmds := make([]*store.MapStringCmd, len(missing))
	for i, k := range missing {
		cmds[i] = pipe.HGetAll(ctx, allowKey(k))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("reputation: %w", err)
	}
	now := s.now()
	clean := s.client.Pipeline()
	for i, k := range missing {
		list, gone := decodeAllows(cmds[i].Val(), now)
		if fresh && len(gone) > 0 {
			clean.HDel(ctx, allowKey(k), gone...)
		}
		found[k] = list
	}
	s.remember(missing, found, now.Add(allowFresh))
	if clean.Len() > 0 {
		_, _ = clean.Exec(ctx) // what has expired counts for nothing anyway
	}
	return found, nil
}

func (s *Allows) remember(keys []string, lists map[string][]Allow, until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.cache)+len(keys) > allowCached {
		clear(s.cache)
	}
	for _, k := range keys {
		s.cache[k] = cachedAllows{lists[k], until}
	}
}

// decodeAllows returns what holds now, newest first, and the ids of what does not any more.
func decodeAllows(fields map[string]string, now time.Time) (list []Allow, gone []string) {
	for id, text := range fields {
		var a Allow
		if err := json.Unmarshal([]byte(text), &a); err != nil || a.ID != id {
			continue // written by a newer version
		}
		if !now.Before(a.Expires) {
			gone = append(gone, id)
			continue
		}
		list = append(list, a)
	}
	slices.SortFunc(list, func(a, b Allow) int { return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(a.ID, b.ID)) })
	return list, gone
}

// String says who is allowed and what confirms him.
func (a Allow) String() string {
	switch {
	case a.Domain != "" && a.Address != "":
		return a.Address + " confirmed for " + a.Domain
	case a.Domain != "":
		return "@" + a.Domain + " confirmed"
	case a.SPF != "":
		return a.Address + " with SPF of " + a.SPF
	}
	return a.Address + " from a server of " + a.Host
}
