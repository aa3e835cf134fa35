package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	tripAfter  = 3 // failures in a row
	probeFirst = 250 * time.Millisecond
	probeLast  = 2 * time.Second
)

// breakers are the circuit breakers of one client: one, or one for each node of a Cluster.
type breakers struct {
	ctx     context.Context // ends the probing
	wg      *sync.WaitGroup
	log     *slog.Logger
	timeout time.Duration
	wait    func(context.Context, time.Duration) bool

	mu     sync.Mutex
	all    []*breaker
	closed []func() // called when a breaker has closed again
}

// breaker stops asking a server that does not answer. It is a hook of go-redis.
type breaker struct {
	of    *breakers
	node  string
	probe func(context.Context) error

	mu       sync.Mutex
	failures int
	down     error // not nil: open, and why
}

func (bs *breakers) add(node string, probe func(context.Context) error) *breaker {
	b := &breaker{of: bs, node: node, probe: probe}
	bs.mu.Lock()
	bs.all = append(bs.all, b)
	bs.mu.Unlock()
	return b
}

func (bs *breakers) anyOpen() bool {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	for _, b := range bs.all {
		if b.open() != nil {
			return true
		}
	}
	return false
}

// onClose registers what is to be done when a server answers again.
func (bs *breakers) onClose(f func()) {
	bs.mu.Lock()
	bs.closed = append(bs.closed, f)
	bs.mu.Unlock()
}

type probing struct{}

// DialHook passes through: a failed dial fails the command that needed it.
func (b *breaker) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook fails a command at once while the breaker is open.
func (b *breaker) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if err := b.allow(ctx); err != nil {
			cmd.SetErr(err)
			return err
		}
		begin := time.Now()
		err := next(ctx, cmd)
		b.report(ctx, err, time.Since(begin))
		return err
	}
}

// ProcessPipelineHook does the same for pipelines and transactions.
func (b *breaker) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if err := b.allow(ctx); err != nil {
			for _, c := range cmds {
				c.SetErr(err)
			}
			return err
		}
		begin := time.Now()
		err := next(ctx, cmds)
		b.report(ctx, err, time.Since(begin))
		return err
	}
}

func (b *breaker) open() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.down
}

func (b *breaker) allow(ctx context.Context) error {
	if ctx.Value(probing{}) != nil {
		return nil
	}
	return b.open()
}

// report counts failures and opens the breaker.
func (b *breaker) report(ctx context.Context, err error, took time.Duration) {
	if ctx.Value(probing{}) != nil {
		return
	}
	failed, known := failure(err, took, b.of.timeout)
	if !known {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !failed {
		b.failures = 0
		return
	}
	if b.failures++; b.failures < tripAfter || b.down != nil || b.of.ctx.Err() != nil {
		return
	}
	b.down = fmt.Errorf("%w: %s", ErrDown, oneLine(err))
	b.of.log.Warn("redis does not answer; commands fail at once until it does", "node", b.node, "error", err)
	b.of.wg.Go(b.recover)
}

// recover pings until the server answers, then closes the breaker.
func (b *breaker) recover() {
	for pause := probeFirst; b.of.wait(b.of.ctx, pause); pause = min(2*pause, probeLast) {
		ctx, cancel := context.WithTimeout(context.WithValue(b.of.ctx, probing{}, true), b.of.timeout)
		err := b.probe(ctx)
		cancel()
		if failed, known := failure(err, b.of.timeout, b.of.timeout); failed || !known {
			continue
		}
		b.mu.Lock()
		b.down, b.failures = nil, 0
		b.mu.Unlock()
		b.of.log.Info("redis answers again", "node", b.node)
		b.of.mu.Lock()
		closed := b.of.closed
		b.of.mu.Unlock()
		for _, f := range closed {
			f()
		}
		return
	}
}

// failure reports whether an error says that the server does not answer; known is false when it says nothing about the
// server: the caller gave up, or did not wait long enough to know.
func failure(err error, took, timeout time.Duration) (failed, known bool) {
	var re redis.Error
	var ne net.Error
	switch {
	case err == nil, errors.Is(err, redis.Nil):
		return false, true
	case errors.Is(err, ErrDown), errors.Is(err, context.Canceled), errors.Is(err, redis.ErrClosed):
		return false, false
	case errors.As(err, &re) && !errors.As(err, &ne):
		for _, p := range []string{"LOADING", "MASTERDOWN", "CLUSTERDOWN"} {
			if strings.HasPrefix(re.Error(), p) {
				return true, true
			}
		}
		return false, true
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &ne) && ne.Timeout():
		return true, took >= timeout/2
	case strings.Contains(err.Error(), "can't marshal"):
		return false, false
	}
	return true, true
}
