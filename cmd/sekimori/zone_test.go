package main

import (
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// zoneServer answers from a zone over UDP and TCP on loopback.
type zoneServer struct {
	addr string
	mu   sync.Mutex
	rrs  map[string][]dns.RR
	mute map[string]bool // names nobody gets an answer for
	hung bool

	servers []*dns.Server
}

// serveZone starts a zone server; lines are master-file lines.
func serveZone(t *testing.T, lines string) *zoneServer {
	t.Helper()
	z := &zoneServer{rrs: map[string][]dns.RR{}, mute: map[string]bool{}}
	z.add(t, lines)
	pc, l := bothProtocols(t)
	z.addr = pc.LocalAddr().String()
	for _, s := range []*dns.Server{{PacketConn: pc, Handler: z}, {Listener: l, Handler: z}} {
		go func() { _ = s.ActivateAndServe() }()
		z.servers = append(z.servers, s)
	}
	t.Cleanup(z.stop)
	return z
}

// stop closes the ports; it may be called more than once.
func (z *zoneServer) stop() {
	for _, s := range z.servers {
		_ = s.Shutdown()
	}
	z.servers = nil
}

// bothProtocols listens over UDP and TCP on one port; one that is free for UDP may be taken for TCP.
func bothProtocols(t *testing.T) (net.PacketConn, net.Listener) {
	t.Helper()
	var last error
	for range 50 {
		pc, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp", pc.LocalAddr().String())
		if err == nil {
			return pc, l
		}
		last = err
		_ = pc.Close()
	}
	t.Fatal(last)
	return nil, nil
}

func (z *zoneServer) add(t *testing.T, lines string) {
	t.Helper()
	p := dns.NewZoneParser(strings.NewReader("$TTL 5\n"+lines), ".", "")
	z.mu.Lock()
	defer z.mu.Unlock()
	for rr, ok := p.Next(); ok; rr, ok = p.Next() {
		name := strings.ToLower(rr.Header().Name)
		z.rrs[name] = append(z.rrs[name], rr)
	}
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
}

// hang makes the server read and never answer, as a stopped process does.
func (z *zoneServer) hang(on bool) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.hung = on
}

// ServeDNS implements dns.Handler.
func (z *zoneServer) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	z.mu.Lock()
	hung := z.hung || len(q.Question) != 1 || z.mute[strings.ToLower(q.Question[0].Name)]
	m := new(dns.Msg)
	m.SetReply(q)
	m.RecursionAvailable = true
	if !hung {
		z.answer(m, q.Question[0])
	}
	z.mu.Unlock()
	if hung {
		time.Sleep(time.Millisecond)
		return
	}
	if _, udp := w.RemoteAddr().(*net.UDPAddr); udp {
		size := dns.MinMsgSize
		if o := q.IsEdns0(); o != nil {
			size = int(o.UDPSize())
		}
		m.Truncate(size)
	}
	_ = w.WriteMsg(m)
}

func (z *zoneServer) answer(m *dns.Msg, q dns.Question) {
	name := strings.ToLower(q.Name)
	all, exists := z.rrs[name]
	for range 8 {
		var cname *dns.CNAME
		for _, rr := range all {
			if rr.Header().Rrtype == q.Qtype {
				m.Answer = append(m.Answer, rr)
			}
			if c, ok := rr.(*dns.CNAME); ok && q.Qtype != dns.TypeCNAME {
				cname = c
			}
		}
		if cname == nil {
			break
		}
		m.Answer = append(m.Answer, cname)
		all = z.rrs[strings.ToLower(cname.Target)]
	}
	if !exists {
		m.Rcode = dns.RcodeNameError
		suffix := "." + name
		for n := range z.rrs {
			if strings.HasSuffix(n, suffix) {
				m.Rcode = dns.RcodeSuccess
			}
		}
	}
	if len(m.Answer) == 0 {
		soa, _ := dns.NewRR(". 5 IN SOA ns.test. admin.test. 1 3600 600 86400 1")
		m.Ns = append(m.Ns, soa)
	}
}
