package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sekimori/internal/audit"
	"sekimori/internal/config"
	"sekimori/internal/link"
	"sekimori/internal/mail"
	"sekimori/internal/mime"
	"sekimori/internal/people"
	"sekimori/internal/spool"
	"sekimori/internal/store"
	"sekimori/internal/text"
	drive "sekimori/internal/web/browser"
	"sekimori/internal/web/login"
	"sekimori/internal/web/session"
	"sekimori/quarantine"
	"sekimori/quarantine/acts"
	"sekimori/reputation"
)

// house is a site over a real quarantine and real acts, for browsers.
type house struct {
	t        *testing.T
	srv      *httptest.Server
	keeper   *quarantine.Store
	sessions *session.Store
	keys     *link.Keys
	log      *audit.Log
	acts     *acts.Service
	choices  *people.Store

	mu sync.Mutex
	n  int
}

func (h *house) newID() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.n++
	return fmt.Sprintf("id%06d", h.n)
}

// Queue takes released mail and keeps none.
func (h *house) Queue(context.Context, quarantine.Release) error { return nil }

// Person knows everybody at example.jp.
func (h *house) Person(_ context.Context, a mail.Address) (people.Person, bool) {
	return people.Person{Address: a, Lang: text.Ja}, a.Domain == "example.jp"
}

// Password lets nobody in, and whoever is in stays: signing in has tests of its own.
func (h *house) Password(context.Context, string, string) (login.Account, error) {
	return login.Account{}, errors.New("no passwords here")
}

// Still is the other half of Logins.
func (h *house) Still(context.Context, string, string, string, time.Time) bool { return true }

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{t: t}
	fatal := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	st, err := store.Open(t.Context(), store.Options{DataDir: filepath.Join(t.TempDir(), "data")})
	fatal(err)
	t.Cleanup(func() { _ = st.Close() })
	sp, err := spool.Open(filepath.Join(t.TempDir(), "spool"), spool.Options{})
	fatal(err)
	t.Cleanup(func() { _ = sp.Close() })
	h.keeper, err = quarantine.New(quarantine.Options{Store: st, Spool: sp, Deliverer: h, Node: "mx1"})
	fatal(err)
	h.log = audit.New(audit.Options{Client: st.Client(), Now: time.Now, NewID: h.newID})
	h.choices = people.NewStore(st.Client(), time.Now, nil)
	h.acts = acts.New(acts.Options{
		Keeper: h.keeper, Client: st.Client(), Audit: h.log, Allows: reputation.NewAllows(st.Client(), time.Now), Now: time.Now, NewID: h.newID,
		Policy: func() acts.Policy {
			return acts.Policy{Undo: time.Minute, AdminOnly: []string{"malware"}, AllowFor: 90 * 24 * time.Hour, Learn: "off", Hostname: "mx.test"}
		},
	})
	h.sessions = session.New(session.Options{Client: st.Client(), Idle: 30 * time.Minute, Lifetime: 12 * time.Hour, Now: time.Now})
	h.keys, err = link.New(link.Options{Store: st.Client(), Lifetime: 14 * 24 * time.Hour, Rotation: 30 * 24 * time.Hour, Now: time.Now})
	fatal(err)
	cfg := config.Default()
	cfg.Quarantine.LinkOpens = "list"
	site, err := NewSite(Options{
		Config: func() *config.Config { return cfg }, Sessions: h.sessions, Links: h.keys, People: h, Quarantine: h.keeper, Acts: h.acts, Audit: h.log, Logins: h, Choices: h.choices,
		Limit: func(context.Context, string, config.Rate) (time.Duration, error) { return 0, nil },
		Status: &Status{
			Hostname: "mx.test", Version: "1", Listen: func() []string { return []string{"127.0.0.1:25"} }, Numbers: func() Numbers { return Numbers{Queued: 1, Held: 2} },
			Health: NewHealth(func() error { return nil }, func() []string { return nil }, func() []string { return nil }),
		},
		Log: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	fatal(err)
	h.srv = httptest.NewServer(site.Handler())
	t.Cleanup(func() { h.srv.Close(); site.Close() })
	return h
}

// hold keeps one of the mails in testdata.
func (h *house) hold(id, file, rcpt, class string) {
	h.t.Helper()
	raw, err := os.ReadFile("../../testdata/mail/" + file)
	if err != nil {
		h.t.Fatal(err)
	}
	m := mime.Parse(raw)
	held := quarantine.Held{
		ID: id, Class: class, From: addr("bounce@yamada.example"), Rcpts: []mail.Address{addr(rcpt)}, Subject: m.Subject, HeaderFrom: "tanaka@yamada.example",
		FromName: m.From[0].Name, Score: 7.5, Limit: 6, Rule: "threshold.hold", Time: time.Now(), Client: "192.0.2.7", Helo: "mail.yamada.example",
		Reasons: []mail.Counted{{Name: "DMARC_NO_RECORD", Points: 7.5, Evidence: []mail.Evidence{{Key: "domain", Value: "yamada.example"}}}},
		Proof:   mail.Proof{Author: addr("tanaka@yamada.example"), Aligned: true, SPF: "yamada.example"},
		Body:    mail.Content{raw},
	}
	held.Attachments, held.Attached = m.FileNames(quarantine.MaxNames)
	if err := h.keeper.Hold(h.t.Context(), held); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) state(id string) string {
	h.t.Helper()
	i, err := h.keeper.Show(h.t.Context(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	return i.States[0].State
}

func (h *house) wantState(step, id string, want ...string) {
	h.t.Helper()
	if got := h.state(id); !slices.Contains(want, got) {
		h.t.Errorf("%s: %s is %s, want %v", step, id, got, want)
	}
}

// waitState waits for what is done beside the page.
func (h *house) waitState(step, id, want string) {
	h.t.Helper()
	for deadline := time.Now().Add(time.Minute); h.state(id) != want; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			h.t.Fatalf("%s: %s is %s, not %s", step, id, h.state(id), want)
		}
	}
}

// visitor is somebody at a browser.
type visitor struct {
	*drive.Tab
	h    *house
	lang text.Lang
	name string
}

func (v *visitor) see(step string, keys ...string) {
	v.h.t.Helper()
	page := strings.Join(strings.Fields(v.Text()), " ")
	for _, k := range keys {
		want, ok := text.Lookup(k, v.lang)
		if !ok {
			want = k
		}
		want, _, _ = strings.Cut(want, "{")
		if !strings.Contains(page, strings.Join(strings.Fields(want), " ")) {
			v.h.t.Errorf("%s, %s: %q is not on the page %s:\n%s", v.name, step, want, v.Location(), page)
		}
	}
}

// choose makes the choice of a form and sends it.
func (v *visitor) choose(form, act string) {
	v.h.t.Helper()
	v.Click(fmt.Sprintf(`form[action=%q] input[name=act][value=%s]`, form, act))
	v.Send(fmt.Sprintf(`form[action=%q] button.main`, form))
}

// onMail opens a mail and does one thing with it.
func (v *visitor) onMail(id, act string) {
	v.h.t.Helper()
	v.Go(v.h.srv.URL + "/mail/" + id)
	v.choose("/mail/"+id, act)
}

func (v *visitor) done() string {
	v.h.t.Helper()
	return strings.TrimPrefix(v.Location(), v.h.srv.URL)
}

// Every act of a person.
func TestPersonInABrowser(t *testing.T) {
	b := drive.Start(t, "")
	h := newHouse(t)
	for n, view := range views() {
		t.Run(view.Name, func(t *testing.T) {
			h.t = t
			h.person(b, view, n+1)
		})
	}
}

// views are both languages on a desk and on a phone, with scripts and without.
func views() (all []drive.View) {
	for _, lang := range []string{"ja", "en"} {
		for _, view := range []drive.View{drive.Desk(lang), drive.Phone(lang)} {
			for _, view.NoScript = range []bool{false, true} {
				one := view
				one.Name = fmt.Sprintf("%s-%s-noscript=%v", view.Name, lang, view.NoScript)
				all = append(all, one)
			}
		}
	}
	return all
}

func (h *house) person(b *drive.Browser, view drive.View, n int) {
	me := fmt.Sprintf("taro%d@example.jp", n)
	id := func(i int) string { return fmt.Sprintf("p%dm%d", n, i) }
	for i, file := range []string{"iso-2022-jp.eml", "shift-jis.eml", "euc-jp.eml", "gb18030.eml", "attachment-rfc2231.eml", "utf-8.eml", "utf-8-base64-html.eml", "hostile-html.eml"} {
		class := "spam"
		if i == 4 {
			class = "malware"
		}
		h.hold(id(i), file, me, class)
	}
	token, err := h.keys.Sign(h.t.Context(), link.Claim{Person: addr(me), Action: "show"})
	if err != nil {
		h.t.Fatal(err)
	}
	v := &visitor{Tab: b.Tab(h.t, view), h: h, name: view.Name, lang: text.Ja}
	// The person's own language is Japanese, and the switch is for this browser.
	v.Go(h.srv.URL + "/q/" + token)
	if view.Lang == "en" {
		v.Send(`form[action="/lang"] button`)
		v.lang = text.En
	}
	v.see("list", "list.title", "list.intro", "見積書の送付について", "御見積①", "报价单", "請求書.pdf", "list.unconfirmed")
	v.Shot("flow-list")

	v.Click(`input[name=id][value=` + id(0) + `]`)
	v.Send(`form[action="/mails"] button.main`)
	v.see("nothing chosen", "web.error.choice")
	h.wantState("nothing chosen", id(0), quarantine.StateHeld)

	v.Go(h.srv.URL + "/")
	v.Type(`input[name=subject]`, "御見積")
	if view.NoScript {
		v.Send(`form[role=search] button`)
	}
	v.Until(`document.querySelectorAll("#results tbody tr").length == 1`)
	v.see("search", "御見積①")

	v.Go(h.srv.URL + "/mail/" + id(0))
	v.see("mail", "mail.title", "mail.why", "平素より大変お世話になっております。", "tanaka@yamada.example", "mail.actsnote", "act.release.help")
	if drive.Eval[int](v.Tab, "document.querySelectorAll('main :checked').length") != 0 {
		h.t.Errorf("%s: something is chosen beforehand", v.name)
	}
	v.Shot("flow-mail")
	v.onMail(id(0), "release")
	v.see("release", "done.title", "done.release", "done.undo")
	h.wantState("release", id(0), quarantine.StateReleasing)
	v.Shot("flow-done")
	v.choose(v.done(), "undo")
	v.see("undo", "done.undone")
	h.wantState("undo", id(0), quarantine.StateHeld)

	v.onMail(id(1), "allow")
	v.see("allow", "done.release")
	v.Go(h.srv.URL + "/allowed")
	v.see("allowed", "allowed.title", "yamada.example")
	v.Shot("flow-allowed")
	v.Click(`td.pick input`)
	v.choose("/allowed", "revoke")
	v.see("revoked", "allowed.empty")

	v.onMail(id(2), "delete")
	v.see("delete", "done.delete")
	h.wantState("delete", id(2), quarantine.StateDeleted)
	v.onMail(id(3), "spam")
	v.see("spam", "done.report-spam")
	h.wantState("spam", id(3), quarantine.StateDeleted)

	v.Go(h.srv.URL + "/mail/" + id(4))
	v.see("malware", "mail.adminonly", "請求書.pdf")
	v.Shot("flow-malware")
	if drive.Eval[int](v.Tab, "document.querySelectorAll('input[value=release], input[value=allow]').length") != 0 {
		h.t.Errorf("%s: malware can be released", v.name)
	}
	v.Type("textarea", "取引先からの請求書です。")
	v.choose("/mail/"+id(4), "ask")
	v.see("ask", "done.ask")
	h.wantState("ask", id(4), quarantine.StateHeld)

	v.Go(h.srv.URL + "/")
	for _, i := range []int{5, 6} {
		v.Click(`input[name=id][value=` + id(i) + `]`)
	}
	v.choose("/mails", "release")
	v.see("selected", "done.bulk.release")
	v.Shot("flow-bulk")

	h.chooses(v, me)
	h.brokenLinks(v, me, token)
	v.Go(h.srv.URL + "/mail/" + fmt.Sprintf("p%dm0", n-1))
	v.see("another person's", "web.error.notfound")
	v.Go(h.srv.URL + "/")
	v.Send(`form[action="/sign-out"] button`)
	v.see("signed out", "welcome.title")
	for _, f := range v.Faults() {
		h.t.Errorf("%s: %s", v.name, f)
	}
	if foreign := drive.Own(v.Requests(), h.srv.URL); len(foreign) > 0 {
		h.t.Errorf("%s: asked for %v", v.name, foreign)
	}
}

// chooses: when and in which language somebody is told.
func (h *house) chooses(v *visitor, me string) {
	h.t.Helper()
	v.Go(h.srv.URL + "/settings")
	v.see("settings", "settings.title", "settings.org")
	v.choose("/settings", `"when:weekly"`)
	v.see("settings", "settings.weekly.on", "08:00")
	v.choose("/settings", `"lang:en"`)
	v.see("settings", "settings.langname.en")
	v.Shot("flow-settings")
	got, err := h.choices.Get(h.t.Context(), []mail.Address{addr(me)})
	if err != nil || got[0].Schedule.String() != "weekly mon 08:00" || got[0].Lang != text.En {
		h.t.Errorf("%s: chosen is %+v, %v", v.name, got, err)
	}
}

// brokenLinks lead to a page that says what is wrong, and on.
func (h *house) brokenLinks(v *visitor, me, token string) {
	h.t.Helper()
	v.Go(h.srv.URL + "/q/" + token[:len(token)-4] + "AAAA")
	v.see("forged", "web.error.forged")
	long := time.Now().Add(-48 * time.Hour)
	old, err := h.keys.Sign(h.t.Context(), link.Claim{Person: addr(me), Action: "show", Issued: long, Expires: long.Add(time.Hour)})
	if err != nil {
		h.t.Fatal(err)
	}
	v.Go(h.srv.URL + "/q/" + old)
	v.see("expired", "web.error.expired")
	v.Shot("flow-expired")
}

// staffTab is a browser with a session of the administrators' part.
func (h *house) staffTab(b *drive.Browser, view drive.View, role string) *visitor {
	h.t.Helper()
	n, err := h.sessions.Begin(h.t.Context(), session.Session{Kind: session.Console, Name: "hanako", Role: role, Lang: text.Lang(view.Lang), Via: "file"}, 0)
	if err != nil {
		h.t.Fatal(err)
	}
	view.Name = role + "-" + view.Name
	v := &visitor{Tab: b.Tab(h.t, view), h: h, lang: text.Lang(view.Lang), name: view.Name}
	v.Cookie(h.srv.URL, "sekimori-admin", n.ID)
	return v
}

// What administrators, the helpdesk and auditors do.
func TestStaffInABrowser(t *testing.T) {
	b := drive.Start(t, "")
	h := newHouse(t)
	for i, view := range views() {
		for k := range 4 {
			h.hold(fmt.Sprintf("s%dm%d", i, k), "iso-2022-jp.eml", fmt.Sprintf("hanako%d@example.jp", i), "spam")
		}
		h.hold(fmt.Sprintf("s%dm9", i), "attachment-rfc2231.eml", fmt.Sprintf("hanako%d@example.jp", i), "malware")
		h.administrator(b, view, i)
		h.others(b, view, i)
		h.answers(b, view, i)
	}
}

func (h *house) administrator(b *drive.Browser, view drive.View, i int) {
	one := fmt.Sprintf("s%dm0", i)
	v := h.staffTab(b, view, "admin")
	v.Go(h.srv.URL + "/admin/")
	v.see("status", "nav.status", "mx.test")
	v.Go(h.srv.URL + "/admin/mails?rcpt=" + fmt.Sprintf("hanako%d@example.jp", i))
	v.see("search", "search.title", "見積書の送付について", "classname.malware")
	v.Shot("staff-search")
	v.Go(h.srv.URL + "/admin/mails/" + one)
	v.see("one", "held.evidence", "DMARC_NO_RECORD", "held.look")
	v.Shot("staff-held")
	v.Send(`a[href="/admin/mails/` + one + `/body"]`)
	v.see("look", "平素より大変お世話になっております。")

	v.Go(h.srv.URL + "/admin/bulk")
	v.Type(`input[name=rcpt]`, fmt.Sprintf("hanako%d@example.jp", i))
	v.choose("/admin/bulk", "release")
	v.see("plan", "plan.title", "plan.exact", "tanaka@yamada.example", "plan.samples")
	v.Shot("staff-plan")
	h.wantState("preview", one, quarantine.StateHeld)
	v.Send(`form[action^="/admin/bulk/"] button.main`)
	v.see("plan without a choice", "web.error.choice")
	h.wantState("plan without a choice", one, quarantine.StateHeld)

	v.Go(h.srv.URL + "/admin/bulk")
	v.Type(`input[name=rcpt]`, fmt.Sprintf("hanako%d@example.jp", i))
	v.choose("/admin/bulk", "release")
	plan := drive.Eval[string](v.Tab, `document.querySelector("form[action^='/admin/bulk/']").getAttribute("action")`)
	v.choose(plan, "run")
	v.see("bulk", "done.bulk.release")
	h.waitState("bulk", one, quarantine.StateReleasing)
	v.Shot("staff-done")
	v.Go(v.Location())
	v.choose(v.done(), "undo")
	v.see("bulk undone", "done.undone")
	h.waitState("bulk undone", one, quarantine.StateHeld)
	v.Go(h.srv.URL + "/admin/audit")
	v.see("audit", "audit.title", "hanako", "act.look", one)
	v.Shot("staff-audit")
	for _, f := range v.Faults() {
		h.t.Errorf("%s: %s", v.name, f)
	}
}

// answers: somebody asks, and an administrator answers on the page of the questions.
func (h *house) answers(b *drive.Browser, view drive.View, i int) {
	id, rcpt := fmt.Sprintf("s%dm9", i), addr(fmt.Sprintf("hanako%d@example.jp", i))
	if _, err := h.acts.Ask(h.t.Context(), acts.Actor{Name: rcpt.String(), Role: acts.Person, Addresses: []mail.Address{rcpt}}, id, "請求書を待っています。"); err != nil {
		h.t.Fatal(err)
	}
	v := h.staffTab(b, view, "admin")
	v.Go(h.srv.URL + "/admin/questions")
	v.see("questions", "questions.title", "請求書を待っています。", "questions.danger")
	v.Shot("staff-questions")
	v.choose("/admin/questions/"+id, "delete")
	h.wantState("answered", id, quarantine.StateDeleted)
	v.Go(h.srv.URL + "/admin/questions")
	v.see("questions", "questions.none")
	for _, f := range v.Faults() {
		h.t.Errorf("%s: %s", v.name, f)
	}
}

// others: the helpdesk releases and reads nothing; an auditor changes nothing.
func (h *house) others(b *drive.Browser, view drive.View, i int) {
	one := fmt.Sprintf("/admin/mails/s%dm9", i)
	v := h.staffTab(b, view, "helpdesk")
	v.Go(h.srv.URL + one)
	v.see("helpdesk", "held.nobody", "mail.adminonly")
	if strings.Contains(v.Text(), "見積書の件") {
		h.t.Errorf("%s: reads a mail", v.name)
	}
	v.Go(h.srv.URL + one + "/body")
	v.see("helpdesk", "web.error.role")
	v.Go(h.srv.URL + "/admin/audit")
	v.see("helpdesk", "web.error.role")

	v = h.staffTab(b, view, "auditor")
	v.Go(h.srv.URL + one)
	if drive.Eval[int](v.Tab, "document.querySelectorAll('main form, main input').length") != 0 {
		h.t.Errorf("%s: is offered something to change", v.name)
	}
	v.Go(h.srv.URL + one + "/body")
	v.see("auditor", "web.error.role")
	v.Go(h.srv.URL + "/admin/audit")
	v.see("auditor", "audit.title", "act.look")
}
