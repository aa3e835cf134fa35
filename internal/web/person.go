package web

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"sekimori/internal/mail"
	"sekimori/internal/web/safe"
	"sekimori/internal/web/session"
	"sekimori/quarantine"
	"sekimori/quarantine/acts"
)

const (
	pageSize = 50
	maxPick  = 500 // mails that one form may name
)

// listPage is what a list of held mail shows.
type listPage struct {
	Items   []quarantine.Item
	Query   url.Values // as it was asked
	Next    string     // the cursor of the next page
	Partial string
	Reached time.Time // when set, the search has come so far; Next goes on
	Looked  int       // with Reached: so many mails were looked at
	Boxes   bool      // of a person: there are several addresses to choose from
	Limited bool      // the session opens single mails only
}

// mailPage is what the page of one mail shows.
type mailPage struct {
	Item      quarantine.Item
	Mine      []mail.Address // the recipients for whom the reader may act
	AdminOnly bool           // only an administrator releases it
	View      *safe.View     // nil: not shown
	FrameURL  string         // where its markup is
	Offers    []string       // acts that the form may offer
	Asked     []acts.Asked   // what was asked about it
	Answer    *acts.Answered // what an administrator answered; nil: nothing
}

// donePage is what stands behind an act.
type donePage struct {
	Receipt  acts.Receipt
	Earlier  *acts.Earlier // it had been done before
	Mine     bool          // by the reader
	Progress *acts.Progress
	Undo     bool // it can still be undone
	Similar  acts.Similar
}

// home is the person's list; without a session, the ways to it.
func (s *Site) home(w http.ResponseWriter, r *http.Request, n session.Session) {
	if n.ID == "" {
		s.page(w, r, n, http.StatusOK, "welcome", s.ways(false))
		return
	}
	if searching(r) && s.over(w, r, n, "search:person:"+n.Person.Key(), searches, time.Minute) {
		return
	}
	list, err := s.listFor(r, n)
	if err != nil {
		s.failed(w, r, n, err)
		return
	}
	s.page(w, r, n, http.StatusOK, "list", list)
}

// searching reports whether a request for the list asks for a part of it.
func searching(r *http.Request) bool {
	for _, values := range r.URL.Query() {
		if slices.ContainsFunc(values, func(v string) bool { return v != "" }) {
			return true
		}
	}
	return false
}

// listFor lists what a session opens, newest first.
func (s *Site) listFor(r *http.Request, n session.Session) (listPage, error) {
	ctx, a := r.Context(), s.actor(r, n)
	list := listPage{Query: r.URL.Query(), Limited: !n.All, Boxes: len(a.Addresses) > 1}
	if list.Limited {
		for _, id := range n.Mails {
			if i, err := s.visible(ctx, a, n, id); err == nil && i.Open() {
				list.Items = append(list.Items, i.Item)
			} else if err != nil && !errors.Is(err, acts.ErrNotFound) {
				return listPage{}, err
			}
		}
		sortItems(list.Items)
		return list, nil
	}
	p, err := s.o.Quarantine.ListFor(ctx, a.Addresses, quarantine.Query{
		ID: strings.TrimSpace(list.Query.Get("id")), Rcpt: list.Query.Get("rcpt"), From: list.Query.Get("from"), Subject: list.Query.Get("subject"), Class: list.Query.Get("class"), Cursor: list.Query.Get("after"), Limit: pageSize,
	})
	list.Items, list.Next, list.Partial, list.Reached, list.Looked = p.Items, p.Next, p.Partial, p.Reached, p.Looked
	return list, err
}

func sortItems(items []quarantine.Item) {
	slices.SortFunc(items, func(a, b quarantine.Item) int {
		return cmp.Or(b.Time.Compare(a.Time), cmp.Compare(b.ID, a.ID))
	})
}

// visible returns a mail that the session opens and that is the actor's. Whether another exists is told to nobody.
func (s *Site) visible(ctx context.Context, a acts.Actor, n session.Session, id string) (acts.Item, error) {
	if !n.Opens(id) {
		return acts.Item{}, acts.ErrNotFound
	}
	return s.o.Acts.Show(ctx, a, id)
}

// mail shows one mail to a person.
func (s *Site) mail(w http.ResponseWriter, r *http.Request, n session.Session) {
	a := s.actor(r, n)
	i, err := s.visible(r.Context(), a, n, r.PathValue("id"))
	if err != nil {
		s.failed(w, r, n, err)
		return
	}
	p := s.pageOf(r, a, i)
	// A mail whose octets cannot be read can be decided about all the same.
	if p.View, err = s.view(r, a, i.ID); err != nil {
		s.o.Log.Info("a mail is shown without its body", "id", i.ID, "err", err)
	}
	if s.o.Opened != nil {
		s.o.Opened(i.ID, a.Name)
	}
	s.page(w, r, n, http.StatusOK, "mail", p)
}

func (s *Site) pageOf(r *http.Request, a acts.Actor, i acts.Item) mailPage {
	p := mailPage{Item: i.Item, Mine: i.Mine, AdminOnly: i.AdminOnly, FrameURL: frameURL(r, i.ID), Offers: offers(a.Role, i)}
	var err error
	if p.Asked, p.Answer, err = s.o.Acts.Talk(r.Context(), a, i.ID); err != nil {
		s.o.Log.Warn("what was asked about a mail cannot be read", "id", i.ID, "err", err)
	}
	if a.Role == acts.Admin && i.Undecided() && (len(p.Asked) > 0 || i.Review != nil) {
		p.Offers = append(p.Offers, actAnswer)
	}
	return p
}

// actOnMail carries out what a person chose on the page of a mail.
func (s *Site) actOnMail(w http.ResponseWriter, r *http.Request, n session.Session) {
	s.actOn(w, r, n, actRelease, actAllow, actDelete, actSpam, actAsk)
}

func (s *Site) actOn(w http.ResponseWriter, r *http.Request, n session.Session, offered ...string) {
	act, id, a := choice(r, offered...), r.PathValue("id"), s.actor(r, n)
	if act == "" {
		s.noChoice(w, r, n)
		return
	}
	if _, err := s.visible(r.Context(), a, n, id); err != nil {
		s.failed(w, r, n, err)
		return
	}
	s.once(w, r, n, func(ctx context.Context) (string, error) {
		note := r.PostForm.Get("note")
		if act == actAnswer {
			return "/admin/questions", s.o.Acts.Answer(ctx, a, id, cut(strings.TrimSpace(note), maxNote))
		}
		receipt, err := s.onMail(ctx, a, id, act, note)
		if errors.Is(err, acts.ErrState) {
			err = &decidedError{id, err}
		}
		return doneURL(n, receipt), err
	})
}

func doneURL(n session.Session, receipt acts.Receipt) string {
	at := "/done/"
	if n.Kind == session.Console {
		at = "/admin/done/"
	}
	at += url.PathEscape(receipt.ID)
	if receipt.Earlier != nil {
		at += "?" + again + "=1"
	}
	return at
}

// again says in the address of a result that it had been done before. The receipt of one's own act is the same both times.
const again = "again"

// actOnMails carries out what a person chose for the mails selected in the list, as one act that can be undone as one.
func (s *Site) actOnMails(w http.ResponseWriter, r *http.Request, n session.Session) {
	act, ids, a := choice(r, actRelease, actDelete), r.PostForm["id"], s.actor(r, n)
	if act == "" || len(ids) == 0 {
		s.noChoice(w, r, n)
		return
	}
	if len(ids) > maxPick || slices.ContainsFunc(ids, func(id string) bool { return !n.Opens(id) }) {
		s.failed(w, r, n, acts.ErrNotFound)
		return
	}
	s.once(w, r, n, func(ctx context.Context) (string, error) {
		return s.actOnAll(ctx, n, a, act, ids)
	})
}

func (s *Site) actOnAll(ctx context.Context, n session.Session, a acts.Actor, act string, ids []string) (string, error) {
	plan, err := s.o.Acts.Preview(ctx, a, acts.BulkQuery{Act: act, IDs: ids})
	if err == nil && plan.Count == 0 {
		err = errNothing
	}
	if err != nil {
		return "", err
	}
	receipt, err := s.o.Acts.Bulk(ctx, a, plan.ID)
	return doneURL(n, receipt), err
}

// done shows what an act did, and offers to undo it and to do the same for similar mails.
func (s *Site) done(w http.ResponseWriter, r *http.Request, n session.Session) {
	a := s.actor(r, n)
	receipt, err := s.o.Acts.Receipt(r.Context(), a, r.PathValue("receipt"))
	if err == nil && !opensAll(n, receipt.Mails) {
		err = acts.ErrNotFound
	}
	if err != nil {
		s.failed(w, r, n, err)
		return
	}
	page := donePage{Receipt: receipt, Undo: !receipt.Undone && s.o.Now().Before(receipt.UndoUntil), Earlier: receipt.Earlier}
	if page.Earlier == nil && r.URL.Query().Get(again) != "" && !receipt.Undone {
		page.Earlier, page.Mine = &acts.Earlier{State: stateAfter(receipt.Act), At: receipt.At}, true
	}
	if strings.HasPrefix(receipt.Act, "bulk.") {
		if p, err := s.o.Acts.Progress(r.Context(), a, receipt.ID); err == nil {
			page.Progress = &p
		}
	}
	if n.Opens("") && len(receipt.Mails) == 1 && !receipt.Undone && (receipt.Act == "release" || receipt.Act == "delete") {
		if page.Similar, err = s.o.Acts.Similar(r.Context(), a, receipt.Mails[0]); err != nil {
			page.Similar = acts.Similar{} // an offer only
		}
	}
	s.page(w, r, n, http.StatusOK, "done", page)
}

func opensAll(n session.Session, ids []string) bool {
	return !slices.ContainsFunc(ids, func(id string) bool { return !n.Opens(id) })
}

// after undoes an act, or does the same for the similar mails that the page named.
func (s *Site) after(w http.ResponseWriter, r *http.Request, n session.Session) {
	id, a := r.PathValue("receipt"), s.actor(r, n)
	act := choice(r, actUndo, actSimilar)
	receipt, err := s.o.Acts.Receipt(r.Context(), a, id)
	if err == nil && !opensAll(n, receipt.Mails) {
		err = acts.ErrNotFound
	}
	switch {
	case act == "":
		s.noChoice(w, r, n)
	case err != nil:
		s.failed(w, r, n, err)
	case act == actUndo:
		s.once(w, r, n, func(ctx context.Context) (string, error) {
			undone, err := s.o.Acts.Undo(ctx, a, id)
			return doneURL(n, undone), err
		})
	default:
		ids := r.PostForm["id"]
		if len(ids) == 0 || len(ids) > maxPick || !opensAll(n, ids) || receipt.Act != "release" && receipt.Act != "delete" {
			s.noChoice(w, r, n)
			return
		}
		s.once(w, r, n, func(ctx context.Context) (string, error) { return s.actOnAll(ctx, n, a, receipt.Act, ids) })
	}
}

// offers are the acts that make sense for a mail as it is. What is allowed package acts decides.
func offers(role acts.Role, i acts.Item) []string {
	barred := i.AdminOnly && role != acts.Admin
	switch {
	case !i.Open():
		return nil
	case role == acts.Person && barred:
		return []string{actAsk, actDelete, actSpam}
	case role == acts.Person:
		return []string{actRelease, actAllow, actDelete, actSpam, actAsk}
	case role == acts.Helpdesk && barred:
		return []string{actAsk}
	case role == acts.Helpdesk:
		return []string{actRelease, actAsk}
	case role == acts.Admin:
		return []string{actRelease, actDelete, actSpam}
	}
	return nil
}
