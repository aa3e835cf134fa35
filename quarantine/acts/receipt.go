package acts

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"sekimori/internal/mail"
	"sekimori/internal/store"
	"sekimori/quarantine"
	"sekimori/reputation"
)

// receiptLife is how long it is known what a receipt is about.
const receiptLife = 25 * time.Hour

func receiptKey(id string) string { return "act:{" + id + "}" }

// kept is a receipt as it stands in the store, with what it takes to undo it.
type kept struct {
	Receipt
	By      string // name and role of who did it
	Mail    string
	Change  quarantine.Changed
	Before  string // what was known of the mail before it was learned
	Taught  bool
	Against reputation.Contradiction `json:",omitempty"` // of the Bayesian check
	Noted   reputation.Event         `json:",omitempty"` // what is remembered of the sender
	NewOnes []string                 // ids of permissions that were not there before
	Job     *job                     `json:",omitempty"` // of a bulk act
}

// receiptID is the same for the same act, so that who presses twice gets the same receipt.
func receiptID(act, id string, at time.Time, by string) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{act, id, strconv.FormatInt(at.UnixMilli(), 10), by}, "\x00")))
	return hex.EncodeToString(sum[:10])
}

func (a *Actor) identity() string { return string(a.Role) + " " + strings.ToLower(a.Name) }

func (s *Service) saveReceipt(ctx context.Context, k *kept) error {
	b, err := json.Marshal(k)
	if err != nil {
		return fmt.Errorf("acts: %w", err)
	}
	if err := s.o.Client.Set(ctx, receiptKey(k.ID), b, receiptLife).Err(); err != nil {
		return fmt.Errorf("acts: %w", err)
	}
	return nil
}

// receipt returns what is kept, to who did it and to administrators; ErrNotFound to all others.
func (s *Service) receipt(ctx context.Context, a Actor, id string) (*kept, error) {
	b, err := s.o.Client.Get(ctx, receiptKey(id)).Bytes()
	if errors.Is(err, store.Nil) {
		return nil, fmt.Errorf("%w: receipt %q", ErrNotFound, id)
	}
	if err != nil {
		return nil, fmt.Errorf("acts: %w", err)
	}
	var k kept
	if err := json.Unmarshal(b, &k); err != nil {
		return nil, fmt.Errorf("acts: receipt %s: %w", id, err)
	}
	if k.By != a.identity() && a.Role != Admin && a.Role != Auditor {
		return nil, fmt.Errorf("%w: receipt %q", ErrNotFound, id)
	}
	return &k, nil
}

// Receipt returns a receipt again.
func (s *Service) Receipt(ctx context.Context, a Actor, id string) (Receipt, error) {
	k, err := s.receipt(ctx, a, id)
	if err != nil {
		return Receipt{}, err
	}
	return k.Receipt, nil
}

// Undo takes back everything that an act did: the state of the mail, what was learned, and the permission. Who did it can, and an
// administrator. A release can be undone until it leaves, a deletion for an hour; ErrState after that. Who asks again gets the same
// answer.
func (s *Service) Undo(ctx context.Context, a Actor, receiptID string) (Receipt, error) {
	if !a.can(actUndo) {
		return Receipt{}, fmt.Errorf("%w: role %q may not %s", ErrForbidden, a.Role, actUndo)
	}
	k, err := s.receipt(ctx, a, receiptID)
	if err != nil {
		return Receipt{}, err
	}
	switch {
	case k.Undone:
		return k.Receipt, nil
	case k.UndoUntil.IsZero():
		return k.Receipt, fmt.Errorf("%w: %s cannot be undone", ErrState, k.Act)
	case k.Job != nil:
		return s.undoJob(ctx, a, k)
	}
	if err := s.audit(ctx, a, actUndo, []string{k.Mail}, k.Rcpts, "of "+k.Act+" "+k.ID); err != nil {
		return k.Receipt, err
	}
	done, err := s.o.Keeper.Undo(ctx, k.Mail, k.Change, a.Name)
	if err != nil {
		return k.Receipt, translate(err)
	}
	if len(done) == 0 {
		return k.Receipt, fmt.Errorf("%w: %s of %s is done, or was changed since", ErrState, k.Act, k.Mail)
	}
	k.Undone = true
	k.NotDone = nil
	s.unteach(ctx, k)
	s.undispute(ctx, k)
	s.unnote(ctx, k)
	s.unallow(ctx, k)
	return k.Receipt, s.saveReceipt(ctx, k)
}

// addressesOf returns whose addresses a permission from this mail is for: the mailbox behind each recipient. Of a group that is
// nobody's alone.
func addressesOf(a Actor, i *Item, rcpts []mail.Address) (whose []mail.Address, groups []string) {
	add := func(r mail.Address) {
		if !slices.ContainsFunc(whose, func(w mail.Address) bool { return w.Key() == r.Key() }) {
			whose = append(whose, r)
		}
	}
	for _, r := range rcpts {
		switch owners := i.Owners[r.Key()]; {
		case len(owners) == 1:
			add(owners[0])
		case len(owners) == 0 || a.Role == Admin:
			add(r)
		default:
			groups = append(groups, r.String())
		}
	}
	return whose, groups
}
