package web

import (
	"bytes"
	"net/http"
	"strconv"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/web/pages"
	"sekimori/internal/web/session"
)

// page writes a page. A template that fails gives an empty answer with status 500, never half a page.
func (s *Site) page(w http.ResponseWriter, r *http.Request, n session.Session, code int, name string, body any) {
	f := pages.Frame{
		Lang: s.lang(r, n), Name: n.Name, Role: n.Role, Single: n.Kind == session.Person && !n.All, Path: r.URL.Path, Query: r.URL.Query(),
		Admin: isConsole(r), Now: s.o.Now(), Nonce: func(form string) (string, error) { return s.o.Sessions.Nonce(n, form) },
	}
	var b bytes.Buffer
	if err := s.pages.Render(&b, name, f, body); err != nil {
		s.o.Log.Error("a page cannot be made", "page", name, "err", err)
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	h.Set("Content-Language", string(f.Lang))
	h.Set("Vary", "Cookie, Accept-Language")
	w.WriteHeader(code)
	_, _ = w.Write(b.Bytes()) // the client has gone: nobody to tell
}

func rate(n int, per time.Duration) config.Rate { return config.Rate{Count: n, Period: per} }

// over charges a rate and, when it is exceeded, answers 429. A store that does not answer is no reason to let everything pass:
// without it there are no sessions either.
func (s *Site) over(w http.ResponseWriter, r *http.Request, n session.Session, key string, count int, per time.Duration) bool {
	wait, err := s.o.Limit(r.Context(), "web:"+key, rate(count, per))
	switch {
	case err != nil:
		s.failed(w, r, n, err)
		return true
	case wait > 0:
		s.Counters.Limited.Add(1)
		w.Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
		s.say(w, r, n, http.StatusTooManyRequests, "web.error.rate")
		return true
	}
	return false
}
