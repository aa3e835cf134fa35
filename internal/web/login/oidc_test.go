package login

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/mail"
	"sekimori/internal/store"
	"sekimori/internal/web/login/issuer"
)

const callback = "http://pages.test/sso/callback"

// desk is an SSO with its provider, and a clock.
type desk struct {
	*SSO
	t    *testing.T
	idp  *issuer.Issuer
	mu   sync.Mutex
	time time.Time
}

func (d *desk) now() time.Time { d.mu.Lock(); defer d.mu.Unlock(); return d.time }

func (d *desk) pass(by time.Duration) { d.mu.Lock(); defer d.mu.Unlock(); d.time = d.time.Add(by) }

func newDesk(t *testing.T, change ...func(*config.OIDC)) *desk {
	t.Helper()
	d := &desk{t: t, idp: issuer.Start(t), time: time.Now()}
	st, err := store.Open(t.Context(), store.Options{Now: d.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	d.idp.Set(func(i *issuer.Issuer) { i.Callback = callback })
	cfg := config.Default().Console.OIDC
	cfg.Issuer, cfg.ClientID, cfg.ClientSecret = d.idp.URL, issuer.ClientID, issuer.ClientSecret
	cfg.Roles = config.ConsoleRoles{Admin: []string{"mail-admins"}, Helpdesk: []string{"helpdesk"}, Auditor: []string{"auditors"}}
	for _, f := range change {
		f(&cfg)
	}
	d.SSO, err = NewSSO(SSOOptions{Config: cfg, Callback: callback, Client: st.Client(), Log: slog.New(slog.DiscardHandler), Now: d.now})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// begin goes to the provider as a browser does, and returns the cookie and what the browser is sent back with.
func (d *desk) begin(console bool) (string, url.Values) {
	d.t.Helper()
	target, cookie, err := d.Begin(d.t.Context(), console, false)
	if err != nil {
		d.t.Fatal(err)
	}
	return cookie, d.visit(target)
}

func (d *desk) visit(target string) url.Values {
	d.t.Helper()
	c := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	r, err := c.Get(target)
	if err != nil {
		d.t.Fatal(err)
	}
	_ = r.Body.Close()
	back, err := r.Location()
	if err != nil || !strings.HasPrefix(back.String(), callback+"?") {
		d.t.Fatalf("the provider: %d %v", r.StatusCode, err)
	}
	return back.Query()
}

func (d *desk) enter(console bool) (Account, error) {
	d.t.Helper()
	cookie, q := d.begin(console)
	return d.Finish(d.t.Context(), console, cookie, q)
}

// TestSSO: who comes in, by which claims, and who does not.
func TestSSO(t *testing.T) {
	type claims = map[string]any
	d := newDesk(t)
	for _, c := range []struct {
		what    string
		console bool
		claims  claims
		name    string // of administrators "name role", of persons the address
		err     error
	}{
		{"a person", false, claims{}, "taro@example.jp", nil},
		{"verified as a text", false, claims{"email_verified": "true"}, "taro@example.jp", nil},
		{"not verified", false, claims{"email_verified": false}, "", ErrUnverified},
		{"nothing about verified", false, claims{"email_verified": nil}, "", ErrUnverified},
		{"verified by another word", false, claims{"email_verified": "false"}, "", ErrUnverified},
		{"no address", false, claims{"email": nil}, "", ErrNoAddress},
		{"no address but a name", false, claims{"email": "taro"}, "", ErrNoAddress},
		{"two addresses", false, claims{"email": []string{"taro@example.jp", "jiro@example.jp"}}, "", ErrNoAddress},
		{"an administrator", true, claims{"groups": []string{"everybody", "helpdesk", "mail-admins"}}, "taro admin", nil},
		{"the helpdesk, one value only", true, claims{"groups": "helpdesk"}, "taro helpdesk", nil},
		{"no name", true, claims{"groups": "auditors", "preferred_username": nil}, "u1 auditor", nil},
		{"no role", true, claims{}, "", ErrNoRole},
		{"no groups", true, claims{"groups": nil}, "", ErrNoRole},
		{"a group of nearly that name", true, claims{"groups": []string{"Mail-Admins", "mail-admins "}}, "", ErrNoRole},
		{"groups that are none", true, claims{"groups": claims{"mail-admins": true}}, "", ErrNoRole},
		{"too many groups", true, claims{"groups": nil, "_claim_names": claims{"groups": "src1"}, "_claim_sources": claims{"src1": claims{"endpoint": "http://127.0.0.1:1/"}}}, "", ErrNoRole},
		{"another audience", false, claims{"aud": "other"}, "", ErrToken},
		{"several audiences without azp", false, claims{"aud": []string{"other", issuer.ClientID}}, "", ErrToken},
		{"several audiences, issued to us", false, claims{"aud": []string{"other", issuer.ClientID}, "azp": issuer.ClientID}, "taro@example.jp", nil},
		{"issued to another", false, claims{"azp": "other"}, "", ErrToken},
		{"another issuer", false, claims{"iss": "https://other.test"}, "", ErrToken},
		{"another nonce", false, claims{"nonce": "other"}, "", ErrToken},
		{"no nonce", false, claims{"nonce": nil}, "", ErrToken},
		{"no subject", false, claims{"sub": nil}, "", ErrToken},
		{"expired", false, claims{"exp": time.Now().Add(-2 * time.Minute).Unix()}, "", ErrToken},
		{"expired by our clock only", false, claims{"exp": time.Now().Add(-10 * time.Second).Unix()}, "taro@example.jp", nil},
		{"not yet", false, claims{"nbf": time.Now().Add(time.Hour).Unix()}, "", ErrToken},
		{"from the future", false, claims{"iat": time.Now().Add(time.Hour).Unix()}, "", ErrToken},
		{"the hash of another access token", false, claims{"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}, "", ErrToken},
	} {
		var usual claims
		d.idp.Set(func(i *issuer.Issuer) {
			usual, i.Claims = i.Claims, claims{}
			for k, v := range usual {
				i.Claims[k] = v
			}
			for k, v := range c.claims {
				i.Claims[k] = v
			}
		})
		a, err := d.enter(c.console)
		d.idp.Set(func(i *issuer.Issuer) { i.Claims = usual })
		got := a.Person.String()
		if c.console {
			got = strings.TrimSpace(a.Name + " " + a.Role)
		}
		if !errors.Is(err, c.err) || c.err == nil && (err != nil || got != c.name || a.Via != "oidc" || a.Subject != "u1") || c.err != nil && (a.Role != "" || a.Person != (mail.Address{})) {
			t.Errorf("%s: %+v %v", c.what, a, err)
		}
	}
}

// TestSignature: only what the provider has signed with a key that it publishes counts.
func TestSignature(t *testing.T) {
	d := newDesk(t)
	for _, c := range []struct {
		alg   string
		other bool
		good  bool
	}{{"RS256", false, true}, {"ES256", false, true}, {"RS256", true, false}, {"HS256", false, false}, {"none", false, false}} {
		d.idp.Set(func(i *issuer.Issuer) { i.Alg, i.OtherKey = c.alg, c.other })
		if a, err := d.enter(false); (err == nil) != c.good || !c.good && (!errors.Is(err, ErrToken) || a != (Account{})) {
			t.Errorf("%+v: %+v %v", c, a, err)
		}
	}
}

// TestState: an answer counts once, in the browser and for the purpose that it was begun for, and not for long.
func TestState(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	cookie, q := d.begin(false)
	other, _ := d.begin(false)
	for what, c := range map[string]struct {
		console bool
		cookie  string
	}{
		"another browser": {false, other}, "no cookie": {false, ""}, "half a cookie": {false, cookie[:20]}, "another part of the site": {true, cookie},
		"a cookie made younger": {false, strings.Split(cookie, ".")[0] + ".99999999999"},
	} {
		if a, err := d.Finish(ctx, c.console, c.cookie, q); !errors.Is(err, ErrState) {
			t.Errorf("%s: %+v %v", what, a, err)
		}
	}
	if a, err := d.Finish(ctx, false, cookie, url.Values{"code": q["code"], "iss": q["iss"]}); !errors.Is(err, ErrState) {
		t.Errorf("without a state: %+v %v", a, err)
	}
	if a, err := d.Finish(ctx, false, cookie, q); err != nil {
		t.Errorf("the right one: %+v %v", a, err)
	}
	if a, err := d.Finish(ctx, false, cookie, q); !errors.Is(err, ErrState) {
		t.Errorf("once more: %+v %v", a, err)
	}
	// The code of one attempt in another: the provider sees that the verifier is not the one of the challenge.
	second, q2 := d.begin(false)
	_, q3 := d.begin(false)
	q2["code"] = q3["code"]
	if a, err := d.Finish(ctx, false, second, q2); !errors.Is(err, ErrToken) {
		t.Errorf("a code that was injected: %+v %v", a, err)
	}
	late, q4 := d.begin(false)
	d.pass(StateLifetime + time.Second)
	if a, err := d.Finish(ctx, false, late, q4); !errors.Is(err, ErrState) {
		t.Errorf("too late: %+v %v", a, err)
	}
}

// TestAnswers: answers without a code, refusals, and RFC 9207.
func TestAnswers(t *testing.T) {
	d := newDesk(t)
	for _, c := range []struct {
		answer url.Values
		meta   map[string]any
		want   error
	}{
		{url.Values{"error": {"access_denied"}, "code": nil}, nil, ErrDenied},
		{url.Values{"code": nil}, nil, ErrToken},
		{url.Values{"code": {"made-up"}}, nil, ErrToken},
		{url.Values{"iss": {"https://other.test"}}, nil, ErrToken},
		{url.Values{"iss": nil}, nil, ErrToken},
		{url.Values{"iss": {d.idp.URL, "https://other.test"}}, nil, ErrToken},
		{url.Values{"iss": {"https://other.test"}, "error": {"access_denied"}}, nil, ErrToken},
	} {
		d.idp.Set(func(i *issuer.Issuer) { i.Answer = c.answer })
		if a, err := d.enter(false); !errors.Is(err, c.want) {
			t.Errorf("%v: %+v %v", c.answer, a, err)
		}
	}
	older := newDesk(t) // a provider that knows nothing of RFC 9207
	older.idp.Set(func(i *issuer.Issuer) {
		i.Meta, i.Answer = map[string]any{"authorization_response_iss_parameter_supported": false}, url.Values{"iss": nil}
	})
	if a, err := older.enter(false); err != nil {
		t.Errorf("%+v %v", a, err)
	}
}

// TestAway: a provider that is down or says nothing, at the start and later, is never a refusal, and comes back by itself.
func TestAway(t *testing.T) {
	d := newDesk(t, func(c *config.OIDC) { c.Timeout = config.Duration(time.Second) })
	d.idp.Hang(true)
	if _, _, err := d.Begin(t.Context(), false, false); !errors.Is(err, ErrAway) {
		t.Errorf("a provider that hangs: %v", err)
	}
	d.idp.Hang(false)
	if _, _, err := d.Begin(t.Context(), false, false); !errors.Is(err, ErrAway) || !d.Away() {
		t.Errorf("it is asked again at once: %v", err)
	}
	d.pass(awayFor)
	cookie, q := d.begin(false)
	if d.Away() {
		t.Error("it is here and still away")
	}
	d.idp.Set(func(i *issuer.Issuer) { i.Down = true })
	if a, err := d.Finish(t.Context(), false, cookie, q); !errors.Is(err, ErrAway) {
		t.Errorf("down at the exchange: %+v %v", a, err)
	}
	if _, _, err := d.Begin(t.Context(), false, false); err != nil {
		t.Errorf("what is known of it is forgotten: %v", err)
	}
	d.idp.Set(func(i *issuer.Issuer) { i.Down = false })
	if a, err := d.enter(false); err != nil {
		t.Errorf("%+v %v", a, err)
	}
	for what, meta := range map[string]map[string]any{
		"another issuer": {"issuer": "https://other.test"}, "no keys": {"jwks_uri": nil}, "a relative address": {"token_endpoint": "/token"},
	} {
		x := newDesk(t)
		x.idp.Set(func(i *issuer.Issuer) { i.Meta = meta })
		if _, _, err := x.Begin(t.Context(), false, false); !errors.Is(err, ErrAway) || !strings.Contains(err.Error(), "the provider ") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestClaimsElsewhere: claims inside of others and in the user info, required claims, roles by address, and the wrong secret.
func TestClaimsElsewhere(t *testing.T) {
	inner := newDesk(t, func(c *config.OIDC) { c.RoleClaim = "realm_access.roles" })
	inner.idp.Set(func(i *issuer.Issuer) {
		i.Claims["realm_access"] = map[string]any{"roles": []string{"mail-admins"}}
	})
	if a, err := inner.enter(true); err != nil || a.Role != "admin" {
		t.Errorf("%+v %v", a, err)
	}
	info := newDesk(t)
	info.idp.Set(func(i *issuer.Issuer) {
		i.Claims["email"], i.Claims["email_verified"] = nil, nil
		i.UserInfo = map[string]any{"email": "hanako@example.jp", "email_verified": true}
	})
	if a, err := info.enter(false); err != nil || a.Person.String() != "hanako@example.jp" {
		t.Errorf("%+v %v", a, err)
	}
	info.idp.Set(func(i *issuer.Issuer) { i.UserInfo["sub"] = "u2" })
	if a, err := info.enter(false); !errors.Is(err, ErrToken) {
		t.Errorf("the user info of another: %+v %v", a, err)
	}
	byMail := newDesk(t, func(c *config.OIDC) {
		c.RoleClaim, c.Roles = "email", config.ConsoleRoles{Auditor: []string{"Taro@example.jp"}}
		c.Require = map[string]string{"hd": "example.jp"}
	})
	if a, err := byMail.enter(true); !errors.Is(err, ErrNoRole) {
		t.Errorf("without hd: %+v %v", a, err)
	}
	if a, err := byMail.enter(false); !errors.Is(err, ErrNoRole) {
		t.Errorf("a person without hd: %+v %v", a, err)
	}
	byMail.idp.Set(func(i *issuer.Issuer) { i.Claims["hd"] = "example.jp" })
	if a, err := byMail.enter(true); err != nil || a.Role != "auditor" {
		t.Errorf("%+v %v", a, err)
	}
	byMail.idp.Set(func(i *issuer.Issuer) { i.Claims["email_verified"] = false })
	if a, err := byMail.enter(true); !errors.Is(err, ErrUnverified) {
		t.Errorf("a role by an address that is not confirmed: %+v %v", a, err)
	}
	wrong := newDesk(t, func(c *config.OIDC) { c.ClientSecret = "another" })
	if a, err := wrong.enter(false); !errors.Is(err, ErrToken) || !strings.Contains(err.Error(), "client secret") || strings.Contains(err.Error(), "another") {
		t.Errorf("%+v %v", a, err)
	}
}

// TestSSOStill: a session ends in time, when its role has no values any more, and when there is no single sign-on any more.
func TestSSOStill(t *testing.T) {
	d := newDesk(t, func(c *config.OIDC) { c.Roles.Helpdesk, c.Persons = nil, false })
	s := New(func() string { return "" }, nil, slog.New(slog.DiscardHandler))
	begun := d.now()
	if s.Still(t.Context(), "oidc", "taro", "admin", begun) {
		t.Error("without single sign-on")
	}
	s.SSO = d.SSO
	for role, want := range map[string]bool{"admin": true, "auditor": true, "helpdesk": false, "person": false, "": false, "root": false} {
		if s.Still(t.Context(), "oidc", "taro", role, begun) != want {
			t.Errorf("%q: not %v", role, want)
		}
	}
	d.pass(4 * time.Hour)
	if s.Still(t.Context(), "oidc", "taro", "admin", begun) {
		t.Error("after four hours")
	}
}

// TestAgain: who signed out here chooses the account anew.
func TestAgain(t *testing.T) {
	d := newDesk(t)
	for _, c := range []struct {
		again bool
		want  string
	}{{false, ""}, {true, "select_account"}} {
		target, _, err := d.Begin(t.Context(), false, c.again)
		u, _ := url.Parse(target)
		if err != nil || u.Query().Get("prompt") != c.want {
			t.Errorf("%+v: %s %v", c, target, err)
		}
		for _, secret := range []string{issuer.ClientSecret, "code_verifier"} {
			if strings.Contains(target, secret) {
				t.Errorf("%s stands in %s", secret, target)
			}
		}
	}
}
