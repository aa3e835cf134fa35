package acts

import (
	"context"
	"fmt"

	"sekimori/filters/bayes"
	"sekimori/internal/mime"
	"sekimori/reputation"
)

// mostLearned is the largest mail that is learned.
const mostLearned = 64 << 20

// lesson is a mail as the model knows it.
type lesson struct {
	tokens      []string
	fingerprint string
}

func (s *Service) lesson(ctx context.Context, id string) (lesson, error) {
	c, done, err := s.o.Keeper.Raw(ctx, id)
	if err != nil {
		return lesson{}, err
	}
	defer done()
	if c.Len() > mostLearned {
		return lesson{}, fmt.Errorf("a mail of %d octets is not learned", c.Len())
	}
	m := mime.Parse(c.Bytes())
	return lesson{bayes.Tokenizer{Hostname: s.o.Policy().Hostname}.Tokens(m), bayes.Fingerprint(m)}, nil
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
func (s *Service) teach(ctx context.Context, a Actor, k *kept, c reputation.Class) {
	if !s.teaches(a) {
		return
	}
	before, err := s.show(ctx, k.Mail, c)
	if err != nil {
		k.NotDone = append(k.NotDone, "learning: "+err.Error())
		return
	}
	k.Before, k.Taught, k.Learned = before, true, string(c)
}

func (s *Service) show(ctx context.Context, id string, c reputation.Class) (before reputation.Class, err error) {
	l, err := s.lesson(ctx, id)
	if err != nil {
		return "", err
	}
	if before, err = s.o.Learner.Known(ctx, l.fingerprint); err != nil || before == c {
		return before, err
	}
	_, err = s.o.Learner.Learn(ctx, c, l.tokens, l.fingerprint)
	return before, err
}

// unteach makes what the model knows of the mail what it was before.
func (s *Service) unteach(ctx context.Context, k *kept) {
	if !k.Taught || k.Learned == string(k.Before) {
		return
	}
	if err := s.restore(ctx, k.Mail, k.Before); err != nil {
		k.NotDone = append(k.NotDone, "undoing what was learned: "+err.Error())
		return
	}
	k.Taught, k.Learned = false, ""
}

func (s *Service) restore(ctx context.Context, id string, before reputation.Class) error {
	l, err := s.lesson(ctx, id)
	if err != nil {
		return err
	}
	if before == "" {
		_, err = s.o.Learner.Unlearn(ctx, l.tokens, l.fingerprint)
	} else {
		_, err = s.o.Learner.Learn(ctx, before, l.tokens, l.fingerprint)
	}
	return err
}
