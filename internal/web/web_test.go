package web

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func testStatus(full *error, warnings ...Warning) *Status {
	return &Status{
		Hostname: "mx.test", Version: "1", Since: time.Unix(0, 0).UTC(), Health: NewHealth(func() error { return *full }, func() []string { return nil }, func() []string { return nil }),
		Listen: func() []string { return []string{"127.0.0.1:25"} }, Numbers: func() Numbers { return Numbers{Queued: 3, Inflight: 1, Held: -1, Pending: 2} },
		Warnings: func() []Warning { return warnings }, Off: func() []string { return []string{"geoip: <script>"} },
		Backends: func() []Backend { return []Backend{{"smtp://a.test:25", true}, {"smtp://b.test:25", false}} },
	}
}

func page(s *Status, method, target, accept string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(method, target, nil)
	r.Header.Set("Accept-Language", accept)
	s.Handler().ServeHTTP(w, r)
	return w
}

func TestStatusPageOnlyReads(t *testing.T) {
	var full error
	s := testStatus(&full)
	for method, want := range map[string]int{"GET": 200, "HEAD": 200, "POST": 405, "DELETE": 405} {
		w := page(s, method, "/", "en")
		if w.Code != want {
			t.Errorf("%s /: %d, want %d", method, w.Code, want)
		}
		if method == "GET" && (!strings.Contains(w.Body.String(), "127.0.0.1:25") || strings.Contains(w.Body.String(), "<script>")) {
			t.Errorf("the page:\n%s", w.Body)
		}
	}
	if w := page(s, "GET", "/other", "en"); w.Code != http.StatusNotFound {
		t.Errorf("/other: %d", w.Code)
	}
}

// TestStatusPageSays holds what the page says in either language: that all is well, that something is wrong and what to do, that
// there is no room, and that it is stopping.
func TestStatusPageSays(t *testing.T) {
	var full error
	well, ill := testStatus(&full), testStatus(&full, Warning{"redis", "<no> answer"}, Warning{"backend smtp://b.test:25", "connection refused"})
	say := func(s *Status, target, accept string, want ...string) {
		t.Helper()
		body := page(s, "GET", target, accept).Body.String()
		for _, w := range want {
			if !strings.Contains(body, w) {
				t.Errorf("%s (%s) does not say %q:\n%s", target, accept, w, body)
			}
		}
		if strings.Contains(body, "<no>") || strings.Contains(body, "&lt;nil&gt;") {
			t.Errorf("the page:\n%s", body)
		}
	}
	say(well, "/", "ja,en;q=0.8", `lang="ja"`, "メールを受け付けています</p>", "わかりません", "応答なし", `href="?lang=en"`)
	say(well, "/", "en-GB,ja", `<html lang="en"`, "Taking mail</p>", "not known", "down")
	say(well, "/", "fr", `<html lang="en"`)
	say(ill, "/?lang=ja", "en", "確認が必要なことがあります", "Redisが応答しません", "バックエンド smtp://b.test:25 がメールを受け取りません", "スプールで待ち", "connection refused")
	say(ill, "/?lang=en", "ja", "needs a look", "Redis does not answer", "No mail is lost")
	full = errors.New("no room")
	say(ill, "/", "ja", "空き容量の不足")
	ill.Health.Drain()
	say(ill, "/", "ja", "停止処理中")
}

func TestHealth(t *testing.T) {
	var full error
	h := NewHealth(func() error { return full }, func() []string { return nil }, func() []string { return []string{"redis: away"} })
	ask := func() (int, string) {
		w := httptest.NewRecorder()
		Operations(http.NotFoundHandler(), h, &Status{}).ServeHTTP(w, httptest.NewRequest("GET", "/healthz", nil))
		return w.Code, w.Body.String()
	}
	for _, step := range []struct {
		do     func()
		code   int
		status string
	}{
		{func() {}, 200, `"ready"`},
		{func() { full = errors.New("no room") }, 503, `"spool full"`},
		{h.Drain, 503, `"draining"`},
	} {
		step.do()
		if code, body := ask(); code != step.code || !strings.Contains(body, step.status) {
			t.Errorf("%d %s, want %d %s", code, body, step.code, step.status)
		}
	}
}
