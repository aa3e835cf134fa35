package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"sekimori/internal/web/login"
	"sekimori/internal/web/session"
)

// SSO is single sign-on; login.SSO does it.
type SSO interface {
	// Offers reports whether persons, or administrators, can come this way; Away whether the provider did not answer lately.
	Offers(console bool) bool
	Away() bool
	// Begin returns where the browser goes, and what its cookie holds until it comes back; again lets the account be chosen anew.
	Begin(ctx context.Context, console, again bool) (target, cookie string, err error)
	// Finish returns who came back with q. Of a person Person is an address that the provider has confirmed.
	Finish(ctx context.Context, console bool, cookie string, q url.Values) (login.Account, error)
}

// ssoURL is where single sign-on begins; "" when there is none. It is on the name that the provider sends browsers back to: a cookie of
// another one would not be there then.
func (s *Site) ssoURL(console bool) string {
	switch {
	case s.o.SSO == nil || !s.o.SSO.Offers(console):
		return ""
	case console:
		return s.origin + "/admin/sso"
	}
	return s.origin + "/sso"
}

// ssoCookie holds the secret of an attempt, outCookie notes that somebody signed out here.
func (s *Site) ssoCookie(kind session.Kind) string { return s.cookieName(kind) + "-sso" }

func (s *Site) outCookie(kind session.Kind) string { return s.cookieName(kind) + "-out" }

// keepCookie sets a cookie for a while; an empty value takes it away. Lax, because the provider sends the browser back from elsewhere.
func (s *Site) keepCookie(w http.ResponseWriter, name, value string, keep time.Duration) {
	c := &http.Cookie{Name: name, Value: value, Path: "/", MaxAge: int(keep / time.Second), Secure: s.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode}
	if value == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

// beginSSO sends a browser to the provider. Nothing but its own cookie changes.
func (s *Site) beginSSO(w http.ResponseWriter, r *http.Request, n session.Session) {
	console, kind := isConsole(r), kindOf(isConsole(r))
	if s.ssoURL(console) == "" {
		s.say(w, r, n, http.StatusNotFound, "web.sso.none")
		return
	}
	if s.over(w, r, n, "sso:"+network(s.client(r)), 30, time.Minute) {
		return
	}
	_, err := r.Cookie(s.outCookie(kind))
	target, cookie, err := s.o.SSO.Begin(r.Context(), console, err == nil)
	if err != nil {
		s.ssoFailed(w, r, err, console)
		return
	}
	s.keepCookie(w, s.ssoCookie(kind), cookie, login.StateLifetime)
	http.Redirect(w, r, target, http.StatusSeeOther)
}

// endSSO is where the provider sends the browser back to, for persons and administrators: by the cookie it is told what was begun.
func (s *Site) endSSO(w http.ResponseWriter, r *http.Request, n session.Session) {
	if s.o.SSO == nil {
		s.say(w, r, n, http.StatusNotFound, "web.sso.none")
		return
	}
	if s.over(w, r, n, "sso:"+network(s.client(r)), 30, time.Minute) {
		return
	}
	err, console := login.ErrState, false
	var account login.Account
	for _, console = range []bool{true, false} {
		c, none := r.Cookie(s.ssoCookie(kindOf(console)))
		if none != nil || !s.o.SSO.Offers(console) {
			continue
		}
		account, err = s.o.SSO.Finish(r.Context(), console, c.Value, r.URL.Query())
		if !errors.Is(err, login.ErrState) {
			s.keepCookie(w, s.ssoCookie(kindOf(console)), "", 0)
			break
		}
	}
	if err != nil {
		s.ssoFailed(w, r, err, console)
		return
	}
	if account.Role == "" {
		p, ok := s.o.People.Person(r.Context(), account.Person)
		if !ok {
			s.o.Log.Info("single sign-on: no person here has the address", "address", account.Person.String(), "client", s.client(r).String())
			s.ssoSay(w, r, http.StatusForbidden, "web.sso.noperson", console)
			return
		}
		account.Person = p.Address
	}
	s.keepCookie(w, s.outCookie(kindOf(console)), "", 0)
	s.endOld(r, kindOf(console))
	s.welcome(w, r, account)
}

// endOld ends the session that the browser had before it signed in anew.
func (s *Site) endOld(r *http.Request, kind session.Kind) {
	c, err := r.Cookie(s.cookieName(kind))
	if err != nil {
		return
	}
	if old, err := s.o.Sessions.Get(r.Context(), c.Value); err == nil && old.Kind == kind {
		if err := s.o.Sessions.End(r.Context(), old); err != nil {
			s.o.Log.Warn("an old session goes on until its time is over", "err", err)
		}
	}
}

// ssoFailed shows why somebody did not come in. What the provider said is logged, and not shown.
func (s *Site) ssoFailed(w http.ResponseWriter, r *http.Request, err error, console bool) {
	for _, c := range []struct {
		err  error
		code int
		key  string
	}{
		{login.ErrAway, http.StatusServiceUnavailable, "web.sso.away"},
		{login.ErrState, http.StatusBadRequest, "web.sso.state"},
		{login.ErrDenied, http.StatusForbidden, "web.sso.denied"},
		{login.ErrToken, http.StatusBadGateway, "web.sso.token"},
		{login.ErrNoRole, http.StatusForbidden, "web.sso.norole"},
		{login.ErrUnverified, http.StatusForbidden, "web.sso.unverified"},
		{login.ErrNoAddress, http.StatusForbidden, "web.sso.noaddress"},
	} {
		if !errors.Is(err, c.err) {
			continue
		}
		s.o.Log.Warn("a single sign-on failed", "client", s.client(r).String(), "err", err)
		switch c.key {
		case "web.sso.away":
		case "web.sso.state":
			s.Counters.Strange.Add(1)
		default:
			s.Counters.Failed.Add(1)
		}
		s.ssoSay(w, r, c.code, c.key, console)
		return
	}
	s.failed(w, r, session.Session{}, err)
}

// ssoSay answers in the part of the site that the sign-in was for, with the way to begin anew.
func (s *Site) ssoSay(w http.ResponseWriter, r *http.Request, code int, key string, console bool) {
	at := *r
	at.URL = &url.URL{Path: "/sso"}
	if console {
		at.URL = &url.URL{Path: "/admin/sso"}
	}
	s.say(w, &at, session.Session{}, code, key)
}

func kindOf(console bool) session.Kind {
	if console {
		return session.Console
	}
	return session.Person
}
