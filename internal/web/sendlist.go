package web

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"sekimori/internal/mail"
	"sekimori/internal/text"
	"sekimori/internal/web/session"
)

const (
	listsPerClient  = 10 // in an hour
	listsPerAddress = 3  // in an hour
	sendBudget      = 30 * time.Second
)

// sendList sends a person's list to the address that was entered, when it is one of a person here. The answer is the same, and
// takes no longer, whatever the address is.
func (s *Site) sendList(w http.ResponseWriter, r *http.Request, n session.Session) {
	entered := strings.TrimSpace(r.PostForm.Get("address"))
	a, err := mail.ParseAddress(entered, true)
	if s.o.Lists == nil || err != nil || len(r.PostForm["address"]) != 1 {
		s.say(w, r, n, http.StatusUnprocessableEntity, "web.error.address")
		return
	}
	if s.over(w, r, n, "list:"+network(s.client(r)), listsPerClient, time.Hour) {
		return
	}
	ctx := context.WithoutCancel(r.Context())
	s.work.Go(func() { s.sendListNow(ctx, a) })
	http.Redirect(w, r, "/sent-list", http.StatusSeeOther)
}

// sendListNow runs behind the answer. Over the rate of the address nothing is sent, and nobody is told.
func (s *Site) sendListNow(ctx context.Context, a mail.Address) {
	ctx, cancel := context.WithTimeout(ctx, sendBudget)
	defer cancel()
	wait, err := s.o.Limit(ctx, "web:list-to:"+a.Key(), rate(listsPerAddress, time.Hour))
	switch {
	case err != nil:
		s.o.Log.Warn("a list that somebody asked for is not sent: the store does not answer", "err", err)
		return
	case wait > 0:
		s.Counters.Limited.Add(1)
		return
	}
	if err := s.o.Lists.SendListNow(ctx, a); err != nil {
		s.o.Log.Warn("a list that somebody asked for cannot be sent", "to", a.String(), "err", err)
		return
	}
	s.Counters.SentList.Add(1)
}

func (s *Site) sentList(w http.ResponseWriter, r *http.Request, n session.Session) {
	s.say(w, r, n, http.StatusOK, "web.sentlist")
}

// setLang keeps the language that was chosen, in this browser alone.
func (s *Site) setLang(w http.ResponseWriter, r *http.Request, n session.Session) {
	lang := text.Lang(r.PostForm.Get("lang"))
	if lang != text.Ja && lang != text.En {
		s.noChoice(w, r, n)
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name: langCookie, Value: string(lang), Path: "/", MaxAge: 365 * 24 * 3600, Secure: s.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
	http.Redirect(w, r, s.back(r), http.StatusSeeOther)
}

// back is the page that a form was on: one that this site shows with GET, and else the first.
func (s *Site) back(r *http.Request) string {
	u, err := url.Parse(r.PostForm.Get("back"))
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || !pagePath.MatchString(u.Path) {
		return homeOf(r)
	}
	return (&url.URL{Path: u.Path, RawQuery: u.RawQuery}).String()
}

var pagePath = regexp.MustCompile(`^/(allowed|settings|mail/[^/\\]+|done/[^/\\]+|admin/(mails|questions|bulk|audit)?|admin/mails/[^/\\]+|admin/done/[^/\\]+)?$`)

// signOut ends the session on all nodes. Who is signed out already is told the same.
func (s *Site) signOut(w http.ResponseWriter, r *http.Request, n session.Session) {
	kind := session.Person
	if isConsole(r) {
		kind = session.Console
	}
	if n.ID != "" {
		if err := s.o.Sessions.End(r.Context(), n); err != nil {
			s.failed(w, r, n, err)
			return
		}
	}
	if n.Via == "oidc" {
		s.keepCookie(w, s.outCookie(kind), "1", 30*24*time.Hour)
	}
	s.dropCookie(w, kind)
	http.Redirect(w, r, homeOf(r), http.StatusSeeOther)
}

func isConsole(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/admin/") }

func homeOf(r *http.Request) string {
	if isConsole(r) {
		return "/admin/"
	}
	return "/"
}
