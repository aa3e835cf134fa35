package login

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/recipients"
	"sekimori/internal/store"
)

// staff is a directory in memory.
type staff struct {
	roles map[string]string
	fail  error // of every question
	bind  error // of a bind that finds no such account or password
	found int
	bound []string // DNs
}

func (s *staff) Find(_ context.Context, name string, _ bool) (recipients.StaffMember, error) {
	s.found++
	switch role, ok := s.roles[name]; {
	case s.fail != nil:
		return recipients.StaffMember{}, s.fail
	case !ok:
		return recipients.StaffMember{}, fmt.Errorf("%w: nobody", recipients.ErrNotStaff)
	default:
		return recipients.StaffMember{DN: "uid=" + name, Name: name, Role: role}, nil
	}
}

func (s *staff) Bind(_ context.Context, dn, password string) error {
	s.bound = append(s.bound, dn)
	switch {
	case s.bind != nil:
		return s.bind
	case dn != "" && password == "right":
		return nil
	}
	return recipients.ErrPassword
}

func newStaff(t *testing.T) (*LDAP, *staff, *config.Config) {
	t.Helper()
	cfg, s := config.Default(), &staff{roles: map[string]string{"hanako": "admin"}}
	cfg.Console.LDAP.Source = "ad"
	cfg.LDAP = map[string]*config.LDAP{"ad": {Name: "ad", URLs: []string{"ldaps://dc.test"}, Bases: []string{"DC=test"}}}
	l, err := NewLDAP(LDAPOptions{Config: func() *config.Config { return cfg }, Deps: recipients.Deps{Log: slog.New(slog.DiscardHandler), Now: time.Now}})
	if err != nil {
		t.Fatal(err)
	}
	l.open = func(config.ConsoleLDAP, config.LDAP) (accounts, error) { return s, nil }
	l.dir = s
	return l, s, cfg
}

func TestLDAPLogin(t *testing.T) {
	l, s, _ := newStaff(t)
	for _, c := range []struct {
		what, name, password string
		fail, bind           error
		want                 Account
		err                  error
		bound                string
	}{
		{"right", "hanako", "right", nil, nil, Account{Name: "hanako", Role: "admin", Via: "ldap", Subject: "uid=hanako"}, nil, "uid=hanako"},
		{"wrong", "hanako", "wrong", nil, nil, Account{}, ErrRefused, "uid=hanako"},
		{"nobody", "taro", "right", nil, nil, Account{}, ErrRefused, ""}, // asked all the same
		{"empty", "hanako", "", nil, nil, Account{}, ErrRefused, "none"},
		{"away", "hanako", "right", errors.New("away"), nil, Account{}, ErrDirectory, "none"},
		{"away for the bind", "hanako", "right", nil, errors.New("away"), Account{}, ErrDirectory, "uid=hanako"},
		{"nobody, away for the bind", "taro", "right", nil, errors.New("away"), Account{}, ErrDirectory, ""},
	} {
		s.fail, s.bind, s.bound = c.fail, c.bind, nil
		a, err := l.Login(t.Context(), c.name, c.password)
		bound := "none"
		if len(s.bound) == 1 {
			bound = s.bound[0]
		}
		if a != c.want || !errors.Is(err, c.err) || bound != c.bound || len(s.bound) > 1 || errors.Is(err, ErrRefused) && errors.Is(err, ErrDirectory) {
			t.Errorf("%s: %+v %v, bound as %q", c.what, a, err, s.bound)
		}
	}
}

func TestLDAPStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, s, cfg := newStaff(t)
		begun := time.Now()
		step := func(what string, after time.Duration, still bool, asked int) {
			t.Helper()
			time.Sleep(after)
			s.found = 0
			for range 3 {
				if got := l.Still(t.Context(), "hanako", "admin", begun); got != still {
					t.Errorf("%s: %v", what, got)
				}
			}
			if s.found != asked {
				t.Errorf("%s: the directory was asked %d times, not %d", what, s.found, asked)
			}
		}
		step("just signed in", 0, true, 0)
		step("later", 4*time.Minute, true, 0)
		step("five minutes later", 2*time.Minute, true, 1)
		step("and then", 4*time.Minute, true, 0)
		s.fail = errors.New("away")
		step("away", 2*time.Minute, true, 1)
		step("away, asked a moment ago", 10*time.Second, true, 0)
		step("away for a while", 20*time.Minute, true, 1)
		step("away too long", 10*time.Minute, false, 1)
		s.fail = nil
		step("there again", time.Minute, true, 1)
		s.roles["hanako"] = "helpdesk"
		step("another role, not known yet", time.Minute, true, 0)
		step("another role", 5*time.Minute, false, 1)
		s.roles["hanako"] = "admin"
		if _, err := l.Login(t.Context(), "hanako", "right"); err != nil {
			t.Error(err)
		}
		step("signed in again", 0, true, 0)
		delete(s.roles, "hanako")
		step("gone", 6*time.Minute, false, 1)
		s.roles["hanako"], begun = "admin", time.Now()
		step("signed in again on another host, not asked here since", time.Second, false, 0)
		begun = time.Now()
		step("signed in again on another host", 0, true, 0)

		cfg.Console.LDAP.SessionGrace = 0
		s.fail = errors.New("away")
		step("away without grace", 6*time.Minute, false, 1)
		if l.Still(t.Context(), "taro", "admin", time.Now().Add(-time.Hour)) {
			t.Error("a session of before the start, and no directory to ask")
		}
	})
}

// TestLDAPReload: another server in [ldap.NAME] is asked from then on; a table that is gone is no wrong password.
func TestLDAPReload(t *testing.T) {
	l, _, cfg := newStaff(t)
	opened := ""
	l.open = func(_ config.ConsoleLDAP, src config.LDAP) (accounts, error) {
		opened = src.URLs[0]
		return &staff{roles: map[string]string{"jiro": "auditor"}}, nil
	}
	next := *cfg
	next.LDAP = map[string]*config.LDAP{"ad": {Name: "ad", URLs: []string{"ldaps://dc2.test"}, Bases: []string{"DC=test"}}}
	l.o.Config = func() *config.Config { return &next }
	if a, err := l.Login(t.Context(), "jiro", "right"); err != nil || a.Role != "auditor" || opened != "ldaps://dc2.test" {
		t.Errorf("%+v %v %s", a, err, opened)
	}
	next.LDAP = nil
	if _, err := l.Login(t.Context(), "jiro", "right"); !errors.Is(err, ErrDirectory) {
		t.Error(err)
	}
}

// TestPause: every refusal takes as long, whether the name is in the file, in the directory or nowhere.
func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _, _ := newStaff(t)
		file := filepath.Join(t.TempDir(), "users")
		u, err := NewUser("fumiko", "helpdesk", "correct horse battery")
		if err == nil {
			_, err = Put(file, u, false)
		}
		if err != nil {
			t.Fatal(err)
		}
		s := New(func() string { return file }, l, slog.New(slog.DiscardHandler))
		s.Pause = RefusalPause
		for name, password := range map[string]string{"fumiko": "wrong", "hanako": "wrong", "nobody": "right", "": "x"} {
			begin := time.Now()
			if _, err := s.Password(t.Context(), name, password); !errors.Is(err, ErrRefused) || time.Since(begin) != RefusalPause {
				t.Errorf("%s: %v after %v", name, err, time.Since(begin))
			}
		}
		begin := time.Now()
		for name, c := range map[string]struct{ password, via string }{"fumiko": {"correct horse battery", "file"}, "hanako": {"right", "ldap"}} {
			if a, err := s.Password(t.Context(), name, c.password); err != nil || a.Via != c.via || time.Since(begin) != 0 {
				t.Errorf("%s: %+v %v after %v", name, a, err, time.Since(begin))
			}
		}
		if !s.Still(t.Context(), "ldap", "hanako", "admin", begin) || s.Still(t.Context(), "ldap", "hanako", "auditor", begin) {
			t.Error("who signed in with the directory")
		}
		s.Directory = nil // taken out of the configuration
		if s.Still(t.Context(), "ldap", "hanako", "admin", begin) {
			t.Error("without a directory")
		}
	})
}

// TestSpare: tries that could not be made lock nobody out, and give no further tries either.
func TestSpare(t *testing.T) {
	st, err := store.Open(t.Context(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	b, from := Backoff{Client: st.Client(), Now: time.Now}, netip.MustParseAddr("192.0.2.1")
	try := func() time.Duration {
		t.Helper()
		wait, err := b.Try(t.Context(), "hanako", from)
		if err != nil {
			t.Fatal(err)
		}
		return wait
	}
	for i := range 40 {
		if wait := try(); wait != 0 {
			t.Fatalf("the directory was away %d times, and the wait is %v", i, wait)
		}
		if err := b.Spare(t.Context(), "hanako", from); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	for ; try() == 0 && n < 100; n++ {
	}
	if n != freeSame {
		t.Errorf("%d wrong passwords before the first wait, not %d", n, freeSame)
	}
}
