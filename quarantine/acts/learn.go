package acts

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"sekimori/filters/bayes"
	"sekimori/internal/mail"
	"sekimori/internal/mime"
	"sekimori/quarantine"
	"sekimori/reputation"
)

// mostLearned is the largest mail that is learned.
const mostLearned = 64 << 20

// mostScopes is for how many recipients of one mail it is learned by themselves.
const mostScopes = 10

// lesson is a mail as the model learns it from somebody, for those it came for. A person teaches for himself, and within bounds for
// his domain and everybody; one who looks after the mail of others teaches for these two.
func (s *Service) lesson(ctx context.Context, a Actor, i *quarantine.Item, rcpts []mail.Address, c reputation.Class) (reputation.Sample, error) {
	content, done, err := s.o.Keeper.Raw(ctx, i.ID)
	if err != nil {
		return reputation.Sample{}, err
	}
	defer done()
	if content.Len() > mostLearned {
		return reputation.Sample{}, fmt.Errorf("a mail of %d octets is not learned", content.Len())
	}
	m := mime.Parse(content.Bytes())
	l := reputation.Sample{
		Class: c, Tokens: bayes.Tokenizer{Hostname: s.o.Policy().Hostname}.Tokens(m), Fingerprint: bayes.Fingerprint(m), Source: reputation.Admin, Held: true,
		Way: reputation.ByQuarantine,
	}
	boxes, _ := addressesOf(Actor{}, &Item{Item: *i}, rcpts)
	if a.Role == Person {
		l.Source, l.By = reputation.Person, strings.ToLower(a.Name)
		for _, box := range boxes[:min(len(boxes), mostScopes)] {
			l.Scopes = append(l.Scopes, reputation.PersonScope(box))
		}
	}
	for _, r := range rcpts[:min(len(rcpts), mostScopes)] {
		if d := reputation.DomainScope(r); !slices.Contains(l.Scopes, d) {
			l.Scopes = append(l.Scopes, d)
		}
	}
	l.Scopes = append(l.Scopes, reputation.Everybody)
	return l, nil
}

// teaches reports whether the acts of somebody teach the model.
func (s *Service) teaches(a Actor) bool {
	switch s.o.Policy().Learn {
	case "off":
		return false
	case "admin":
		return a.Role == Admin && s.o.Learner != nil
	}
	return s.o.Learner != nil
}

// teach shows the mail to the model: what was learned from it as the other class is undone by that. An act is done also when this
// is not possible.
func (s *Service) teach(ctx context.Context, a Actor, i *Item, k *kept, c reputation.Class) {
	if !s.teaches(a) {
		return
	}
	before, err := s.show(ctx, a, &i.Item, k.Rcpts, c)
	if err != nil {
		k.NotDone = append(k.NotDone, "learning: "+err.Error())
		return
	}
	k.Before, k.Taught, k.Learned = before, true, string(c)
}

// show returns what was known of the mail before.
func (s *Service) show(ctx context.Context, a Actor, i *quarantine.Item, rcpts []mail.Address, c reputation.Class) (before string, err error) {
	l, err := s.lesson(ctx, a, i, rcpts, c)
	if err != nil {
		return "", err
	}
	t, err := s.o.Learner.Teach(ctx, l)
	if err == nil && s.o.Taught != nil {
		s.o.Taught(ctx, a, i.ID, string(c), false)
	}
	return t.Before, err
}

// unteach makes what the model knows of the mail what it was before somebody taught it.
func (s *Service) unteach(ctx context.Context, k *kept) {
	if !k.Taught || s.o.Learner == nil {
		return
	}
	role, name, _ := strings.Cut(k.By, " ")
	i, err := s.o.Keeper.Show(ctx, k.Mail)
	if err == nil {
		err = s.restore(ctx, Actor{Name: name, Role: Role(role)}, &i, k.Rcpts, reputation.Class(k.Learned), k.Before)
	}
	if err != nil {
		k.NotDone = append(k.NotDone, "undoing what was learned: "+err.Error())
		return
	}
	k.Taught, k.Learned = false, ""
}

func (s *Service) restore(ctx context.Context, a Actor, i *quarantine.Item, rcpts []mail.Address, c reputation.Class, before string) error {
	l, err := s.lesson(ctx, a, i, rcpts, c)
	if err != nil {
		return err
	}
	err = s.o.Learner.Restore(ctx, l, before)
	if err == nil && s.o.Taught != nil {
		s.o.Taught(ctx, a, i.ID, string(c), true)
	}
	return err
}
