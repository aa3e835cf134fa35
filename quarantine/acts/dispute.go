package acts

import (
	"context"

	"sekimori/reputation"
)

// dispute tells that an act contradicts the Bayesian check, when it had the part in the mail's treatment that the act is against. An
// act is done also when that cannot be written down.
func (s *Service) dispute(ctx context.Context, i *Item, k *kept, c reputation.Contradiction) {
	symbol := "BAYES_SPAM"
	if c == reputation.PassedWrongly {
		symbol = "BAYES_HAM"
	}
	if s.o.Dispute == nil || !reputation.CountedAs(i.Reasons, symbol) {
		return
	}
	if err := s.o.Dispute(ctx, c, k.By, 1); err != nil {
		s.o.Log.Debug("acts: what is said against the Bayesian check is not counted", "id", k.Mail, "err", err)
		return
	}
	k.Against = c
}

// undispute takes it back.
func (s *Service) undispute(ctx context.Context, k *kept) {
	if k.Against == "" || s.o.Dispute == nil {
		return
	}
	if err := s.o.Dispute(ctx, k.Against, k.By, -1); err == nil {
		k.Against = ""
	}
}
