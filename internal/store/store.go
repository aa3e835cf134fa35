package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"sekimori/internal/config"
)

// What other packages use of go-redis, so that they do not import it.
//
//nolint:revive // one comment for all of them
type (
	Client    = redis.UniversalClient
	Pipeliner = redis.Pipeliner
	Script    = redis.Script
	Cmder     = redis.Cmder
	Cmd       = redis.Cmd
	Tx        = redis.Tx
	Z         = redis.Z
	ZRangeBy  = redis.ZRangeBy
	SetArgs   = redis.SetArgs
	PubSub    = redis.PubSub

	StringCmd      = redis.StringCmd
	IntCmd         = redis.IntCmd
	BoolCmd        = redis.BoolCmd
	StatusCmd      = redis.StatusCmd
	SliceCmd       = redis.SliceCmd
	MapStringCmd   = redis.MapStringStringCmd
	StringSliceCmd = redis.StringSliceCmd
	FloatCmd       = redis.FloatCmd
	DurationCmd    = redis.DurationCmd
	ScanCmd        = redis.ScanCmd
)

// Errors that callers tell apart.
var (
	Nil      error = redis.Nil         // the key or field is not there
	TxFailed error = redis.TxFailedErr // a watched key was changed
	// ErrDown is wrapped by every error of a command that was not tried because Redis did not answer lately.
	ErrDown = errors.New("redis does not answer")
)

// NewScript makes a script whose Run costs one round trip (EVALSHA; once EVAL when the server does not know it yet).
func NewScript(src string) *Script { return redis.NewScript(src) }

// Clustered reports whether the client speaks to a Redis Cluster, where one script or transaction reaches only the keys of
// one hash slot.
func Clustered(c Client) bool {
	_, is := c.(*redis.ClusterClient)
	return is
}

// ForEachMaster calls f with a client of every node that holds keys: each master of a Cluster, else the client itself.
// SCAN needs it.
func ForEachMaster(ctx context.Context, c Client, f func(context.Context, Client) error) error {
	if cluster, is := c.(*redis.ClusterClient); is {
		return cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error { return f(ctx, node) })
	}
	return f(ctx, c)
}

// Options say what to open. With no Redis configured it is the embedded store in DataDir; with an empty DataDir that
// store lives in memory only and is gone at Close.
type Options struct {
	Redis   config.Redis
	DataDir string
	Log     *slog.Logger     // nil: none
	Now     func() time.Time // nil: time.Now
}

func (o Options) filled() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Store is Redis or the embedded store. Safe for concurrent use.
type Store struct {
	client   Client
	embedded *embedded // nil: Redis, or the socket of a running serve
	served   bool      // the embedded store of a running serve, through its socket
	breakers *breakers // nil for the embedded store
	watch    *watch    // nil for the embedded store
	now      func() time.Time
	cancel   context.CancelFunc
	wg       sync.WaitGroup
}

// quietly silences go-redis's own logger, which is global and writes to standard error: all that it would say comes back
// as errors.
var quietly = sync.OnceFunc(func() { redis.SetLogger(silence{}) })

type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}

// Open opens the store for serve. It does not fail because Redis is down; it fails for a configuration that cannot work
// (a wrong URL) and for an embedded store that is locked (ErrLocked) or damaged. The embedded
// store is offered on DataDir/store.sock until Close.
func Open(ctx context.Context, o Options) (*Store, error) {
	o = o.filled()
	quietly()
	if !o.Redis.Embedded() {
		return openRedis(ctx, o)
	}
	s, err := openLocal(ctx, o)
	if err != nil {
		return nil, err
	}
	if o.DataDir != "" {
		if err := s.embedded.listen(socketPath(o.DataDir)); err != nil {
			// Mail flows without it; the commands will say that the store is in use.
			o.Log.Warn("the commands of this host cannot reach the embedded store", "error", err)
		}
	}
	return s, nil
}

// Dial opens the store for a command: Redis, or the embedded store of the running serve through its socket, or, when no
// serve runs, the embedded store's files. It waits up to three seconds for a serve that is about to start or end.
func Dial(ctx context.Context, o Options) (*Store, error) {
	o = o.filled()
	quietly()
	if !o.Redis.Embedded() {
		return openRedis(ctx, o)
	}
	if o.DataDir == "" {
		return openLocal(ctx, o)
	}
	for try := 0; ; try++ {
		if s := dialSocket(ctx, o); s != nil {
			return s, nil
		}
		s, err := openLocal(ctx, o)
		if err == nil || !errors.Is(err, ErrLocked) || try == 30 {
			return s, err
		}
		if !sleep(ctx, 100*time.Millisecond) {
			return nil, errors.Join(ctx.Err(), err)
		}
	}
}

func socketPath(dataDir string) string { return filepath.Join(dataDir, "store.sock") }

func openLocal(_ context.Context, o Options) (*Store, error) {
	e, err := openEmbedded(embeddedOptions{
		dataDir: o.DataDir, log: o.Log, now: o.Now,
		limit: defaultLimit, threshold: defaultThreshold, background: true,
	})
	if err != nil {
		return nil, err
	}
	return &Store{client: localClient(e.dial), embedded: e, now: o.Now, cancel: func() {}}, nil
}

// dialSocket returns nil when nobody answers on the socket.
func dialSocket(ctx context.Context, o Options) *Store {
	c := localClient(socketDialer(short(socketPath(o.DataDir))))
	if err := c.Ping(ctx).Err(); err != nil {
		_ = c.Close()
		return nil
	}
	return &Store{client: c, served: true, now: o.Now, cancel: func() {}}
}

func openRedis(ctx context.Context, o Options) (*Store, error) {
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s := &Store{now: o.Now, cancel: cancel}
	s.breakers = &breakers{ctx: run, wg: &s.wg, log: o.Log, timeout: timeout(o.Redis), wait: sleep}
	client, err := redisClient(o.Redis, s.breakers)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("redis: %w", err)
	}
	s.client = client
	s.watch = &watch{client: client, log: o.Log, now: o.Now, failover: o.Redis.URL == ""}
	s.wg.Go(func() { s.watch.run(run, s.breakers) })
	return s, nil
}

// Client carries out all commands. It belongs to the Store: do not close it.
func (s *Store) Client() Client { return s.client }

// Embedded reports whether it is the embedded store, in this process or in that of the running serve.
func (s *Store) Embedded() bool { return s.embedded != nil || s.served }

// Durable reports whether an acknowledged write survives kill -9 of the store. The embedded store with a folder: always.
// Redis: while it has AOF on without a write error and maxmemory-policy noeviction, as last seen (once a second). With
// Sentinel or Cluster: never, because a failover may lose what the old master had acknowledged; wait for Saved.
func (s *Store) Durable(ctx context.Context) bool {
	switch {
	case s.served:
		return true
	case s.embedded != nil:
		return s.embedded.gate.log != nil
	}
	st, err := s.watch.state(ctx)
	return err == nil && st.durable()
}

// Saved returns when the last save begun that has succeeded, on our clock: what was acknowledged before then is on disk.
// With AOF that is two seconds ago (appendfsync everysec). ok is false when there was none since Redis started. After a
// restart of Redis a write may be lost although a later save succeeded: look whether it is still there before relying on
// Saved.
func (s *Store) Saved(ctx context.Context) (begun time.Time, ok bool, err error) {
	if s.watch == nil {
		return s.now(), s.Durable(ctx), nil
	}
	st, err := s.watch.look(ctx)
	if err != nil {
		return time.Time{}, false, err
	}
	return st.saved, !st.saved.IsZero(), nil
}

// Ping asks the store for a sign of life.
func (s *Store) Ping(ctx context.Context) error { return s.client.Ping(ctx).Err() }

// Healthy reports without asking anybody whether commands are being tried: no breaker is open, the embedded log works.
func (s *Store) Healthy() bool {
	switch {
	case s.breakers != nil:
		return !s.breakers.anyOpen()
	case s.embedded != nil && s.embedded.gate.log != nil:
		return s.embedded.gate.log.failed() == nil
	}
	return true
}

// Full reports without asking anybody whether the store had no room for more when it was last seen, once a second: commands that add
// something fail with an error of which IsFull is true.
func (s *Store) Full() bool {
	switch {
	case s.watch != nil:
		s.watch.mu.Lock()
		defer s.watch.mu.Unlock()
		return s.watch.last != nil && s.watch.last.full
	case s.embedded != nil && s.embedded.gate.log != nil:
		return s.embedded.gate.log.used() > s.embedded.gate.limit
	}
	return false
}

// IsFull reports whether an error says that the store has no room for more.
func IsFull(err error) bool {
	var re redis.Error
	return errors.As(err, &re) && strings.HasPrefix(re.Error(), "OOM ")
}

// IsAnswer reports whether an error is what the server said, and not that nobody knows what it did.
func IsAnswer(err error) bool {
	var re redis.Error
	return errors.As(err, &re) || errors.Is(err, ErrDown)
}

// Expire removes what has expired by now from an embedded store; it does so by itself once a second, so that only tests
// with a clock of their own need this.
func (s *Store) Expire() {
	if s.embedded != nil {
		s.embedded.expire()
	}
}

// Close ends all connections; the embedded store first syncs what it was given.
func (s *Store) Close() error {
	s.cancel()
	err := s.client.Close()
	s.wg.Wait()
	if s.embedded != nil {
		err = errors.Join(err, s.embedded.close())
	}
	return err
}
