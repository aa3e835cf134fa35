package reputation

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"sekimori/internal/mail"
	"sekimori/internal/store"
)

// Back is a rule that has stepped back, as all hosts see it.
type Back struct {
	Rule     string    `json:"rule"`
	Sum      string    `json:"sum"`  // of the rule as it was; another one is not concerned
	Mode     string    `json:"mode"` // what it does at most; "": it was cleared
	Was      string    `json:"was"`  // what it did before
	At       time.Time `json:"at"`
	Held     int64     `json:"held"` // recipients' mails that it held, in the days that counted
	Released int64     `json:"released"`
	People   int       `json:"people"`       // who released them
	By       string    `json:"by,omitempty"` // who cleared it
	Epoch    int       `json:"epoch"`        // counts begin anew with each
}

// Retreats counts what rules hold and what people release of it, and remembers which rules have stepped back, for all hosts. What is
// counted waits in memory until Flush. Safe for concurrent use.
type Retreats struct {
	client store.Client
	now    func() time.Time

	mu      sync.Mutex
	rules   map[string]string // sums of the rules that may step back, by id
	records map[string]Back   // by id and sum, as last read
	since   map[string]time.Time
	waiting map[counting]int64
	fresh   map[string]bool // rules of which something was released
}

// counting is a counter: of one rule (a key of the store without its day), of what was held (who is "") or of one person's releases.
type counting struct{ rule, day, who string }

const (
	retreatForce  = "retreat:force"
	retreatSince  = "retreat:since"
	retreatPrefix = "retreat:n:"
	retreatLife   = 45 * 24 * time.Hour
)

// NewRetreats makes it on a store's client. Nothing is read yet.
func NewRetreats(client store.Client, now func() time.Time) *Retreats {
	return &Retreats{
		client: client, now: now, records: map[string]Back{}, since: map[string]time.Time{}, waiting: map[counting]int64{}, fresh: map[string]bool{},
	}
}

// Rules says which rules may step back, with their sums. Of others nothing is counted.
func (r *Retreats) Rules(sums map[string]string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rules = sums
}

// Judged counts what rules held: each recipient's mail that one held, or refused, of which a copy may have been kept.
func (r *Retreats) Judged(verdicts []mail.Verdict) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range verdicts {
		v := &verdicts[i]
		if v.Action != mail.Hold && v.Action != mail.Reject {
			continue
		}
		if sum, ok := r.rules[v.RuleID]; ok {
			r.count(v.RuleID, sum, "")
		}
	}
}

// Released counts one recipient's mail that a rule held at some time and that who has released. What was held before the rule became
// what it is says nothing about it.
func (r *Retreats) Released(id, who string, held time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	sum, ok := r.rules[id]
	if !ok || held.Before(r.records[id+" "+sum].At) {
		return
	}
	if since, ok := r.since[id+" "+sum]; ok && held.Before(since) {
		return
	}
	h := sha256.Sum256([]byte("retreat\x00" + person(who)))
	r.count(id, sum, hex.EncodeToString(h[:8]))
	r.fresh[id] = true
}

// Fresh reports whether something was released since the last Flush.
func (r *Retreats) Fresh() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.fresh) > 0
}

// count counts one; the caller holds mu.
func (r *Retreats) count(id, sum, who string) {
	c := counting{id + " " + sum, tallyDay(r.now()), who}
	if n, ok := r.waiting[c]; ok || len(r.waiting) < tallyMost {
		r.waiting[c] = n + 1
	}
	if _, ok := r.since[c.rule]; !ok {
		r.since[c.rule] = r.now().Truncate(time.Second)
	}
}

func (r *Retreats) key(rule, day string, epoch int) string {
	return retreatPrefix + "{" + strings.ReplaceAll(rule, " ", ".") + "." + strconv.Itoa(epoch) + "}:" + day
}

// Flush writes what waits, and returns the rules of which something was released since. What was not written waits again.
func (r *Retreats) Flush(ctx context.Context) ([]string, error) {
	r.mu.Lock()
	batch, fresh, records := r.waiting, r.fresh, r.records
	r.waiting, r.fresh = map[counting]int64{}, map[string]bool{}
	r.mu.Unlock()
	if len(batch) == 0 {
		return nil, nil
	}
	pipe := r.client.Pipeline()
	failed := map[counting]func() error{}
	for c, n := range batch {
		key := r.key(c.rule, c.day, records[c.rule].Epoch)
		failed[c] = pipe.HIncrBy(ctx, key, "p:"+c.who, n).Err
		pipe.PExpire(ctx, key, retreatLife)
	}
	_, err := pipe.Exec(ctx)
	if err != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		for c, n := range batch {
			if failed[c]() != nil {
				r.waiting[c] += n
			}
		}
		for id := range fresh {
			r.fresh[id] = true
		}
		return nil, err
	}
	return sorted(fresh), r.begun(ctx)
}

func sorted(set map[string]bool) []string {
	list := make([]string, 0, len(set))
	for s := range set {
		list = append(list, s)
	}
	slices.Sort(list)
	return list
}

// begun agrees with the other hosts since when rules are what they are.
func (r *Retreats) begun(ctx context.Context) error {
	all, err := r.client.HGetAll(ctx, retreatSince).Result()
	if err != nil {
		return err
	}
	r.mu.Lock()
	write := map[string]any{}
	for rule, at := range r.since {
		if n, err := strconv.ParseInt(all[rule], 10, 64); err == nil && !time.Unix(n, 0).After(at) {
			r.since[rule] = time.Unix(n, 0)
		} else {
			write[rule] = at.Unix()
		}
	}
	r.mu.Unlock()
	if len(write) == 0 {
		return nil
	}
	return r.client.HSet(ctx, retreatSince, write).Err()
}

// Evaluate looks whether a rule has to step back to next, and when so writes it down for all hosts. now is what it did until then.
func (r *Retreats) Evaluate(ctx context.Context, id, now, next string, l RetreatLimits) (*Back, error) {
	r.mu.Lock()
	sum, ok := r.rules[id]
	r.mu.Unlock()
	if !ok || next == "" {
		return nil, nil
	}
	rule := id + " " + sum
	old, err := r.record(ctx, rule)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	stale := r.records[rule].Epoch != old.Epoch
	r.mu.Unlock()
	if stale {
		return nil, nil // another host was first; what it wrote is not in force here yet
	}
	held, people, err := r.counts(ctx, rule, old.Epoch, l.Days)
	if err != nil {
		return nil, err
	}
	by := make([]int64, 0, len(people))
	for _, n := range people {
		by = append(by, n)
	}
	released, yes := l.Reached(held, by)
	if !yes {
		return nil, nil
	}
	b := Back{Rule: id, Sum: sum, Mode: next, Was: now, At: r.now().UTC().Truncate(time.Second), Held: held, Released: released, People: len(by), Epoch: old.Epoch + 1}
	return &b, r.write(ctx, b)
}

// counts reads what a rule held in the last days, and the releases of each person.
func (r *Retreats) counts(ctx context.Context, rule string, epoch, days int) (held int64, people map[string]int64, err error) {
	people = map[string]int64{}
	for i := range days {
		fields, err := r.client.HGetAll(ctx, r.key(rule, tallyDay(r.now().AddDate(0, 0, -i)), epoch)).Result()
		if err != nil {
			return 0, nil, err
		}
		for field, value := range fields {
			n, err := strconv.ParseInt(value, 10, 64)
			who, ok := strings.CutPrefix(field, "p:")
			switch {
			case err != nil || !ok:
			case who == "":
				held += n
			default:
				people[who] += n
			}
		}
	}
	return held, people, nil
}

func (r *Retreats) record(ctx context.Context, rule string) (Back, error) {
	text, err := r.client.HGet(ctx, retreatForce, rule).Result()
	if errors.Is(err, store.Nil) {
		return Back{}, nil
	}
	if err != nil {
		return Back{}, err
	}
	var b Back
	return b, json.Unmarshal([]byte(text), &b)
}

func (r *Retreats) write(ctx context.Context, b Back) error {
	text, err := json.Marshal(b)
	if err != nil {
		return err
	}
	return r.client.HSet(ctx, retreatForce, b.Rule+" "+b.Sum, text).Err()
}

// Load reads which rules have stepped back, and returns them sorted by rule. Those that were cleared are not among them.
func (r *Retreats) Load(ctx context.Context) ([]Back, error) {
	all, err := r.client.HGetAll(ctx, retreatForce).Result()
	if err != nil {
		return nil, err
	}
	records := map[string]Back{}
	for rule, text := range all {
		var b Back
		if json.Unmarshal([]byte(text), &b) == nil && b.Rule+" "+b.Sum == rule {
			records[rule] = b
		}
	}
	since, err := r.client.HGetAll(ctx, retreatSince).Result()
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	r.records = records
	for rule, text := range since {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			if at, ok := r.since[rule]; !ok || time.Unix(n, 0).Before(at) {
				r.since[rule] = time.Unix(n, 0)
			}
		}
	}
	r.mu.Unlock()
	return r.Present(), nil
}

// Present returns what Load read last.
func (r *Retreats) Present() []Back {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []Back
	for _, b := range r.records {
		if b.Mode != "" {
			list = append(list, b)
		}
	}
	slices.SortFunc(list, func(a, b Back) int { return strings.Compare(a.Rule+a.Sum, b.Rule+b.Sum) })
	return list
}

// Clear lets a rule do again what is written; its counts begin anew. It returns what was cleared, nothing when the rule has not stepped
// back.
func (r *Retreats) Clear(ctx context.Context, id, by string) ([]Back, error) {
	list, err := r.Load(ctx)
	if err != nil {
		return nil, err
	}
	var cleared []Back
	for _, b := range list {
		if b.Rule != id {
			continue
		}
		next := Back{Rule: id, Sum: b.Sum, Was: b.Mode, At: r.now().UTC().Truncate(time.Second), By: by, Epoch: b.Epoch + 1}
		if err := r.write(ctx, next); err != nil {
			return cleared, err
		}
		cleared = append(cleared, b)
	}
	return cleared, nil
}

// Percent is the share of what was held that was released, for people.
func (b Back) Percent() int {
	if b.Held == 0 {
		return 0
	}
	return int(math.Round(100 * float64(b.Released) / float64(b.Held)))
}
