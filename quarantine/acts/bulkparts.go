package acts

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"sekimori/internal/store"
	"sekimori/quarantine"
	"sekimori/reputation"
)

// chunk does the next mails of a bulk act. more is false at its end.
func (s *Service) chunk(ctx context.Context, k *kept) (more bool, err error) {
	f, err := s.o.Client.HGetAll(ctx, progressKey(k.ID)).Result()
	if err != nil {
		return false, err
	}
	state, j := f["state"], k.Job
	done, _ := strconv.Atoi(f["done"])
	turn := store.NewScript(turnLua)
	if done >= len(j.IDs) {
		next := map[string]string{jobRunning: jobDone, jobUndoing: jobUndone}[state]
		if next == "" {
			return false, s.o.Client.ZRem(ctx, jobsKey, k.ID).Err()
		}
		turned, err := turn.Run(ctx, s.o.Client, []string{progressKey(k.ID)}, state, next, "last", s.now().UnixMilli()).Int()
		if err != nil || turned == 0 {
			return turned == 0, err // it is being undone since just now
		}
		return false, s.o.Client.ZRem(ctx, jobsKey, k.ID).Err()
	}
	part := j.IDs[done:min(done+jobChunk, len(j.IDs))]
	failed, _ := strconv.Atoi(f["failed"])
	fields := []any{state, state}
	var wrong map[string]string
	switch state {
	case jobRunning:
		act := bulkPrefix + j.Act
		if err := s.audit(ctx, j.Actor, act, part, nil, fmt.Sprintf("%s: %d to %d of %d", k.ID, done+1, done+len(part), len(j.IDs))); err != nil {
			return false, err
		}
		wrong, err = s.doPart(ctx, k, part)
	case jobUndoing:
		wrong, err = s.undoPart(ctx, k, part)
	}
	if err != nil {
		return false, err
	}
	for id, why := range wrong {
		if failed++; failed <= failedMost {
			fields = append(fields, "f:"+id, why)
		}
	}
	fields = append(fields, "done", done+len(part), "failed", failed, "last", s.now().UnixMilli())
	// Only when the state is the same still: what was undone meanwhile begins anew.
	return true, turn.Run(ctx, s.o.Client, []string{progressKey(k.ID)}, fields...).Err()
}

// ofMail reports whether an error is about the mail; any other one is about the store, and the whole is tried again.
func ofMail(err error) bool {
	return errors.Is(err, ErrForbidden) || errors.Is(err, quarantine.ErrNotFound) || errors.Is(err, quarantine.ErrState)
}

// doPart decides about some mails and returns those that could not be, and why.
func (s *Service) doPart(ctx context.Context, k *kept, part []string) (map[string]string, error) {
	failed := map[string]string{}
	j := k.Job
	d := quarantine.Decision{Delete: j.Act == actDelete, By: j.Actor.Name, At: j.At, Due: j.Due, HeldOnly: true}
	for _, id := range part {
		i, err := s.o.Keeper.Show(ctx, id)
		if err == nil && j.Act == actRelease && slices.Contains(s.o.Policy().AdminOnly, i.Class) {
			err = fmt.Errorf("%w: class %s", ErrForbidden, i.Class)
		}
		if err == nil {
			_, err = s.o.Keeper.Decide(ctx, id, mineOf(j.Actor, &i), d)
		}
		if err != nil {
			if !ofMail(err) {
				return nil, err
			}
			failed[id] = err.Error()
			continue
		}
		s.teachPart(ctx, k, &i)
	}
	return failed, nil
}

// teachPart lets a small bulk act teach the model like single ones. A large one says more about a rule than about mails.
func (s *Service) teachPart(ctx context.Context, k *kept, i *quarantine.Item) {
	j := k.Job
	c := reputation.Ham
	if j.Act == actDelete {
		c = reputation.Spam
	}
	if len(j.IDs) > jobInline || !s.teaches(j.Actor) || i.Class == "undeliverable" || i.Class == "malware" || c == reputation.Spam && i.Class != "spam" {
		return
	}
	before, err := s.show(ctx, j.Actor, i, mineOf(j.Actor, i), c)
	if err != nil {
		s.o.Log.Warn("acts: a mail of a bulk act was not learned", "id", i.ID, "error", err)
		return
	}
	pipe := s.o.Client.Pipeline()
	pipe.HSet(ctx, lessonsKey(k.ID), i.ID, before)
	pipe.Expire(ctx, lessonsKey(k.ID), receiptLife)
	_, _ = pipe.Exec(ctx)
}

// undoPart takes back what was decided about some mails.
func (s *Service) undoPart(ctx context.Context, k *kept, part []string) (map[string]string, error) {
	failed := map[string]string{}
	j := k.Job
	for _, id := range part {
		i, err := s.o.Keeper.Show(ctx, id)
		if err != nil && !ofMail(err) {
			return nil, err
		}
		if err != nil {
			failed[id] = err.Error()
			continue
		}
		c := quarantine.Changed{From: map[string]string{}, By: j.Actor.Name, At: j.At, Due: j.Due}
		for _, r := range i.Rcpts {
			c.From[r.Key()] = quarantine.StateHeld
		}
		if _, err := s.o.Keeper.Undo(ctx, id, c, j.Actor.Name); err != nil {
			if !ofMail(err) {
				return nil, err
			}
			failed[id] = err.Error()
			continue
		}
		before, err := s.o.Client.HGet(ctx, lessonsKey(k.ID), id).Result()
		if err != nil {
			continue // nothing was learned from it
		}
		class := reputation.Ham
		if j.Act == actDelete {
			class = reputation.Spam
		}
		if err := s.restore(ctx, j.Actor, &i, mineOf(j.Actor, &i), class, before); err != nil {
			failed[id] = "what was learned: " + err.Error()
		}
		s.o.Client.HDel(ctx, lessonsKey(k.ID), id)
	}
	return failed, nil
}
