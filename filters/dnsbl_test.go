package filters

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sekimori/internal/dns"
	"sekimori/internal/mail"
)

// turning is a resolver whose zone can be changed.
type turning struct {
	mu sync.Mutex
	*dns.Zone
}

func (r *turning) turn(t *testing.T, zone string) {
	z, err := dns.ParseZone(zone)
	if err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	r.Zone = z
	r.mu.Unlock()
}

func (r *turning) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	r.mu.Lock()
	z := r.Zone
	r.mu.Unlock()
	return z.LookupNetIP(ctx, network, host)
}

type warnings struct {
	mu  sync.Mutex
	all []string
}

func (w *warnings) warn(key, message string) {
	w.mu.Lock()
	w.all = append(w.all, key+"="+message)
	w.mu.Unlock()
}

// take returns what was said since the last time.
func (w *warnings) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := w.all
	w.all = nil
	return all
}

const oneList = `
[[list]]
zone = "bl.example"
score = 2
`

const goodList = `
2.0.0.127.bl.example. A 127.0.0.2
1.2.0.192.bl.example. A 127.0.0.2
`

// A list that misbehaves is suspended, said aloud, and taken back when it is right again.
func TestListSuspension(t *testing.T) {
	for name, c := range map[string]struct {
		zone  string // while it misbehaves
		mails int    // until that is noticed
		why   string
	}{
		"refuses":     {goodList + "9.2.0.192.bl.example. A 127.255.255.252\n2.0.0.127.bl.example. A 127.255.255.252", 1, "refuses our queries"},
		"sold":        {"*.bl.example. A 203.0.113.1", 1, "outside 127/8"},
		"silent":      {"bl.example. TIMEOUT\n9.2.0.192.bl.example. TIMEOUT\n2.0.0.127.bl.example. TIMEOUT", maxSilent, "does not answer"},
		"everybody":   {"*.bl.example. A 127.0.0.2", 0, "127.0.0.1"},
		"emptied":     {"", 0, "127.0.0.2 is missing"},
		"unreachable": {"2.0.0.127.bl.example. SERVFAIL\n9.2.0.192.bl.example. SERVFAIL", maxSilent, "does not answer"},
	} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { suspension(t, c.zone, c.mails, c.why) }) })
	}
}

func suspension(t *testing.T, zone string, mails int, why string) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	res, said := &turning{}, &warnings{}
	res.turn(t, goodList)
	check, err := newDNSBL(ctx, Env{Config: section(t, oneList), DNS: res, Warn: said.warn})
	if err != nil {
		t.Fatal(err)
	}
	look := func(ip string) (mail.Result, error) {
		return check.Check(ctx, &mail.Transaction{Session: &mail.Session{Client: netip.MustParseAddr(ip)}})
	}
	if r, err := look("192.0.2.1"); err != nil || len(r.Findings) != 1 {
		t.Fatalf("while it is well: %v, %v", r, err)
	}
	res.turn(t, zone)
	for range mails {
		if r, err := look("192.0.2.9"); err == nil {
			t.Fatalf("a mail was told %v", r)
		}
	}
	if mails == 0 {
		time.Sleep(testEvery + time.Second)
	}
	synctest.Wait()
	if w := said.take(); len(w) != 1 || !strings.HasPrefix(w[0], "bl.example=") || !strings.Contains(w[0], why) {
		t.Fatalf("said: %q", w)
	}
	before := len(res.Asked())
	if _, err := look("192.0.2.1"); err == nil || !strings.Contains(err.Error(), "suspended") {
		t.Errorf("while it is suspended: %v", err)
	}
	if len(res.Asked()) != before {
		t.Error("a suspended list was asked for a mail")
	}
	time.Sleep(time.Hour) // many tests later it is still suspended, and nothing more was said
	if w := said.take(); len(w) != 0 {
		t.Errorf("said again: %q", w)
	}
	res.turn(t, goodList)
	time.Sleep(retestMost + time.Second)
	synctest.Wait()
	if w := said.take(); !slices.Equal(w, []string{"bl.example="}) {
		t.Errorf("said at its return: %q", w)
	}
	if r, err := look("192.0.2.1"); err != nil || len(r.Findings) != 1 {
		t.Errorf("after its return: %v, %v", r, err)
	}
}

// A test that gets no answer at the start does not keep a list out: only what it answers wrongly does.
func TestListStartsWithoutDNS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		res, said := &turning{}, &warnings{}
		res.turn(t, "2.0.0.127.bl.example. HANG\n1.2.0.192.bl.example. HANG")
		check, err := newDNSBL(ctx, Env{Config: section(t, oneList), DNS: res, Warn: said.warn})
		if err != nil {
			t.Fatal(err)
		}
		tx := &mail.Transaction{Session: &mail.Session{Client: netip.MustParseAddr("192.0.2.1")}}
		start := time.Now()
		if _, err := check.Check(ctx, tx); err == nil || time.Since(start) != 3*time.Second {
			t.Errorf("%v after %s", err, time.Since(start))
		}
		res.turn(t, goodList)
		if r, err := check.Check(ctx, tx); err != nil || len(r.Findings) != 1 {
			t.Errorf("%v, %v", r, err)
		}
		if w := said.take(); len(w) != 0 {
			t.Errorf("said: %q", w)
		}
	})
}

// A mail that ends early is no failure of the list.
func TestListAndCancelledMails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		res, said := &turning{}, &warnings{}
		res.turn(t, goodList+"9.2.0.192.bl.example. HANG")
		check, _ := newDNSBL(ctx, Env{Config: section(t, oneList), DNS: res, Warn: said.warn})
		for range 3 * maxSilent {
			gone, leave := context.WithCancel(ctx)
			time.AfterFunc(time.Second, leave)
			_, _ = check.Check(gone, &mail.Transaction{Session: &mail.Session{Client: netip.MustParseAddr("192.0.2.9")}})
		}
		if w := said.take(); len(w) != 0 {
			t.Errorf("said: %q", w)
		}
	})
}

func TestReturnCodes(t *testing.T) {
	for _, c := range []struct{ pattern, yes, no string }{
		{"127.0.0.2", "127.0.0.2", "127.0.0.3"},
		{"127.0.0.4-7", "127.0.0.7", "127.0.0.8"},
		{"127.0.*.3", "127.0.200.3", "127.0.200.2"},
		{"127.0.2-20.1-3", "127.0.20.1", "127.0.21.1"},
		{"127.0.1.0/24", "127.0.1.255", "127.0.2.0"},
		{"127.0.0.0/30", "127.0.0.3", "127.0.0.4"},
		{"127.0.0.0/8", "127.9.9.9", "128.0.0.0"},
	} {
		p, err := parseCode(c.pattern)
		if err != nil || !p.fits(netip.MustParseAddr(c.yes)) || p.fits(netip.MustParseAddr(c.no)) {
			t.Errorf("%s: %v, %v", c.pattern, p, err)
		}
	}
	for _, bad := range []string{"", "127.0.0", "127.0.0.300", "127.0.0.7-4", "10.0.0.1", "127.0.0.0/7", "::1/128", "127.0.0.x", "*.0.0.1", "127.0.0.2.3"} {
		if _, err := parseCode(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

// All mistakes are told at once, each with its place, and the key is in none of them.
func TestListConfig(t *testing.T) {
	dir := t.TempDir()
	key := filepath.Join(dir, "key")
	if err := os.WriteFile(key, []byte("bad key!\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	text := `
[[list]]
zone = "a.example"
[[list]]
zone = "{key}.b.example"
score = 1
[[list]]
zone = "c.example"
score = -1
[[list]]
zone = "d.example"
codes = { "10.0.0.1" = 1.0 }
[[list]]
zone = "{key}.e.example"
key_file = "` + key + `"
score = 1
[[list]]
zone = "f.example"
codes = { "127.0.0.2" = 0.0 }
[[list]]
zone = "g.example"
score = 1
[[list]]
zone = "G.example."
name = "g.example"
score = 1
[[list]]
score = 1
`
	_, err := newDNSBL(t.Context(), Env{Config: section(t, text)})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"list[0]", "list[1]", "list[2]", "list[3]", "list[4]", "list[5]", "list[7]", "list[8]"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("nothing about %s", want)
		}
	}
	if strings.Contains(err.Error(), "bad key") || strings.Contains(err.Error(), "list[6]") {
		t.Errorf("the error says too much:\n%v", err)
	}
	t.Logf("\n%v", err)
}
