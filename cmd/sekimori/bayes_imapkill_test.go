package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2/imapclient"

	"sekimori/internal/imapfolder/realimap"
	"sekimori/internal/store"
	"sekimori/reputation"
)

// tripWire hands connections on to a server, and calls trip once when so many octets have passed through it since arm.
type tripWire struct {
	addr string

	mu   sync.Mutex
	to   string
	left int64
	trip func()
	open chan struct{} // closed: connections are handed on
}

func startTripWire(t *testing.T, to string) *tripWire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	w := &tripWire{addr: l.Addr().String(), to: to, open: make(chan struct{})}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go w.serve(c)
		}
	}()
	return w
}

// arm lets what connects from now on wait until the gate that it returns is opened.
func (w *tripWire) arm(octets int64, trip func()) (open func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	gate := make(chan struct{})
	w.left, w.trip, w.open = octets, sync.OnceFunc(trip), gate
	return func() { close(gate) }
}

func (w *tripWire) serve(c net.Conn) {
	defer c.Close()
	w.mu.Lock()
	gate := w.open
	w.mu.Unlock()
	<-gate
	s, err := net.Dial("tcp", w.to)
	if err != nil {
		return
	}
	defer s.Close()
	go func() { _, _ = io.Copy(s, w.counted(c)); _ = s.Close() }()
	_, _ = io.Copy(c, w.counted(s))
}

func (w *tripWire) counted(r io.Reader) io.Reader { return countedReader{r, w} }

type countedReader struct {
	io.Reader
	w *tripWire
}

func (c countedReader) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p[:min(len(p), 1024)])
	c.w.mu.Lock()
	c.w.left -= int64(n)
	over, trip := c.w.left <= 0, c.w.trip
	c.w.mu.Unlock()
	if over {
		trip()
	}
	return n, err
}

// TestIMAPKilled: a server that is killed in the middle of reading a folder, again and again, learns every mail of it once, and has moved
// none that it had not learned. It takes the folder up at once: it need not wait for its own turn to end.
func TestIMAPKilled(t *testing.T) {
	const mails = 45 // more than two steps
	s := realimap.Start(t)
	numbers := make([]int, mails)
	for i := range numbers {
		numbers[i] = i + 1
	}
	moveToJunk(t, s, numbers...)
	createFolder(t, s, "Learned")
	w := startTripWire(t, s.TLS)
	dir := t.TempDir()
	password := filepath.Join(dir, "password")
	if err := os.WriteFile(password, []byte(realimap.Password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := &program{t: t, dir: dir, conf: filepath.Join(dir, "sekimori.toml")}
	conf := serveConfig(dir, fmt.Sprintf(`
[[smtp.listener]]
listen = ["127.0.0.1:0"]
[[bayes.imap]]
url = "imaps://%s"
user = %q
password_file = %q
ca_file = %q
tls_name = "imap.example.test"
folder = "Junk"
class = "spam"
after = "move"
move_to = "Learned"
[[domain]]
names = ["example.test"]
recipients = "any"
backends = ["maildir:mail"]
`, w.addr, realimap.User, password, s.CAFile))
	if err := os.WriteFile(p.conf, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	cut := 0
	for octets, rounds := int64(500), 0; ; octets, rounds = max(octets, 7_000)+300, rounds+1 { // until one is not cut
		if rounds == 40 {
			t.Fatal("no round comes to its end")
		}
		var killed atomic.Bool
		open := w.arm(octets, func() {
			killed.Store(true)
			_ = p.cmd.Process.Kill()
		})
		p.run()
		open()
		eventually(t, "it is killed, or all are moved", func() bool { return killed.Load() || len(folderMails(t, s, "Learned")) == mails })
		p.kill()
		moved := folderMails(t, s, "Learned")
		shown := learnedOf(t, filepath.Join(dir, "data"), moved)
		if killed.Load() && shown > 0 && len(moved) < mails {
			cut++
		}
		t.Logf("after %d octets: %d are moved, %d learned", octets, len(moved), shown)
		if shown > mails {
			t.Errorf("%d mails are learned", shown)
		}
		if !killed.Load() {
			break
		}
	}
	moved := folderMails(t, s, "Learned")
	if n := learnedOf(t, filepath.Join(dir, "data"), moved); n != mails || len(moved) != mails {
		t.Errorf("%d mails are learned and %d moved, of %d", n, len(moved), mails)
	}
	if cut == 0 {
		t.Error("no round was cut in its middle")
	}
}

func createFolder(t *testing.T, s *realimap.Server, name string) {
	t.Helper()
	c, err := imapclient.DialTLS(s.TLS, &imapclient.Options{TLSConfig: &tls.Config{RootCAs: s.Roots, ServerName: "imap.example.test"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Login(realimap.User, realimap.Password).Wait(); err != nil {
		t.Fatal(err)
	}
	if err := c.Create(name, nil).Wait(); err != nil {
		t.Fatal(err)
	}
}

// folderMails reads the mails of a folder from the Maildir behind it.
func folderMails(t *testing.T, s *realimap.Server, folder string) (all []string) {
	t.Helper()
	for _, sub := range []string{"cur", "new"} {
		list, err := filepath.Glob(filepath.Join(s.Maildir, "."+folder, sub, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range list {
			if b, err := os.ReadFile(path); err == nil { // else it was renamed
				all = append(all, string(b))
			}
		}
	}
	return all
}

// learnedOf opens the store of a server that does not run, sees that these mails are known as spam, and returns how many are in all.
func learnedOf(t *testing.T, data string, moved []string) int {
	t.Helper()
	st, err := store.Open(t.Context(), store.Options{DataDir: data})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	l := reputation.NewLearner(st.Client(), time.Now, slog.New(slog.DiscardHandler))
	if err := l.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, mail := range moved {
		known, err := l.Known(t.Context(), (&learnReader{}).of([]byte(mail)).Fingerprint)
		if err != nil || len(known) != 1 || known[0].Class != reputation.Spam {
			t.Errorf("a mail that was moved is not learned: %v %v\n%s", known, err, strings.SplitN(mail, "\r\n\r\n", 2)[0])
		}
	}
	return l.Model().Counts().SpamShown
}
