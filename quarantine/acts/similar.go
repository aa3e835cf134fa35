package acts

import (
	"context"
	"strings"

	"sekimori/internal/mail"
	"sekimori/quarantine"
)

const similarMost = 500

// Similar finds the mails that are held for the same people, from the same sender, by the same rule (or class, when the points
// decided) as another.
func (s *Service) Similar(ctx context.Context, a Actor, id string) (Similar, error) {
	i, who, err := s.open(ctx, a, actSee, id, nil)
	if err != nil {
		return Similar{}, err
	}
	sim := Similar{From: i.HeaderFrom, Rule: ruleID(i.Rule), Reason: "sender-and-rule"}
	if sim.From == "" || sim.From == "<>" {
		return Similar{}, nil
	}
	whose := a.Addresses
	if a.Role != Person {
		whose = who
	}
	seen := map[string]bool{id: true}
	for _, r := range whose {
		if err := s.similarFor(ctx, &i, r, &sim, seen); err != nil {
			return sim, err
		}
	}
	return sim, nil
}

func (s *Service) similarFor(ctx context.Context, i *Item, rcpt mail.Address, sim *Similar, seen map[string]bool) error {
	q := quarantine.Query{Rcpt: rcpt.String(), From: i.HeaderFrom, Class: i.Class, Limit: similarMost}
	for {
		page, err := s.o.Keeper.List(ctx, q)
		if err != nil {
			return err
		}
		for _, other := range page.Items {
			if seen[other.ID] || !strings.EqualFold(other.HeaderFrom, i.HeaderFrom) || ruleID(other.Rule) != sim.Rule || !isHeld(&other, rcpt) {
				continue
			}
			if len(sim.IDs) == similarMost {
				sim.More = true
				return nil
			}
			seen[other.ID] = true
			sim.IDs = append(sim.IDs, other.ID)
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			return nil
		}
	}
}

// isHeld reports whether a mail is held for somebody.
func isHeld(i *quarantine.Item, who mail.Address) bool {
	mine := i.RcptsOf([]mail.Address{who})
	for _, st := range i.States {
		if st.State == quarantine.StateHeld && contains(mine, st.Rcpt) {
			return true
		}
	}
	return false
}

// ruleID gives the id of a rule that is written as "ID (file:line)".
func ruleID(rule string) string {
	id, _, _ := strings.Cut(rule, " (")
	return id
}
