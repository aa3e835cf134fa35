package acts

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"sekimori/internal/mail"
	"sekimori/internal/store"
	"sekimori/internal/text"
	"sekimori/quarantine"
)

const (
	asksIndex = "ask:i"      // mail -> when it was first asked for
	askNews   = "ask:new"    // mail -> when it was asked for and no administrator was told yet
	askMailed = "ask:mailed" // there while no further mail about it is sent
	noteMost  = 500          // characters
	asksMost  = 20           // persons who ask for one mail
)

// AsksPage is how many questions Asks returns at most.
const AsksPage = 50

func askKey(id string) string { return "ask:{" + id + "}" }

func answerKey(id string) string { return "ask:{" + id + "}:a" }

// Asked is somebody's wish that an administrator look at a mail.
type Asked struct {
	ID    string         `json:"id"`
	By    string         `json:"by"`
	Rcpts []mail.Address `json:"rcpts"`
	Note  string         `json:"note,omitempty"` // cleaned: one line without control and direction characters
	At    time.Time      `json:"at"`
}

// cleanNote makes a note of a person fit for mails and pages: one line of at most 500 characters.
func cleanNote(note string) string {
	note = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		return r
	}, note)
	return strings.TrimSpace(text.Clean(strings.Join(strings.Fields(note), " "), noteMost))
}

// Ask asks the administrators to look at a mail, with a note. It shows in their list, and they get a mail about it soon. Who asks
// again for the same mail changes the note.
func (s *Service) Ask(ctx context.Context, a Actor, id, note string) (Receipt, error) {
	i, who, err := s.open(ctx, a, actAsk, id, nil)
	if err != nil {
		return Receipt{}, err
	}
	if !i.Open() {
		return Receipt{}, fmt.Errorf("%w: %s is not held any more", ErrState, id)
	}
	now := s.now()
	asked := Asked{ID: id, By: a.Name, Rcpts: who, Note: cleanNote(note), At: now}
	b, err := json.Marshal(asked)
	if err != nil {
		return Receipt{}, fmt.Errorf("acts: %w", err)
	}
	if n, err := s.o.Client.HLen(ctx, askKey(id)).Result(); err != nil {
		return Receipt{}, fmt.Errorf("acts: %w", err)
	} else if n >= asksMost {
		return Receipt{}, fmt.Errorf("%w: so many have asked for %s already", ErrState, id)
	}
	if err := s.audit(ctx, a, actAsk, []string{id}, who, asked.Note); err != nil {
		return Receipt{}, err
	}
	score := store.Z{Score: float64(now.UnixMilli()), Member: id}
	pipe := s.o.Client.Pipeline()
	pipe.Del(ctx, answerKey(id))
	pipe.HSet(ctx, askKey(id), strings.ToLower(a.Name), b)
	pipe.PExpireAt(ctx, askKey(id), i.Until.Add(24*time.Hour))
	pipe.ZAddNX(ctx, asksIndex, score)
	pipe.ZAddNX(ctx, askNews, score)
	if _, err := pipe.Exec(ctx); err != nil {
		return Receipt{}, fmt.Errorf("acts: %w", err)
	}
	k := &kept{
		Receipt: Receipt{ID: receiptID(actAsk, id, now, a.Name), Act: actAsk, Mails: []string{id}, Rcpts: who, At: now, Changed: true},
		By:      a.identity(), Mail: id,
	}
	return k.Receipt, s.saveReceipt(ctx, k)
}

// Answered is what an administrator told those who asked for a mail that stays held.
type Answered struct {
	By   string    `json:"by"`
	At   time.Time `json:"at"`
	Note string    `json:"note,omitempty"`
}

// Question is a mail for which somebody asks, with all who do.
type Question struct {
	Item
	Asked []Asked // oldest first
}

// Asks returns the mails for which an administrator is asked, oldest question first, at most 50. Those that are decided are left out.
func (s *Service) Asks(ctx context.Context, a Actor) ([]Question, error) {
	if !a.answers() {
		return nil, fmt.Errorf("%w: role %q does not answer questions", ErrForbidden, a.Role)
	}
	ids, err := s.o.Client.ZRange(ctx, asksIndex, 0, 999).Result()
	if err != nil {
		return nil, fmt.Errorf("acts: %w", err)
	}
	return s.questions(ctx, a, ids, AsksPage)
}

// answers reports whether somebody may see what people ask.
func (a *Actor) answers() bool { return a.Role != Person && a.can(actSee) }

// Talk returns what was asked about a mail and, when it was answered, the answer (nil: none). A person sees his own questions.
func (s *Service) Talk(ctx context.Context, a Actor, id string) ([]Asked, *Answered, error) {
	if _, err := s.Show(ctx, a, id); err != nil {
		return nil, nil, err
	}
	pipe := s.o.Client.Pipeline()
	fields, said := pipe.HGetAll(ctx, askKey(id)), pipe.Get(ctx, answerKey(id))
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, store.Nil) {
		return nil, nil, fmt.Errorf("acts: %w", err)
	}
	asked := readAsked(fields.Val())
	if a.Role == Person {
		asked = slices.DeleteFunc(asked, func(q Asked) bool { return !strings.EqualFold(q.By, a.Name) })
	}
	var answer *Answered
	if b, err := said.Bytes(); err == nil && json.Unmarshal(b, &answer) != nil {
		answer = nil
	}
	return asked, answer, nil
}

func readAsked(fields map[string]string) []Asked {
	var list []Asked
	for _, v := range fields {
		var asked Asked
		if json.Unmarshal([]byte(v), &asked) == nil {
			list = append(list, asked)
		}
	}
	slices.SortFunc(list, func(a, b Asked) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.By, b.By)) })
	return list
}

func (s *Service) questions(ctx context.Context, a Actor, ids []string, most int) ([]Question, error) {
	var list []Question
	for _, id := range ids {
		if len(list) == most {
			break
		}
		i, err := s.Show(ctx, a, id)
		switch {
		case errors.Is(err, ErrNotFound), err == nil && s.over(&i):
			s.forgetAsk(ctx, id)
			continue
		case err != nil:
			return list, err
		case !i.Undecided():
			continue // decided, and it may be undone yet
		}
		fields, err := s.o.Client.HGetAll(ctx, askKey(id)).Result()
		if err != nil {
			return list, fmt.Errorf("acts: %w", err)
		}
		q := Question{Item: i, Asked: readAsked(fields)}
		if len(q.Asked) == 0 {
			s.forgetAsk(ctx, id)
			continue
		}
		list = append(list, q)
	}
	return list, nil
}

// over reports whether a mail is decided for everybody and can no longer be undone.
func (s *Service) over(i *Item) bool {
	return !i.Open() && !slices.ContainsFunc(i.States, func(st quarantine.RcptState) bool { return s.now().Sub(st.At) < deletedFor })
}

// forgetAsk takes a mail out of the lists; an error leaves it there for the next look.
func (s *Service) forgetAsk(ctx context.Context, id string) {
	pipe := s.o.Client.Pipeline()
	pipe.Del(ctx, askKey(id))
	pipe.ZRem(ctx, asksIndex, id)
	pipe.ZRem(ctx, askNews, id)
	if _, err := pipe.Exec(ctx); err != nil {
		s.o.Log.Debug("acts: a question cannot be taken away now", "id", id, "error", err)
	}
}

// Answer closes a question, or the request of a refused sender, without deciding about the mail: it stays held. Those who asked read
// the note at the mail; the sender is told nothing. Releasing or deleting a mail closes its question by itself.
func (s *Service) Answer(ctx context.Context, a Actor, id, note string) error {
	if a.Role != Admin {
		return fmt.Errorf("%w: only an administrator answers", ErrForbidden)
	}
	n, err := s.o.Client.Exists(ctx, askKey(id)).Result()
	if err != nil {
		return fmt.Errorf("acts: %w", err)
	}
	i, err := s.Show(ctx, a, id)
	if err != nil {
		return err
	}
	if !i.Undecided() || n == 0 && i.Review == nil {
		return fmt.Errorf("%w: nobody asks for %s", ErrNotFound, id)
	}
	now := s.now()
	answer := Answered{By: a.Name, At: now, Note: cleanNote(note)}
	if err := s.audit(ctx, a, actAnswer, []string{id}, nil, answer.Note); err != nil {
		return err
	}
	if n > 0 {
		b, err := json.Marshal(answer)
		if err != nil {
			return fmt.Errorf("acts: %w", err)
		}
		if err := s.o.Client.Set(ctx, answerKey(id), b, max(time.Minute, i.Until.Add(24*time.Hour).Sub(now))).Err(); err != nil {
			return fmt.Errorf("acts: %w", err)
		}
		s.forgetAsk(ctx, id)
	}
	return translate(s.o.Keeper.CloseReview(ctx, id))
}

// TellAsked calls tell with the questions of which the administrators have not been told, at most once in quiet over all hosts.
// When tell fails they stay untold.
func (s *Service) TellAsked(ctx context.Context, quiet time.Duration, tell func([]Question) error) error {
	ids, err := s.o.Client.ZRange(ctx, askNews, 0, 99).Result()
	if err != nil || len(ids) == 0 {
		return err
	}
	mine, err := s.o.Client.SetNX(ctx, askMailed, "1", quiet).Result()
	if err != nil || !mine {
		return err
	}
	list, err := s.questions(ctx, Actor{Name: "sekimori", Role: Admin}, ids, len(ids))
	if err == nil && len(list) > 0 {
		err = tell(list)
	}
	if err != nil || len(list) == 0 {
		s.o.Client.Del(ctx, askMailed)
		return err
	}
	members := make([]any, len(ids))
	for i, id := range ids {
		members[i] = id
	}
	return s.o.Client.ZRem(ctx, askNews, members...).Err()
}
