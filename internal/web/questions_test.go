package web

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"sekimori/quarantine"
	"sekimori/quarantine/acts"
)

// TestQuestions: what waits for an administrator is listed with what each role may do about it, and answered by an act or a note.
func TestQuestions(t *testing.T) {
	w := newWorld(t)
	i := w.held["m4"]
	i.Class, i.Review = "refused", &quarantine.Review{At: w.clock.now(), Note: "our <b>order</b>\u202e"}
	w.held["m4"] = i

	b := w.signedIn("admin")
	w.want("overview", b.get("/admin/"), 200, "1 asked by people here, 1 by senders", "/admin/questions")
	page := b.get("/admin/questions")
	w.want("questions", page, 200, "subject of m3", "hanako@example.jp asked the administrator", "an invoice", "subject of m4", "our &lt;b&gt;order&lt;/b&gt;[U&#43;202E]", `value="answer"`)
	if strings.Contains(page.body, "subject of m1") {
		t.Error("a mail for which nobody asks is listed")
	}
	w.want("without a choice", b.post("/admin/questions", "/admin/questions/m3", "note", "x"), 422)
	w.wantActs()
	got := b.do("POST", "/admin/questions/m3", form("nonce", nonceOf(t, page.body, "/admin/questions/m3"), "act", "answer", "note", "please wait"))
	w.want("answer", got, 200)
	if got.path != "/admin/questions" {
		t.Errorf("led to %s", got.path)
	}
	page = b.get("/admin/questions")
	got = b.do("POST", "/admin/questions/m4", form("nonce", nonceOf(t, page.body, "/admin/questions/m4"), "act", "release"))
	w.want("release", got, 200, "on its way")
	w.wantActs("answer m3,please wait by admin-name", "release m4 by admin-name")
	w.want("the mail", b.get("/admin/mails/m3"), 200, "an invoice", `value="answer"`)
	w.want("the refused mail", b.get("/admin/mails/m4"), 200, "our &lt;b&gt;order", "Whoever knows the ID can write this")

	for role, offered := range map[string]string{"helpdesk": `value="release"`, "auditor": "an invoice"} {
		page := w.signedIn(role).get("/admin/questions")
		w.want(role, page, 200, offered)
		if strings.Contains(page.body, `value="answer"`) || strings.Contains(page.body, `value="delete"`) || role == "auditor" && strings.Contains(page.body, `name="act"`) {
			t.Errorf("%s is offered more than the role may do", role)
		}
	}
}

// nonceOf finds the nonce of one of several forms.
func nonceOf(t *testing.T, body, action string) string {
	t.Helper()
	_, rest, ok := strings.Cut(body, `action="`+action+`"`)
	m := nonceField.FindStringSubmatch(rest)
	if !ok || m == nil {
		t.Fatalf("there is no form to %s", action)
	}
	return m[1]
}

func form(fields ...string) url.Values {
	v := url.Values{}
	for i := 0; i+1 < len(fields); i += 2 {
		v.Add(fields[i], fields[i+1])
	}
	return v
}

// TestDoneBefore: who does what another, or he himself, has done before reads who it was and when.
func TestDoneBefore(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	b.get("/q/" + w.token("taro@example.jp", ""))
	w.earlier = &acts.Earlier{State: quarantine.StateReleasing, By: "jiro@example.jp", At: time.Date(2026, 11, 20, 5, 32, 0, 0, time.Local)}
	got := b.post("/mail/m1", "/mail/m1", "act", "release")
	w.want("one's own act", got, 200, "This mail was released already.", "You did it yourself")
	w.wantActs()

	w.earlier, w.fail = nil, acts.ErrState
	i := w.held["m1"]
	i.States = []quarantine.RcptState{{Rcpt: addr("taro@example.jp"), State: quarantine.StateReleasing, By: "jiro@example.jp", At: w.clock.now()}}
	w.held["m1"] = i
	w.want("the mail", b.get("/mail/m1"), 200, "jiro@example.jp released this mail")
	w.want("too late", b.post("/mail/m1", "/mail/m1", "act", "delete"), 409, "jiro@example.jp released this mail already on")
}

// TestProgress: the result of a bulk act says how far it is, with scripts and without, for as long as it runs.
func TestProgress(t *testing.T) {
	w := newWorld(t)
	b := w.signedIn("admin")
	for state, want := range map[string]string{"running": "50 of 120 are done.", "undoing": "50 of 120 are as before."} {
		w.progress = state
		w.want(state, b.get("/admin/done/bulk.release-m1"), 200, want, `hx-trigger="every 2s"`, `href="/admin/done/bulk.release-m1"`, "120 mails")
	}
	w.progress = "done"
	if got := b.get("/admin/done/bulk.release-m1"); strings.Contains(got.body, "every 2s") || !strings.Contains(got.body, "All 120 are done.") {
		t.Errorf("done: %s", got.body)
	}
}

// TestWayOut: a link that opens nothing leads to a page from which the list can be asked for; a console page does not.
func TestWayOut(t *testing.T) {
	w := newWorld(t)
	token := w.token("taro@example.jp", "m1")
	fresh := w.browser()
	w.want("forged", fresh.get("/q/"+token[:len(token)-4]+"AAAA"), 404, `action="/send-list"`)
	w.want("another's mail", func() answer { fresh.get("/q/" + token); return fresh.get("/mail/m3") }(), 404, `action="/send-list"`)
	w.want("replayed", fresh.get("/q/"+token), 200, "subject of m1")
	w.want("without a session", w.browser().post("", "/mail/m1", "act", "release"), 403, `action="/send-list"`)
	if got := w.signedIn("admin").get("/admin/mails/nothing"); got.code != 404 || strings.Contains(got.body, "/send-list") {
		t.Errorf("console: %d %s", got.code, got.body)
	}
	w.clock.add(30 * 24 * time.Hour)
	w.want("expired", fresh.get("/q/"+token), 410, `action="/send-list"`, "expired")
	w.site.o.Lists = nil
	if got := w.browser().get("/q/" + token); strings.Contains(got.body, "/send-list") {
		t.Error("a list is offered that nobody sends")
	}
}
