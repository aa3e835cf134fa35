package recipients

import (
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sekimori/internal/config"
)

// TestDirectoryAwayReal plays a day: the first sync, somebody who was added this morning, a directory that dies, a restart
// while it is away, and a copy that becomes too old.
func TestDirectoryAwayReal(t *testing.T) {
	slapd := startSlapd(t, "", "", "", adLDIF(t))
	p := startLDAPProxy(t, slapd.addr)
	l := ldapConfig("ldap://" + p.addr)
	l.Timeout, l.ConnectTimeout = config.Duration(time.Second), config.Duration(time.Second)
	var later atomic.Int64
	dir := t.TempDir()
	open := func() *Directory {
		return directory(t, Options{
			Config: &config.Config{LDAP: map[string]*config.LDAP{"test": &l}}, Dir: dir,
			Now: func() time.Time { return time.Now().Add(time.Duration(later.Load())) },
		}, config.Domain{Names: []string{"example.jp", "xn--r8jz45g.jp"}, Recipients: "ldap:test"})
	}
	expect := func(d *Directory, want map[string]string) {
		t.Helper()
		for a, w := range want {
			if got := say(d.Find(t.Context(), addr(t, a))); got != w {
				t.Errorf("%s: %q, not %q", a, got, w)
			}
		}
	}
	d := open()
	if err := d.Sync(t.Context(), "", false, func(string) {}); err != nil {
		t.Fatal(err)
	}
	known := map[string]string{
		"yamada@例え.jp":          "known yamada.taro@example.jp",
		"Eigyo@example.jp":      "known yamada.taro@example.jp John.Smith@example.jp",
		"board@example.jp":      "internal yamada.taro@example.jp",
		"postmaster@example.jp": "known postmaster@example.jp",
		"a@example.com":         "foreign ",
	}
	expect(d, known)
	expect(d, map[string]string{"nobody@example.jp": "unknown nobody@example.jp", "retired@example.jp": "unknown retired@example.jp"})
	if st := d.Status()[0]; st.Entries != 12 || len(st.Problems) != 1 || !strings.Contains(st.Words(time.Now()), "not an address@example.jp") {
		t.Errorf("%+v", st)
	}
	a := newAdmin(t, slapd.addr, p)
	a.create("CN=new"+honsha, "user", "new", "new@example.jp", 'n')
	expect(d, map[string]string{"new@example.jp": "known new@example.jp"})

	slapd.signal(syscall.SIGKILL)
	expect(d, known)
	expect(d, map[string]string{"somebody@example.jp": "unknown somebody@example.jp", "new@example.jp": "known new@example.jp"})
	if err := d.Sync(t.Context(), "", false, func(string) {}); err == nil {
		t.Error("the directory is dead, and a sync succeeded")
	}
	expect(d, known)
	d = open()
	expect(d, known)
	later.Store(int64(2 * time.Hour))
	expect(d, known)
	expect(d, map[string]string{"someone@example.jp": "not_now someone@example.jp"})

	slapd.again()
	if err := d.Sync(t.Context(), "", false, func(string) {}); err != nil {
		t.Error(err)
	}
	expect(d, known)
	expect(d, map[string]string{"someone@example.jp": "unknown someone@example.jp", "new@example.jp": "known new@example.jp"})
}
