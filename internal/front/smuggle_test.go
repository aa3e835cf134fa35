package front

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sekimori/internal/mail"
)

// evil is what must never become a command.
const evil = "MAIL FROM:<evil@sender.example>\r\nRCPT TO:<x@example.jp>\r\nDATA\r\nSubject: smuggled\r\n\r\n.\r\n"

func (w *world) noEvil(t *testing.T) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.records {
		if r.From.Local == "evil" {
			t.Error("what stood in a message became a command")
		}
	}
}

// TestSmuggling sends messages that other servers take for finished earlier than we do, or later.
func TestSmuggling(t *testing.T) {
	ends := []string{
		"\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r.\r\n", "\r\n.\r", "\n.\r", "\r.\n", "\r\r\n.\n", "\n\n.\r\n", "\r\n\x00.\r\n",
		"\r\n.\x00\r\n", "\r\n.\r\r\n", "\r\n .\r\n", "\r\n..\r\n", "\r\n.\n\r\n", "\r\n.\r\x00\n",
	}
	for _, normalize := range []bool{false, true} {
		for _, end := range ends {
			t.Run(fmt.Sprintf("%q/%v", end, normalize), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					w.cfg.SMTP.NormalizeBareLF = normalize
					c := w.start().dial("192.0.2.1").hello().envelope("x@example.jp")
					c.want("DATA", "354")
					c.send("Subject: outer\r\n\r\ntext" + end + evil)
					synctest.Wait()
					reply := c.reply()
					synctest.Wait()
					w.noEvil(t)
					if strings.HasPrefix(reply, "250") {
						body := string(w.delivered[0].Content.Bytes())
						if !strings.Contains(body, "MAIL FROM:<evil@sender.example>") {
							t.Error("accepted, and what looked like a command is gone")
						}
						return
					}
					if c.line() != "EOF" {
						t.Error("refused for its line ends, and the dialogue goes on")
					}
				})
			})
		}
	}
}

// TestDataTimeout: after a time-out inside of a message the rest of it is not read as commands.
func TestDataTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t).start()
		c := w.dial("192.0.2.1").hello().envelope("x@example.jp")
		c.want("DATA", "354")
		c.send("Subject: cut\r\n\r\nhalf")
		time.Sleep(2 * time.Minute)
		c.send("\r\n.\r\n" + evil)
		c.want("", "421 4.4.2")
		if l := c.line(); l != "EOF" {
			t.Errorf("the dialogue goes on: %q", l)
		}
		synctest.Wait()
		w.noEvil(t)
		if w.took() != 0 {
			t.Error("half a message was accepted")
		}
	})
}

// TestStickyRead: whatever is read after the first error, go-smtp is told that the connection has ended.
func TestStickyRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t).start()
		x := newWire(w.srv, w.srv.set, &stutter{}, "test")
		x.session = &mail.Session{}
		buf := make([]byte, 100)
		for range 3 {
			if n, err := x.Read(buf); n != 0 || err == nil {
				t.Fatalf("%q, %v", buf[:n], err)
			}
		}
	})
}

// TestSlowSender: a deadline counts from the last octet; a slow sender is served until its connection's lifetime ends.
func TestSlowSender(t *testing.T) {
	for _, tt := range []struct {
		lines int
		reply string
	}{{30, "250"}, {100, "421 4.4.2"}} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t).start()
			c := w.dial("192.0.2.1").hello().envelope("x@example.jp")
			c.want("DATA", "354")
			for range tt.lines {
				if c.write("a line\r\n") != nil {
					break
				}
				time.Sleep(50 * time.Second)
			}
			c.send(".\r\n")
			c.want("", tt.reply)
		})
	}
}

// TestCutConnection: a message whose end did not come is not accepted.
func TestCutConnection(t *testing.T) {
	for _, last := range []string{"text", "text\r\n", "text\r\n.", "text\r\n.\r"} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t).start()
			c := w.dial("192.0.2.1").hello().envelope("x@example.jp")
			c.want("DATA", "354")
			_ = c.write("Subject: cut\r\n\r\n" + last)
			_ = c.conn.Close()
			synctest.Wait()
			if w.took() != 0 || len(w.records) != 1 || w.records[0].Action != "aborted" {
				t.Errorf("after %q: %d taken, %+v", last, w.took(), w.records)
			}
		})
	}
}

// TestDots: the same octets give the same message, however they are cut into reads, also when they are read into place
// right behind what is there.
func TestDots(t *testing.T) {
	for _, tt := range []struct{ in, out, rest string }{
		{".\r\nNOOP\r\n", "", "NOOP\r\n"},
		{"a\r\n.\r\n", "a\r\n", ""},
		{"..\r\n.a\r\n...\r\n.\r\nx", ".\r\na\r\n..\r\n", "x"},
		{".\rx\r\n.\r\n", "\rx\r\n", ""},
		{"a\r\n.\r.\r\n.\r\n", "a\r\n\r.\r\n", ""},
		{"a\n.\n\r\n.\r\n", "a\n.\n\r\n", ""},
		{"\r\r\r\n.\r\n", "\r\r\r\n", ""},
	} {
		for step := 1; step <= len(tt.in); step++ {
			var d dots
			b := body{dots: dots{}}
			used := 0
			done := false
			for used < len(tt.in) && !done {
				room := b.room()
				n := copy(room, tt.in[used:min(used+step, len(tt.in))])
				out, u, end := d.take(b.mem, room[:n])
				b.mem, done = out, end
				used += u
			}
			if !done || string(b.mem) != tt.out || tt.in[used:] != tt.rest {
				t.Errorf("%q by %d: %v %q, rest %q", tt.in, step, done, b.mem, tt.in[used:])
			}
		}
	}
}

// TestLargeBodies: long lines, long messages and large chunks come through octet for octet, and through the spool's file
// beyond a size.
func TestLargeBodies(t *testing.T) {
	line := strings.Repeat("0123456789", 50_000) // one of 500 KB
	text := "Subject: large\r\n\r\n" + strings.Repeat(line+"\r\n.dot\r\n", 5)
	for _, chunked := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t).start()
			c := w.dial("192.0.2.1").hello().envelope("x@example.jp")
			if chunked {
				c.send(fmt.Sprintf("BDAT 100000\r\n%sBDAT %d LAST\r\n%s", text[:100000], len(text)-100000, text[100000:]))
				c.want("", "250 2.0.0 100000")
			} else {
				c.want("DATA", "354")
				c.send(strings.ReplaceAll(text, "\r\n.", "\r\n..") + ".\r\n")
			}
			c.want("", "250 2.0.0 accepted")
			got := w.delivered[0].Content.Bytes()
			if !bytes.HasSuffix(got, []byte("+0000\r\n"+text)) {
				t.Errorf("chunked %v: %d octets of %d came through", chunked, len(got), len(text))
			}
			if w.temps != 1 {
				t.Errorf("%d files", w.temps)
			}
		})
	}
}
