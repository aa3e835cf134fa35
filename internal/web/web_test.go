package web

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestStatusPageOnlyReads(t *testing.T) {
	s := &Status{
		Hostname: "mx.test", Version: "1", Listen: func() []string { return []string{"127.0.0.1:25"} }, Since: time.Unix(0, 0),
		Health: NewHealth(func() error { return nil }, func() []string { return []string{`geoip: <script>`} }, func() []string { return []string{`backend smtp://dead.test: <b>`} }),
		Queued: func() int { return 3 }, Held: func() int { return 4 },
	}
	for method, want := range map[string]int{"GET": 200, "HEAD": 200, "POST": 405, "DELETE": 405} {
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, httptest.NewRequest(method, "/", nil))
		if w.Code != want {
			t.Errorf("%s /: %d, want %d", method, w.Code, want)
		}
		if method == "GET" && (!strings.Contains(w.Body.String(), "127.0.0.1:25") || strings.Contains(w.Body.String(), "<script>")) {
			t.Errorf("the page:\n%s", w.Body)
		}
		if works, looked, _ := strings.Cut(w.Body.String(), "Not looked at"); method == "GET" && (!strings.Contains(works, "dead.test") || strings.Contains(looked, "dead.test") || !strings.Contains(looked, "geoip")) {
			t.Errorf("a dead backend is not listed as such:\n%s", w.Body)
		}
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/other", nil))
	if w.Code != http.StatusNotFound {
		t.Errorf("/other: %d", w.Code)
	}
}

func TestHealth(t *testing.T) {
	var full error
	h := NewHealth(func() error { return full }, func() []string { return nil }, func() []string { return []string{"redis: away"} })
	ask := func() (int, string) {
		w := httptest.NewRecorder()
		Operations(http.NotFoundHandler(), h).ServeHTTP(w, httptest.NewRequest("GET", "/healthz", nil))
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
