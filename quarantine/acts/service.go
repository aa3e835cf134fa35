package acts

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"sekimori/internal/audit"
	"sekimori/internal/mail"
	"sekimori/internal/store"
	"sekimori/quarantine"
	"sekimori/reputation"
)

// Learner is what teaches the Bayesian model; reputation.Learner is one.
type Learner interface {
	Teach(ctx context.Context, s reputation.Sample) (reputation.Taught, error)
	Restore(ctx context.Context, s reputation.Sample, before string) error
}

// Dispute is told that somebody contradicts the Bayesian check (sign 1), or takes that back (-1).
type Dispute func(ctx context.Context, c reputation.Contradiction, by string, sign int) error

// Policy is what the configuration says about acts.
type Policy struct {
	Undo      time.Duration // how long a release waits before it leaves
	AdminOnly []string      // classes that only an administrator releases
	AllowFor  time.Duration // how long a permission holds; 0: nobody allows anything
	Learn     string        // whose acts teach the model: all | admin | off
	Hostname  string        // our own name, of whose header fields nothing is learned
}

// Options of New.
type Options struct {
	Keeper  *quarantine.Store
	Client  store.Client
	Audit   audit.Appender
	Allows  *reputation.Allows
	Learner Learner       // nil: nothing is learned
	Dispute Dispute       // nil: what people say against the Bayesian check is not counted
	Past    Past          // nil: what people do is not remembered of the sender
	Policy  func() Policy // as it is now
	// Taught is told of each mail that an act taught the model, or of which that was taken back; nil: nobody is told.
	Taught func(ctx context.Context, a Actor, id, class string, undone bool)
	Now    func() time.Time
	NewID  func() string // never the same twice
	Log    *slog.Logger
}

// Service carries out what people do with held mail. Safe for concurrent use, by several hosts on one store at once.
type Service struct{ o Options }

// New returns a Service. It does not talk to the store.
func New(o Options) *Service {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{o}
}

// can says what a role may do at all.
func (a *Actor) can(act string) bool {
	switch a.Role {
	case Admin:
		return true
	case Helpdesk:
		return slices.Contains([]string{actRelease, actUndo, actAsk, actSee, actAllow}, act)
	case Person:
		return slices.Contains([]string{actRelease, actDelete, actReport, actUndo, actAsk, actSee, actLook, actAllow, actRevoke}, act)
	case Auditor:
		return act == actSee || act == actAudit
	}
	return false
}

// The acts, as they stand in the audit log and in receipts.
const (
	actRelease = "release"
	actDelete  = "delete"
	actReport  = "report-spam"
	actUndo    = "undo"
	actAsk     = "ask"
	actAnswer  = "answer"
	actAllow   = "allow"
	actRevoke  = "revoke"
	actLook    = "look"  // into the octets
	actSee     = "see"   // that it is there, and why it is held; stands in no log
	actAudit   = "audit" // likewise
	bulkPrefix = "bulk."
)

// Item is a held mail as an actor may see it.
type Item struct {
	quarantine.Item
	Mine      []mail.Address // the recipients for whom the actor may act
	AdminOnly bool           // its class is one that only an administrator releases
}

// Show returns one mail; ErrNotFound also for a person whose mail it is not.
func (s *Service) Show(ctx context.Context, a Actor, id string) (Item, error) {
	if !a.can(actSee) {
		return Item{}, fmt.Errorf("%w: role %q sees nothing", ErrForbidden, a.Role)
	}
	held, err := s.o.Keeper.Show(ctx, id)
	if err != nil {
		return Item{}, translate(err)
	}
	i := Item{Item: held, Mine: held.Rcpts, AdminOnly: slices.Contains(s.o.Policy().AdminOnly, held.Class)}
	if a.Role == Person {
		if i.Mine = held.RcptsOf(a.Addresses); len(i.Mine) == 0 {
			return Item{}, fmt.Errorf("%w: %s", ErrNotFound, id)
		}
	}
	return i, nil
}

// Body returns the octets of a mail, and a function to call when they are no longer used. When the mail is not the actor's own, the
// look is written into the audit log first.
func (s *Service) Body(ctx context.Context, a Actor, id string) (mail.Content, func(), error) {
	i, err := s.Show(ctx, a, id)
	if err != nil {
		return nil, nil, err
	}
	if !a.can(actLook) {
		return nil, nil, fmt.Errorf("%w: role %q reads no mails", ErrForbidden, a.Role)
	}
	if a.Role != Person {
		if err := s.audit(ctx, a, actLook, []string{id}, i.Rcpts, ""); err != nil {
			return nil, nil, err
		}
	}
	c, done, err := s.o.Keeper.Raw(ctx, id)
	return c, done, translate(err)
}

// open returns a mail and for whom an act on it is: of those that were asked for, all must be the actor's.
func (s *Service) open(ctx context.Context, a Actor, act, id string, rcpts []mail.Address) (Item, []mail.Address, error) {
	i, err := s.Show(ctx, a, id)
	if err != nil {
		return i, nil, err
	}
	if !a.can(act) {
		return i, nil, fmt.Errorf("%w: role %q may not %s", ErrForbidden, a.Role, act)
	}
	if len(rcpts) == 0 {
		return i, i.Mine, nil
	}
	who := i.RcptsOf(rcpts)
	who = slices.DeleteFunc(who, func(r mail.Address) bool { return !slices.Contains(i.Mine, r) })
	if len(who) == 0 {
		return i, nil, fmt.Errorf("%w: %s is not for %s", ErrNotFound, id, join(rcpts))
	}
	return i, who, nil
}

func join(list []mail.Address) string { return strings.Join(texts(list), ", ") }

func texts(list []mail.Address) []string {
	all := make([]string, len(list))
	for i, r := range list {
		all[i] = r.String()
	}
	return all
}

// audit writes down what is about to be done.
func (s *Service) audit(ctx context.Context, a Actor, act string, ids []string, rcpts []mail.Address, detail string) error {
	return s.o.Audit.Append(ctx, audit.Entry{
		Time: s.o.Now(), Actor: a.Name, Role: string(a.Role), Act: act, IDs: ids, Rcpts: texts(rcpts), Peer: a.Peer, Via: a.Via, Detail: detail,
	})
}

// translate gives the errors of the quarantine the names of this package.
func translate(err error) error {
	switch {
	case errors.Is(err, quarantine.ErrNotFound):
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	case errors.Is(err, quarantine.ErrState):
		return fmt.Errorf("%w: %w", ErrState, err)
	}
	return err
}
