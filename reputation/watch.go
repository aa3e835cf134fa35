package reputation

import (
	"context"
	"math"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sekimori/internal/mail"
	"sekimori/internal/store"
)

// DriftLimits say when people contradict the Bayesian check so often that it weighs half.
type DriftLimits struct {
	Enabled  bool
	Window   time.Duration // in which is counted, by whole hours
	Min      int           // contradictions at least,
	Persons  int           // of at least so many people
	Released float64       // and this part of the mails that it had a part in holding was released,
	Reported float64       // or this part of those that it found good was reported as spam
}

// DriftState is what all hosts know of it.
type DriftState struct {
	Halved bool      `json:"halved"`
	Since  time.Time `json:"since,omitzero"`
	Why    string    `json:"why,omitempty"` // in English
}

// Contradiction is what people say against the Bayesian check.
type Contradiction string

// The contradictions.
const (
	HeldWrongly   Contradiction = "released" // somebody released a mail that it had a part in holding
	PassedWrongly Contradiction = "reported" // somebody reported a mail that it found good
)

// DriftNumbers are counts of the window.
type DriftNumbers struct {
	Held       int `json:"held"`     // mails that were held with its points, each recipient's
	Released   int `json:"released"` // of them
	ReleasedBy int `json:"released_by"`
	Passed     int `json:"passed"`   // mails delivered that it found good, each recipient's
	Reported   int `json:"reported"` // of them, as spam
	ReportedBy int `json:"reported_by"`
	// What counts against the limits, of which no person makes more than one part of DriftLimits.Persons.
	ReleasedCounted int `json:"released_counted"`
	ReportedCounted int `json:"reported_counted"`
}

// BayesWatch counts what the Bayesian check says and what people say against it, and halves its weight on all hosts when that is too
// much. Safe for concurrent use.
type BayesWatch struct {
	client store.Client
	now    func() time.Time
	limits func() DriftLimits
	state  atomic.Pointer[DriftState]

	mu        sync.Mutex
	waiting   map[watched]int64
	delivered map[watched]string
	lost      atomic.Int64 // of delivered, for want of room
}

type watched struct{ key, field string }

const (
	driftKey  = keyPrefix + "drift"
	zonesLife = 45 * 24 * time.Hour
	hoursLife = 8 * 24 * time.Hour
	// MaxDriftWindow is the longest window.
	MaxDriftWindow = 7 * 24 * time.Hour
	// ZoneDays is for how many days zones are kept.
	ZoneDays   = 44
	watchEvery = 20 * time.Second
	// mostWaiting bounds what waits for the store.
	mostWaiting = 10_000
)

func hourKey(t time.Time) string  { return keyPrefix + "said:" + t.UTC().Format("2006010215") }
func zonesKey(t time.Time) string { return keyPrefix + "zones:" + tallyDay(t) }

// driftLua changes the state unless another host was faster. KEYS: state. ARGV: as it was, as it is to be.
const driftLua = `
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
if ARGV[2] == '' then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], ARGV[2]) end
return 1`

// NewBayesWatch makes a watch on a store's client. It knows no state until Look.
func NewBayesWatch(client store.Client, limits func() DriftLimits, now func() time.Time) *BayesWatch {
	w := &BayesWatch{client: client, now: now, limits: limits, waiting: map[watched]int64{}, delivered: map[watched]string{}}
	w.state.Store(&DriftState{})
	return w
}

// State is what was known at the last Look.
func (w *BayesWatch) State() DriftState { return *w.state.Load() }

// Outcome counts what a run of the check said, by zones of z.
func (w *BayesWatch) Outcome(o mail.Outcome) {
	if o.Check != "bayes" {
		return
	}
	field := ""
	switch {
	case o.State == mail.StateTempError:
		field = "temperror"
	case o.State == mail.StateSkipped:
		field = "untrained"
	}
	for _, f := range o.Facts {
		if z, ok := f.Value.(float64); ok && f.Name == "bayes.z" && f.Rcpt.IsNull() && !math.IsNaN(z) {
			field = zoneOf(z)
		}
	}
	if field != "" {
		w.add(zonesKey(w.now()), field)
	}
}

// Ended counts the verdicts of a mail that the check had a part in, one for each recipient: each of them may release or report it. done
// says of the n-th whether the mail was held or delivered indeed, as the verdict has it. Ended returns to whom it was delivered as good
// because of the check, for Passed.
func (w *BayesWatch) Ended(verdicts []mail.Verdict, done func(n int) bool) (passedTo []mail.Address) {
	for i := range verdicts {
		switch v := &verdicts[i]; {
		case v.Action == mail.Hold && CountedAs(v.Counted, "BAYES_SPAM") && done(i):
			w.add(hourKey(w.now()), "held")
		case v.Action < mail.Hold && CountedAs(v.Counted, "BAYES_HAM") && done(i):
			w.add(hourKey(w.now()), "passed")
			if len(passedTo) < mostPassedFor && w.limits().Enabled {
				passedTo = append(passedTo, v.Rcpt)
			}
		}
	}
	return passedTo
}

// CountedAs reports whether a symbol counted.
func CountedAs(list []mail.Counted, symbol string) bool {
	for i := range list {
		if list[i].Name == symbol && list[i].Points != 0 {
			return true
		}
	}
	return false
}

func (w *BayesWatch) add(key, field string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	k := watched{key, field}
	if n, ok := w.waiting[k]; ok || len(w.waiting) < mostWaiting {
		w.waiting[k] = n + 1
	}
}

// Note writes down that somebody contradicts the check; sign -1 takes it back.
func (w *BayesWatch) Note(ctx context.Context, c Contradiction, by string, sign int) error {
	return w.note(ctx, c, personID(by), sign)
}

// flush writes what waits. What was not written waits again.
func (w *BayesWatch) flush(ctx context.Context) error {
	w.mu.Lock()
	batch, delivered := w.waiting, w.delivered
	w.waiting, w.delivered = map[watched]int64{}, map[watched]string{}
	w.mu.Unlock()
	if len(batch)+len(delivered) == 0 {
		return nil
	}
	pipe := w.client.Pipeline()
	failed := map[watched]func() error{}
	for k, n := range batch {
		failed[k] = pipe.HIncrBy(ctx, k.key, k.field, n).Err
		life := hoursLife
		if strings.HasPrefix(k.key, keyPrefix+"zones:") {
			life = zonesLife
		}
		pipe.PExpire(ctx, k.key, life)
	}
	for k, to := range delivered {
		failed[k] = pipe.HSet(ctx, k.key, k.field, to).Err
		pipe.PExpire(ctx, k.key, w.passedLife())
	}
	_, err := pipe.Exec(ctx)
	w.mu.Lock()
	defer w.mu.Unlock()
	for k, n := range batch {
		if failed[k]() != nil {
			w.waiting[k] += n
		}
	}
	for k, to := range delivered {
		if failed[k]() != nil {
			w.remember(k, to)
		}
	}
	return err
}

// hours are the keys of the window.
func (w *BayesWatch) hours() []string {
	var keys []string
	now := w.now()
	for at := now; now.Sub(at) <= w.limits().Window; at = at.Add(-time.Hour) {
		keys = append(keys, hourKey(at))
	}
	return keys
}

// Numbers reads the counts of the window.
func (w *BayesWatch) Numbers(ctx context.Context) (DriftNumbers, error) {
	pipe := w.client.Pipeline()
	var hours []*store.MapStringCmd
	for _, key := range w.hours() {
		hours = append(hours, pipe.HGetAll(ctx, key))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return DriftNumbers{}, err
	}
	sum := map[string]int{}
	for _, h := range hours {
		for field, text := range h.Val() {
			n, _ := strconv.Atoi(text)
			sum[field] += n
		}
	}
	n := DriftNumbers{Held: sum["held"], Released: sum[string(HeldWrongly)], Passed: sum["passed"], Reported: sum[string(PassedWrongly)]}
	var releases, reports []int64 // of each person
	for field, of := range sum {
		switch {
		case of <= 0:
		case strings.HasPrefix(field, string(HeldWrongly)+" "):
			releases = append(releases, int64(of))
		case strings.HasPrefix(field, string(PassedWrongly)+" "):
			reports = append(reports, int64(of))
		}
	}
	n.ReleasedBy, n.ReportedBy = len(releases), len(reports)
	persons := w.limits().Persons
	n.ReleasedCounted, n.ReportedCounted = int(capped(releases, persons)), int(capped(reports, persons))
	return n, nil
}
