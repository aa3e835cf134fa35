package acts

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"sekimori/internal/mail"
	"sekimori/quarantine"
	"sekimori/reputation"
)

// deletedFor is how long a deletion can be undone: as long as the octets are kept.
const deletedFor = time.Hour

// Release lets a mail through to those of rcpts for whom the actor may act; nobody named means all of them. It leaves after the time
// to undo, teaches the model that it was no spam, and with Allow lets the sender's mail through from now on.
func (s *Service) Release(ctx context.Context, a Actor, id string, rcpts []mail.Address, o How) (Receipt, error) {
	i, who, err := s.open(ctx, a, actRelease, id, rcpts)
	if err != nil {
		return Receipt{}, err
	}
	if i.AdminOnly && a.Role != Admin {
		return Receipt{}, fmt.Errorf("%w: mail of class %s is released by an administrator only", ErrForbidden, i.Class)
	}
	k := &kept{Receipt: Receipt{Act: actRelease, Mails: []string{id}, Rcpts: who}, By: a.identity(), Mail: id}
	d := quarantine.Decision{By: a.Name, At: s.now()}
	if undo := s.o.Policy().Undo; undo > 0 && !o.Now {
		d.Due = d.At.Add(undo)
	}
	detail := "held as " + i.Class
	if o.Allow {
		detail += ", allow the sender"
	}
	done, err := s.carryOut(ctx, a, k, d, detail)
	if err != nil || !done {
		return k.Receipt, err
	}
	k.UndoUntil = d.Due
	if o.Allow {
		s.allowFrom(ctx, a, &i, who, k)
	}
	if i.Class != "malware" && i.Class != "undeliverable" {
		s.teach(ctx, a, &i, k, reputation.Ham)
	}
	s.dispute(ctx, &i, k, reputation.HeldWrongly)
	s.note(ctx, &i, k, reputation.Released)
	return k.Receipt, s.saveReceipt(ctx, k)
}

// Delete deletes a mail. It can be undone for an hour. Mail that was held because of its score teaches the model that it was spam.
func (s *Service) Delete(ctx context.Context, a Actor, id string, rcpts []mail.Address) (Receipt, error) {
	return s.remove(ctx, a, actDelete, id, rcpts)
}

// ReportSpam deletes a mail and teaches the model that it was spam.
func (s *Service) ReportSpam(ctx context.Context, a Actor, id string, rcpts []mail.Address) (Receipt, error) {
	return s.remove(ctx, a, actReport, id, rcpts)
}

func (s *Service) remove(ctx context.Context, a Actor, act, id string, rcpts []mail.Address) (Receipt, error) {
	i, who, err := s.open(ctx, a, act, id, rcpts)
	if err != nil {
		return Receipt{}, err
	}
	k := &kept{Receipt: Receipt{Act: act, Mails: []string{id}, Rcpts: who}, By: a.identity(), Mail: id}
	d := quarantine.Decision{Delete: true, By: a.Name, At: s.now()}
	done, err := s.carryOut(ctx, a, k, d, "held as "+i.Class)
	if err != nil || !done {
		return k.Receipt, err
	}
	k.UndoUntil = d.At.Add(deletedFor)
	if act == actReport || i.Class == "spam" {
		s.teach(ctx, a, &i, k, reputation.Spam)
	}
	if act == actReport {
		s.dispute(ctx, &i, k, reputation.PassedWrongly)
		s.note(ctx, &i, k, reputation.Reported)
	}
	return k.Receipt, s.saveReceipt(ctx, k)
}

func (s *Service) now() time.Time { return s.o.Now().UTC().Truncate(time.Millisecond) }

// carryOut writes the act down and changes the state. done is false when that was the state already; k is then the receipt of the
// act that made it so, if there is one.
func (s *Service) carryOut(ctx context.Context, a Actor, k *kept, d quarantine.Decision, detail string) (done bool, err error) {
	if done, err := s.doneAlready(ctx, a, k, d.Delete); done || err != nil {
		return false, err
	}
	if err := s.audit(ctx, a, k.Act, k.Mails, k.Rcpts, detail); err != nil {
		return false, err
	}
	k.Change, err = s.o.Keeper.Decide(ctx, k.Mail, k.Rcpts, d)
	k.At, k.ID = d.At, receiptID(k.Act, k.Mail, d.At, k.Change.By)
	k.Changed = len(k.Change.From) > 0
	if err != nil {
		// For some it may be done all the same, and can be undone.
		if k.Changed {
			k.UndoUntil = d.Due
			if d.Delete {
				k.UndoUntil = d.At.Add(deletedFor)
			}
			err = errors.Join(err, s.saveReceipt(ctx, k))
		}
		return false, translate(err)
	}
	return k.Changed, nil
}

// doneAlready reports whether every recipient is where this act would bring him. Then k is the receipt of the act that did it when it
// was the actor's own, which can be undone with it, and else a receipt that only says who did it and when.
func (s *Service) doneAlready(ctx context.Context, a Actor, k *kept, deleted bool) (bool, error) {
	i, err := s.o.Keeper.Show(ctx, k.Mail)
	if err != nil {
		return false, nil // the act says so itself
	}
	first := decided(&i, k.Rcpts, deleted)
	if first == nil {
		return false, nil
	}
	was := &Earlier{State: first.State, By: first.By, At: first.At}
	if earlier, err := s.receipt(ctx, a, receiptID(k.Act, k.Mail, first.At, first.By)); err == nil {
		k.Receipt, k.Changed, k.Earlier = earlier.Receipt, false, was
		return true, nil
	}
	k.ID, k.At, k.Changed, k.Earlier = receiptID("again "+k.Act, k.Mail, first.At, a.identity()), first.At, false, was
	return true, s.saveReceipt(ctx, k)
}

// decided returns the state of the first of rcpts when all of them are released, or deleted; nil when one is not.
func decided(i *quarantine.Item, rcpts []mail.Address, deleted bool) *quarantine.RcptState {
	var first *quarantine.RcptState
	for n := range i.States {
		st := &i.States[n]
		if !contains(rcpts, st.Rcpt) {
			continue
		}
		is := st.State == quarantine.StateReleasing || st.State == quarantine.StateReleased
		if deleted {
			is = st.State == quarantine.StateDeleted
		}
		if !is {
			return nil
		}
		if first == nil {
			first = st
		}
	}
	return first
}

func contains(list []mail.Address, r mail.Address) bool {
	for _, a := range list {
		if strings.EqualFold(a.Key(), r.Key()) {
			return true
		}
	}
	return false
}
