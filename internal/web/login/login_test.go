package login

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sekimori/internal/store"
)

const secret = "correct horse battery"

func put(t *testing.T, file, name, role, password string) {
	t.Helper()
	u, err := NewUser(name, role, password)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Put(file, u, false); err != nil {
		t.Fatal(err)
	}
}

func TestFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "users")
	if list, err := Read(file); err != nil || len(list) != 0 {
		t.Fatalf("a file that is not there: %v %v", list, err)
	}
	put(t, file, "hanako", "admin", secret)
	text, _ := os.ReadFile(file)
	if err := os.WriteFile(file, append([]byte("# who may come in\n\n"), text...), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, 0o640); err != nil {
		t.Fatal(err)
	}
	put(t, file, "jiro", "helpdesk", secret)
	put(t, file, "Hanako", "auditor", secret+"2")
	text, _ = os.ReadFile(file)
	if s := string(text); !strings.HasPrefix(s, "# who may come in\n\nHanako:auditor:$argon2id$v=19$m=65536,t=2,p=1$") || strings.Count(s, "\n") != 4 || strings.Contains(s, secret) {
		t.Errorf("the file:\n%s", s)
	}
	if info, _ := os.Stat(file); info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v", info.Mode())
	}
	s := New(func() string { return file }, nil, slog.New(slog.DiscardHandler))
	for _, c := range []struct{ name, password, role string }{
		{"hanako", secret + "2", "auditor"},
		{"JIRO", secret, "helpdesk"},
		{"hanako", secret, ""},
		{"jiro", "", ""},
		{"nobody", secret, ""},
		{"", secret, ""},
		{"jiro", strings.Repeat("x", 2000), ""},
	} {
		a, err := s.Password(t.Context(), c.name, c.password)
		if c.role == "" && (!errors.Is(err, ErrRefused) || a != (Account{})) || c.role != "" && (err != nil || a.Role != c.role) {
			t.Errorf("%q %q: %+v %v", c.name, c.password, a, err)
		}
	}
	still := func(via, name, role string) bool { return s.Still(t.Context(), via, name, role, time.Now()) }
	if !still("file", "jiro", "helpdesk") || still("file", "jiro", "admin") || still("ldap", "jiro", "admin") || still("oidc", "jiro", "admin") {
		t.Error("Still")
	}
	if was, err := Put(file, User{Name: "jiro"}, true); !was || err != nil {
		t.Fatal(was, err)
	}
	if was, _ := Put(file, User{Name: "jiro"}, true); was || still("file", "jiro", "helpdesk") {
		t.Error("jiro is still there")
	}
}

func TestBadFiles(t *testing.T) {
	good := hash{memory, passes, lanes, make([]byte, 16), make([]byte, 32)}.String()
	for text, want := range map[string]string{
		"hanako":                                "users:1: not of the form",
		"hanako:admin:" + good + ":x":           "users:1: not of the form",
		"ha nako:admin:" + good:                 "users:1: not of the form",
		"\nhanako:root:" + good:                 `users:2: "root" is no role`,
		"hanako:admin:secret-in-clear":          "users:1: the hash is not one of argon2id",
		"hanako:admin:" + good[:40]:             "users:1: the hash is not one of argon2id",
		"h:admin:" + good + "\nH:admin:" + good: "users:2: H is there already",
		"h:admin:" + strings.Replace(good, "m=65536", "m=99999999", 1): "users:1: the hash is not one of argon2id",
	} {
		_, err := parse("users", []byte(text))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret-in-clear") {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, c := range []struct{ name, role, password string }{{"a b", "admin", secret}, {"", "admin", secret}, {"a", "person", secret}, {"a", "admin", "short"}, {"a:b", "admin", secret}} {
		if _, err := NewUser(c.name, c.role, c.password); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// TestBackoff: who fails waits longer and longer; others are not shut out for long.
func TestBackoff(t *testing.T) {
	var passed atomic.Int64 // the embedded store looks at the time by itself
	begun := time.Now()
	now := func() time.Time { return begun.Add(time.Duration(passed.Load())) }
	st, err := store.Open(t.Context(), store.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	b := Backoff{st.Client(), now}
	try := func(name, from string) time.Duration {
		t.Helper()
		d, err := b.Try(context.Background(), name, netip.MustParseAddr(from))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	for n := range freeSame {
		if d := try("hanako", "192.0.2.1"); d != 0 {
			t.Fatalf("try %d has to wait %v", n, d)
		}
	}
	for _, want := range []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute} {
		if d := try("HANAKO", "192.0.2.77"); d != want { // the same network, the same name
			t.Errorf("wait %v, want %v", d, want)
		}
		passed.Add(int64(want))
		if d := try("hanako", "192.0.2.1"); d != 0 {
			t.Errorf("after the wait: %v", d)
		}
	}
	if d := try("hanako", "198.51.100.1"); d != 0 {
		t.Errorf("from another network: %v", d)
	}
	if err := b.Succeeded(context.Background(), "hanako", netip.MustParseAddr("192.0.2.1")); err != nil {
		t.Fatal(err)
	}
	if d := try("hanako", "192.0.2.1"); d != 0 {
		t.Errorf("after a success: %v", d)
	}
	for n := range freeNetwork + 1 {
		name := "guess" + string(rune('a'+n))
		if d := try(name, "203.0.113.1"); (d > 0) != (n >= freeNetwork) {
			t.Errorf("name %d of a network: %v", n, d)
		}
	}
	// Many networks try one name: for those who never were in it is locked for a minute at most, its owner gets in.
	locked := time.Duration(0)
	for n := range 2 * freeName {
		locked = max(locked, try("hanako", netip.AddrFrom4([4]byte{10, byte(n), 0, 1}).String()))
	}
	if locked == 0 || locked > longName {
		t.Errorf("the name is locked for %v", locked)
	}
	if d := try("hanako", "192.0.2.1"); d != 0 {
		t.Errorf("its owner has to wait %v", d)
	}
}

func FuzzFile(f *testing.F) {
	f.Add([]byte("hanako:admin:" + dummy.String() + "\n"))
	f.Add([]byte("#\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := parse("users", b)
		for _, u := range list {
			if err != nil || u.hash.memory > mostMemory || u.hash.passes > mostPasses {
				t.Fatalf("%+v", u)
			}
		}
	})
}
