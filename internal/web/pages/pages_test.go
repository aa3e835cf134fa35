package pages

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"sekimori/internal/audit"
	"sekimori/internal/mail"
	"sekimori/internal/text"
	"sekimori/internal/web/safe"
	"sekimori/quarantine"
	"sekimori/quarantine/acts"
	"sekimori/reputation"
)

// What package web hands to the templates has these fields.
type (
	listBody struct {
		Items   []quarantine.Item
		Query   url.Values
		Next    string
		Partial string
		Reached time.Time
		Looked  int
		Boxes   bool
		Limited bool
	}
	mailBody struct {
		Item      quarantine.Item
		Mine      []mail.Address
		AdminOnly bool
		View      *safe.View
		FrameURL  string
		Offers    []string
		Asked     []acts.Asked
		Answer    *acts.Answered
	}
	doneBody struct {
		Receipt  acts.Receipt
		Earlier  *acts.Earlier
		Mine     bool
		Progress *acts.Progress
		Undo     bool
		Similar  acts.Similar
	}
	questionBody struct {
		Item   quarantine.Item
		Asked  []acts.Asked
		Offers []string
		Danger bool
	}
	questionsBody struct {
		Asks, Reviews         []questionBody
		MoreAsks, MoreReviews bool
	}
	usageBody struct {
		Domain              string
		Used, Most, Percent int64
		State               string
	}
	auditBody struct {
		Entries []audit.Entry
		Query   url.Values
		Next    string
	}
	settingsBody struct {
		Schedule, Times string
		Days            []time.Weekday
		Lang            text.Lang
		Acts            []string
	}
	allowedBody struct{ Allows []reputation.Allow }
	sayBody     struct {
		Title, Key string
		Alarm, Way bool
		Who        string
		When       time.Time
	}
	waysBody struct {
		SSO                    string
		Away, Password, Failed bool
	}
	healthBody struct {
		Status   string
		Degraded []string
	}
	hostBody     struct{ Hostname, Version string }
	overviewBody struct {
		Status       hostBody
		Report       healthBody
		Queued, Held int
		Listen       []string
		Since        string
		Usage        []usageBody

		Asks, Reviews         int
		MoreAsks, MoreReviews bool
	}
)

var now = time.Date(2026, 11, 20, 5, 32, 0, 0, time.UTC)

func addr(s string) mail.Address {
	var a mail.Address
	_ = a.UnmarshalText([]byte(s))
	return a
}

func item(id, class, name, from, subject string, files ...string) quarantine.Item {
	me := addr("yamada.taro@example.co.jp")
	return quarantine.Item{
		Held: quarantine.Held{
			ID: id, Class: class, From: addr(from), HeaderFrom: from, FromName: name, Subject: subject, Rcpts: []mail.Address{me}, Time: now, Size: 48_200,
			Score: 7.5, Limit: 6, Rule: "threshold.hold", Attachments: files, Attached: len(files), Client: "192.0.2.7", Helo: "mail.example.net",
			Reasons: []mail.Counted{
				{Name: "DMARC_REJECT", Points: 4, Evidence: []mail.Evidence{{Key: "domain", Value: "example-card.co.jp"}}},
				{Name: "BAYES_SPAM", Points: 3.5, Evidence: []mail.Evidence{{Key: "words", Value: "副業, 先着"}}},
			},
		},
		Until: now.Add(14 * 24 * time.Hour), States: []quarantine.RcptState{{Rcpt: me, State: quarantine.StateHeld}},
	}
}

func items() []quarantine.Item {
	return []quarantine.Item{
		item("m1", "spoof", "○○カード株式会社", "info@example-card.co.jp", "【重要】カードご利用の一時停止について"),
		item("m2", "spam", "", "a-very-long-local-part-that-never-ends@subdomain.of.a.long.example.org", "副業で月30万円！先着100名様に限り無料のご案内（LINE登録はこちら）", "ご案内.pdf", "申込書.docx", "地図.png", "他.txt"),
		item("m3", "malware", "経理部 佐藤\u202e", "sato@example.net", "請求書_11月分", "請求書_11月分.xlsm"),
		item("m4", "", "", "x@example.org", ""),
	}
}

func view() *safe.View {
	v, _ := safe.New([]byte("From: \"support@bank.example\" <x@evil.example>\r\nTo: yamada.taro@example.co.jp\r\nSubject: =?UTF-8?B?6KuL5rGC5pu4?=\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" +
		"--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>平素より<b>お世話</b>になっております。</p><a href=\"http://evil.example/x\">https://bank.example/</a>\r\n" +
		"--b\r\nContent-Type: application/pdf; name=\"a=E2=80=AEfdp.exe\"\r\n\r\nx\r\n--b--\r\n"))
	return &v
}

// symbolsBody is what package web shows of symbols.
type symbolsBody struct {
	Days    int
	Counted bool
	Symbols []symbolRow
	Rules   []symbolRow
	Query   url.Values
}

type symbolRow struct {
	Name, Where              string
	Score, Default           float64
	Hits, Observed, Released int64
}

func (symbolRow) Meaning(lang text.Lang) string { return text.Fill("symbol.SPF_FAIL", lang) }

// bodies are all pages with something in them.
func bodies() map[string][]any {
	receipt := acts.Receipt{
		ID: "r1", Act: "release", Mails: []string{"m1"}, At: now, UndoUntil: now.Add(50 * time.Second), Changed: true, NotDone: []string{"learning: x"},
		Allowed: []reputation.Allow{{Domain: "example.org", Expires: now.Add(time.Hour)}, {Address: "a@b.test", SPF: "b.test", Expires: now}},
	}
	bulk := acts.Receipt{ID: "r2", Act: "bulk.delete", Mails: []string{"m1", "m2"}, Changed: true, UndoUntil: now.Add(2 * time.Hour)}
	undone, again := receipt, receipt
	undone.Undone, again.Changed = true, false
	bulk.Left = 3
	asked := []acts.Asked{{By: "yamada.taro@example.co.jp", Note: "取引先からの見積書です。\u202e", At: now}, {By: "sato@example.co.jp", At: now}}
	refused := item("m6", "refused", "", "a@b.test", "御見積の件")
	refused.Review = &quarantine.Review{At: now, Note: "<b>お約束の見積書です。</b>\nご確認ください。"}
	releasing := items()[0]
	releasing.States = []quarantine.RcptState{{Rcpt: addr("yamada.taro@example.co.jp"), State: quarantine.StateReleasing, By: "sato@example.co.jp", At: now}}
	open := []string{"release", "allow", "delete", "spam", "ask"}
	over := item("m5", "spam", "", "a@b.test", "x")
	over.States[0].State = quarantine.StateReleased
	return map[string][]any{
		"symbols": {
			symbolsBody{Days: 7, Counted: true, Symbols: []symbolRow{{"SPF_FAIL", "spf", 2.5, 1.5, 1234, 0, 5}, {"BAYES_SPAM", "bayes", 6, 6, 0, 0, 0}}, Rules: []symbolRow{{"FOREIGN_OR_UNKNOWN", "10-mine.toml:3", 0, 0, 3, 4, 1}}},
			symbolsBody{Query: url.Values{"came": {"1"}}},
		},
		"list": {
			listBody{Items: items(), Query: url.Values{"from": {"card"}}, Next: "1.m2"},
			listBody{Query: url.Values{}},
			listBody{Query: url.Values{"subject": {"x"}}, Partial: "down", Reached: now, Next: "1.x", Looked: 5000, Boxes: true},
			listBody{Items: items()[:1], Limited: true},
		},
		"mail":     {mailBody{Item: items()[0], View: view(), FrameURL: "/mail/m1/body", Offers: open}, mailBody{Item: items()[2], AdminOnly: true, Offers: open[2:]}, mailBody{Item: over}, mailBody{Item: releasing, Offers: open, Asked: asked[:1], Answer: &acts.Answered{By: "hanako", At: now, Note: "送付元に確認しましたが、送っていないとのことです。"}}},
		"done":     {doneBody{Receipt: receipt, Undo: true, Similar: acts.Similar{IDs: []string{"m2"}, From: "a@b.test", Reason: "sender-and-rule"}}, doneBody{Receipt: bulk, Undo: true, Progress: &acts.Progress{State: "running", Total: 1200, Done: 350}}, doneBody{Receipt: undone}, doneBody{Receipt: again, Earlier: &acts.Earlier{State: "released", By: "sato@example.co.jp", At: now}}, doneBody{Receipt: again, Mine: true, Earlier: &acts.Earlier{State: "deleted", At: now}}, doneBody{Receipt: bulk, Progress: &acts.Progress{State: "done", Total: 2, Failed: 1, Errors: map[string]string{"m1": "x"}}}},
		"welcome":  {nil, waysBody{SSO: "/sso"}},
		"sign-in":  {waysBody{SSO: "/admin/sso", Password: true, Failed: true}, waysBody{SSO: "/admin/sso", Password: true, Away: true}},
		"say":      {sayBody{Title: "web.error", Key: "web.error.expired", Alarm: true, Way: true}, sayBody{Title: "web.error", Key: "web.error.state.deleted", Alarm: true, Who: "sato@example.co.jp", When: now}},
		"allowed":  {allowedBody{}, allowedBody{[]reputation.Allow{{ID: "a1", Domain: "example.org", Expires: now}, {ID: "a2", Address: "x@y.test", Host: "y.test", Expires: now}, {ID: "a3", Address: "z@y.test", SPF: "y.test", Expires: now}}}},
		"settings": {settingsBody{}, settingsBody{Schedule: "weekly", Days: []time.Weekday{time.Monday, time.Thursday}, Times: "08:00", Lang: "ja", Acts: []string{"when:daily", "when:", "lang:en", "lang:"}}, settingsBody{Schedule: "off"}},
		"search":   {listBody{Items: items(), Query: url.Values{"all": {"1"}}, Next: "1.m2"}, listBody{Partial: "down"}},
		"questions": {
			questionsBody{Asks: []questionBody{{Item: items()[2], Asked: asked, Offers: []string{"release", "delete", "answer"}, Danger: true}, {Item: items()[0], Asked: asked[:1]}}, Reviews: []questionBody{{Item: refused, Offers: []string{"release"}}}, MoreAsks: true, MoreReviews: true},
			questionsBody{},
		},
		"bulk": {listBody{}},
		"plan": {acts.Plan{
			ID: "p1", Query: acts.BulkQuery{Act: "release"}, Count: 2, Octets: 90_000, Classes: map[string]int{"spam": 2}, Senders: map[string]int{"a@b.test": 2}, Dangers: 1, More: true,
			Samples: []acts.Sample{{ID: "m1", From: "a@b.test", Subject: "<b>", Rcpts: []string{"t@example.jp"}, Time: now}},
		}, acts.Plan{Query: acts.BulkQuery{Act: "delete"}}},
		"held":     {mailBody{Item: items()[1], View: view(), FrameURL: "/admin/mails/m2/frame", Offers: []string{"release", "delete", "spam", "answer"}, Asked: asked}, mailBody{Item: refused}, mailBody{Item: items()[2], Offers: []string{"release", "ask"}}},
		"audit":    {auditBody{Entries: []audit.Entry{{Time: now, Actor: "hanako", Role: "admin", Act: "release", IDs: []string{"m1"}, Rcpts: []string{"t@example.jp"}, Peer: netip.MustParseAddr("192.0.2.1"), Via: "web", Detail: "<x>"}}, Next: "n"}, auditBody{}},
		"overview": {overviewBody{Status: hostBody{"mx.test", "1"}, Report: healthBody{"ready", []string{"geoip: <off>"}}, Held: -1}, overviewBody{Report: healthBody{Status: "spool full"}, Held: 4, Asks: 50, Reviews: 2, MoreAsks: true, Usage: []usageBody{{"", 1e9, 2e9, 50, "status.usage.ok"}, {"example.jp", 85e6, 1e8, 85, "status.usage.near"}, {"example.com", 1e8, 1e8, 100, "status.usage.full"}}}, overviewBody{Report: healthBody{Status: "ready"}, Asks: -1}},
	}
}

func frame(lang text.Lang, name string, role string) Frame {
	admin := role != "person"
	f := Frame{Lang: lang, Name: "yamada.taro@example.co.jp", Role: role, Admin: admin, Path: "/", Query: url.Values{"from": {"a&b"}}, Now: now, Nonce: func(form string) (string, error) {
		if form == "" {
			return "", errors.New("a form without a place")
		}
		return "n:" + form, nil
	}}
	if name == "welcome" || name == "sign-in" {
		f.Name, f.Role = "", ""
	}
	return f
}

func roleOf(name string) string {
	switch name {
	case "questions", "search", "bulk", "plan", "held", "audit", "overview", "symbols", "sign-in":
		return "admin"
	}
	return "person"
}

// Every page in both languages: it is whole, holds nothing that runs, preselects nothing, and every form that changes something has
// a nonce and a label for each of its fields.
func TestEveryPage(t *testing.T) {
	set, err := New(time.FixedZone("JST", 9*3600))
	if err != nil {
		t.Fatal(err)
	}
	for name, list := range bodies() {
		for _, lang := range []text.Lang{text.Ja, text.En} {
			for n, body := range list {
				roles := []string{roleOf(name)}
				if name == "search" || name == "held" || name == "questions" {
					roles = append(roles, "helpdesk", "auditor")
				}
				for _, role := range roles {
					var b bytes.Buffer
					if err := set.Render(&b, name, frame(lang, name, role), body); err != nil {
						t.Errorf("%s %s %d: %v", name, lang, n, err)
						continue
					}
					inspect(t, name+" "+string(lang)+" "+role, b.String(), lang)
				}
			}
		}
	}
}

// TestWordsOfPages: what is said, and to whom.
func TestWordsOfPages(t *testing.T) {
	set, err := New(time.FixedZone("JST", 9*3600))
	if err != nil {
		t.Fatal(err)
	}
	all := bodies()
	for _, c := range []struct {
		page       string
		n          int
		lang       text.Lang
		has, lacks string
	}{
		{"settings", 1, text.Ja, "毎週月曜日・木曜日 <bdi>08:00</bdi>", "mon"},
		{"settings", 1, text.En, "every week on Monday, Thursday <bdi>08:00</bdi>", ">mon"},
		{"overview", 1, text.Ja, "利用者からの依頼が50件以上、差出人からの申し出が2件あります。", "2件以上"},
		{"overview", 1, text.En, "at least 50 asked by people here, 2 by senders", "at least 2"},
		{"mail", 0, text.Ja, "それまでは何もしなくてかまいません。", "受信の操作"},
		{"held", 0, text.Ja, "それまでは、受信の操作ができます。", "何もしなくて"},
		{"held", 0, text.En, "Until then it can be released.", "need not do anything"},
	} {
		var b bytes.Buffer
		if err := set.Render(&b, c.page, frame(c.lang, c.page, roleOf(c.page)), all[c.page][c.n]); err != nil {
			t.Fatal(err)
		}
		_, main, _ := strings.Cut(b.String(), "<h1>")
		if !strings.Contains(main, c.has) || strings.Contains(main, c.lacks) {
			t.Errorf("%s %s: %q is missing or %q is there:\n%s", c.page, c.lang, c.has, c.lacks, main)
		}
	}
}

type form struct {
	post, nonce, own bool
}

func inspect(t *testing.T, page, doc string, lang text.Lang) {
	t.Helper()
	for _, bad := range []string{"ZgotmplZ", "<no value>", "%!", "検疫", "解放", "リリース", "javascript:"} {
		if strings.Contains(doc, bad) {
			t.Errorf("%s: %s", page, bad)
		}
	}
	ids, open, f := map[string]bool{}, []string{}, form{}
	labels := 0
	for z := html.NewTokenizer(strings.NewReader(doc)); ; {
		switch z.Next() {
		case html.ErrorToken:
			if !errors.Is(z.Err(), io.EOF) || len(open) > 0 {
				t.Errorf("%s: not closed: %v", page, open)
			}
			return
		case html.StartTagToken, html.SelfClosingTagToken:
			k := z.Token()
			a := map[string]string{}
			for _, x := range k.Attr {
				a[x.Key] = x.Val
				if strings.HasPrefix(x.Key, "on") || x.Key == "style" || x.Key == "autofocus" {
					t.Errorf("%s: <%s %s>", page, k.Data, x.Key)
				}
			}
			if id := a["id"]; id != "" {
				if ids[id] {
					t.Errorf("%s: id %s twice", page, id)
				}
				ids[id] = true
			}
			_, checked := a["checked"]
			switch {
			case k.Data == "html" && a["lang"] != string(lang):
				t.Errorf("%s: lang %q", page, a["lang"])
			case k.Data == "style", k.Data == "script" && !strings.HasPrefix(a["src"], assetPath):
				t.Errorf("%s: an inline %s", page, k.Data)
			case k.Data == "form":
				f = form{post: a["method"] == "post", own: a["action"] == "/send-list" || strings.HasSuffix(a["action"], "/sign-in") || strings.HasSuffix(a["action"], "/lang") || strings.HasSuffix(a["action"], "/sign-out")}
			case k.Data == "input" && a["name"] == "nonce":
				f.nonce = a["value"] != ""
			case k.Data == "input" && a["type"] != "hidden" || k.Data == "select" || k.Data == "textarea":
				if labels == 0 {
					t.Errorf("%s: a field %s without a label", page, a["name"])
				}
				if f.post && checked {
					t.Errorf("%s: %s is preselected", page, a["name"])
				}
			case k.Data == "button" && f.post && a["name"] != "" && a["name"] != "lang":
				t.Errorf("%s: the button %s acts by itself", page, a["name"])
			}
			if k.Data == "label" {
				labels++
			}
			if !strings.Contains(" meta link input br img hr ", " "+k.Data+" ") {
				open = append(open, k.Data)
			}
		case html.EndTagToken:
			k := z.Token()
			if k.Data == "label" {
				labels--
			}
			if k.Data == "form" && f.post && !f.nonce && !f.own {
				t.Errorf("%s: a form without a nonce", page)
			}
			if k.Data == "p" && (len(open) == 0 || open[len(open)-1] != "p") {
				continue
			}
			if len(open) == 0 || open[len(open)-1] != k.Data {
				t.Fatalf("%s: </%s> within %v", page, k.Data, open)
			}
			open = open[:len(open)-1]
		}
	}
}

func TestHostileItems(t *testing.T) {
	set, err := New(time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	i := item("m1", "spam", "<script>x</script>\u202e", "a@b.test", "\"><img src=x>\x00\u2066", "<b>\u202efdp.exe")
	var b bytes.Buffer
	if err := set.Render(&b, "list", frame(text.Ja, "list", "person"), listBody{Items: []quarantine.Item{i}, Query: url.Values{"from": {"\"><script>"}}}); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"<script>x", "<img", "\u202e", "\x00", "\u2066", "<b>\u202e", "\"><script>"} {
		if strings.Contains(b.String(), bad) {
			t.Errorf("%q stands in the page", bad)
		}
	}
	for _, want := range []string{"[U+202E]fdp.exe", "[U+0000×2]", "2026年11月20日（金）05時32分", "本物かどうか確認できていません"} {
		if !strings.Contains(html.UnescapeString(b.String()), want) {
			t.Errorf("no %q in %s", want, b.String())
		}
	}
}

func TestAssets(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc(AssetPattern, Assets)
	for name, kind := range map[string]string{"style.css": "text/css", "htmx.js": "text/javascript", "icon.svg": "image/svg+xml"} {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest("GET", assetURL(name), nil))
		if w.Code != 200 || !strings.HasPrefix(w.Header().Get("Content-Type"), kind) || w.Body.Len() < 100 {
			t.Errorf("%s: %d %s, %d octets", name, w.Code, w.Header().Get("Content-Type"), w.Body.Len())
		}
	}
	for _, p := range []string{assetPath + "old/style.css", assetURL("x.css"), assetURL("htmx.LICENSE")} {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest("GET", p, nil))
		if w.Code != 404 {
			t.Errorf("%s: %d", p, w.Code)
		}
	}
}
