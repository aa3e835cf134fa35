package imapfolder

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/emersion/go-imap/v2/imapserver"
	"github.com/emersion/go-imap/v2/imapserver/imapmemserver"

	"sekimori/internal/imapfolder/realimap"
)

// place is a server with an account in which mail can be put.
type place struct {
	tls, startTLS string
	roots         *x509.CertPool
	prefix        string // of the names of folders, so that several tests have one server
}

func (p place) dir(name string) string { return p.prefix + name }

// TestServers reads from the library's server, and from a real one.
func TestServers(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) place{
		"library": library,
		"dovecot": func(t *testing.T) place {
			s := realimap.Start(t)
			return place{tls: s.TLS, startTLS: s.StartTLS, roots: s.Roots}
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := open(t)
			for i, test := range []func(*testing.T, place){testRead, testReadKilled, testReadAnew, testReadRefused} {
				p.prefix = fmt.Sprintf("Test%d", i)
				test(t, p)
			}
		})
	}
}

func certificate(t *testing.T) (*tls.Config, *x509.CertPool) {
	t.Helper()
	cert, key := realimap.Certificate(t, t.TempDir())
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if b, err := os.ReadFile(cert); err != nil || !roots.AppendCertsFromPEM(b) {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"imap"}}, roots
}

func library(t *testing.T) place {
	t.Helper()
	conf, roots := certificate(t)
	mem := imapmemserver.New()
	account := imapmemserver.NewUser(realimap.User, realimap.Password)
	if err := account.Create("INBOX", nil); err != nil {
		t.Fatal(err)
	}
	mem.AddUser(account)
	srv := imapserver.New(&imapserver.Options{
		NewSession: func(*imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
			return mem.NewSession(), nil, nil
		},
		Caps:      imap.CapSet{imap.CapIMAP4rev1: {}, imap.CapUIDPlus: {}, imap.CapMove: {}},
		TLSConfig: conf, Logger: log.New(io.Discard, "", 0),
	})
	t.Cleanup(func() { _ = srv.Close() })
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	secure, err := tls.Listen("tcp", "127.0.0.1:0", conf)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range []net.Listener{plain, secure} {
		go func() { _ = srv.Serve(l) }()
	}
	return place{tls: secure.Addr().String(), startTLS: plain.Addr().String(), roots: roots}
}

func (p place) options(folder string) Options {
	return Options{
		Addr: p.tls, TLS: &tls.Config{RootCAs: p.roots, ServerName: "imap.example.test"}, User: realimap.User, Password: realimap.Password, Folder: folder,
		After: Leave, Mails: 100, Size: 1 << 20, Idle: time.Minute,
	}
}

// do talks to the server as a person's program would.
func (p place) do(t *testing.T, f func(c *imapclient.Client) error) {
	t.Helper()
	c, err := imapclient.DialTLS(p.tls, &imapclient.Options{TLSConfig: &tls.Config{RootCAs: p.roots, ServerName: "imap.example.test"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err = c.Login(realimap.User, realimap.Password).Wait(); err == nil {
		err = f(c)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (p place) put(t *testing.T, folder string, numbers ...int) {
	t.Helper()
	p.do(t, func(c *imapclient.Client) error {
		for _, n := range numbers {
			if err := appendTo(c, folder, mailOf(n)); err != nil {
				return err
			}
		}
		return nil
	})
}

func appendTo(c *imapclient.Client, folder, text string) error {
	cmd := c.Append(folder, int64(len(text)), nil)
	if _, err := io.WriteString(cmd, text); err != nil {
		return err
	}
	if err := cmd.Close(); err != nil {
		return err
	}
	_, err := cmd.Wait()
	return err
}

func mailOf(n int) string {
	return fmt.Sprintf("From: a@partner.test\r\nSubject: mail %d\r\n\r\nText %d\r\n", n, n)
}

// reader is who reads, and remembers where he was.
type reader struct {
	Options
	at       Place
	taken    []string
	dieAfter string // take or keep: there his world ends once
}

var errDied = errors.New("killed")

func (r *reader) read(t *testing.T) (Round, error) {
	t.Helper()
	return Read(t.Context(), r.Options, r.at, func(_ context.Context, mails [][]byte) error {
		for _, m := range mails {
			_, rest, _ := strings.Cut(string(m), "Subject: ")
			subject, _, _ := strings.Cut(rest, "\r\n")
			r.taken = append(r.taken, subject)
		}
		return r.die("take")
	}, r.keepPlace)
}

func (r *reader) keepPlace(_ context.Context, at Place) error {
	r.at = at
	return r.die("keep")
}

func (r *reader) die(where string) error {
	if r.dieAfter != where {
		return nil
	}
	r.dieAfter = ""
	return errDied
}

// want reads and compares what was taken since.
func (r *reader) want(t *testing.T, want string) Round {
	t.Helper()
	round, err := r.read(t)
	if got := strings.Join(r.taken, ", "); err != nil || got != want {
		t.Fatalf("%q, %v; want %q", got, err, want)
	}
	r.taken = nil
	return round
}

func (p place) count(t *testing.T, folder string) (n int) {
	t.Helper()
	o := p.options(folder)
	n, err := Look(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func testRead(t *testing.T, p place) {
	t.Helper()
	p.do(t, func(c *imapclient.Client) error { return c.Create(p.dir("Spam"), nil).Wait() })
	r := &reader{Options: p.options(p.dir("Spam"))}
	r.Mails = 2
	r.want(t, "")
	p.put(t, p.dir("Spam"), 1, 2, 3)
	if round := r.want(t, "mail 1, mail 2"); !round.More || round.Read != 2 {
		t.Errorf("%+v", round)
	}
	r.Addr, r.StartTLS = p.startTLS, true
	if round := r.want(t, "mail 3"); round.More {
		t.Errorf("%+v", round)
	}
	r.want(t, "")
	p.do(t, func(c *imapclient.Client) error {
		return appendTo(c, p.dir("Spam"), mailOf(4)+strings.Repeat("x", 2000))
	})
	p.put(t, p.dir("Spam"), 5)
	r.Size = 1000
	if round := r.want(t, "mail 5"); round.Large != 1 {
		t.Errorf("%+v", round)
	}
	p.do(t, func(c *imapclient.Client) error {
		if _, err := c.Select(p.dir("Spam"), nil).Wait(); err != nil {
			return err
		}
		list, err := c.UIDSearch(&imap.SearchCriteria{NotFlag: []imap.Flag{imap.FlagSeen}}, nil).Wait()
		if err == nil && len(list.AllUIDs()) != 5 {
			t.Errorf("reading has marked mails: %v are not seen", list.AllUIDs())
		}
		return err
	})
}

// Whatever is left half done, a mail that was not taken is taken, and one of which the place was kept is not taken again.
func testReadKilled(t *testing.T, p place) {
	t.Helper()
	p.do(t, func(c *imapclient.Client) error {
		if err := c.Create(p.dir("Spam"), nil).Wait(); err != nil {
			return err
		}
		return c.Create(p.dir("Learned"), nil).Wait()
	})
	r := &reader{Options: p.options(p.dir("Spam"))}
	r.After, r.MoveTo = Move, p.dir("Learned")
	p.put(t, p.dir("Spam"), 1)
	r.want(t, "mail 1")
	if p.count(t, p.dir("Spam")) != 0 || p.count(t, p.dir("Learned")) != 1 {
		t.Fatal("it was not moved")
	}
	p.put(t, p.dir("Spam"), 2)
	r.dieAfter = "take"
	if _, err := r.read(t); !errors.Is(err, errDied) || p.count(t, p.dir("Spam")) != 1 {
		t.Fatal(err)
	}
	r.want(t, "mail 2, mail 2") // whoever takes it knows it again
	p.put(t, p.dir("Spam"), 3)
	r.dieAfter = "keep"
	if _, err := r.read(t); !errors.Is(err, errDied) || p.count(t, p.dir("Spam")) != 1 {
		t.Fatal(err)
	}
	r.taken = nil
	r.want(t, "")
	if p.count(t, p.dir("Spam")) != 0 || p.count(t, p.dir("Learned")) != 3 {
		t.Errorf("%d are left, %d were moved", p.count(t, p.dir("Spam")), p.count(t, p.dir("Learned")))
	}
	r.MoveTo = "Nowhere"
	p.put(t, p.dir("Spam"), 4)
	if _, err := r.read(t); err == nil || !strings.Contains(err.Error(), "moving to Nowhere: the server says NO") {
		t.Errorf("%v", err)
	}
	r.taken = nil
	r.MoveTo = p.dir("Learned")
	r.want(t, "")
	if p.count(t, p.dir("Learned")) != 4 {
		t.Error("what could not be moved is not moved later")
	}
}

// A folder that was made anew has other mails under the same numbers.
func testReadAnew(t *testing.T, p place) {
	t.Helper()
	create := func(c *imapclient.Client) error { return c.Create(p.dir("Spam"), nil).Wait() }
	p.do(t, create)
	r := &reader{Options: p.options(p.dir("Spam"))}
	r.After = Seen
	p.put(t, p.dir("Spam"), 1, 2)
	r.want(t, "mail 1, mail 2")
	p.do(t, func(c *imapclient.Client) error {
		if _, err := c.Select(p.dir("Spam"), nil).Wait(); err != nil {
			return err
		}
		list, err := c.UIDSearch(&imap.SearchCriteria{Flag: []imap.Flag{imap.FlagSeen}}, nil).Wait()
		if err == nil && len(list.AllUIDs()) != 2 {
			t.Errorf("%v are marked as seen", list.AllUIDs())
		}
		return err
	})
	r.at.Validity++
	p.put(t, p.dir("Spam"), 3)
	r.want(t, "mail 1, mail 2, mail 3")
}

// The password goes to nobody but the server with the right certificate, and into no error.
func testReadRefused(t *testing.T, p place) {
	t.Helper()
	for _, c := range []struct {
		name string
		set  func(o *Options)
		want string
	}{
		{"wrong password", func(o *Options) { o.Password = "sesame, close" }, "logging in as taro@example.test: the server says NO"},
		{"no such folder", func(o *Options) { o.Folder = "Nothing" }, "folder Nothing: the server says NO"},
		{"another name", func(o *Options) { o.TLS.ServerName = "other.example.test" }, "TLS: "},
		{"another authority", func(o *Options) { o.TLS.RootCAs = x509.NewCertPool() }, "TLS: "},
		{"another authority behind STARTTLS", func(o *Options) {
			o.Addr, o.StartTLS, o.TLS.RootCAs = p.startTLS, true, x509.NewCertPool()
		}, "TLS: "},
		{"TLS where there is none", func(o *Options) { o.Addr = p.startTLS }, "TLS: "},
		{"nobody listens", func(o *Options) { o.Addr = "127.0.0.1:1" }, "connect"},
	} {
		o := p.options("INBOX")
		c.set(&o)
		if _, err := Look(t.Context(), o); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), o.Password) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
