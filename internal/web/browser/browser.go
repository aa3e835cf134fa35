// Package browser drives Debian's Chromium for tests of the pages. Only tests import it.
//
// The browser resolves no name and reaches loopback alone. Where it is not installed a test is skipped and says so; with
// SEKIMORI_REQUIRE_REAL=1 it fails. Pictures of pages are kept in the folder that SEKIMORI_SHOTS names.
package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience bounds one step; a busy machine needs it.
const patience = 20 * time.Second

// Browser is one running Chromium. It ends with the test.
type Browser struct{ ctx context.Context }

// Start runs Chromium with a profile of its own, or skips the test. elsewhere is a host:port on loopback that the names below .test
// lead to; "": nowhere. All other names lead nowhere, so that what the browser does by itself reaches nobody.
func Start(t *testing.T, elsewhere string) *Browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		need(t, "chromium is not installed")
	}
	names := ""
	if elsewhere != "" {
		names = "MAP *.test " + elsewhere + ", "
	}
	alloc, stop := chromedp.NewExecAllocator(context.Background(),
		chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.Flag("headless", "new"), chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
		// The pages come from a server of the test; the tests may run as root, where the sandbox does not.
		chromedp.NoSandbox, chromedp.DisableGPU, chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("host-resolver-rules", names+"MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-background-networking", true), chromedp.Flag("no-pings", true),
		chromedp.Flag("disable-sync", true), chromedp.Flag("hide-scrollbars", true))
	ctx, cancel := chromedp.NewContext(alloc)
	t.Cleanup(func() {
		cancel()
		stop()
	})
	if err := chromedp.Do(ctx); err != nil {
		need(t, "chromium does not run: "+err.Error())
	}
	return &Browser{ctx}
}

func need(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("SEKIMORI_REQUIRE_REAL") == "1" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// View is how a page is looked at.
type View struct {
	Name          string
	Width, Height int64
	Phone         bool
	NoScript      bool
	Dark          bool
	Lang          string // Accept-Language
}

// Desk and Phone are the usual ones.
func Desk(lang string) View { return View{Name: "desk", Width: 1280, Height: 900, Lang: lang} }

// Phone is a small one.
func Phone(lang string) View {
	return View{Name: "phone", Width: 390, Height: 844, Phone: true, Lang: lang}
}

// Tab is one tab with cookies of its own. Not safe for concurrent use.
type Tab struct {
	t    *testing.T
	ctx  context.Context
	view View

	mu       sync.Mutex
	requests []string
	faults   []string // exceptions, console errors, dialogs
}

// Tab opens one.
func (b *Browser) Tab(t *testing.T, v View) *Tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	tab := &Tab{t: t, ctx: ctx, view: v}
	scheme := "light"
	if v.Dark {
		scheme = "dark"
	}
	for _, err := range []error{
		chromedp.Listen(ctx, tab.event),
		call(ctx, network.Enable, network.EnableParams{}),
		call(ctx, network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{Headers: network.Headers{"Accept-Language": v.Lang}}),
		call(ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: v.Width, Height: v.Height, DeviceScaleFactor: 1, Mobile: v.Phone}),
		call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}),
		call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: v.NoScript}),
	} {
		if err != nil {
			t.Fatalf("browser: %v", err)
		}
	}
	return tab
}

func call[P, R any](ctx context.Context, c cdp.Command[P, R], params P) error {
	_, err := chromedp.Call(ctx, c, params)
	return err
}

func (b *Tab) event(ev any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := ev.(type) {
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, e.Request.URL)
	case *network.EventWebSocketCreated:
		b.requests = append(b.requests, e.URL)
	case *runtime.EventExceptionThrown:
		b.faults = append(b.faults, "exception: "+fmt.Sprintf("%s %+v", e.ExceptionDetails.Text, e.ExceptionDetails.Exception))
	case *runtime.EventConsoleAPICalled:
		if e.Type == "error" {
			b.faults = append(b.faults, fmt.Sprintf("console: %s", e.Args[0].Value))
		}
	case *page.EventJavascriptDialogOpening:
		b.faults = append(b.faults, "dialog: "+e.Message)
		go func() { _ = call(b.ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{}) }()
	}
}

// Requests returns all URLs that were asked for since the last call.
func (b *Tab) Requests() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.requests
	b.requests = nil
	return r
}

// Faults returns what ran and should not have, or failed, since the last call.
func (b *Tab) Faults() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.faults
	b.faults = nil
	return f
}

func do[T any](b *Tab, what string, a chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, a)
	if err != nil {
		b.t.Fatalf("browser (%s): %s: %v\n%s", b.view.Name, what, err, b.where())
	}
	return v
}

func (b *Tab) where() string {
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
	defer cancel()
	s, _ := chromedp.Run(ctx, chromedp.Evaluate[string]("location.href + '\\n' + document.body.innerText"))
	return s
}

// Go opens an address.
func (b *Tab) Go(url string) { b.t.Helper(); do(b, url, chromedp.Navigate(url)) }

// Click clicks with the mouse in the middle of the first element that a CSS selector finds.
func (b *Tab) Click(selector string) {
	b.t.Helper()
	do(b, selector, chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible))
}

// Send clicks and waits for the page that follows.
func (b *Tab) Send(selector string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if _, err := chromedp.RunResponse(ctx, chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible)); err != nil {
		b.t.Fatalf("browser (%s): %s: %v\n%s", b.view.Name, selector, err, b.where())
	}
}

// Type types into a field.
func (b *Tab) Type(selector, s string) {
	b.t.Helper()
	do(b, selector, chromedp.SendKeys(chromedp.CSS(selector), s))
}

// Eval runs a script of the test, also where the page may run none.
func Eval[T any](b *Tab, script string) T {
	b.t.Helper()
	return do(b, script[:min(len(script), 80)], chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
}

// Text returns what is to be read on the page.
func (b *Tab) Text() string { b.t.Helper(); return Eval[string](b, "document.body.innerText") }

// Location returns the address of the page.
func (b *Tab) Location() string { b.t.Helper(); return Eval[string](b, "location.href") }

// Frames returns the addresses of the frames that have an origin of their own and are loaded.
func (b *Tab) Frames() []string {
	b.t.Helper()
	all, err := chromedp.Targets(b.ctx)
	if err != nil {
		b.t.Fatalf("browser: %v", err)
	}
	var list []string
	for _, x := range all {
		if x.Type == "iframe" {
			list = append(list, x.URL)
		}
	}
	return list
}

// Until waits until a script says true.
func (b *Tab) Until(script string) {
	b.t.Helper()
	deadline := time.Now().Add(patience)
	for !Eval[bool](b, script) {
		if time.Now().After(deadline) {
			b.t.Fatalf("browser (%s): never %s\n%s", b.view.Name, script, b.where())
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// Shot takes a picture of the whole page into the folder that SEKIMORI_SHOTS names; without one nothing.
func (b *Tab) Shot(name string) {
	b.t.Helper()
	dir := os.Getenv("SEKIMORI_SHOTS")
	if dir == "" {
		return
	}
	png := do(b, "picture", chromedp.FullScreenshot(100))
	if err := os.WriteFile(filepath.Join(dir, name+"-"+b.view.Name+".png"), png, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// Wide reports by how many pixels the page is wider than the screen.
func (b *Tab) Wide() int {
	b.t.Helper()
	return Eval[int](b, "document.documentElement.scrollWidth - document.documentElement.clientWidth")
}

// Axe is the checker's source. It is not part of the project: .ci/run puts it where SEKIMORI_AXE says, and without it the test is
// skipped.
func Axe(t *testing.T) string {
	t.Helper()
	file := os.Getenv("SEKIMORI_AXE")
	if file == "" {
		need(t, "SEKIMORI_AXE does not name axe-core's axe.min.js")
	}
	b, err := os.ReadFile(file)
	if err != nil {
		need(t, err.Error())
	}
	return string(b)
}

// Violations are what axe-core finds against WCAG 2.1 A and AA on the page, one line each.
func (b *Tab) Violations(axe string) []string {
	b.t.Helper()
	Eval[bool](b, axe+";true")
	out := Eval[string](b, `axe.run(document, {iframes: false, runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}).then(r => JSON.stringify(
		r.violations.flatMap(v => v.nodes.map(n => v.id + ": " + n.target.join(" ") + ": " + n.failureSummary.replace(/\s+/g, " ")))))`)
	var list []string
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		b.t.Fatalf("axe-core: %v in %q", err, out)
	}
	return list
}

// Small lists what can be clicked and is smaller than 44 pixels: controls and links outside of sentences.
func (b *Tab) Small() []string {
	b.t.Helper()
	return Eval[[]string](b, `[...document.querySelectorAll("button, .button, input:not([type=hidden]), select, textarea, summary, nav a")].map(e => {
		const box = (e.closest("label.choice, td.pick label") || e).getBoundingClientRect();
		return box.width > 0 && (box.height < 43.5 || box.width < 43.5) ? e.outerHTML.slice(0, 100) + " " + box.width + "x" + box.height : "";
	}).filter(s => s)`)
}

// Own reports the requests that are not to the test's own server. What stands in the page itself (data:) is no request.
func Own(requests []string, origin string) (foreign []string) {
	for _, r := range requests {
		if !strings.HasPrefix(r, origin+"/") && !strings.HasPrefix(r, "data:") {
			foreign = append(foreign, r)
		}
	}
	return foreign
}

// Cookie sets a cookie for an address.
func (b *Tab) Cookie(url, name, value string) {
	b.t.Helper()
	if err := call(b.ctx, network.SetCookie, network.SetCookieParams{Name: name, Value: value, URL: url}); err != nil {
		b.t.Fatalf("browser: %v", err)
	}
}
