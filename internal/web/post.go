package web

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"sekimori/internal/mail"
	"sekimori/internal/web/session"
	"sekimori/quarantine"
	"sekimori/quarantine/acts"
)

// The forms. Each has a nonce, and a field "act" that no form fills in beforehand: who sends a form as it stands, with
// whichever of its buttons, does nothing.
const (
	actRelease = "release"
	actAllow   = "allow" // release, and let this sender through from now on
	actDelete  = "delete"
	actSpam    = "spam"
	actAsk     = "ask"
	actUndo    = "undo"
	actSimilar = "similar" // the same for the other mails that are held for the same reason
	actRun     = "run"
	actAnswer  = "answer" // close a question with a note; the mail stays held
)

// maxNote bounds what a person writes to the administrator, in octets.
const maxNote = 2000

// choice returns the one act that was chosen, "" when there is none, more than one, or one that the form does not have.
func choice(r *http.Request, offered ...string) string {
	chosen := r.PostForm["act"]
	if len(chosen) != 1 || !slices.Contains(offered, chosen[0]) {
		return ""
	}
	return chosen[0]
}

// once carries a form out, however often it is sent: do returns where its result is shown, and those who send the form again
// are led there. When do fails, the form can be sent again.
func (s *Site) once(w http.ResponseWriter, r *http.Request, n session.Session, do func(ctx context.Context) (string, error)) {
	form, nonce := r.URL.Path, r.PostForm.Get("nonce")
	result, first, err := s.o.Sessions.Use(r.Context(), n, form, nonce)
	switch {
	case errors.Is(err, session.ErrNonce):
		s.Counters.Strange.Add(1)
		s.say(w, r, n, http.StatusForbidden, "web.error.nonce")
		return
	case err != nil:
		s.failed(w, r, n, err)
		return
	case !first && result != "":
		http.Redirect(w, r, result, http.StatusSeeOther)
		return
	case !first:
		s.say(w, r, n, http.StatusConflict, "web.error.busy")
		return
	}
	// A browser that goes away does not stop an act half-way.
	ctx := context.WithoutCancel(r.Context())
	to, err := do(ctx)
	if err != nil {
		if back := s.o.Sessions.Return(ctx, n, form, nonce); back != nil {
			s.o.Log.Warn("a form that was not carried out cannot be sent again", "err", back)
		}
		s.failed(w, r, n, err)
		return
	}
	s.Counters.Acted.Add(1)
	if err := s.o.Sessions.Finish(ctx, n, form, nonce, to); err != nil {
		s.o.Log.Warn("the result of a form cannot be noted", "err", err)
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// noChoice says that nothing was chosen; nothing has happened, and the form can be sent again.
func (s *Site) noChoice(w http.ResponseWriter, r *http.Request, n session.Session) {
	s.say(w, r, n, http.StatusUnprocessableEntity, "web.error.choice")
}

// failed shows why something was not done, in the words for its cause. Unknown causes are logged, and not shown.
func (s *Site) failed(w http.ResponseWriter, r *http.Request, n session.Session, err error) {
	var decided *decidedError
	if errors.As(err, &decided) && s.tooLate(w, r, n, decided) {
		return
	}
	for _, c := range []struct {
		err  error
		code int
		key  string
	}{
		{errNothing, http.StatusConflict, "web.error.nothing"},
		{acts.ErrForbidden, http.StatusForbidden, "web.error.forbidden"},
		{acts.ErrNotFound, http.StatusNotFound, "web.error.notfound"},
		{quarantine.ErrNotFound, http.StatusNotFound, "web.error.notfound"},
		{acts.ErrState, http.StatusConflict, "web.error.state"},
		{quarantine.ErrState, http.StatusConflict, "web.error.state"},
		{acts.ErrInvalid, http.StatusUnprocessableEntity, "web.error.form"},
	} {
		if errors.Is(err, c.err) {
			s.say(w, r, n, c.code, c.key)
			return
		}
	}
	s.o.Log.Warn("a page cannot be shown or an act not be done", "path", r.URL.Path, "who", n.Name, "err", err)
	s.say(w, r, n, http.StatusServiceUnavailable, "web.error.store")
}

// onMail carries out what was chosen for one mail, for those recipients whom the actor may act for.
func (s *Site) onMail(ctx context.Context, a acts.Actor, id, act, note string) (acts.Receipt, error) {
	var rcpts []mail.Address // nil: all whom the actor may act for
	switch act {
	case actRelease, actAllow:
		return s.o.Acts.Release(ctx, a, id, rcpts, acts.How{Allow: act == actAllow})
	case actDelete:
		return s.o.Acts.Delete(ctx, a, id, rcpts)
	case actSpam:
		return s.o.Acts.ReportSpam(ctx, a, id, rcpts)
	case actAsk:
		return s.o.Acts.Ask(ctx, a, id, cut(strings.TrimSpace(note), maxNote))
	}
	return acts.Receipt{}, acts.ErrInvalid
}

// cut shortens a text to n octets without dividing a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return strings.ToValidUTF8(s, "")
	}
	return strings.ToValidUTF8(s[:n], "")
}
