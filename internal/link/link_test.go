package link

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"sekimori/internal/mail"
	"sekimori/internal/store"
)

var now = time.Date(2026, 11, 20, 14, 32, 0, 0, time.UTC)

func addr(t testing.TB, s string) mail.Address {
	t.Helper()
	a, err := mail.ParseAddress(s, true)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func fromFile(t testing.TB, file string) *Keys {
	t.Helper()
	k, err := New(Options{File: file, Lifetime: 14 * 24 * time.Hour, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func sign(t testing.TB, k *Keys, c Claim) string {
	t.Helper()
	token, err := k.Sign(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

const oneKey = "0123456789abcdef0123456789abcdef"

// TestSignVerify: what was signed comes back, and the address in the link is the one that was given.
func TestSignVerify(t *testing.T) {
	k := fromFile(t, oneKey)
	for _, c := range []Claim{
		{Person: addr(t, "yamada.taro@example.co.jp"), ID: "d4k2e1vv9d2s72", Action: "show"},
		{Person: addr(t, "Taro..Yamada@docomo.ne.jp"), Action: "login"},
		{Person: addr(t, "山田@xn--r8jz45g.jp"), Action: "stop", Expires: now.Add(time.Hour)},
	} {
		token := sign(t, k, c)
		got, err := k.Verify(t.Context(), token, now)
		if err != nil {
			t.Fatal(err)
		}
		want := c
		if want.Expires.IsZero() {
			want.Expires = now.Add(14 * 24 * time.Hour)
		}
		if got.Person != want.Person || got.ID != want.ID || got.Action != want.Action || !got.Expires.Equal(want.Expires) || !got.Issued.Equal(now) {
			t.Errorf("%+v, want %+v", got, want)
		}
		if strings.ContainsAny(token, "+/=%?&#. ") {
			t.Errorf("%s: not fit for a URL", token)
		}
	}
}

func TestExpiresIsCut(t *testing.T) {
	k := fromFile(t, oneKey)
	c, err := k.Verify(t.Context(), sign(t, k, Claim{Person: addr(t, "a@example.jp"), Action: "show", Expires: now.AddDate(10, 0, 0)}), now)
	if err != nil || !c.Expires.Equal(now.Add(14*24*time.Hour)) {
		t.Errorf("%v %v: a link must not outlive its key", c.Expires, err)
	}
}

func TestSignRefuses(t *testing.T) {
	k := fromFile(t, oneKey)
	for name, c := range map[string]Claim{
		"nobody":   {Action: "show"},
		"no name":  {Person: mail.Address{Local: "a b", Domain: "example.jp"}, Action: "show"},
		"nothing":  {Person: addr(t, "a@example.jp")},
		"long id":  {Person: addr(t, "a@example.jp"), Action: "show", ID: strings.Repeat("x", 200)},
		"long act": {Person: addr(t, "a@example.jp"), Action: strings.Repeat("x", 200)},
	} {
		if token, err := k.Sign(t.Context(), c); err == nil {
			t.Errorf("%s: signed as %s", name, token)
		}
	}
}

// TestRefused is every link that must not open anything.
func TestRefused(t *testing.T) {
	k, other := fromFile(t, oneKey), fromFile(t, "another key that is long enough")
	taro := Claim{Person: addr(t, "taro@example.jp"), ID: "mail1", Action: "show", Expires: now.Add(time.Hour)}
	token := sign(t, k, taro)
	hanako := taro
	hanako.Person = addr(t, "hanako@example.jp")
	raw := func(token string) []byte {
		b, err := base64.RawURLEncoding.DecodeString(token)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	change := func(f func(b []byte) []byte) string {
		return base64.RawURLEncoding.EncodeToString(f(raw(token)))
	}
	mac := raw(token)[len(raw(token))-macLen:]
	ofOther := raw(sign(t, k, hanako))
	for _, c := range []struct {
		name, token string
		at          time.Time
		want        error
	}{
		{"in order", token, now, nil},
		{"in its last second", token, now.Add(time.Hour - time.Second), nil},
		{"expired", token, now.Add(time.Hour), ErrExpired},
		{"expired long ago", token, now.AddDate(1, 0, 0), ErrExpired},
		{"of a key that nobody has", sign(t, other, taro), now, ErrKey},
		{"empty", "", now, ErrForged},
		{"short", "AQ", now, ErrForged},
		{"not base64", "%%%" + token, now, ErrForged},
		{"padded", token + "=", now, ErrForged},
		{"with a line break", token[:20] + "\n" + token[20:], now, ErrForged},
		{"longer", token + "AA", now, ErrForged},
		{"cut", token[:len(token)-4], now, ErrForged},
		{"huge", strings.Repeat("A", 1<<20), now, ErrForged},
		{"another version", change(func(b []byte) []byte { b[0] = 2; return b }), now, ErrForged},
		{"without HMAC", change(func(b []byte) []byte { clear(b[len(b)-macLen:]); return b }), now, ErrForged},
		{"another person under this HMAC", base64.RawURLEncoding.EncodeToString(append(ofOther[:len(ofOther)-macLen], mac...)), now, ErrForged},
		{"later expiry", change(func(b []byte) []byte { b[keyIDAt+keyIDs+6] ^= 0x40; return b }), now, ErrForged},
	} {
		got, err := k.Verify(t.Context(), c.token, c.at)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if c.want != nil && !errors.Is(c.want, ErrExpired) && got != (Claim{}) {
			t.Errorf("%s: refused, and yet says %+v", c.name, got)
		}
	}
}

// TestEveryOctetCounts changes each character of a token to every other one.
func TestEveryOctetCounts(t *testing.T) {
	k := fromFile(t, oneKey)
	token := sign(t, k, Claim{Person: addr(t, "taro@example.jp"), ID: "mail1", Action: "show"})
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	for i := range len(token) {
		for _, c := range []byte(alphabet) {
			if c == token[i] {
				continue
			}
			changed := token[:i] + string(c) + token[i+1:]
			if _, err := k.Verify(t.Context(), changed, now); err == nil {
				t.Fatalf("with %q at %d it is still accepted", c, i)
			}
		}
	}
}

// TestKeyFileRotation: a line put on top signs, the old one below still opens its links, and without it they are refused.
func TestKeyFileRotation(t *testing.T) {
	claim := Claim{Person: addr(t, "taro@example.jp"), Action: "show"}
	old := sign(t, fromFile(t, oneKey+"\n"), claim)
	both := fromFile(t, "a new key, from today on\n\n"+oneKey+"\n")
	if _, err := both.Verify(t.Context(), old, now); err != nil {
		t.Error(err)
	}
	fresh := sign(t, both, claim)
	if _, err := fromFile(t, oneKey).Verify(t.Context(), fresh, now); !errors.Is(err, ErrKey) {
		t.Errorf("signed by the old key: %v", err)
	}
	if _, err := fromFile(t, "a new key, from today on").Verify(t.Context(), old, now); !errors.Is(err, ErrKey) {
		t.Errorf("the old key is gone: %v", err)
	}
}

func TestKeyFileRefused(t *testing.T) {
	for _, file := range []string{"short", oneKey + "\nshort"} {
		if _, err := New(Options{File: file}); err == nil || strings.Contains(err.Error(), oneKey) || strings.Contains(err.Error(), "short") {
			t.Errorf("%q: %v", file, err)
		}
	}
	if _, err := New(Options{}); err == nil {
		t.Error("neither a file nor a store, and no error")
	}
}

// TestStoreSilent: no answer is no evidence against a link.
func TestStoreSilent(t *testing.T) {
	st, err := store.Open(t.Context(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	k, err := New(Options{Store: st.Client(), Lifetime: time.Hour, Rotation: time.Hour, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	token := sign(t, fromFile(t, oneKey), Claim{Person: addr(t, "taro@example.jp"), Action: "show"})
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Verify(t.Context(), token, now); !errors.Is(err, ErrNoKey) || errors.Is(err, ErrKey) || errors.Is(err, ErrForged) {
		t.Errorf("%v, want ErrNoKey", err)
	}
	if _, err := k.Sign(t.Context(), Claim{Person: addr(t, "taro@example.jp"), Action: "show"}); !errors.Is(err, ErrNoKey) {
		t.Errorf("%v, want ErrNoKey", err)
	}
}

func FuzzVerify(f *testing.F) {
	k := fromFile(f, oneKey)
	good := sign(f, k, Claim{Person: addr(f, "taro@example.jp"), ID: "mail1", Action: "show"})
	f.Add(good)
	f.Add("")
	f.Add(strings.Repeat("A", 60))
	f.Fuzz(func(t *testing.T, token string) {
		if c, err := k.Verify(context.Background(), token, now); err == nil && token != good {
			t.Fatalf("%q opens %+v", token, c)
		}
	})
}

// FuzzParse reads what a key would have signed, whatever it is.
func FuzzParse(f *testing.F) {
	k := newKey([]byte(oneKey))
	token := k.sign(Claim{Person: addr(f, "taro@example.jp"), ID: "mail1", Action: "show", Issued: now, Expires: now})
	b, _, err := open(token)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b[keyIDAt+keyIDs : len(b)-macLen])
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := parse(b)
		if err != nil || c.check() != nil {
			return
		}
		opened, _, err := open(k.sign(c))
		if err != nil {
			t.Fatal(err)
		}
		if again, err := k.verify(opened, c.Expires.Add(-time.Second)); err != nil || again != c {
			t.Fatalf("%+v became %+v: %v", c, again, err)
		}
	})
}
