package front

import (
	"errors"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/mail"
)

// TestReconfigure changes everything under a connection that is in the middle of DATA: it ends by what it began with, and
// the next one meets the new configuration.
func TestReconfigure(t *testing.T) {
	w := newWorld(t)
	w.cfg.SMTP.Listeners = []config.Listener{{Listen: []string{"127.0.0.1:0"}}}
	srv := serveWorld(t, w)
	stays := srv.Addrs()[0].String()

	old := dialTCP(t, stays)
	old.hello().envelope("x@example.jp").want("DATA", "354")

	other := newWorld(t)
	other.atRcpt["x@example.net"] = mail.Verdict{Action: mail.Reject, Reply: mail.Permanent(550, 7, 1, "the new policy")}
	next := *w.cfg
	next.Hostname = "mx2.example.jp"
	next.Domains = []config.Domain{{Names: []string{"example.net"}, Recipients: "any"}}
	next.SMTP.MaxMessageSize = 1000
	next.SMTP.Listeners = []config.Listener{{Listen: []string{"127.0.0.1:0", "[::1]:0"}}}
	var closed atomic.Int32
	if err := srv.Reconfigure(Change{Config: &next, Gate: other, Recipients: w.directory(&next), Closed: func() { closed.Add(1) }}); err != nil {
		t.Fatal(err)
	}
	addrs := srv.Addrs()
	if len(addrs) != 2 || addrs[0].String() != stays {
		t.Fatalf("%v, before %s", addrs, stays)
	}
	for _, a := range addrs {
		c := dialTCP(t, a.String())
		c.want("", "220 mx2.example.jp")
		c.want("EHLO client.example", "250 SIZE 1000")
		c.want("MAIL FROM:<a@client.example> SIZE=2000", "552 5.3.4")
		c.want("MAIL FROM:<a@client.example>", "250")
		c.want("RCPT TO:<x@example.jp>", "550 5.7.1 relaying denied")
		c.want("RCPT TO:<x@example.net>", "550 5.7.1 the new policy")
		c.want("QUIT", "221 2.0.0 mx2.example.jp")
	}
	old.want(plainMail+".", "250 2.0.0 accepted")
	old.want("MAIL FROM:<a@client.example>", "250")
	old.want("RCPT TO:<x@example.jp>", "250")
	old.want("QUIT", "221 2.0.0 mx.example.jp")

	// The first address goes; the second stays.
	last := next
	last.SMTP.Listeners = []config.Listener{{Listen: []string{"[::1]:0"}}}
	if err := srv.Reconfigure(Change{Config: &last, Gate: other, Recipients: w.directory(&last)}); err != nil {
		t.Fatal(err)
	}
	if _, err := net.Dial("tcp", stays); err == nil {
		t.Error("an address that is not configured any more is still listened on")
	}
	dialTCP(t, addrs[1].String()).want("", "220 mx2.example.jp")
	for range 1000 {
		if closed.Load() == 1 {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Errorf("closed %d times", closed.Load())
}

// TestReconfigureFails: whatever does not load leaves all as it is.
func TestReconfigureFails(t *testing.T) {
	w := newWorld(t)
	w.cfg.SMTP.Listeners = []config.Listener{{Listen: []string{"127.0.0.1:0"}}}
	srv := serveWorld(t, w)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	missing := filepath.Join(t.TempDir(), "missing")
	for name, change := range map[string]func(*config.Config){
		taken.Addr().String(): func(c *config.Config) {
			c.SMTP.Listeners = []config.Listener{{Listen: []string{"[::1]:0", taken.Addr().String()}}}
		},
		missing: func(c *config.Config) { c.SMTP.TLSCertFile, c.SMTP.TLSKeyFile = missing, missing },
	} {
		next := *w.cfg
		change(&next)
		err := srv.Reconfigure(Change{Config: &next, Gate: w, Recipients: w.directory(&next), Closed: func() { t.Error("closed though never in force") }})
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v does not name %s", err, name)
		}
	}
	if len(srv.Addrs()) != 1 {
		t.Error(srv.Addrs())
	}
	dialTCP(t, srv.Addrs()[0].String()).want("", "220 mx.example.jp")
}

// TestOpener: addresses may come opened already.
func TestOpener(t *testing.T) {
	w := newWorld(t)
	w.cfg.SMTP.Listeners = []config.Listener{{Listen: []string{"192.0.2.1:25"}}}
	w.start()
	var asked string
	w.srv.opts.Listen = func(network, addr string) (net.Listener, error) {
		asked = network + " " + addr
		return nil, errors.New("no")
	}
	if err := w.srv.Listen(); err == nil || asked != "tcp4 192.0.2.1:25" {
		t.Errorf("%v %q", err, asked)
	}
}

func serveWorld(t *testing.T, w *world) *Server {
	t.Helper()
	w.start()
	if err := w.srv.Listen(); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- w.srv.Serve(t.Context()) }()
	t.Cleanup(func() {
		w.stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return w.srv
}

func dialTCP(t *testing.T, addr string) *client {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return newClient(t, conn)
}
