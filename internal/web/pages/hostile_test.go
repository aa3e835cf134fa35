package pages

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sekimori/internal/mime"
	"sekimori/internal/text"
	"sekimori/internal/web/browser"
	"sekimori/internal/web/safe"
)

// elsewhere is where every name of the world leads to: it notes who comes.
type elsewhere struct {
	*httptest.Server
	mu   sync.Mutex
	came []string
}

func world(t *testing.T) *elsewhere {
	e := &elsewhere{}
	note := func(s string) {
		e.mu.Lock()
		e.came = append(e.came, s)
		e.mu.Unlock()
	}
	e.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { note(r.Method + " " + r.URL.String()) }))
	e.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			note("connection")
		}
	}
	e.Start()
	t.Cleanup(e.Close)
	return e
}

func (e *elsewhere) visits() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.came)
}

// A mail that tries everything: within the page, alone, with scripts and without, nothing runs and nothing but our own pages is asked
// for. The same markup shown as it is reaches the world, so that the test sees what it should.
func TestHostileMailInABrowser(t *testing.T) {
	raw, err := os.ReadFile("../../../testdata/mail/hostile-html.eml")
	if err != nil {
		t.Fatal(err)
	}
	v, m := safe.New(raw)
	doc, ok := safe.Document(m, safe.Words{Lang: text.Ja, Title: "本文", Image: "画像：", Target: "リンク先：", Differs: "表示と異なります。", Cut: "…"})
	if !ok {
		t.Fatal("the mail has no markup")
	}
	set, err := New(time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc(AssetPattern, Assets)
	mux.HandleFunc("GET /mail/m1", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if err := set.Render(w, "mail", frame(text.Ja, "mail", "person"), mailBody{Item: items()[0], View: &v, FrameURL: "/mail/m1/body", Offers: []string{"release"}}); err != nil {
			t.Error(err)
		}
	})
	mux.HandleFunc("GET /mail/m1/body", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", safe.FramePolicy())
		_, _ = w.Write([]byte(doc))
	})
	mux.HandleFunc("GET /as-it-is", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		source, _ := mime.Source(m, &m.Parts[0])
		_, _ = w.Write([]byte(source))
	})
	site := httptest.NewServer(mux)
	defer site.Close()
	out := world(t)
	b := browser.Start(t, strings.TrimPrefix(out.URL, "http://"))

	for _, noScript := range []bool{false, true} {
		view := browser.Desk("ja")
		view.NoScript = noScript
		tab := b.Tab(t, view)
		tab.Go(site.URL + "/mail/m1")
		browser.Eval[bool](tab, "document.querySelectorAll('details').forEach(d => d.open = true), true")
		browser.Eval[bool](tab, "document.querySelector('iframe').scrollIntoView(), true")
		shown := false
		for range 1000 {
			if shown = slices.Contains(tab.Frames(), site.URL+"/mail/m1/body"); shown {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
		if !shown {
			t.Error("the frame is not shown")
		}
		seen := tab.Requests()
		tab.Shot("hostile")
		tab.Go(site.URL + "/mail/m1/body")
		text := tab.Text()
		for _, want := range []string{"平素より大変お世話になっております。", "見えない文字", "敬具", "[画像：ロゴ]", "表示と異なります。 リンク先：http://evil.test/phish"} {
			if !strings.Contains(text, want) {
				t.Errorf("no %q in the mail as it is shown:\n%s", want, text)
			}
		}
		tab.Shot("hostile-alone")
		if n := browser.Eval[int](tab, "document.querySelectorAll('script,img,svg,iframe,object,embed,form,input,button,link,base,video,audio,a,[style],[background],[onload]').length"); n != 0 {
			t.Errorf("%d elements that should not be there", n)
		}
		if at := tab.Location(); at != site.URL+"/mail/m1/body" {
			t.Errorf("led away to %s", at)
		}
		if browser.Eval[bool](tab, "'ran' in window") {
			t.Error("a script of the mail ran")
		}
		if foreign := browser.Own(append(seen, tab.Requests()...), site.URL); len(foreign) > 0 {
			t.Errorf("asked for %v", foreign)
		}
		if f := tab.Faults(); len(f) > 0 {
			t.Error(f)
		}
	}
	if came := out.visits(); len(came) > 0 {
		t.Errorf("reached the world: %v", came)
	}
	tab := b.Tab(t, browser.Desk("ja"))
	tab.Go(site.URL + "/as-it-is")
	for range 1000 {
		if len(out.visits()) > 0 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Error("the mail as it is reaches nothing: the test would see nothing")
}
