package web

import (
	"net/http"
	"net/url"

	"sekimori/internal/text"
	"sekimori/internal/web/safe"
	"sekimori/internal/web/session"
	"sekimori/quarantine/acts"
)

// view reads a mail and makes it fit to be looked at. Package acts writes an administrator's look down before it hands the mail out.
func (s *Site) view(r *http.Request, a acts.Actor, id string) (*safe.View, error) {
	c, done, err := s.o.Acts.Body(r.Context(), a, id)
	if err != nil {
		return nil, err
	}
	defer done()
	v, _ := safe.New(join(c))
	return &v, nil
}

func join(c [][]byte) []byte {
	if len(c) == 1 {
		return c[0]
	}
	n := 0
	for _, part := range c {
		n += len(part)
	}
	all := make([]byte, 0, n)
	for _, part := range c {
		all = append(all, part...)
	}
	return all
}

// frame serves the markup of a mail as a document that can do nothing, for the frame on the mail's page.
func (s *Site) frame(w http.ResponseWriter, r *http.Request, n session.Session) {
	a, id := s.actor(r, n), r.PathValue("id")
	if _, err := s.visible(r.Context(), a, n, id); err != nil {
		s.failed(w, r, n, err)
		return
	}
	c, done, err := s.o.Acts.Body(r.Context(), a, id)
	if err != nil {
		s.failed(w, r, n, err)
		return
	}
	defer done()
	_, m := safe.New(join(c))
	lang := s.lang(r, n)
	t := func(key string) string { return text.Fill(key, lang) }
	doc, ok := safe.Document(m, safe.Words{
		Lang: lang, Title: t("web.frame.title"), Image: t("web.frame.image"), Target: t("web.frame.target"), Differs: t("web.frame.differs"), Cut: t("web.frame.cut"),
	})
	if !ok {
		s.failed(w, r, n, acts.ErrNotFound)
		return
	}
	h := w.Header()
	h.Set("Content-Security-Policy", safe.FramePolicy())
	h.Set("X-Frame-Options", "SAMEORIGIN")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write([]byte(doc)) // the client has gone: nobody to tell
}

func frameURL(r *http.Request, id string) string {
	if isConsole(r) {
		return "/admin/mails/" + url.PathEscape(id) + "/frame"
	}
	return "/mail/" + url.PathEscape(id) + "/frame"
}
