package web

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"sekimori/internal/web/session"
	"sekimori/quarantine"
	"sekimori/quarantine/acts"
)

// errNothing says that of the mails that were selected none can be dealt with: they are decided, or dangerous.
var errNothing = errors.New("web: nothing of what was selected is left to do")

// decidedError says that a mail is decided otherwise already.
type decidedError struct {
	id  string
	err error
}

func (e *decidedError) Error() string { return e.err.Error() }

func (e *decidedError) Unwrap() error { return e.err }

// stateAfter is the state that an act brings a mail to.
func stateAfter(act string) string {
	if strings.HasSuffix(act, "release") {
		return quarantine.StateReleased
	}
	return quarantine.StateDeleted
}

// tooLate says what was done with the mail before, by whom and when.
func (s *Site) tooLate(w http.ResponseWriter, r *http.Request, n session.Session, e *decidedError) bool {
	i, err := s.o.Acts.Show(r.Context(), s.actor(r, n), e.id)
	if err != nil {
		return false
	}
	st, ok := stateOf(i)
	if !ok {
		return false
	}
	m := message{Title: "web.error", Key: "web.error.state." + st.State, Alarm: true, Who: st.By, When: st.At}
	s.page(w, r, n, http.StatusConflict, "say", m)
	return true
}

// stateOf is the first decided state among those for whom the actor may act.
func stateOf(i acts.Item) (quarantine.RcptState, bool) {
	for _, st := range i.States {
		if st.State != quarantine.StateHeld && slices.Contains(i.Mine, st.Rcpt) {
			return st, true
		}
	}
	return quarantine.RcptState{}, false
}

// ways out of an error that concerns a link or a session: the list can be asked for.
var wayOut = []string{"web.error.forged", "web.error.expired", "web.error.key", "web.error.session", "web.error.notfound"}

// message is a page with one text of the catalogue.
type message struct {
	Title, Key string
	Alarm      bool
	Way        bool // offers to send the list
	Who        string
	When       time.Time
}

// say answers with a text instead of a page: what is wrong, and what to do.
func (s *Site) say(w http.ResponseWriter, r *http.Request, n session.Session, code int, key string) {
	m := message{Title: "web.error", Key: key, Alarm: true}
	if code < 300 {
		m = message{Title: "web.sentlist.title", Key: key}
	}
	m.Way = s.o.Lists != nil && !isConsole(r) && !n.All && slices.Contains(wayOut, key)
	s.page(w, r, n, code, "say", m)
}
