package web

import (
	"net/http"
	"strings"
	"time"

	"sekimori/internal/web/session"
)

const reviewsPerClient = 10 // in an hour

// reviewForm is the page that a 5xx names: it is the same for every id, and says nothing of whether there is such a mail.
func (s *Site) reviewForm(w http.ResponseWriter, r *http.Request, n session.Session) {
	s.page(w, r, n, http.StatusOK, "review", nil)
}

// review keeps the note of a sender whose mail was refused. The answer is the same whether there was such a mail, and whether it has
// a note already.
func (s *Site) review(w http.ResponseWriter, r *http.Request, n session.Session) {
	note := strings.TrimSpace(r.PostForm.Get("note"))
	if note == "" || r.PostForm.Get("act") != "review" {
		s.noChoice(w, r, n)
		return
	}
	if s.over(w, r, n, "review:"+network(s.client(r)), reviewsPerClient, time.Hour) {
		return
	}
	if err := s.o.Quarantine.AskReview(r.Context(), r.PathValue("id"), note); err != nil {
		s.failed(w, r, n, err)
		return
	}
	s.say(w, r, n, http.StatusOK, "web.review.done")
}
