package web

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"sekimori/internal/audit"
	"sekimori/internal/web/session"
	"sekimori/quarantine"
	"sekimori/quarantine/acts"
)

// searches is how many pages of held mail, or of the audit log, one reader may ask for in a minute. The form asks at each pause in
// typing, so it is more than anybody needs; a script keeps the store no busier than that with searches that read thousands of mails.
const searches = 120

// overviewPage is the first page of the administrators' part; it shows what the status page did.
type overviewPage struct {
	Status *Status
	Report report
	Queued int
	Held   int
	Listen []string
	Since  string
	Usage  []shownUsage
	// Asks and Reviews are how many questions wait for an administrator, or how many at least. -1: not known.
	Asks, Reviews         int
	MoreAsks, MoreReviews bool
}

// overview shows the state of the server; without a session, the ways to sign in.
func (s *Site) overview(w http.ResponseWriter, r *http.Request, n session.Session) {
	if n.ID == "" {
		s.page(w, r, n, http.StatusOK, "sign-in", s.ways(true))
		return
	}
	st := s.o.Status
	numbers := st.Numbers()
	p := overviewPage{
		Status: st, Report: st.Health.report(), Queued: numbers.Queued, Held: numbers.Held, Listen: st.Listen(), Since: st.Since.Format("2006-01-02 15:04 MST"),
		Usage: st.usage(), Asks: -1, Reviews: -1,
	}
	if q, err := s.openQuestions(r, n); err == nil {
		p.Asks, p.Reviews, p.MoreAsks, p.MoreReviews = len(q.Asks), len(q.Reviews), q.MoreAsks, q.MoreReviews
	}
	s.page(w, r, n, http.StatusOK, "overview", p)
}

// search lists all held mail.
func (s *Site) search(w http.ResponseWriter, r *http.Request, n session.Session) {
	if s.over(w, r, n, "search:"+n.Role+":"+n.Name, searches, time.Minute) {
		return
	}
	v := r.URL.Query()
	q := quarantine.Query{
		ID: strings.TrimSpace(v.Get("id")), Rcpt: v.Get("rcpt"), From: v.Get("from"), Subject: v.Get("subject"), Class: v.Get("class"), Rule: v.Get("rule"),
		Since: when(v.Get("since")), Until: when(v.Get("until")), All: v.Get("all") != "", Limit: pageSize, Cursor: v.Get("after"),
	}
	p, err := s.o.Quarantine.List(r.Context(), q)
	if err != nil {
		s.say(w, r, n, http.StatusBadRequest, "web.error.form")
		return
	}
	s.page(w, r, n, http.StatusOK, "search", listPage{Items: p.Items, Query: v, Next: p.Next, Partial: p.Partial, Reached: p.Reached, Looked: p.Looked})
}

// when reads a time as a form's field datetime-local or date has it, in the server's time zone.
func when(s string) time.Time {
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, s, time.Local); err == nil {
			return t
		}
	}
	return time.Time{}
}

// heldMail shows a mail without its body.
func (s *Site) heldMail(w http.ResponseWriter, r *http.Request, n session.Session) {
	a := s.actor(r, n)
	i, err := s.visible(r.Context(), a, n, r.PathValue("id"))
	if err != nil {
		s.failed(w, r, n, err)
		return
	}
	s.page(w, r, n, http.StatusOK, "held", s.pageOf(r, a, i))
}

// heldBody shows what stands in somebody else's mail; package acts writes the look down before it hands the mail out.
func (s *Site) heldBody(w http.ResponseWriter, r *http.Request, n session.Session) {
	a, id := s.actor(r, n), r.PathValue("id")
	i, err := s.visible(r.Context(), a, n, id)
	if err != nil {
		s.failed(w, r, n, err)
		return
	}
	p := s.pageOf(r, a, i)
	p.Offers = nil // the form goes to the page of the mail, not of its body
	if p.View, err = s.view(r, a, id); err != nil {
		s.failed(w, r, n, err)
		return
	}
	s.page(w, r, n, http.StatusOK, "held", p)
}

// actOnHeld carries out what an administrator or the helpdesk chose.
func (s *Site) actOnHeld(w http.ResponseWriter, r *http.Request, n session.Session) {
	s.actOn(w, r, n, actRelease, actDelete, actSpam, actAsk, actAnswer)
}

// bulkForm asks which mails a bulk act is about.
func (s *Site) bulkForm(w http.ResponseWriter, r *http.Request, n session.Session) {
	s.page(w, r, n, http.StatusOK, "bulk", listPage{Query: r.URL.Query()})
}

// preview shows what a bulk act would do. It changes nothing but makes the plan that is shown, and is a POST for that.
func (s *Site) preview(w http.ResponseWriter, r *http.Request, n session.Session) {
	f := r.PostForm
	act := choice(r, actRelease, actDelete)
	if act == "" {
		s.noChoice(w, r, n)
		return
	}
	if err := s.o.Sessions.Check(n, r.URL.Path, f.Get("nonce")); err != nil {
		s.Counters.Strange.Add(1)
		s.say(w, r, n, http.StatusForbidden, "web.error.nonce")
		return
	}
	q := acts.BulkQuery{
		Act: act, Rule: f.Get("rule"), From: f.Get("from"), Rcpt: f.Get("rcpt"), Subject: f.Get("subject"), Class: f.Get("class"),
		Since: when(f.Get("since")), Until: when(f.Get("until")), IDs: f["id"],
	}
	plan, err := s.o.Acts.Preview(r.Context(), s.actor(r, n), q)
	if err != nil {
		s.failed(w, r, n, err)
		return
	}
	s.page(w, r, n, http.StatusOK, "plan", plan)
}

// bulk carries out a plan that was looked at.
func (s *Site) bulk(w http.ResponseWriter, r *http.Request, n session.Session) {
	if choice(r, actRun) == "" {
		s.noChoice(w, r, n)
		return
	}
	s.once(w, r, n, func(ctx context.Context) (string, error) {
		receipt, err := s.o.Acts.Bulk(ctx, s.actor(r, n), r.PathValue("plan"))
		return doneURL(n, receipt), err
	})
}

// auditPage is the audit log.
type auditPage struct {
	Entries []audit.Entry
	Query   url.Values
	Next    string
}

func (s *Site) auditLog(w http.ResponseWriter, r *http.Request, n session.Session) {
	if s.over(w, r, n, "search:"+n.Role+":"+n.Name, searches, time.Minute) {
		return
	}
	v := r.URL.Query()
	p, err := s.o.Audit.List(r.Context(), audit.Query{
		Since: when(v.Get("since")), Until: when(v.Get("until")), Actor: v.Get("actor"), Act: strings.TrimSpace(v.Get("act")),
		ID: v.Get("id"), Rcpt: v.Get("rcpt"), Limit: 2 * pageSize, Cursor: v.Get("after"),
	})
	if err != nil {
		s.failed(w, r, n, err)
		return
	}
	s.page(w, r, n, http.StatusOK, "audit", auditPage{Entries: p.Entries, Query: v, Next: p.Next})
}
