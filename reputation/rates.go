package reputation

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"sekimori/internal/mail"
	"sekimori/internal/store"
)

// Rates are rate limits kept in the store, so that all hosts with one Redis share them. Safe for concurrent use.
//
// Each limit is the generic cell rate algorithm: one number per key, the theoretical arrival time (TAT) in microseconds
// since 1970. A charge moves it by Period/Burst; one that would move it further than Period from now is refused and moves
// nothing. The key expires when the TAT is past, so that idle keys take no room. The time comes from us and not from the
// server, so that the script is the same everywhere and tests set the clock; hosts whose clocks differ see each other's
// charges early or late by that difference, and a TAT beyond one Period from now (a clock that was set back) is cut to it.
type Rates struct {
	client store.Client
	now    func() time.Time
	script *store.Script
}

// rateScript charges the limits KEYS[i] with ARGV[1] = now and ARGV[2i], ARGV[2i+1] = microseconds per unit and per period.
// It returns for each: 1 when exceeded, microseconds until it would be allowed, units used. string.format keeps Redis's
// Lua from writing the time in 14 digits.
const rateScript = `
local now = tonumber(ARGV[1])
local out = {}
for i, key in ipairs(KEYS) do
  local unit = tonumber(ARGV[2*i])
  local period = tonumber(ARGV[2*i+1])
  local stored = tonumber(redis.call('GET', key) or '0') or 0
  local tat = math.min(math.max(stored, now), now + period)
  local exceeded = 0
  local retry = 0
  if tat + unit - period > now + 0.5 then
    exceeded = 1
    retry = math.ceil(tat + unit - period - now)
  else
    tat = tat + unit
  end
  if exceeded == 0 or tat < stored then
    redis.call('SET', key, string.format('%.0f', tat), 'PX', string.format('%.0f', math.max(1, math.ceil((tat - now) / 1000))))
  end
  out[#out+1] = exceeded
  out[#out+1] = retry
  out[#out+1] = math.floor((tat - now) / unit + 0.999)
end
return out`

// ratePrefix makes the keys volatile: a counter that is lost at a restart does no harm and need not be synced.
const ratePrefix = store.Volatile + "rate:"

// NewRates makes the limits on a store's client.
func NewRates(client store.Client, now func() time.Time) *Rates {
	return &Rates{client: client, now: now, script: store.NewScript(rateScript)}
}

// Take charges every limit once, each by itself, in one round trip (on a Cluster: one per node), and says for each
// whether it was exceeded. A limit that is exceeded is not charged. A Burst or Period below 1 is an error.
func (r *Rates) Take(ctx context.Context, limits []Limit) ([]Taken, error) {
	if len(limits) == 0 {
		return nil, nil
	}
	for _, l := range limits {
		if l.Burst < 1 || l.Period < time.Microsecond {
			return nil, fmt.Errorf("rate limit %s: %d per %s cannot be", l.Key, l.Burst, l.Period)
		}
	}
	now := r.now().UnixMicro()
	if store.Clustered(r.client) {
		return r.takeEach(ctx, now, limits)
	}
	keys := make([]string, len(limits))
	args := []any{now}
	for i, l := range limits {
		keys[i] = ratePrefix + l.Key
		args = append(args, rateArgs(l)...)
	}
	return parseTaken(r.script.Run(ctx, r.client, keys, args...), len(limits))
}

func rateArgs(l Limit) []any {
	period := l.Period.Microseconds()
	return []any{float64(period) / float64(l.Burst), period}
}

// takeEach charges each limit by a script of its own, because a Cluster keeps their keys in different places.
func (r *Rates) takeEach(ctx context.Context, now int64, limits []Limit) ([]Taken, error) {
	cmds := make([]*store.Cmd, len(limits))
	run := func(i int, call func(context.Context, store.Pipeliner, []string, ...any) *store.Cmd, p store.Pipeliner) {
		args := append([]any{now}, rateArgs(limits[i])...)
		cmds[i] = call(ctx, p, []string{ratePrefix + limits[i].Key}, args...)
	}
	pipe := r.client.Pipeline()
	for i := range limits {
		run(i, func(ctx context.Context, p store.Pipeliner, keys []string, args ...any) *store.Cmd {
			return p.EvalSha(ctx, r.script.Hash(), keys, args...)
		}, pipe)
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
	again := r.client.Pipeline()
	for i, c := range cmds {
		if err := c.Err(); err != nil && strings.HasPrefix(err.Error(), "NOSCRIPT") {
			run(i, func(ctx context.Context, p store.Pipeliner, keys []string, args ...any) *store.Cmd {
				return p.Eval(ctx, rateScript, keys, args...)
			}, again)
		}
	}
	if again.Len() > 0 {
		_, _ = again.Exec(ctx)
	}
	var all []Taken
	for _, c := range cmds {
		one, err := parseTaken(c, 1)
		if err != nil {
			return nil, err
		}
		all = append(all, one...)
	}
	return all, nil
}

func parseTaken(c *store.Cmd, n int) ([]Taken, error) {
	v, err := c.Int64Slice()
	if err != nil {
		return nil, err
	}
	if len(v) != 3*n {
		return nil, errors.New("rate limits: the store gave an answer of the wrong length")
	}
	taken := make([]Taken, n)
	for i := range taken {
		taken[i] = Taken{
			Exceeded: v[3*i] == 1,
			Retry:    time.Duration(v[3*i+1]) * time.Microsecond,
			Used:     int(v[3*i+2]),
		}
	}
	return taken, nil
}

// memory is Rates, History, Greylist, a model, and what recipients allow.
type memory struct {
	*Rates
	*History
	*Greylist
	learned Learned
	allows  *Allows
}

// Learned is what the checks ask of the Bayesian models; a Learner is one, and a Fixed.
type Learned interface {
	Model() *Model
	For(ctx context.Context, box mail.Address) (Mix, error)
	Halved() bool
}

// Fixed is a model that nobody teaches, for tests: everybody's.
type Fixed struct{ Everybodys *Model }

// Model implements Learned.
func (f Fixed) Model() *Model { return f.Everybodys }

// For implements Learned.
func (f Fixed) For(context.Context, mail.Address) (Mix, error) { return Mix{all: f.Everybodys}, nil }

// Halved implements Learned.
func (f Fixed) Halved() bool { return false }

// NewMemory makes the checks' memory of a store's client, what the Bayesian check has learned, and what recipients allow.
func NewMemory(client store.Client, learned Learned, allows *Allows, now func() time.Time) Memory {
	return memory{NewRates(client, now), NewHistory(client, now), NewGreylist(client, now), learned, allows}
}

func (m memory) Allowed(ctx context.Context, rcpts []mail.Address) (map[string][]Allow, error) {
	return m.allows.Of(ctx, rcpts)
}

func (m memory) Bayes() *Model { return m.learned.Model() }

func (m memory) BayesFor(ctx context.Context, box mail.Address) (Mix, error) {
	return m.learned.For(ctx, box)
}

func (m memory) BayesHalved() bool { return m.learned.Halved() }
