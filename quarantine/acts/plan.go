package acts

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"sekimori/internal/mail"
	"sekimori/internal/store"
	"sekimori/quarantine"
)

const (
	bulkMost    = 20000 // mails of one bulk act
	planSamples = 10
	planSenders = 10
	planLife    = time.Hour
)

// storedPlan is a plan with the mails that it names.
type storedPlan struct {
	Plan
	IDs  []string
	By   string
	Left int // selected, and not in IDs
}

func (q *BulkQuery) check(a Actor) error {
	if q.Act != actRelease && q.Act != actDelete {
		return fmt.Errorf("%w: a bulk act is %s or %s, not %q", ErrInvalid, actRelease, actDelete, q.Act)
	}
	if !a.can(q.Act) {
		return fmt.Errorf("%w: role %q may not %s", ErrForbidden, a.Role, q.Act)
	}
	if a.Role != Admin && len(q.IDs) == 0 {
		return fmt.Errorf("%w: only an administrator acts on mail that he has not selected", ErrForbidden)
	}
	if len(q.IDs) > bulkMost {
		return fmt.Errorf("%w: %d mails at once are too many, the most is %d", ErrInvalid, len(q.IDs), bulkMost)
	}
	if len(q.IDs) == 0 && q.Rule == "" && q.From == "" && q.Rcpt == "" && q.Subject == "" && q.Class == "" && q.Since.IsZero() && q.Until.IsZero() {
		return fmt.Errorf("%w: nothing restricts which mails are meant", ErrInvalid)
	}
	return nil
}

// Preview says what a bulk act would do, and remembers it for an hour. Administrators choose by rule, sender, time and so on; others
// act on what they selected. Dangerous classes are never released in bulk.
func (s *Service) Preview(ctx context.Context, a Actor, q BulkQuery) (Plan, error) {
	if err := q.check(a); err != nil {
		return Plan{}, err
	}
	p := &storedPlan{Plan: Plan{Query: q, Classes: map[string]int{}, Senders: map[string]int{}, Expires: s.now().Add(planLife)}, By: a.identity()}
	if err := s.gather(ctx, a, q, p); err != nil {
		return Plan{}, err
	}
	p.topSenders()
	p.Left = max(0, len(q.IDs)-len(p.IDs))
	p.Query.IDs = nil // they stand in the plan's own list
	p.ID = "plan-" + s.o.NewID()
	b, err := json.Marshal(p)
	if err != nil {
		return Plan{}, fmt.Errorf("acts: %w", err)
	}
	if err := s.o.Client.Set(ctx, receiptKey(p.ID), b, planLife).Err(); err != nil {
		return Plan{}, fmt.Errorf("acts: %w", err)
	}
	return p.Plan, nil
}

// gather finds the mails of a plan.
func (s *Service) gather(ctx context.Context, a Actor, q BulkQuery, p *storedPlan) error {
	if len(q.IDs) > 0 {
		for _, id := range q.IDs {
			i, err := s.Show(ctx, a, id)
			if errors.Is(err, ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			p.add(&i, q)
		}
		return nil
	}
	list := quarantine.Query{Rcpt: q.Rcpt, From: q.From, Subject: q.Subject, Class: q.Class, Since: q.Since, Until: q.Until, Limit: 500}
	for {
		page, err := s.o.Keeper.List(ctx, list)
		if err != nil {
			return translate(err)
		}
		if page.Partial != "" {
			return fmt.Errorf("acts: the list of mails is not complete: %s", page.Partial)
		}
		for n := range page.Items {
			if len(p.IDs) == bulkMost {
				p.More = true
				return nil
			}
			h := &page.Items[n]
			p.add(&Item{Item: *h, Mine: h.Rcpts, AdminOnly: slices.Contains(s.o.Policy().AdminOnly, h.Class)}, q)
		}
		if list.Cursor = page.Next; list.Cursor == "" {
			return nil
		}
	}
}

// add takes a mail into the plan when the act would change it.
func (p *storedPlan) add(i *Item, q BulkQuery) {
	held := slices.ContainsFunc(i.States, func(st quarantine.RcptState) bool {
		return st.State == quarantine.StateHeld && slices.Contains(i.Mine, st.Rcpt)
	})
	if !held || i.Pending || !q.matches(&i.Item) || slices.Contains(p.IDs, i.ID) && len(q.IDs) > 0 {
		return
	}
	if q.Act == actRelease && i.AdminOnly {
		p.Dangers++
		if len(p.Excluded) < planSamples {
			p.Excluded = append(p.Excluded, sample(i))
		}
		return
	}
	p.IDs = append(p.IDs, i.ID)
	p.Count++
	p.Octets += i.Size
	p.Classes[i.Class]++
	p.Senders[cmp.Or(strings.ToLower(i.HeaderFrom), "<>")]++
	if len(p.Samples) < planSamples {
		p.Samples = append(p.Samples, sample(i))
	}
}

// matches compares what a listing does not.
func (q *BulkQuery) matches(i *quarantine.Item) bool {
	if q.Rule != "" {
		id, place, _ := strings.Cut(strings.TrimSuffix(i.Rule, ")"), " (")
		if q.Rule != id && q.Rule != place && q.Rule != i.Rule {
			return false
		}
	}
	if q.From == "" {
		return true
	}
	// A whole address or domain means just that, and not every sender whose address holds it.
	want := strings.ToLower(strings.TrimPrefix(q.From, "@"))
	if !strings.Contains(want, ".") {
		return true
	}
	for _, from := range []string{i.From.Key(), strings.ToLower(i.HeaderFrom)} {
		if from == want || from[strings.LastIndexByte(from, '@')+1:] == want {
			return true
		}
	}
	return false
}

func sample(i *Item) Sample {
	return Sample{ID: i.ID, From: i.HeaderFrom, Subject: i.Subject, Class: i.Class, Rcpts: texts(i.Mine), Time: i.Time}
}

// topSenders keeps the most frequent senders.
func (p *storedPlan) topSenders() {
	all := slices.SortedFunc(maps.Keys(p.Senders), func(a, b string) int { return cmp.Or(p.Senders[b]-p.Senders[a], cmp.Compare(a, b)) })
	for _, from := range all[min(len(all), planSenders):] {
		delete(p.Senders, from)
	}
}

// plan returns a plan of the actor's own.
func (s *Service) plan(ctx context.Context, a Actor, id string) (*storedPlan, error) {
	b, err := s.o.Client.Get(ctx, receiptKey(id)).Bytes()
	if errors.Is(err, store.Nil) {
		return nil, fmt.Errorf("%w: plan %q; a plan is forgotten after an hour", ErrNotFound, id)
	}
	if err != nil {
		return nil, fmt.Errorf("acts: %w", err)
	}
	var p storedPlan
	if err := json.Unmarshal(b, &p); err != nil || p.ID != id || p.By != a.identity() {
		return nil, fmt.Errorf("%w: plan %q", ErrNotFound, id)
	}
	return &p, nil
}

// mineOf returns the recipients of a mail for whom somebody may act.
func mineOf(a Actor, i *quarantine.Item) []mail.Address {
	if a.Role == Person {
		return i.RcptsOf(a.Addresses)
	}
	return i.Rcpts
}
