package web

import (
	"errors"
	"net/http"
	"strings"

	"sekimori/internal/text"
	"sekimori/internal/web/session"
)

const (
	maxForm = 256 << 10 // 500 selected mails are about 20 KiB
	policy  = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; " +
		"frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

// armour sets the headers of every answer and refuses forms that another site sent. A handler may replace the policy by one of
// its own (the frame of a mail).
func (s *Site) armour(next http.Handler) http.Handler {
	// Sec-Fetch-Site where the browser sends it, else Origin; the nonce and the cookie's SameSite stand behind it.
	cross := http.NewCrossOriginProtection()
	if s.origin != "" {
		if err := cross.AddTrustedOrigin(s.origin); err != nil {
			s.o.Log.Warn("http.public_url is not an origin", "err", err) // refused by the configuration before
		}
	}
	cross.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.Counters.Strange.Add(1)
		s.say(w, r, session.Session{}, http.StatusForbidden, "web.error.strange")
	}))
	guarded := cross.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		// With no-referrer a browser sends "Origin: null" with our own forms as well. Links with a token in their URL have it.
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=()")
		h.Set("X-Robots-Tag", "noindex, nofollow")
		if s.secure {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		if strings.HasPrefix(r.URL.Path, "/q/") || strings.HasPrefix(r.URL.Path, "/sso/") {
			h.Set("Referrer-Policy", "no-referrer")
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		guarded.ServeHTTP(w, r)
	})
}

// guard finds the session of a request and lets those in whom the table of routes names.
func (s *Site) guard(rt route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := s.session(r, rt.console())
		switch {
		case err != nil:
			s.o.Log.Warn("a session cannot be read", "err", err)
			s.say(w, r, n, http.StatusServiceUnavailable, "web.error.store")
			return
		case rt.who&roleOf(n) == 0 && n.ID == "":
			s.needSession(w, r, rt)
			return
		case rt.who&roleOf(n) == 0:
			s.say(w, r, n, http.StatusForbidden, "web.error.role")
			return
		}
		if rt.post() && !s.readForm(w, r, n) {
			return
		}
		rt.serve(s, w, r, n)
	})
}

// readForm reads the body of a POST into PostForm.
func (s *Site) readForm(w http.ResponseWriter, r *http.Request, n session.Session) bool {
	if err := r.ParseForm(); err != nil {
		code := http.StatusBadRequest
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			code = http.StatusRequestEntityTooLarge
		}
		s.say(w, r, n, code, "web.error.form")
		return false
	}
	return true
}

// session returns the session of the cookie; the zero Session when there is none.
func (s *Site) session(r *http.Request, console bool) (session.Session, error) {
	kind := session.Person
	if console {
		kind = session.Console
	}
	c, err := r.Cookie(s.cookieName(kind))
	if err != nil {
		return session.Session{}, nil
	}
	n, err := s.o.Sessions.Get(r.Context(), c.Value)
	switch {
	case errors.Is(err, session.ErrNone), err == nil && n.Kind != kind:
		return session.Session{}, nil
	case err != nil:
		return session.Session{}, err
	case (console || n.Via == "oidc") && !s.o.Logins.Still(r.Context(), n.Via, n.Name, n.Role, n.Begun):
		return session.Session{}, s.o.Sessions.End(r.Context(), n)
	}
	return n, nil
}

// needSession leads those who are not signed in to where they can be.
func (s *Site) needSession(w http.ResponseWriter, r *http.Request, rt route) {
	if rt.post() {
		s.say(w, r, session.Session{}, http.StatusForbidden, "web.error.session")
		return
	}
	if rt.console() {
		http.Redirect(w, r, "/admin/", http.StatusSeeOther)
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// cookieName has the prefix that keeps other hosts of the domain and plain HTTP from setting it, where there is TLS.
func (s *Site) cookieName(kind session.Kind) string {
	name := map[session.Kind]string{session.Person: "sekimori", session.Console: "sekimori-admin"}[kind]
	if s.secure {
		return "__Host-" + name
	}
	return name
}

// setCookie hands a session to the browser. Lax, because a person comes from a webmail: with Strict the first page behind
// the link would be without a session.
func (s *Site) setCookie(w http.ResponseWriter, n session.Session) {
	http.SetCookie(w, &http.Cookie{
		Name: s.cookieName(n.Kind), Value: n.ID, Path: "/", Secure: s.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

func (s *Site) dropCookie(w http.ResponseWriter, kind session.Kind) {
	http.SetCookie(w, &http.Cookie{
		Name: s.cookieName(kind), Path: "/", MaxAge: -1, Secure: s.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

const langCookie = "sekimori-lang"

// lang is the language of a page: as chosen, else that of the session, else the first that the browser asks for.
func (s *Site) lang(r *http.Request, n session.Session) text.Lang {
	if c, err := r.Cookie(langCookie); err == nil && (c.Value == "ja" || c.Value == "en") {
		return text.Lang(c.Value)
	}
	if n.Lang == text.Ja || n.Lang == text.En {
		return n.Lang
	}
	for tag := range strings.SplitSeq(r.Header.Get("Accept-Language"), ",") {
		switch primary, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(tag)), "-"); {
		case strings.HasPrefix(primary, "ja"):
			return text.Ja
		case strings.HasPrefix(primary, "en"):
			return text.En
		}
	}
	return text.Ja
}
