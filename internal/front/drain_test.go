package front

import (
	"context"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sekimori/internal/config"
)

// TestDrain: connections between mails are told 421, a mail in DATA is brought to its end, nothing new begins.
func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t).start()
		idle := w.dial("192.0.2.1").hello()
		addressed := w.dial("192.0.2.2").hello().envelope("x@example.jp")
		sending := w.dial("192.0.2.3").hello().envelope("x@example.jp")
		sending.want("DATA", "354")
		_ = sending.write("Subject: last\r\n\r\n")
		chunked := w.dial("192.0.2.4").hello().envelope("x@example.jp")
		_ = chunked.write("BDAT 5\r\nfirst")
		chunked.want("", "250 2.0.0 5 octets")
		done := make(chan error, 1)
		go func() {
			ctx, stop := context.WithTimeout(context.Background(), 30*time.Second)
			defer stop()
			done <- w.srv.Shutdown(ctx)
		}()
		synctest.Wait()
		for _, c := range []*client{idle, addressed} {
			c.want("", "421 4.3.2")
			if c.line() != "EOF" {
				t.Error("still open")
			}
		}
		if l := w.dial("192.0.2.5").line(); l != "EOF" {
			t.Errorf("a new connection is told %q", l)
		}
		time.Sleep(10 * time.Second)
		_ = sending.write("text\r\n.\r\n" + evil)
		sending.want("", "250 2.0.0 accepted")
		sending.want("", "421 4.3.2")
		_ = chunked.write("BDAT 8 LAST\r\nsecond\r\n")
		chunked.want("", "250 2.0.0 accepted")
		if err := <-done; err != nil {
			t.Error(err)
		}
		w.noEvil(t)
		if len(w.delivered) != 2 {
			t.Error(len(w.delivered))
		}
	})
}

// TestDrainCut: what has not come to its end in time is cut off without an answer, and not accepted.
func TestDrainCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t).start()
		c := w.dial("192.0.2.3").hello().envelope("x@example.jp")
		c.want("DATA", "354")
		_ = c.write("Subject: cut\r\n\r\n")
		ctx, stop := context.WithTimeout(context.Background(), time.Second)
		defer stop()
		if err := w.srv.Shutdown(ctx); err == nil {
			t.Error("a drain in time?")
		}
		synctest.Wait()
		if l := c.line(); l != "EOF" || w.took() != 0 || w.open != 0 || w.visits != 0 {
			t.Error(l, w.took(), w.open, w.visits)
		}
	})
}

// TestDrainWhileJudging: a mail that is being judged when the drain begins gets its answer; when the drain's time is up
// first, it is refused for now rather than judged by half.
func TestDrainWhileJudging(t *testing.T) {
	for _, tt := range []struct {
		judge time.Duration
		taken int
	}{{5 * time.Second, 1}, {time.Minute, 0}} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.onData = func() { time.Sleep(tt.judge) }
			w.start()
			c := w.dial("192.0.2.3").hello().envelope("x@example.jp")
			c.want("DATA", "354")
			_ = c.write(plainMail + ".\r\n")
			ctx, stop := context.WithTimeout(context.Background(), 30*time.Second)
			defer stop()
			_ = w.srv.Shutdown(ctx)
			time.Sleep(2 * time.Minute)
			synctest.Wait()
			if w.took() != tt.taken {
				t.Errorf("judged for %v: %d taken", tt.judge, w.took())
			}
			if l := c.line(); tt.taken == 1 && !strings.HasPrefix(l, "250") {
				t.Errorf("%q", l)
			}
		})
	}
}

// TestSockets runs the server as main does, over TCP.
func TestSockets(t *testing.T) {
	w := newWorld(t)
	w.cfg.SMTP.Listeners = []config.Listener{{Listen: []string{"127.0.0.1:0", "[::1]:0"}}}
	w.start()
	if err := w.srv.Listen(); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- w.srv.Serve(t.Context()) }()
	var clients []*client
	for _, a := range w.srv.Addrs() {
		conn, err := net.Dial("tcp", a.String())
		if err != nil {
			t.Fatal(err)
		}
		c := newClient(t, conn)
		c.hello().envelope("x@example.jp").want("DATA", "354")
		c.want(plainMail+".", "250 2.0.0 accepted")
		clients = append(clients, c)
	}
	clients[0].want("QUIT", "221")
	if l := clients[0].line(); l != "EOF" {
		t.Error(l)
	}
	if err := w.srv.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	clients[1].want("", "421 4.3.2")
	if err := <-served; err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", w.srv.Addrs()[0].String()); err == nil {
		t.Error("still listening")
	}
}

// TestPeekSocket: over TCP, octets that are there are seen without waiting, and none are not waited for.
func TestPeekSocket(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	w := newWorld(t).start()
	near, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	far, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	x := newWire(w.srv, w.srv.set, far, "test")
	if early, alive := x.peek(); early || !alive {
		t.Error("silent:", early, alive)
	}
	if _, err := near.Write([]byte("EHLO x\r\n")); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(5 * time.Second)
	for {
		early, alive := x.peek()
		if early && alive {
			break
		}
		if !alive || time.Now().After(deadline) {
			t.Fatal("not seen")
		}
	}
	if string(x.in[x.pos:]) != "EHLO x\r\n" {
		t.Errorf("%q", x.in)
	}
	x.in, x.pos = nil, 0
	_ = near.Close()
	for {
		if _, alive := x.peek(); !alive {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the end is not seen")
		}
	}
}
