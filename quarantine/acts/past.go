package acts

import (
	"context"

	"sekimori/internal/mail"
	"sekimori/quarantine"
	"sekimori/reputation"
)

// Past remembers what people did with the mail of a sender (mail.Proof.Sender).
type Past interface {
	Note(ctx context.Context, sender string, rcpts []mail.Address, e reputation.Event) error
	Forget(ctx context.Context, sender string, rcpts []mail.Address, e reputation.Event) error
}

// note remembers an act of the sender. The act is done also when this is not possible: it only makes the sender seem newer.
func (s *Service) note(ctx context.Context, i *Item, k *kept, e reputation.Event) {
	sender := i.Proof.Sender()
	if s.o.Past == nil || sender == "" {
		return
	}
	if err := s.o.Past.Note(ctx, sender, mailboxes(&i.Item, k.Rcpts), e); err != nil {
		s.o.Log.Warn("what was done is not remembered of the sender", "id", i.ID, "err", err)
		return
	}
	k.Noted = e
}

// unnote takes it back.
func (s *Service) unnote(ctx context.Context, k *kept) {
	if s.o.Past == nil || k.Noted == "" {
		return
	}
	i, err := s.o.Keeper.Show(ctx, k.Mail)
	if err == nil {
		err = s.o.Past.Forget(ctx, i.Proof.Sender(), mailboxes(&i, k.Rcpts), k.Noted)
	}
	if err != nil {
		s.o.Log.Warn("what was undone is still remembered of the sender", "id", k.Mail, "err", err)
	}
	k.Noted = ""
}

// mailboxes are those of recipients that are one mailbox, and the others themselves.
func mailboxes(i *quarantine.Item, rcpts []mail.Address) []mail.Address {
	all := make([]mail.Address, len(rcpts))
	for n, r := range rcpts {
		all[n] = r
		if owners := i.Owners[r.Key()]; len(owners) == 1 {
			all[n] = owners[0]
		}
	}
	return all
}
