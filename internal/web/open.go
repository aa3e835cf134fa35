package web

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"sekimori/internal/audit"
	"sekimori/internal/link"
	"sekimori/internal/text"
	"sekimori/internal/web/session"
)

const (
	machineLinks  = 4               // so many links of one person within seconds are opened by no person
	machineAtOnce = 2               // and so many when the digest has only just arrived
	justDelivered = time.Minute     // since the digest was made
	machineIdle   = 2 * time.Minute // what a machine opened is kept for so long, unless it goes on
	linkCost      = 60              // openings of one link in ten minutes
)

// openLink shows what a link opens. It makes a session for the browser and leads it to the page, so that the token does not stay in
// the address bar; HEAD and a prefetch do not even that. Nothing of the mail changes, whoever opens it.
func (s *Site) openLink(w http.ResponseWriter, r *http.Request, _ session.Session) {
	token := r.PathValue("token")
	claim, err := s.o.Links.Verify(r.Context(), token, s.o.Now())
	if err != nil {
		s.refuseLink(w, r, err)
		return
	}
	s.Counters.Opened.Add(1)
	if r.Method == http.MethodHead || prefetch(r) {
		s.Counters.Machine.Add(1)
		s.o.Log.Info("a link was looked at by a machine", "person", claim.Person.String(), "how", r.Method)
		s.tally(r, claim, 1, "looked ahead with "+r.Method)
		w.WriteHeader(http.StatusNoContent)
		return
	}
	n, err := s.session(r, false)
	if err == nil && s.over(w, r, n, "link:"+claim.Person.Key()+":"+claim.ID, linkCost, 10*time.Minute) {
		return
	}
	if err == nil {
		err = s.admit(w, r, claim, n, s.machine(r, claim, token))
	}
	if err != nil {
		s.o.Log.Warn("a link cannot be opened", "err", err)
		s.say(w, r, session.Session{}, http.StatusServiceUnavailable, "web.error.store")
		return
	}
	to := "/"
	switch {
	case claim.ID != "":
		to = "/mail/" + url.PathEscape(claim.ID)
	case claim.Action == "stop" || claim.Action == "lang":
		to = "/settings"
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// admit widens the session of the same person, or begins one.
func (s *Site) admit(w http.ResponseWriter, r *http.Request, c link.Claim, n session.Session, machine bool) error {
	id := c.ID
	if s.o.Config().Quarantine.LinkOpens == "list" {
		id = ""
	}
	if n.ID != "" && n.Person.Key() == c.Person.Key() {
		err := s.o.Sessions.Open(r.Context(), n, id, c.Issued)
		if err == nil || !errors.Is(err, session.ErrNone) {
			return err
		}
	}
	fresh := session.Session{
		Kind: session.Person, Name: c.Person.String(), Role: "person", Person: c.Person, Via: "link", All: id == "", Issued: c.Issued, Peer: s.client(r).String(),
	}
	if id != "" {
		fresh.Mails = []string{id}
	}
	if p, ok := s.o.People.Person(r.Context(), c.Person); ok {
		fresh.Lang = p.Lang
	}
	idle := time.Duration(0)
	if machine {
		idle = machineIdle
	}
	fresh, err := s.o.Sessions.Begin(r.Context(), fresh, idle)
	if err == nil {
		s.setCookie(w, fresh)
	}
	return err
}

// machine reports whether the opening is one of a machine: many links of one person at once, or some as soon as the digest has
// arrived. It is counted and logged; no opening counts as a person having read something.
func (s *Site) machine(r *http.Request, c link.Claim, token string) bool {
	n, err := s.o.Sessions.Burst(r.Context(), c.Person, token)
	if err != nil {
		return false
	}
	limit := machineLinks
	if s.o.Now().Sub(c.Issued) < justDelivered {
		limit = machineAtOnce
	}
	if n < limit {
		return false
	}
	s.Counters.Machine.Add(1)
	count := 1
	if n == limit {
		count = n // the first of them were taken for a person's
		s.o.Log.Info("links of a digest were opened by a machine", "person", c.Person.String(), "links", n, "client", s.client(r).String(),
			"agent", r.UserAgent(), "since", s.o.Now().Sub(c.Issued).Round(time.Second).String())
	}
	s.tally(r, c, count, fmt.Sprintf("%d links within seconds, agent %s", n, text.Reveal(r.UserAgent(), 200)))
	return true
}

// tally writes an opening by a machine into the audit log, one entry for a person and an hour. The opening changed nothing, so it is
// not stopped by a log that cannot be written.
func (s *Site) tally(r *http.Request, c link.Claim, n int, how string) {
	e := audit.Entry{Actor: "machine", Role: "machine", Act: "machine-open", Rcpts: []string{c.Person.String()}, Peer: s.client(r), Via: "link", Detail: how}
	if c.ID != "" {
		e.IDs = []string{c.ID}
	}
	if err := s.o.Audit.Tally(r.Context(), e, n); err != nil {
		s.o.Log.Warn("an opening by a machine cannot be written into the audit log", "err", err)
	}
}

// prefetch reports whether a browser or mail reader looks ahead.
func prefetch(r *http.Request) bool {
	for _, name := range []string{"Sec-Purpose", "Purpose", "X-Purpose", "X-Moz"} {
		if r.Header.Get(name) != "" {
			return true
		}
	}
	return false
}

// refuseLink says clearly why a link opens nothing, and what to do.
func (s *Site) refuseLink(w http.ResponseWriter, r *http.Request, err error) {
	code, key := http.StatusNotFound, "web.error.forged"
	switch {
	case errors.Is(err, link.ErrExpired):
		code, key = http.StatusGone, "web.error.expired"
	case errors.Is(err, link.ErrKey):
		code, key = http.StatusGone, "web.error.key"
	case errors.Is(err, link.ErrNoKey):
		s.o.Log.Warn("a link cannot be checked", "err", err)
		s.say(w, r, session.Session{}, http.StatusServiceUnavailable, "web.error.store")
		return
	}
	s.Counters.Refused.Add(1)
	n, err := s.session(r, false)
	if err != nil {
		n = session.Session{} // the text is the same
	}
	s.say(w, r, n, code, key)
}
