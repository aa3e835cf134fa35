package web

import (
	"net/http"

	"sekimori/internal/web/session"
	"sekimori/quarantine"
	"sekimori/quarantine/acts"
)

// question is a mail that waits for an administrator, with what the reader may do about it.
type question struct {
	Item   quarantine.Item
	Asked  []acts.Asked // oldest first; none: only the sender asks
	Offers []string
	Danger bool // only an administrator releases it
}

// questionsPage lists what waits for an administrator: what people ask, and the requests of senders whose mail was refused.
type questionsPage struct {
	Asks, Reviews         []question
	MoreAsks, MoreReviews bool
}

// questions shows what waits for an administrator, the oldest first.
func (s *Site) questions(w http.ResponseWriter, r *http.Request, n session.Session) {
	p, err := s.openQuestions(r, n)
	if err != nil {
		s.failed(w, r, n, err)
		return
	}
	s.page(w, r, n, http.StatusOK, "questions", p)
}

func (s *Site) openQuestions(r *http.Request, n session.Session) (questionsPage, error) {
	a := s.actor(r, n)
	asks, err := s.o.Acts.Asks(r.Context(), a)
	if err != nil {
		return questionsPage{}, err
	}
	p := questionsPage{MoreAsks: len(asks) == acts.AsksPage}
	for _, q := range asks {
		p.Asks = append(p.Asks, question{Item: q.Item.Item, Asked: q.Asked, Offers: answers(a.Role, q.Item), Danger: q.AdminOnly})
	}
	reviews, err := s.o.Quarantine.Reviews(r.Context())
	if err != nil {
		return questionsPage{}, err
	}
	p.MoreReviews = len(reviews) == quarantine.ReviewsPage
	for _, i := range reviews {
		// Show says whether only an administrator releases it.
		held, err := s.o.Acts.Show(r.Context(), a, i.ID)
		if err != nil {
			continue // decided since
		}
		p.Reviews = append(p.Reviews, question{Item: held.Item, Offers: answers(a.Role, held), Danger: held.AdminOnly})
	}
	return p, nil
}

// answers are the acts that answer a question.
func answers(role acts.Role, i acts.Item) []string {
	switch {
	case role == acts.Admin:
		return []string{actRelease, actDelete, actAnswer}
	case role == acts.Helpdesk && !i.AdminOnly:
		return []string{actRelease}
	}
	return nil
}

// actOnQuestion answers a question by an act, or by a note to those who asked.
func (s *Site) actOnQuestion(w http.ResponseWriter, r *http.Request, n session.Session) {
	s.actOn(w, r, n, actRelease, actDelete, actAnswer)
}
