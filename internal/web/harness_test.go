package web

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sekimori/internal/audit"
	"sekimori/internal/config"
	"sekimori/internal/link"
	"sekimori/internal/mail"
	"sekimori/internal/people"
	"sekimori/internal/store"
	"sekimori/internal/web/login"
	"sekimori/internal/web/session"
	"sekimori/quarantine"
	"sekimori/quarantine/acts"
	"sekimori/reputation"
)

// world is a site with real sessions, links and rates, over held mail and acts that note what is asked of them.
type world struct {
	t        *testing.T
	site     *Site
	srv      *httptest.Server
	sessions *session.Store
	keys     *link.Keys
	choices  *people.Store
	clock    *clock
	cfg      *config.Config
	store    store.Client

	mu      sync.Mutex
	held    map[string]quarantine.Item
	done    []string // "act id by name"
	looks   []audit.Entry
	tallies []audit.Entry
	lists   []string
	reviews []string // "id note"
	fail    error

	progress string        // of every bulk act: done
	earlier  *acts.Earlier // who did before what is asked for

	users string // file
}

// everybody is a directory that knows nobody's password, and whose people stay in.
type everybody struct{}

func (everybody) Login(context.Context, string, string) (login.Account, error) {
	return login.Account{}, login.ErrRefused
}

func (everybody) Still(context.Context, string, string, time.Time) bool { return true }

type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.t }

func (c *clock) add(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.t = c.t.Add(d) }

func newWorld(t *testing.T, change ...func(*config.Config)) *world {
	t.Helper()
	w := &world{t: t, clock: &clock{t: time.Now()}, users: filepath.Join(t.TempDir(), "users"), held: map[string]quarantine.Item{}, progress: "done", cfg: config.Default()}
	for _, f := range change {
		f(w.cfg)
	}
	st, err := store.Open(t.Context(), store.Options{Now: w.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	w.store = st.Client()
	w.sessions = session.New(session.Options{Client: st.Client(), Idle: 30 * time.Minute, Lifetime: 12 * time.Hour, Now: w.clock.now})
	w.keys, err = link.New(link.Options{Store: st.Client(), Lifetime: 14 * 24 * time.Hour, Rotation: 30 * 24 * time.Hour, Now: w.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	rates := reputation.NewRates(st.Client(), w.clock.now)
	w.choices = people.NewStore(st.Client(), w.clock.now, nil)
	w.site, err = NewSite(Options{
		Config: func() *config.Config { return w.cfg }, Sessions: w.sessions, Links: w.keys, People: w, Quarantine: w, Acts: w, Audit: auditOf{w}, Lists: w, Choices: w.choices,
		Logins: login.New(func() string { return w.users }, everybody{}, slog.New(slog.DiscardHandler)), Tries: login.Backoff{Client: st.Client(), Now: w.clock.now},
		Limit: func(ctx context.Context, key string, r config.Rate) (time.Duration, error) {
			taken, err := rates.Take(ctx, []reputation.Limit{{Key: key, Burst: r.Count, Period: r.Period}})
			if err != nil || !taken[0].Exceeded {
				return 0, err
			}
			return taken[0].Retry, nil
		},
		Status: &Status{
			Hostname: "mx.test", Version: "1", Listen: func() []string { return nil }, Numbers: func() Numbers { return Numbers{Queued: 1, Held: 2} },
			Symbols: func(context.Context) SymbolPage {
				return SymbolPage{Days: 7, At: w.clock.now(), Counted: true, Symbols: []SymbolRow{
					{Name: "SPF_FAIL", Where: "spf", Ja: "送信元が許可されていません。", En: "The server is not allowed", Score: 2, Default: 1.5, Hits: 12, Released: 3}, {Name: "RDNS_NONE", Where: "rdns", Ja: "逆引きがありません。", En: "No reverse name"},
				}, Rules: []SymbolRow{{Name: "ONLY_JAPANESE", Where: "a.toml:1", Ja: "日本語だけの説明です。", Observed: 2}}}
			},
			Health: NewHealth(func() error { return nil }, func() []string { return nil }, func() []string { return nil }),
		},
		Log: slog.New(slog.DiscardHandler), Now: w.clock.now,
	})
	if err != nil {
		t.Fatal(err)
	}
	w.srv = httptest.NewServer(w.site.Handler())
	t.Cleanup(func() { w.srv.Close(); w.site.Close() })
	for id, rcpt := range map[string]string{"m1": "taro@example.jp", "m2": "taro@example.jp", "m3": "hanako@example.jp", "m4": "sales@example.jp"} {
		w.held[id] = quarantine.Item{
			Held:   quarantine.Held{ID: id, Class: "spam", Rcpts: []mail.Address{addr(rcpt)}, Subject: "subject of " + id, Time: w.clock.now()},
			States: []quarantine.RcptState{{Rcpt: addr(rcpt), State: quarantine.StateHeld}},
		}
	}
	return w
}

func addr(s string) mail.Address {
	var a mail.Address
	_ = a.UnmarshalText([]byte(s))
	return a
}

// Person implements people.Finder: taro looks after sales.
func (w *world) Person(_ context.Context, a mail.Address) (people.Person, bool) {
	if a.Domain != "example.jp" {
		return people.Person{}, false
	}
	p := people.Person{Address: a, Lang: "en"}
	if a.Local == "taro" {
		p.Boxes = []mail.Address{addr("sales@example.jp")}
	}
	return p, true
}

func (w *world) AskReview(_ context.Context, id, note string) error {
	w.reviews = append(w.reviews, id+" "+note)
	return nil
}

func (w *world) List(context.Context, quarantine.Query) (quarantine.Page, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var p quarantine.Page
	for _, i := range w.held {
		p.Items = append(p.Items, i)
	}
	return p, nil
}

func (w *world) ListFor(ctx context.Context, who []mail.Address, q quarantine.Query) (quarantine.Page, error) {
	p, err := w.List(ctx, q)
	p.Items = slices.DeleteFunc(p.Items, func(i quarantine.Item) bool { return !i.For(who) })
	return p, err
}

func (w *world) Show(_ context.Context, a acts.Actor, id string) (acts.Item, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	i, ok := w.held[id]
	if !ok || a.Role == acts.Person && !i.For(a.Addresses) {
		return acts.Item{}, acts.ErrNotFound
	}
	return acts.Item{Item: i, Mine: i.Rcpts}, nil
}

func (w *world) Body(ctx context.Context, a acts.Actor, id string) (mail.Content, func(), error) {
	if _, err := w.Show(ctx, a, id); err != nil {
		return nil, nil, err
	}
	if a.Role == acts.Person {
		return mail.Content{[]byte("Content-Type: text/html\r\n\r\n<p>body<a href=http://evil.example/>x</a>\r\n")}, func() {}, nil
	}
	return mail.Content{[]byte("Subject: x\r\n\r\nbody\r\n")}, func() {}, w.Append(ctx, audit.Entry{Act: "look", Actor: a.Name, IDs: []string{id}})
}

func (w *world) did(a acts.Actor, act string, ids ...string) (acts.Receipt, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fail != nil {
		return acts.Receipt{}, w.fail
	}
	if w.earlier != nil {
		return acts.Receipt{ID: act + "-" + strings.Join(ids, "."), Act: act, Mails: ids, At: w.clock.now(), Earlier: w.earlier}, nil
	}
	w.done = append(w.done, act+" "+strings.Join(ids, ",")+" by "+a.Name)
	return acts.Receipt{ID: act + "-" + strings.Join(ids, "."), Act: act, Mails: ids, UndoUntil: w.clock.now().Add(time.Minute), Changed: true}, nil
}

func (w *world) acts() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.done)
}

func (w *world) Release(_ context.Context, a acts.Actor, id string, _ []mail.Address, o acts.How) (acts.Receipt, error) {
	if o.Allow {
		return w.did(a, "allow", id)
	}
	return w.did(a, "release", id)
}

func (w *world) Delete(_ context.Context, a acts.Actor, id string, _ []mail.Address) (acts.Receipt, error) {
	return w.did(a, "delete", id)
}

func (w *world) ReportSpam(_ context.Context, a acts.Actor, id string, _ []mail.Address) (acts.Receipt, error) {
	return w.did(a, "report-spam", id)
}

func (w *world) Ask(_ context.Context, a acts.Actor, id, note string) (acts.Receipt, error) {
	return w.did(a, "ask", id, note)
}

func (w *world) Undo(_ context.Context, a acts.Actor, receipt string) (acts.Receipt, error) {
	r, err := w.did(a, "undo", receipt)
	r.ID, r.Undone = receipt, true
	return r, err
}

func (w *world) Receipt(_ context.Context, _ acts.Actor, receipt string) (acts.Receipt, error) {
	act, ids, ok := strings.Cut(receipt, "-")
	if !ok {
		return acts.Receipt{}, acts.ErrNotFound
	}
	return acts.Receipt{ID: receipt, Act: act, Mails: strings.Split(ids, "."), UndoUntil: w.clock.now().Add(time.Minute)}, nil
}

func (w *world) Allows(context.Context, acts.Actor, ...mail.Address) ([]reputation.Allow, error) {
	return []reputation.Allow{{ID: "a1", Domain: "example.org"}}, nil
}

func (w *world) Revoke(_ context.Context, a acts.Actor, id string) error {
	_, err := w.did(a, "revoke", id)
	return err
}

func (w *world) Similar(context.Context, acts.Actor, string) (acts.Similar, error) {
	return acts.Similar{IDs: []string{"m2", "m4"}}, nil
}

func (w *world) Preview(_ context.Context, _ acts.Actor, q acts.BulkQuery) (acts.Plan, error) {
	return acts.Plan{ID: q.Act + "-" + strings.Join(q.IDs, "."), Query: q, Count: len(q.IDs)}, nil
}

func (w *world) Bulk(_ context.Context, a acts.Actor, plan string) (acts.Receipt, error) {
	act, ids, _ := strings.Cut(plan, "-")
	return w.did(a, "bulk."+act, strings.Split(ids, ".")...)
}

func (w *world) Reviews(context.Context) ([]quarantine.Item, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []quarantine.Item
	for _, i := range w.held {
		if i.Review != nil {
			list = append(list, i)
		}
	}
	return list, nil
}

func (w *world) Progress(_ context.Context, _ acts.Actor, receipt string) (acts.Progress, error) {
	return acts.Progress{ID: receipt, State: w.progress, Total: 120, Done: 50}, nil
}

// Asks: somebody asks for m3.
func (w *world) Asks(ctx context.Context, a acts.Actor) ([]acts.Question, error) {
	i, err := w.Show(ctx, a, "m3")
	return []acts.Question{{Item: i, Asked: asked}}, err
}

var asked = []acts.Asked{{ID: "m3", By: "hanako@example.jp", Note: "an invoice", At: time.Unix(1_800_000_000, 0)}}

func (w *world) Talk(_ context.Context, _ acts.Actor, id string) ([]acts.Asked, *acts.Answered, error) {
	if id == "m3" {
		return asked, nil, nil
	}
	return nil, nil, nil
}

func (w *world) Answer(_ context.Context, a acts.Actor, id, note string) error {
	_, err := w.did(a, "answer", id, note)
	return err
}

// Append keeps what the audit log is told.
func (w *world) Append(_ context.Context, e audit.Entry) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.looks = append(w.looks, e)
	return nil
}

// Tally keeps what the audit log is told of machines.
func (w *world) Tally(_ context.Context, e audit.Entry, n int) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	e.Count = n
	w.tallies = append(w.tallies, e)
	return nil
}

// SendListNow implements ListSender.
func (w *world) SendListNow(_ context.Context, a mail.Address) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lists = append(w.lists, a.String())
	return nil
}

// auditOf is the world as an AuditLog: List has another meaning there.
type auditOf struct{ *world }

func (a auditOf) List(context.Context, audit.Query) (audit.Page, error) { return audit.Page{}, nil }

// token makes a link's token.
func (w *world) token(person, id string) string {
	w.t.Helper()
	token, err := w.keys.Sign(w.t.Context(), link.Claim{Person: addr(person), ID: id, Action: "show"})
	if err != nil {
		w.t.Fatal(err)
	}
	return token
}

// browser keeps cookies and follows redirects.
type browser struct {
	w *world
	c *http.Client
}

func (w *world) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return &browser{w, &http.Client{Jar: jar}}
}

// signedIn is a browser with a console session of a role.
func (w *world) signedIn(role string) *browser {
	w.t.Helper()
	b := w.browser()
	n, err := w.sessions.Begin(w.t.Context(), session.Session{Kind: session.Console, Name: role + "-name", Role: role, Lang: "en", Via: "ldap"}, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	u, _ := url.Parse(w.srv.URL)
	b.c.Jar.SetCookies(u, []*http.Cookie{{Name: w.site.cookieName(session.Console), Value: n.ID, Path: "/"}})
	return b
}

type answer struct {
	code   int
	body   string
	header http.Header
	path   string // after redirects
}

func (b *browser) do(method, path string, form url.Values, headers ...string) answer {
	b.w.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(b.w.t.Context(), method, b.w.srv.URL+path, body)
	if err != nil {
		b.w.t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	req.Header.Set("Accept-Language", "en")
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := b.c.Do(req)
	if err != nil {
		b.w.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.w.t.Fatal(err)
	}
	return answer{resp.StatusCode, string(text), resp.Header, resp.Request.URL.Path}
}

func (b *browser) get(path string) answer { b.w.t.Helper(); return b.do("GET", path, nil) }

var nonceField = regexp.MustCompile(`name="nonce" value="([^"]+)"`)

// post sends a form with a nonce from the page at from.
func (b *browser) post(from, path string, fields ...string) answer {
	b.w.t.Helper()
	form := url.Values{}
	if from != "" {
		m := nonceField.FindStringSubmatch(b.get(from).body)
		if m == nil {
			b.w.t.Fatalf("%s has no nonce", from)
		}
		form.Set("nonce", m[1])
	}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Add(fields[i], fields[i+1])
	}
	return b.do("POST", path, form)
}

func (w *world) want(what string, got answer, code int, texts ...string) {
	w.t.Helper()
	if got.code != code {
		w.t.Errorf("%s: status %d, want %d\n%s", what, got.code, code, got.body)
	}
	for _, s := range texts {
		if !strings.Contains(got.body, s) {
			w.t.Errorf("%s: %q is missing in\n%s", what, s, got.body)
		}
	}
}

func (w *world) wantActs(want ...string) {
	w.t.Helper()
	if got := w.acts(); !slices.Equal(got, want) {
		w.t.Errorf("acts %q, want %q", got, want)
	}
}
