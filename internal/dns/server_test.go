package dns

import (
	"net"
	"sync/atomic"
	"testing"
	"time"

	miekg "github.com/miekg/dns"
)

// fakeServer is a DNS server on loopback that answers as told, over UDP and TCP on one port.
type fakeServer struct {
	addr  string
	asked atomic.Int32
	do    atomic.Pointer[func(w miekg.ResponseWriter, m *miekg.Msg)]
}

func newServer(t *testing.T, do func(w miekg.ResponseWriter, m *miekg.Msg)) *fakeServer {
	t.Helper()
	var pc net.PacketConn
	var l net.Listener
	for range 50 { // a port that is free for UDP may be taken for TCP
		var err error
		if pc, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		if l, err = net.Listen("tcp", pc.LocalAddr().String()); err == nil {
			break
		}
		_ = pc.Close()
	}
	if l == nil {
		t.Fatal("no port is free for both UDP and TCP")
	}
	f := &fakeServer{addr: pc.LocalAddr().String()}
	f.do.Store(&do)
	handler := miekg.HandlerFunc(func(w miekg.ResponseWriter, m *miekg.Msg) {
		f.asked.Add(1)
		(*f.do.Load())(w, m)
	})
	for _, s := range []*miekg.Server{{PacketConn: pc, Handler: handler}, {Listener: l, Handler: handler}} {
		up := make(chan struct{})
		s.NotifyStartedFunc = func() { close(up) }
		go func() { _ = s.ActivateAndServe() }()
		<-up
		t.Cleanup(func() { _ = s.Shutdown() })
	}
	return f
}

// reply answers with records in master-file form; those with an SOA go to the authority section.
func reply(t *testing.T, m *miekg.Msg, rcode int, records ...string) *miekg.Msg {
	r := new(miekg.Msg)
	r.SetRcode(m, rcode)
	r.RecursionAvailable = true
	for _, text := range records {
		rr, err := miekg.NewRR(text)
		if err != nil {
			t.Error(err)
			continue
		}
		if rr.Header().Rrtype == miekg.TypeSOA {
			r.Ns = append(r.Ns, rr)
		} else {
			r.Answer = append(r.Answer, rr)
		}
	}
	return r
}

// always answers everything with the same records.
func always(t *testing.T, rcode int, records ...string) func(miekg.ResponseWriter, *miekg.Msg) {
	return func(w miekg.ResponseWriter, m *miekg.Msg) { _ = w.WriteMsg(reply(t, m, rcode, records...)) }
}

func silent(miekg.ResponseWriter, *miekg.Msg) {}

func newClient(t *testing.T, o Options, servers ...*fakeServer) *Client {
	t.Helper()
	for _, s := range servers {
		o.Servers = append(o.Servers, s.addr)
	}
	if o.Timeout == 0 {
		o.Timeout = 2 * time.Second
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// closedPort is an address at which nothing listens.
func closedPort(t *testing.T) string {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	return pc.LocalAddr().String()
}

func wantTemporary(t *testing.T, err error) {
	t.Helper()
	e, ok := err.(*net.DNSError)
	if !ok || !e.IsTemporary || e.IsNotFound {
		t.Errorf("error %#v is not a temporary *net.DNSError", err)
	}
}

func wantNotFound(t *testing.T, err error) {
	t.Helper()
	e, ok := err.(*net.DNSError)
	if !ok || e.IsTemporary || !e.IsNotFound {
		t.Errorf("error %#v is not a *net.DNSError for what is not there", err)
	}
}
