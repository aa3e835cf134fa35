package web

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/link"
)

// TestLinkOpensWhatItSays: a link to one mail opens that mail and nothing else; a link to the list opens all of the person's.
func TestLinkOpensWhatItSays(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	got := b.get("/q/" + w.token("taro@example.jp", "m1"))
	w.want("the link", got, 200, "subject of m1")
	if got.path != "/mail/m1" {
		t.Errorf("the token stays in the address bar: %s", got.path)
	}
	for _, other := range []string{"/mail/m2", "/mail/m3", "/mail/m4", "/mail/nothing"} {
		w.want(other, b.get(other), 404)
	}
	list := b.get("/")
	w.want("the list of a limited session", list, 200, "subject of m1")
	if strings.Contains(list.body, "subject of m2") {
		t.Error("the list shows more than the link opened")
	}
	// Another link of the same person adds to the session, one of somebody else replaces it.
	w.want("a second link", b.get("/q/"+w.token("taro@example.jp", "m2")), 200, "subject of m2")
	w.want("the first mail", b.get("/mail/m1"), 200)
	w.want("hanako's link", b.get("/q/"+w.token("hanako@example.jp", "m3")), 200, "subject of m3")
	w.want("taro's mail for hanako", b.get("/mail/m1"), 404)
	// A link whose person does not own its mail opens nothing, however well it is signed.
	w.want("a link to somebody else's mail", w.browser().get("/q/"+w.token("taro@example.jp", "m3")), 404)

	b = w.browser()
	got = b.get("/q/" + w.token("taro@example.jp", ""))
	w.want("the list", got, 200, "subject of m1", "subject of m2", "subject of m4")
	if strings.Contains(got.body, "subject of m3") {
		t.Error("somebody else's mail is listed")
	}
	w.want("the shared mailbox", b.get("/mail/m4"), 200)
	w.want("somebody else's mail", b.get("/mail/m3"), 404)
	w.wantActs()
}

func TestLinkOpensList(t *testing.T) {
	w := newWorld(t, func(c *config.Config) { c.Quarantine.LinkOpens = "list" })
	b := w.browser()
	w.want("the link", b.get("/q/"+w.token("taro@example.jp", "m1")), 200, "subject of m1")
	w.want("another mail", b.get("/mail/m2"), 200)
	w.want("somebody else's", b.get("/mail/m3"), 404)
}

// TestRefusedLinks: each has a page that says what is wrong, and opens nothing.
func TestRefusedLinks(t *testing.T) {
	w := newWorld(t)
	token := w.token("taro@example.jp", "m1")
	other, err := link.New(link.Options{File: "a key that nobody here knows of", Lifetime: time.Hour, Now: w.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := other.Sign(t.Context(), link.Claim{Person: addr("taro@example.jp"), ID: "m1", Action: "show"})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		token, says string
		code        int
	}{
		"forged":  {strings.Repeat("A", 120), "cannot be opened", 404},
		"altered": {token[:30] + "A" + token[31:], "cannot be opened", 404},
		"cut":     {token[:40], "cannot be opened", 404},
		"foreign": {foreign, "too old", 410},
	} {
		b := w.browser()
		w.want(name, b.do("GET", "/q/"+c.token, nil, "Accept-Language", "en"), c.code, c.says)
		if u, _ := url.Parse(w.srv.URL); len(b.c.Jar.Cookies(u)) != 0 {
			t.Errorf("%s: a session was begun", name)
		}
	}
	w.clock.add(15 * 24 * time.Hour)
	w.want("expired", w.browser().do("GET", "/q/"+token, nil, "Accept-Language", "en"), 410, "has expired")
	w.want("expired, ja", w.browser().do("GET", "/q/"+token, nil, "Accept-Language", "ja"), 410, "有効期限は過ぎています")
	if n := w.site.Counters.Refused.Load(); n != 6 {
		t.Errorf("%d refused links are counted", n)
	}
}

func TestActing(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	b.get("/q/" + w.token("taro@example.jp", "m1"))
	w.want("without a choice", b.post("/mail/m1", "/mail/m1"), 422, "Nothing was chosen")
	w.want("two choices", b.post("/mail/m1", "/mail/m1", "act", "release", "act", "delete"), 422)
	w.want("a choice that is none", b.post("/mail/m1", "/mail/m1", "act", "format"), 422)
	w.want("without a nonce", b.post("", "/mail/m1", "act", "release"), 403)
	w.want("a mail that the link does not open", b.post("/mail/m1", "/mail/m2", "act", "release"), 404)
	w.want("somebody else's mail", b.post("/mail/m1", "/mail/m3", "act", "release"), 404)
	w.wantActs()

	page := b.get("/mail/m1").body
	nonce := nonceField.FindStringSubmatch(page)[1]
	form := url.Values{"act": {"release"}, "nonce": {nonce}}
	for range 3 { // sent three times, done once, and each is shown the result
		got := b.do("POST", "/mail/m1", form)
		w.want("release", got, 200)
		if got.path != "/done/release-m1" {
			t.Errorf("led to %s", got.path)
		}
	}
	w.wantActs("release m1 by taro@example.jp")
	w.want("the nonce for another form", b.do("POST", "/done/release-m1", url.Values{"act": {"undo"}, "nonce": {nonce}}), 403)
	w.want("undo without a choice", b.post("/done/release-m1", "/done/release-m1"), 422)
	w.want("undo", b.post("/done/release-m1", "/done/release-m1", "act", "undo"), 200)
	w.wantActs("release m1 by taro@example.jp", "undo release-m1 by taro@example.jp")
	w.want("the receipt of a mail that the session does not open", b.get("/done/release-m2"), 404)
	w.want("similar ones that the session does not open", b.post("/done/release-m1", "/done/release-m1", "act", "similar", "id", "m2"), 422)
}

// TestFailedActCanBeRepeated: a form whose act failed is not used up.
func TestFailedActCanBeRepeated(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	b.get("/q/" + w.token("taro@example.jp", "m1"))
	form := url.Values{"act": {"delete"}, "nonce": {nonceField.FindStringSubmatch(b.get("/mail/m1").body)[1]}}
	w.fail = http.ErrServerClosed
	got := b.do("POST", "/mail/m1", form)
	w.want("the store is away", got, 503)
	if strings.Contains(got.body, http.ErrServerClosed.Error()) {
		t.Error("the cause is shown")
	}
	w.fail = nil
	w.want("again", b.do("POST", "/mail/m1", form), 200)
	w.wantActs("delete m1 by taro@example.jp")
}

func TestListActs(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	b.get("/q/" + w.token("taro@example.jp", ""))
	w.want("nothing selected", b.post("/", "/mails", "act", "delete"), 422)
	w.want("nothing chosen", b.post("/", "/mails", "id", "m1"), 422)
	w.want("two of them", b.post("/", "/mails", "act", "delete", "id", "m1", "id", "m2"), 200)
	w.want("and the similar ones", b.post("/done/release-m1", "/done/release-m1", "act", "similar", "id", "m2", "id", "m4"), 200)
	w.wantActs("bulk.delete m1,m2 by taro@example.jp", "bulk.release m2,m4 by taro@example.jp")
}

// TestOtherSites: a form that another site sends is refused, with a session and with a valid nonce.
func TestOtherSites(t *testing.T) {
	w := newWorld(t, func(c *config.Config) { c.HTTP.PublicURL = "http://guard.example.jp" })
	b := w.browser()
	b.get("/q/" + w.token("taro@example.jp", "m1"))
	for _, headers := range [][]string{
		{"Sec-Fetch-Site", "cross-site"},
		{"Sec-Fetch-Site", "same-site"},
		{"Sec-Fetch-Site", "", "Origin", "https://evil.example"},
		{"Sec-Fetch-Site", "", "Origin", "null"},
	} {
		form := url.Values{"act": {"release"}, "nonce": {nonceField.FindStringSubmatch(b.get("/mail/m1").body)[1]}}
		w.want(strings.Join(headers, " "), b.do("POST", "/mail/m1", form, headers...), 403, "another site")
	}
	w.wantActs()
	form := url.Values{"act": {"release"}, "nonce": {nonceField.FindStringSubmatch(b.get("/mail/m1").body)[1]}}
	w.want("through a proxy that changes Host", b.do("POST", "/mail/m1", form, "Sec-Fetch-Site", "", "Origin", "http://guard.example.jp"), 200)
	w.wantActs("release m1 by taro@example.jp")
}

func TestHeaders(t *testing.T) {
	w := newWorld(t, func(c *config.Config) { c.HTTP.PublicURL = "https://guard.example.jp" })
	b := w.browser()
	b.c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for path, code := range map[string]int{"/": 200, "/admin/": 200, "/q/" + w.token("taro@example.jp", "m1"): 303, "/q/x": 404, "/none": 404} {
		got := b.get(path)
		w.want(path, got, code)
		csp := got.header.Get("Content-Security-Policy")
		if strings.Contains(csp, "unsafe") || !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") ||
			got.header.Get("X-Content-Type-Options") != "nosniff" || got.header.Get("Cache-Control") != "no-store" ||
			strings.HasPrefix(path, "/q/") != (got.header.Get("Referrer-Policy") == "no-referrer") {
			t.Errorf("%s: %v", path, got.header)
		}
		if code == 303 {
			c := got.header.Get("Set-Cookie")
			for _, part := range []string{"__Host-sekimori=", "Path=/", "Secure", "HttpOnly", "SameSite=Lax"} {
				if !strings.Contains(c, part) {
					t.Errorf("the cookie %s has no %s", c, part)
				}
			}
			if strings.Contains(c, "Domain") || strings.Contains(c, "Expires") {
				t.Errorf("the cookie: %s", c)
			}
		}
	}
}

// TestMachines: HEAD and prefetch begin no session; a burst is counted as a machine, a person's two openings are not.
func TestMachines(t *testing.T) {
	w := newWorld(t)
	link := func(id string) string { return "/q/" + w.token("taro@example.jp", id) }
	for _, look := range []func(b *browser) answer{
		func(b *browser) answer { return b.do("HEAD", link("m1"), nil) },
		func(b *browser) answer { return b.do("GET", link("m1"), nil, "Sec-Purpose", "prefetch;prerender") },
		func(b *browser) answer { return b.do("GET", link("m1"), nil, "X-Moz", "prefetch") },
	} {
		b := w.browser()
		w.want("a look ahead", look(b), 204)
		if u, _ := url.Parse(w.srv.URL); len(b.c.Jar.Cookies(u)) != 0 {
			t.Error("a session was begun")
		}
	}
	if n := w.site.Counters.Machine.Load(); n != 3 {
		t.Errorf("%d machines", n)
	}
	one, two := link("m1"), link("m2")
	w.clock.add(5 * time.Minute)
	w.browser().get(one)
	w.browser().get(two)
	if n := w.site.Counters.Machine.Load(); n != 3 {
		t.Errorf("a person is counted as a machine: %d", n)
	}
	w.clock.add(time.Minute)
	one, two = link("m1"), link("m2")
	w.browser().get(one)
	w.browser().get(two)
	if n := w.site.Counters.Machine.Load(); n != 4 {
		t.Errorf("two links right after delivery: %d", n)
	}
	w.clock.add(time.Hour)
	var burst []string
	for _, id := range []string{"m1", "m2", "m4", ""} {
		burst = append(burst, link(id))
	}
	w.clock.add(time.Hour)
	for _, l := range burst {
		w.browser().get(l)
	}
	if n := w.site.Counters.Machine.Load(); n != 5 {
		t.Errorf("a burst: %d", n)
	}
	w.wantActs()
	var got []string
	for _, e := range w.tallies {
		if e.Role != "machine" || e.Act != "machine-open" || !slices.Equal(e.Rcpts, []string{"taro@example.jp"}) || !e.Peer.IsValid() {
			t.Errorf("the audit log has %+v", e)
		}
		got = append(got, strings.Join(e.IDs, ",")+" "+strconv.Itoa(e.Count))
	}
	if want := []string{"m1 1", "m1 1", "m1 1", "m2 2", " 4"}; !slices.Equal(got, want) {
		t.Errorf("the audit log has %q, want %q", got, want)
	}
}

// TestSearchRate: whoever searches without a pause is asked to wait, each for himself; the list as it is stays open.
func TestSearchRate(t *testing.T) {
	w := newWorld(t)
	admin, other, taro := w.signedIn("admin"), w.signedIn("auditor"), w.browser()
	taro.get("/q/" + w.token("taro@example.jp", ""))
	for range searches {
		w.want("a search", admin.get("/admin/mails?subject=x"), 200)
		w.want("a person's search", taro.get("/?subject=x"), 200)
	}
	got := admin.get("/admin/mails?subject=x")
	w.want("one more", got, 429)
	if got.header.Get("Retry-After") == "" {
		t.Error("it does not say when to come again")
	}
	w.want("one more of a person", taro.get("/?after=x"), 429)
	w.want("the audit log", admin.get("/admin/audit"), 429)
	w.want("the list", taro.get("/"), 200)
	w.want("another", other.get("/admin/mails"), 200)
	w.clock.add(time.Minute)
	w.want("a minute later", admin.get("/admin/mails?subject=x"), 200)
}

func TestClientAddress(t *testing.T) {
	s := &Site{o: Options{Config: func() *config.Config {
		return &config.Config{HTTP: config.HTTP{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("10.0.0.0/8")}}}
	}}}
	for _, c := range []struct{ remote, forwarded, want string }{
		{"192.0.2.1:5", "", "192.0.2.1"},
		{"192.0.2.1:5", "203.0.113.9", "192.0.2.1"},
		{"127.0.0.1:5", "", "127.0.0.1"},
		{"127.0.0.1:5", "203.0.113.9", "203.0.113.9"},
		{"127.0.0.1:5", "198.51.100.1, 203.0.113.9, 10.1.1.1", "203.0.113.9"},
		{"127.0.0.1:5", "10.9.9.9, 10.1.1.1", "10.9.9.9"},
		{"127.0.0.1:5", "203.0.113.9, nonsense", "127.0.0.1"},
		{"[::ffff:127.0.0.1]:5", "2001:db8::1", "2001:db8::1"},
		{"127.0.0.1:5", "203.0.113.9:4711", "203.0.113.9"},
	} {
		r := &http.Request{RemoteAddr: c.remote, Header: http.Header{}}
		if c.forwarded != "" {
			r.Header.Set("X-Forwarded-For", c.forwarded)
		}
		if got := s.client(r).String(); got != c.want {
			t.Errorf("%s through %q: %s, want %s", c.remote, c.forwarded, got, c.want)
		}
	}
	if network(netip.MustParseAddr("2001:db8::1")) != network(netip.MustParseAddr("2001:db8::2")) || network(netip.MustParseAddr("192.0.2.1")) == network(netip.MustParseAddr("192.0.2.2")) {
		t.Error("networks")
	}
}

// TestSendList: known, unknown and over the rate: the same answer.
func TestSendList(t *testing.T) {
	w := newWorld(t)
	send := func(address string) answer { return w.browser().post("", "/send-list", "address", address) }
	known := send("taro@example.jp")
	w.want("known", known, 200)
	for range 4 { // the last over the rate of the address
		again := send("taro@example.jp")
		if again.code != known.code || again.body != known.body {
			t.Errorf("an address over its rate is answered otherwise:\n%s", again.body)
		}
	}
	if unknown := send("nobody@example.org"); unknown.code != known.code || unknown.body != known.body {
		t.Errorf("unknown is answered otherwise:\n%s", unknown.body)
	}
	w.want("none", send(""), 422)
	w.want("no address", send("taro"), 422)
	w.want("two", w.browser().do("POST", "/send-list", url.Values{"address": {"a@example.jp", "b@example.jp"}}), 422)
	w.site.Close()
	w.mu.Lock()
	sent := len(w.lists)
	w.mu.Unlock()
	if sent != listsPerAddress+1 {
		t.Errorf("%d were handed over, want %d to one and one to another", sent, listsPerAddress)
	}
	for range listsPerClient {
		send("hanako@example.jp")
	}
	w.want("over the rate of the client", send("hanako@example.jp"), 429)
}

func TestSignOut(t *testing.T) {
	w := newWorld(t)
	b, a := w.browser(), w.signedIn("admin")
	b.get("/q/" + w.token("taro@example.jp", ""))
	u, _ := url.Parse(w.srv.URL)
	old := b.c.Jar.Cookies(u)
	w.want("sign out", b.post("", "/sign-out"), 200)
	w.want("after it", b.get("/"), 200, "send-list")
	b.c.Jar.SetCookies(u, old) // the cookie kept by somebody
	w.want("with the old cookie", b.get("/"), 200, "send-list")
	w.want("in the console", a.get("/admin/mails"), 200)
	w.want("sign out", a.post("", "/admin/sign-out"), 200)
	if got := a.get("/admin/mails"); got.path != "/admin/" {
		t.Errorf("after it: %s", got.path)
	}
}
