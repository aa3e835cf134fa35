package dns

import (
	"context"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	miekg "github.com/miekg/dns"
)

func TestClientTypes(t *testing.T) {
	s := newServer(t, func(w miekg.ResponseWriter, m *miekg.Msg) {
		q := m.Question[0]
		records := map[string][]string{
			"A x.test.":                      {"x.test. 60 A 192.0.2.1", "x.test. 60 A 192.0.2.2"},
			"AAAA x.test.":                   {"x.test. 60 AAAA 2001:db8::1"},
			"TXT x.test.":                    {`x.test. 60 TXT "v=spf1 " "-all"`},
			"MX x.test.":                     {"x.test. 60 MX 20 b.test.", "x.test. 60 MX 10 a.test."},
			"MX null.test.":                  {"null.test. 60 MX 0 ."},
			"PTR 1.2.0.192.in-addr.arpa.":    {"1.2.0.192.in-addr.arpa. 60 PTR x.test.", `1.2.0.192.in-addr.arpa. 60 PTR a\032b\010.test.`},
			"A alias.test.":                  {"ALIAS.test. 60 CNAME mid.test.", "mid.test. 60 CNAME X.test.", "x.test. 60 A 192.0.2.1"},
			"A half.test.":                   {"half.test. 60 CNAME x.test."},
			"A loop.test.":                   {"loop.test. 60 CNAME loop.test."},
			"A foreign.test.":                {"other.test. 60 A 203.0.113.66"},
			`TXT a\\b\"c\009.test.`:          {`a\\b\"c\009.test. 60 TXT odd`},
			"A " + "v4.test.":                {"v4.test. 60 A 192.0.2.4"},
			"AAAA mapped.test.":              {"mapped.test. 60 AAAA ::ffff:192.0.2.7"},
			"TXT \\195\\169.test.":           {"\\195\\169.test. 60 TXT utf"},
			"TXT " + "upper.test.":           {"UPPER.test. 60 TXT up"},
			"PTR 1.0.0.0.ip6.arpa.":          nil,
			"A " + "chain1.test.":            {"chain1.test. 60 CNAME chain2.test."},
			"A " + "chain2.test.":            {"chain2.test. 60 CNAME v4.test."},
			"A " + "withjunk.test.":          {"junk.test. 60 A 203.0.113.66", "withjunk.test. 60 A 192.0.2.8"},
			"A " + "nowhere.test.":           {"nowhere.test. 60 CNAME void.test."},
			"TXT " + "two.test.":             {"two.test. 60 TXT a", "two.test. 60 TXT b"},
			"TXT " + "bytes.test.":           {`bytes.test. 60 TXT "\000\255\"\\"`},
			"A " + "mixed-type.test.":        {"mixed-type.test. 60 TXT no"},
			"A " + "a.b.c.d.e.f.g.h.i.test.": {"a.b.c.d.e.f.g.h.i.test. 60 A 192.0.2.9"},
		}
		_ = w.WriteMsg(reply(t, m, 0, records[miekg.TypeToString[q.Qtype]+" "+q.Name]...))
	})
	c := newClient(t, Options{}, s)
	ctx := t.Context()
	addrs := map[string]string{
		"x.test": "[192.0.2.1 192.0.2.2]", "alias.test.": "[192.0.2.1]", "half.test": "[192.0.2.1 192.0.2.2]",
		"chain1.test": "[192.0.2.4]", "withjunk.test": "[192.0.2.8]", "A.b.c.d.e.f.g.h.i.test": "[192.0.2.9]",
	}
	for name, want := range addrs {
		got, err := c.LookupNetIP(ctx, "ip4", name)
		if err != nil || toString(got) != want {
			t.Errorf("A %s = %v, %v; want %s", name, got, err, want)
		}
	}
	for _, name := range []string{"foreign.test", "nowhere.test", "mixed-type.test", "no..test", "", ".", string(make([]byte, 300))} {
		_, err := c.LookupNetIP(ctx, "ip4", name)
		wantNotFound(t, err)
	}
	_, err := c.LookupNetIP(ctx, "ip4", "loop.test")
	wantTemporary(t, err)
	for name, want := range map[string]string{"x.test": "v=spf1 -all", "a\\b\"c\t.test": "odd", "é.test": "utf", "upper.test": "up", "bytes.test": "\x00\xff\"\\"} {
		got, err := c.LookupTXT(ctx, name)
		if err != nil || len(got) != 1 || got[0] != want {
			t.Errorf("TXT %q = %q, %v", name, got, err)
		}
	}
	if mx, err := c.LookupMX(ctx, "x.test"); err != nil || len(mx) != 2 || *mx[0] != (net.MX{Host: "a.test.", Pref: 10}) {
		t.Errorf("MX = %v, %v", mx, err)
	}
	if mx, err := c.LookupMX(ctx, "null.test"); err != nil || len(mx) != 1 || mx[0].Host != "." {
		t.Errorf("null MX = %v, %v", mx, err)
	}
	if names, err := c.LookupAddr(ctx, "192.0.2.1"); err != nil || !slices.Equal(names, []string{"x.test."}) {
		t.Errorf("PTR = %q, %v", names, err)
	}
	if ips, err := c.LookupIPAddr(ctx, "x.test"); err != nil || len(ips) != 3 {
		t.Errorf("both = %v, %v", ips, err)
	}
	if ips, err := c.LookupNetIP(ctx, "ip", "192.0.2.77"); err != nil || len(ips) != 1 {
		t.Errorf("literal = %v, %v", ips, err)
	}
}

func toString(a []netip.Addr) string {
	s := "["
	for i, x := range a {
		if i > 0 {
			s += " "
		}
		s += x.String()
	}
	return s + "]"
}

func TestClientCache(t *testing.T) {
	s := newServer(t, func(w miekg.ResponseWriter, m *miekg.Msg) {
		switch m.Question[0].Name {
		case "minute.test.":
			_ = w.WriteMsg(reply(t, m, 0, "minute.test. 3600 CNAME m.test.", "m.test. 60 A 192.0.2.1"))
		case "zero.test.":
			_ = w.WriteMsg(reply(t, m, 0, "zero.test. 0 A 192.0.2.1"))
		case "high.test.":
			r := reply(t, m, 0, "high.test. 1 A 192.0.2.1")
			r.Answer[0].Header().Ttl = 1 << 31
			_ = w.WriteMsg(r)
		case "none.test.":
			_ = w.WriteMsg(reply(t, m, miekg.RcodeNameError, "test. 900 SOA a. b. 1 2 3 4 30"))
		case "nosoa.test.":
			_ = w.WriteMsg(reply(t, m, miekg.RcodeNameError))
		default:
			_ = w.WriteMsg(reply(t, m, miekg.RcodeServerFailure))
		}
	})
	var mu sync.Mutex
	now := time.Unix(1e9, 0)
	c := newClient(t, Options{Now: func() time.Time { mu.Lock(); defer mu.Unlock(); return now }}, s)
	ask := func(name string) int32 {
		before := s.asked.Load()
		_, _ = c.LookupNetIP(t.Context(), "ip4", name)
		return s.asked.Load() - before
	}
	for _, step := range []struct {
		name  string
		after time.Duration
		asks  int32
	}{
		{"minute.test", 0, 1},
		{"MINUTE.test.", 59 * time.Second, 0},
		{"minute.test", 2 * time.Second, 1},
		{"zero.test", 0, 1},
		{"zero.test", 0, 1},
		{"high.test", 0, 1},
		{"high.test", 0, 1},
		{"none.test", 0, 1},
		{"none.test", 29 * time.Second, 0},
		{"none.test", 2 * time.Second, 1},
		{"nosoa.test", 0, 1},
		{"nosoa.test", 0, 1},
		{"fail.test", 0, 1},
		{"fail.test", 500 * time.Millisecond, 0},
		{"fail.test", time.Second, 1},
	} {
		mu.Lock()
		now = now.Add(step.after)
		mu.Unlock()
		if got := ask(step.name); got != step.asks {
			t.Errorf("%s after %s: asked %d times, want %d", step.name, step.after, got, step.asks)
		}
	}
}

func TestOneFlightForAll(t *testing.T) {
	begun, release := make(chan struct{}), make(chan struct{})
	s := newServer(t, func(w miekg.ResponseWriter, m *miekg.Msg) {
		close(begun)
		<-release
		_ = w.WriteMsg(reply(t, m, 0, "x.test. 60 TXT yes"))
	})
	c := newClient(t, Options{}, s)
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() { _, err := c.LookupTXT(ctx, "x.test"); first <- err }()
	<-begun
	rest := make(chan error, 10)
	for range 10 {
		go func() { _, err := c.LookupTXT(t.Context(), "x.test"); rest <- err }()
	}
	cancel()
	wantTemporary(t, <-first)
	close(release)
	for range 10 {
		if err := <-rest; err != nil {
			t.Error(err)
		}
	}
	if n := s.asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

func TestAnswersBelongToTheCaller(t *testing.T) {
	c := newClient(t, Options{}, newServer(t, always(t, 0, "x.test. 60 TXT yes")))
	a, _ := c.LookupTXT(t.Context(), "x.test")
	a[0] = "spoiled"
	if b, _ := c.LookupTXT(t.Context(), "x.test"); b[0] != "yes" {
		t.Error("the cache was changed through a result")
	}
}

func TestServers(t *testing.T) {
	conf := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(conf, []byte("# x\nsearch a.b\nnameserver 192.0.2.53\nnameserver fe80::1%lo\noptions edns0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		o    Options
		want []string
	}{
		{Options{ResolvConf: conf}, []string{"192.0.2.53:53", "[fe80::1%lo]:53"}},
		{Options{ResolvConf: conf + ".none"}, []string{"127.0.0.1:53"}},
		{Options{Servers: []string{"127.0.0.1:5353", "::1", "[::1]:54", "[2001:db8::1]"}}, []string{"127.0.0.1:5353", "[::1]:53", "[::1]:54", "[2001:db8::1]:53"}},
		{Options{Servers: []string{"dns.test:53"}}, nil},
		{Options{Servers: []string{"127.0.0.1:0"}}, nil},
	} {
		client, err := New(c.o)
		if c.want == nil {
			if err == nil {
				t.Errorf("%v was accepted", c.o.Servers)
			}
			continue
		}
		if err != nil || !slices.Equal(client.Servers(), c.want) {
			t.Errorf("servers of %v: %v, %v", c.o, client, err)
			continue
		}
		_ = client.Close()
	}
}

func BenchmarkCached(b *testing.B) {
	c, err := New(Options{Servers: []string{"127.0.0.1:1"}})
	if err != nil {
		b.Fatal(err)
	}
	c.r.cache.put(question{"x.test.", miekg.TypeTXT}, &answer{texts: []string{"v=spf1 -all"}}, nil, time.Hour)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = c.LookupTXT(context.Background(), "x.test.")
	}
}

func BenchmarkAsked(b *testing.B) {
	pc, _ := net.ListenPacket("udp", "127.0.0.1:0")
	defer pc.Close()
	go func() { // echoes NXDOMAIN without an SOA, which is not kept
		buf := make([]byte, 512)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			buf[2], buf[3], buf[11] = 0x81, 0x83, 0
			_, _ = pc.WriteTo(buf[:n-11], from)
		}
	}()
	c, _ := New(Options{Servers: []string{pc.LocalAddr().String()}})
	b.ReportAllocs()
	for b.Loop() {
		_, _ = c.LookupTXT(context.Background(), "x.test.")
	}
}
