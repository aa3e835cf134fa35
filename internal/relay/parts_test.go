package relay

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"sekimori/internal/config"
	"sekimori/internal/mail"
)

func routeTo(url string, match ...string) config.Route {
	return config.Route{Match: match, Backends: config.RouteBackends{{URL: url, Chunking: true}}}
}

func TestMatchWild(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"ml-*", "ml-", true},
		{"ml-*", "ml", false},
		{"*", "", true},
		{"a*b*c", "axxbyyc", true},
		{"a*b*c", "abc", true},
		{"a*a", "a", false},
		{"*x*", "axb", true},
		{"*x*", "ab", false},
		{"a", "ab", false},
	} {
		if got := matchWild(c.pattern, c.s); got != c.want {
			t.Errorf("matchWild(%q, %q) = %v", c.pattern, c.s, got)
		}
	}
}

// FuzzStuff compares with the textbook way, whatever the pieces are.
func FuzzStuff(f *testing.F) {
	f.Add([]byte(octets), 3, 7)
	f.Add([]byte(".\r\n.\r\n.."), 1, 1)
	f.Add([]byte("a\r\n.b"), 2, 1)
	f.Add([]byte(""), 0, 0)
	f.Fuzz(func(t *testing.T, raw []byte, a, b int) {
		var c mail.Content
		rest := raw
		for _, n := range []int{a, b} {
			if n >= 0 && n <= len(rest) {
				c = append(c, rest[:n])
				rest = rest[n:]
			}
		}
		c = append(c, rest)
		var got bytes.Buffer
		if err := writeStuffed(&got, c); err != nil {
			t.Fatal(err)
		}
		text := string(raw)
		if !strings.HasSuffix(text, "\r\n") && text != "" {
			text += "\r\n"
		}
		want := strings.ReplaceAll("\r\n"+text, "\r\n.", "\r\n..")[2:] + ".\r\n"
		if got.String() != want {
			t.Errorf("%q in %q: got %q, want %q", raw, c, got.String(), want)
		}
	})
}

func FuzzReply(f *testing.F) {
	f.Add([]byte("250-one\r\n250 two\r\n550 5.1.1 no\r\n"))
	f.Add([]byte("421\n"))
	f.Add([]byte("550-5.7.1 a\r\n550-5.7.1\r\n550 5.7.1 b\x00\r\n"))
	f.Add(bytes.Repeat([]byte("250-x\r\n"), 200))
	f.Fuzz(func(t *testing.T, in []byte) {
		whole := readAll(&replyReader{src: bytes.NewReader(in)})
		slow := readAll(&replyReader{src: iotest.OneByteReader(iotest.TimeoutReader(bytes.NewReader(in)))})
		if len(whole) != len(slow) {
			t.Fatalf("%q gives %v at once and %v octet by octet", in, whole, slow)
		}
		for i, p := range whole {
			if p != slow[i] {
				t.Errorf("%q: %v and %v", in, p, slow[i])
			}
			if p.code < 200 || p.code > 599 || len(p.text) > maxReplyText || strings.ContainsAny(p.text, "\r\n\x00") {
				t.Errorf("%q gives %+v", in, p)
			}
		}
	})
}

// readAll reads to the first error that is not a time-out.
func readAll(r *replyReader) []reply {
	var list []reply
	for {
		p, err := r.read(nil)
		if err == iotest.ErrTimeout {
			continue
		}
		if err != nil {
			return list
		}
		list = append(list, p)
	}
}

func TestReplyIsReadOnAfterTimeout(t *testing.T) {
	pr, pw := io.Pipe()
	r := &replyReader{src: iotest.TimeoutReader(pr)}
	go func() { pw.Write([]byte("250-a\r\n25")); pw.Write([]byte("0 b\r\n")); pw.Close() }()
	if _, err := r.read(nil); err != iotest.ErrTimeout {
		t.Fatal(err)
	}
	p, err := r.read(nil)
	if err != nil || p.code != 250 {
		t.Error(p, err)
	}
}

func TestParseWords(t *testing.T) {
	for _, s := range []string{"550 5.1.1 no such user", "452 4.5.3 too many", "554 5.0.0 x"} {
		if got := parseWords(s).String(); got != s {
			t.Errorf("%q became %q", s, got)
		}
	}
	if got := parseWords("banner: EOF").String(); got != "554 5.0.0 banner: EOF" {
		t.Error(got)
	}
}

func TestMaildir(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "m")
	run(t, nil, func(w *world) {
		w.stop()
		w.cfg.Domains[0].Backends = []config.Backend{{URL: "maildir:" + dir, Weight: 1}}
		w.spool.Close()
		w.start(w.spool.Dir())
		w.want("states", w.deliver("m", "x@example.jp", "../../y@example.jp"), "delivered, delivered")
		files, _ := filepath.Glob(dir + "/new/*")
		w.wantInt("files", len(files), 1)
		b, _ := os.ReadFile(files[0])
		w.want("content", string(b), "Return-Path: <a@sender.test>\r\nDelivered-To: x@example.jp\r\nDelivered-To: ../../y@example.jp\r\n"+octets)
		if !w.relay.UTF8() || !w.relay.EightBit() {
			t.Error("a Maildir takes everything")
		}
		os.RemoveAll(dir)
		w.want("taken away", w.deliver("n", "x@example.jp"), "queued")
		w.want("made again", w.deliver("o", "x@example.jp"), "delivered")
	})
}
