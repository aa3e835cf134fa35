package acts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"sekimori/internal/store"
)

const (
	jobsKey   = "act:jobs" // bulk acts that are under way -> when they began
	jobChunk  = 50         // mails between two notes of the progress
	jobClaim  = 30 * time.Second
	jobInline = 100 // so many are done while the caller waits, and teach the model
	// jobReserve is for each mail the time that undoing it may take, before the first leaves.
	jobReserve = 20 * time.Millisecond
	failedMost = 100
)

// The states of a bulk act.
const (
	jobRunning = "running"
	jobDone    = "done"
	jobUndoing = "undoing"
	jobUndone  = "undone"
)

// job is a bulk act. The decision is the same for every mail, so that it can be repeated after a crash, and undone without a note
// about each mail.
type job struct {
	Act   string
	IDs   []string
	Actor Actor
	At    time.Time
	Due   time.Time
}

func progressKey(id string) string { return receiptKey(id) + ":p" }

func jobClaimKey(id string) string { return receiptKey(id) + ":c" }

func lessonsKey(id string) string { return receiptKey(id) + ":l" }

// turnLua changes the state of a bulk act. KEYS: progress. ARGV: old state, new state, more fields and values.
const turnLua = `
if redis.call('HGET', KEYS[1], 'state') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'state', ARGV[2])
for i = 3, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
return 1`

// Bulk carries out a plan, in the background when it is about many mails: Progress says how far it is, and Undo takes all of it
// back. The same plan is carried out once.
func (s *Service) Bulk(ctx context.Context, a Actor, planID string) (Receipt, error) {
	p, err := s.plan(ctx, a, planID)
	if err != nil {
		return Receipt{}, err
	}
	if p.Count == 0 {
		return Receipt{}, fmt.Errorf("%w: the plan is about no mail", ErrInvalid)
	}
	now := s.now()
	j := &job{Act: p.Query.Act, IDs: p.IDs, Actor: a, At: now}
	k := &kept{Receipt: Receipt{ID: strings.Replace(planID, "plan-", "bulk-", 1), Act: bulkPrefix + j.Act, At: now, Changed: true, Left: p.Left}, By: a.identity(), Job: j}
	k.UndoUntil = now.Add(deletedFor)
	if undo := s.o.Policy().Undo; j.Act == actRelease {
		k.UndoUntil = time.Time{}
		if undo > 0 {
			k.UndoUntil = now.Add(undo)
			j.Due = k.UndoUntil.Add(time.Duration(len(j.IDs)) * jobReserve)
		}
	}
	if earlier, err := s.Receipt(ctx, a, k.ID); err == nil {
		return earlier, nil
	}
	if err := s.audit(ctx, a, k.Act, nil, nil, fmt.Sprintf("%s: %d mails, %s", k.ID, p.Count, p.Query)); err != nil {
		return Receipt{}, err
	}
	b, err := json.Marshal(k)
	if err != nil {
		return Receipt{}, fmt.Errorf("acts: %w", err)
	}
	first, err := s.o.Client.SetNX(ctx, receiptKey(k.ID), b, receiptLife).Result()
	if err != nil {
		return Receipt{}, fmt.Errorf("acts: %w", err)
	}
	if !first {
		return s.Receipt(ctx, a, k.ID)
	}
	pipe := s.o.Client.Pipeline()
	pipe.HSet(ctx, progressKey(k.ID), "state", jobRunning, "done", 0, "total", len(j.IDs))
	pipe.Expire(ctx, progressKey(k.ID), receiptLife)
	pipe.ZAdd(ctx, jobsKey, store.Z{Score: float64(now.UnixMilli()), Member: k.ID})
	if _, err := pipe.Exec(ctx); err != nil {
		return Receipt{}, fmt.Errorf("acts: %w", err)
	}
	if len(j.IDs) <= jobInline {
		s.work(ctx, k.ID)
	}
	return k.Receipt, nil
}

// String says what restricts a bulk act, for the audit log.
func (q BulkQuery) String() string {
	var words []string
	add := func(name, value string) {
		if value != "" {
			words = append(words, name+" "+value)
		}
	}
	add("rule", q.Rule)
	add("from", q.From)
	add("rcpt", q.Rcpt)
	add("subject", q.Subject)
	add("class", q.Class)
	if !q.Since.IsZero() {
		add("since", q.Since.UTC().Format(time.RFC3339))
	}
	if !q.Until.IsZero() {
		add("until", q.Until.UTC().Format(time.RFC3339))
	}
	if len(words) == 0 {
		return "as selected"
	}
	return strings.Join(words, ", ")
}

// Progress says how far a bulk act has come.
func (s *Service) Progress(ctx context.Context, a Actor, receiptID string) (Progress, error) {
	k, err := s.receipt(ctx, a, receiptID)
	if err != nil {
		return Progress{}, err
	}
	if k.Job == nil {
		return Progress{}, fmt.Errorf("%w: %s is no bulk act", ErrNotFound, receiptID)
	}
	f, err := s.o.Client.HGetAll(ctx, progressKey(receiptID)).Result()
	if err != nil {
		return Progress{}, fmt.Errorf("acts: %w", err)
	}
	p := Progress{ID: receiptID, Act: k.Act, State: f["state"], Total: len(k.Job.IDs), Started: k.At, Undo: k.UndoUntil, Errors: map[string]string{}}
	p.Done, _ = strconv.Atoi(f["done"])
	p.Failed, _ = strconv.Atoi(f["failed"])
	if ms, err := strconv.ParseInt(f["last"], 10, 64); err == nil {
		p.Last = time.UnixMilli(ms).UTC()
	}
	for key, why := range f {
		if id, ok := strings.CutPrefix(key, "f:"); ok {
			p.Errors[id] = why
		}
	}
	return p, nil
}

// undoJob begins to take a bulk act back.
func (s *Service) undoJob(ctx context.Context, a Actor, k *kept) (Receipt, error) {
	if !s.now().Before(k.UndoUntil) {
		return k.Receipt, fmt.Errorf("%w: %s can no longer be undone as a whole", ErrState, k.ID)
	}
	if err := s.audit(ctx, a, actUndo, nil, nil, "of "+k.Act+" "+k.ID); err != nil {
		return k.Receipt, err
	}
	turn := store.NewScript(turnLua)
	for _, from := range []string{jobRunning, jobDone} {
		if err := turn.Run(ctx, s.o.Client, []string{progressKey(k.ID)}, from, jobUndoing, "done", 0, "failed", 0).Err(); err != nil {
			return k.Receipt, fmt.Errorf("acts: %w", err)
		}
	}
	if err := s.o.Client.ZAdd(ctx, jobsKey, store.Z{Score: float64(k.At.UnixMilli()), Member: k.ID}).Err(); err != nil {
		return k.Receipt, fmt.Errorf("acts: %w", err)
	}
	k.Undone = true
	if err := s.saveReceipt(ctx, k); err != nil {
		return k.Receipt, err
	}
	if len(k.Job.IDs) <= jobInline {
		s.work(ctx, k.ID)
	}
	return k.Receipt, nil
}

// Run carries out bulk acts until ctx ends. A host that dies is replaced by another within half a minute.
func (s *Service) Run(ctx context.Context) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		s.Tick(ctx)
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// Tick looks once for bulk acts to carry out.
func (s *Service) Tick(ctx context.Context) {
	ids, err := s.o.Client.ZRange(ctx, jobsKey, 0, 9).Result()
	if err != nil {
		return // the store does not answer: others say so
	}
	for _, id := range ids {
		s.work(ctx, id)
	}
}

// work does what is left of a bulk act, unless another host does it.
func (s *Service) work(ctx context.Context, id string) {
	me := s.o.NewID()
	mine, err := s.o.Client.SetNX(ctx, jobClaimKey(id), me, jobClaim).Result()
	if err != nil || !mine {
		return
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		s.o.Client.Del(ctx, jobClaimKey(id))
	}()
	b, err := s.o.Client.Get(ctx, receiptKey(id)).Bytes()
	if errors.Is(err, store.Nil) {
		s.o.Client.ZRem(ctx, jobsKey, id)
	}
	if err != nil {
		return
	}
	var k kept
	if err := json.Unmarshal(b, &k); err != nil || k.Job == nil {
		s.o.Log.Error("acts: a bulk act cannot be read", "id", id, "error", err)
		s.o.Client.ZRem(ctx, jobsKey, id)
		return
	}
	for ctx.Err() == nil {
		more, err := s.chunk(ctx, &k)
		if err != nil {
			s.o.Log.Warn("acts: a bulk act goes on later", "id", id, "error", err)
			return
		}
		if !more {
			return
		}
		// Nobody else takes the claim while it is renewed in time; who is late finds the same decision made already.
		if err := s.o.Client.Set(ctx, jobClaimKey(id), me, jobClaim).Err(); err != nil {
			return
		}
	}
}
