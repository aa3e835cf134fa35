package web

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"sekimori/internal/audit"
	"sekimori/internal/web/login"
	"sekimori/internal/web/session"
)

// Logins check passwords; login.Service does.
type Logins interface {
	Password(ctx context.Context, name, password string) (login.Account, error)
	// Still reports whether somebody who signed in that way, then, has the role still.
	Still(ctx context.Context, via, name, role string, begun time.Time) bool
}

// Tries makes those wait who fail; login.Backoff does.
type Tries interface {
	Try(ctx context.Context, name string, from netip.Addr) (time.Duration, error)
	Succeeded(ctx context.Context, name string, from netip.Addr) error
	// Spare takes a charge back: the password was not looked at.
	Spare(ctx context.Context, name string, from netip.Addr) error
}

// waysPage is what a page offers to those who are not signed in. Persons are never asked for a password.
type waysPage struct {
	SSO              string // where single sign-on begins; "": there is none
	Away             bool   // the provider did not answer lately
	Password, Failed bool
}

func (s *Site) ways(console bool) waysPage {
	p := waysPage{SSO: s.ssoURL(console), Password: console}
	p.Away = p.SSO != "" && s.o.SSO.Away()
	return p
}

// signIn begins a session of an administrator by a password. The answer to a wrong name, a wrong password and an account without a
// role is the same.
func (s *Site) signIn(w http.ResponseWriter, r *http.Request, n session.Session) {
	name, password, from := strings.TrimSpace(r.PostForm.Get("name")), r.PostForm.Get("password"), s.client(r)
	if name == "" || password == "" {
		s.signInFailed(w, r, n)
		return
	}
	wait, err := s.o.Tries.Try(r.Context(), name, from)
	if err != nil {
		s.failed(w, r, n, err)
		return
	}
	if wait > 0 {
		s.Counters.Limited.Add(1)
		w.Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
		s.say(w, r, n, http.StatusTooManyRequests, "web.error.locked")
		return
	}
	account, err := s.o.Logins.Password(r.Context(), name, password)
	switch {
	case errors.Is(err, login.ErrRefused):
		s.o.Log.Warn("a sign-in failed", "name", name, "client", from.String(), "why", err)
		s.signInFailed(w, r, n)
		return
	case errors.Is(err, login.ErrDirectory):
		s.directoryAway(w, r, n, name, err)
		return
	case err != nil:
		s.failed(w, r, n, err)
		return
	}
	if err := s.o.Tries.Succeeded(r.Context(), name, from); err != nil {
		s.o.Log.Warn("the failed sign-ins of a name are not forgotten", "err", err)
	}
	s.welcome(w, r, account)
}

func (s *Site) signInFailed(w http.ResponseWriter, r *http.Request, n session.Session) {
	s.Counters.Failed.Add(1)
	page := s.ways(true)
	page.Failed = true
	s.page(w, r, n, http.StatusUnauthorized, "sign-in", page)
}

// directoryAway says that it is not for the password that nobody came in. What the directory said is logged, and not shown.
func (s *Site) directoryAway(w http.ResponseWriter, r *http.Request, n session.Session, name string, why error) {
	s.o.Log.Error("a password cannot be looked at", "name", name, "client", s.client(r).String(), "err", why)
	if err := s.o.Tries.Spare(context.WithoutCancel(r.Context()), name, s.client(r)); err != nil {
		s.o.Log.Warn("a sign-in that could not be tried counts as a failed one", "err", err)
	}
	s.say(w, r, n, http.StatusServiceUnavailable, "web.error.directory")
}

// welcome begins the session of an account, after it was written down.
func (s *Site) welcome(w http.ResponseWriter, r *http.Request, a login.Account) {
	n := session.Session{Kind: session.Console, Name: a.Name, Role: a.Role, Via: a.Via, Peer: s.client(r).String()}
	to := "/admin/"
	if a.Role == "" {
		n.Kind, n.Name, n.Role, n.Person, n.All, to = session.Person, a.Person.String(), "person", a.Person, true, "/"
		if p, ok := s.o.People.Person(r.Context(), a.Person); ok {
			n.Lang = p.Lang
		}
	}
	err := s.o.Audit.Append(r.Context(), audit.Entry{Time: s.o.Now(), Actor: n.Name, Role: n.Role, Act: "login", Peer: s.client(r), Via: a.Via, Detail: detailOf(a)})
	if err == nil {
		n, err = s.o.Sessions.Begin(r.Context(), n, 0)
	}
	if err != nil {
		s.failed(w, r, session.Session{}, err)
		return
	}
	s.setCookie(w, n)
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// detailOf says in the audit log whom the provider meant: the name is what it may let people change.
func detailOf(a login.Account) string {
	if a.Subject == "" {
		return ""
	}
	return "subject " + a.Subject
}
