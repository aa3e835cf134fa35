package web

import (
	"net/http"
	"net/url"
	"slices"
	"testing"
)

// TestReview: the page that a refusal names tells nobody whether there is such a mail; looking at it, or sending it as it is, changes nothing.
func TestReview(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	send := func(id string, pairs ...string) answer {
		form := url.Values{}
		for i := 0; i+1 < len(pairs); i += 2 {
			form.Set(pairs[i], pairs[i+1])
		}
		return b.do("POST", "/r/"+id, form)
	}
	first := b.get("/r/m1")
	w.want("the page", first, http.StatusOK, "refused")
	for _, fields := range [][]string{{}, {"note", "please"}, {"act", "review"}, {"act", "review", "note", "  "}} {
		send("m1", fields...)
	}
	if len(w.reviews) != 0 {
		t.Errorf("kept without a choice or a note: %v", w.reviews)
	}
	w.want("sent", send("m1", "act", "review", "note", "please look"), http.StatusOK, "Thank you")
	w.want("no such mail", send("nothing", "act", "review", "note", "please look"), http.StatusOK, "Thank you")
	if want := []string{"m1 please look", "nothing please look"}; !slices.Equal(w.reviews, want) {
		t.Errorf("%v", w.reviews)
	}
	last := 0
	for range reviewsPerClient {
		last = send("m1", "act", "review", "note", "again").code
	}
	if last != http.StatusTooManyRequests {
		t.Errorf("no rate: %d", last)
	}
}
