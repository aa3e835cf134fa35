package dns

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	miekg "github.com/miekg/dns"
)

// Packets that are no answer to our question are passed over (miekg/dns looks at the ID alone).
func TestForgedAnswers(t *testing.T) {
	send := func(w miekg.ResponseWriter, r *miekg.Msg) { _ = w.WriteMsg(r) }
	s := newServer(t, func(w miekg.ResponseWriter, m *miekg.Msg) {
		evil := "x.test. 60 A 203.0.113.66"
		id := reply(t, m, 0, evil)
		id.Id++
		send(w, id)
		other := reply(t, m, 0, evil)
		other.Question[0].Name = "y.test."
		send(w, other)
		kind := reply(t, m, 0, evil)
		kind.Question[0].Qtype = miekg.TypeAAAA
		send(w, kind)
		asked := reply(t, m, 0, evil)
		asked.Response = false
		send(w, asked)
		none := reply(t, m, 0, evil)
		none.Question = nil
		send(w, none)
		_, _ = w.Write([]byte("x"))
		good := reply(t, m, 0, "x.test. 60 A 192.0.2.1")
		good.Question[0].Name = "X.tEST."
		send(w, good)
	})
	c := newClient(t, Options{}, s)
	got, err := c.LookupNetIP(t.Context(), "ip4", "x.test")
	if err != nil || toString(got) != "[192.0.2.1]" {
		t.Errorf("%v, %v", got, err)
	}
}

func TestTruncatedGoesToTCP(t *testing.T) {
	s := newServer(t, func(w miekg.ResponseWriter, m *miekg.Msg) {
		r := reply(t, m, 0, "x.test. 60 A 192.0.2.1")
		if _, udp := w.RemoteAddr().(*net.UDPAddr); udp {
			r.Answer, r.Truncated = nil, true
		}
		_ = w.WriteMsg(r)
	})
	c := newClient(t, Options{}, s)
	if got, err := c.LookupNetIP(t.Context(), "ip4", "x.test"); err != nil || len(got) != 1 {
		t.Errorf("%v, %v", got, err)
	}
	always := newServer(t, func(w miekg.ResponseWriter, m *miekg.Msg) {
		r := reply(t, m, 0)
		r.Truncated = true
		_ = w.WriteMsg(r)
	})
	_, err := newClient(t, Options{}, always).LookupTXT(t.Context(), "x.test")
	wantTemporary(t, err)
}

func TestNextServer(t *testing.T) {
	good := newServer(t, always(t, 0, "x.test. 0 TXT yes"))
	lame := func(w miekg.ResponseWriter, m *miekg.Msg) {
		r := reply(t, m, 0)
		r.RecursionAvailable = false
		_ = w.WriteMsg(r)
	}
	for name, do := range map[string]func(miekg.ResponseWriter, *miekg.Msg){
		"servfail": always(t, miekg.RcodeServerFailure), "refused": always(t, miekg.RcodeRefused), "lame": lame,
		"garbage": func(w miekg.ResponseWriter, m *miekg.Msg) {
			b, _ := reply(t, m, 0).Pack()
			b[7] = 9 // more answers than there are
			_, _ = w.Write(b)
		},
	} {
		bad := newServer(t, do)
		if got, err := newClient(t, Options{}, bad, good).LookupTXT(t.Context(), "x.test"); err != nil || len(got) != 1 {
			t.Errorf("%s: %v, %v", name, got, err)
		}
		before := bad.asked.Load()
		_, err := newClient(t, Options{}, bad).LookupTXT(t.Context(), "x.test")
		wantTemporary(t, err)
		if n := bad.asked.Load() - before; n != 1 {
			t.Errorf("%s: a server that answered badly was asked %d times", name, n)
		}
	}
}

func TestWithoutEDNS(t *testing.T) {
	s := newServer(t, func(w miekg.ResponseWriter, m *miekg.Msg) {
		if m.IsEdns0() != nil {
			if m.IsEdns0().UDPSize() != ednsSize {
				t.Errorf("EDNS size %d", m.IsEdns0().UDPSize())
			}
			r := reply(t, m, miekg.RcodeFormatError)
			r.Question = nil
			_ = w.WriteMsg(r)
			return
		}
		_ = w.WriteMsg(reply(t, m, 0, "x.test. 60 TXT old"))
	})
	if got, err := newClient(t, Options{}, s).LookupTXT(t.Context(), "x.test"); err != nil || len(got) != 1 {
		t.Errorf("%v, %v", got, err)
	}
}

// A hung server costs one time-out; afterwards it is left out, and taken back when it answers.
func TestHungServer(t *testing.T) {
	const limit = 200 * time.Millisecond
	hung := newServer(t, silent)
	good := newServer(t, always(t, 0, "x.test. 0 TXT yes"))
	changes := make(chan bool, 10)
	c := newClient(t, Options{Timeout: limit, OnServer: func(_ string, up bool) { changes <- up }}, hung, good)
	start := time.Now()
	if _, err := c.LookupTXT(t.Context(), "x.test"); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took < limit || took > 3*limit {
		t.Errorf("the first look-up took %s", took)
	}
	if up := <-changes; up {
		t.Error("the hung server is called up")
	}
	start = time.Now()
	for range 20 {
		if _, err := c.LookupTXT(t.Context(), "x.test"); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(start); took > limit {
		t.Errorf("20 look-ups beside a hung server took %s", took)
	}
	if !c.Healthy() {
		t.Error("not healthy with one good server")
	}
	do := always(t, 0, "x.test. 0 TXT back")
	hung.do.Store(&do)
	if up := <-changes; !up {
		t.Error("the server that came back is called down")
	}
	if got, _ := c.LookupTXT(t.Context(), "x.test"); len(got) != 1 || got[0] != "back" {
		t.Errorf("after its return: %v", got)
	}
}

// A domain that nobody answers for is no fault of the resolver.
func TestSlowDomain(t *testing.T) {
	s := newServer(t, func(w miekg.ResponseWriter, m *miekg.Msg) {
		if m.Question[0].Name != "slow.test." {
			_ = w.WriteMsg(reply(t, m, 0, m.Question[0].Name+" 0 TXT yes"))
		}
	})
	c := newClient(t, Options{Timeout: 100 * time.Millisecond}, s)
	_, err := c.LookupTXT(t.Context(), "slow.test")
	wantTemporary(t, err)
	if e, ok := err.(*net.DNSError); !ok || !e.IsTimeout {
		t.Errorf("%#v", err)
	}
	if !c.Healthy() {
		t.Error("the server was condemned for a slow domain")
	}
	if _, err := c.LookupTXT(t.Context(), "x.test"); err != nil {
		t.Error(err)
	}
}

func TestAllServersDown(t *testing.T) {
	c := newClient(t, Options{Servers: []string{closedPort(t), closedPort(t)}})
	start := time.Now()
	for range 5 {
		_, err := c.LookupTXT(t.Context(), "x.test")
		wantTemporary(t, err)
		_, err = c.LookupNetIP(t.Context(), "ip", "y.test")
		wantTemporary(t, err)
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("failing took %s", took)
	}
	if c.Healthy() {
		t.Error("healthy without a server")
	}
}

func TestCallerGivesUp(t *testing.T) {
	var n atomic.Int32
	s := newServer(t, func(miekg.ResponseWriter, *miekg.Msg) { n.Add(1) })
	c := newClient(t, Options{Timeout: 5 * time.Second}, s)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := c.LookupTXT(ctx, "x.test")
	wantTemporary(t, err)
	if took := time.Since(start); took > time.Second {
		t.Errorf("the caller waited %s", took)
	}
}
