package front

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// writePair makes a self-signed certificate for a name.
func writePair(t testing.TB, dir, name string) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Unix(0, 0), NotAfter: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	kb, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "EC PRIVATE KEY", Bytes: kb}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

func withTLS(t *testing.T, f func(t *testing.T, w *world)) {
	cert, key := writePair(t, t.TempDir(), "mx.example.jp")
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.cfg.SMTP.TLSCertFile, w.cfg.SMTP.TLSKeyFile = cert, key
		f(t, w.start())
	})
}

// rawClient reads only when it expects something, so that it can change to TLS in between.
type rawClient struct {
	t    *testing.T
	conn net.Conn
	br   *bufio.Reader
	seen string
}

func (w *world) raw(from string) *rawClient {
	c := w.dial(from)
	c.want("", "220")
	// The lines so far were read by a goroutine; it is ended, and reading begins anew.
	_ = c.conn.SetReadDeadline(time.Unix(1, 0))
	for c.line() != "EOF" {
	}
	_ = c.conn.SetReadDeadline(time.Time{})
	return &rawClient{t: w.t.(*testing.T), conn: c.conn, br: bufio.NewReader(c.conn)}
}

func (c *rawClient) say(line, want string) {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, line+"\r\n"); err != nil {
		c.t.Fatal(line, err)
	}
	for {
		got, err := c.br.ReadString('\n')
		if err != nil {
			c.t.Fatal(line, err)
		}
		c.seen += got
		if len(got) > 3 && got[3] == '-' {
			continue
		}
		if !strings.HasPrefix(got, want) {
			c.t.Fatalf("after %q: %q, want %q", line, got, want)
		}
		return
	}
}

func (c *rawClient) upgrade() {
	c.t.Helper()
	conn := tls.Client(c.conn, &tls.Config{InsecureSkipVerify: true})
	if err := conn.Handshake(); err != nil {
		c.t.Fatal(err)
	}
	c.conn, c.br = conn, bufio.NewReader(conn)
}

func TestStartTLS(t *testing.T) {
	withTLS(t, func(t *testing.T, w *world) {
		c := w.raw("192.0.2.1")
		c.say("EHLO first.example", "250 ")
		if !strings.Contains(c.seen, "250-STARTTLS") {
			t.Error("STARTTLS is not offered")
		}
		c.say("MAIL FROM:<a@sender.example>", "250")
		c.say("STARTTLS x", "501")
		c.say("STARTTLS", "220 2.0.0")
		c.upgrade()
		c.say("MAIL FROM:<a@sender.example>", "503 5.5.1")
		c.seen = ""
		c.say("EHLO second.example", "250 ")
		if strings.Contains(c.seen, "STARTTLS") {
			t.Error("STARTTLS is offered under TLS")
		}
		c.say("STARTTLS", "503")
		c.say("MAIL FROM:<a@sender.example>", "250")
		c.say("RCPT TO:<x@example.jp>", "250")
		c.say("DATA", "354")
		c.say(plainMail+".", "250 2.0.0")
		got := string(w.delivered[0].Content.Bytes())
		if !strings.Contains(got, "from second.example ") || !strings.Contains(got, "\t(using TLS 1.3 with cipher TLS_") ||
			!strings.Contains(got, "with ESMTPS id") {
			t.Error(got)
		}
		last := w.sessions[len(w.sessions)-1]
		if last.TLS == nil || last.Helo != "second.example" {
			t.Errorf("%+v", last)
		}
	})
}

// TestStartTLSInjection: commands sent along with STARTTLS are not run, neither in clear text nor under TLS.
func TestStartTLSInjection(t *testing.T) {
	withTLS(t, func(t *testing.T, w *world) {
		c := w.dial("192.0.2.1").hello()
		c.send("STARTTLS\r\n" + evil)
		c.want("", "421 4.7.0")
		if c.line() != "EOF" {
			t.Error("still open")
		}
		synctest.Wait()
		w.noEvil(t)
	})
}

// TestFailedHandshake: it ends the connection; nothing goes on in clear text.
func TestFailedHandshake(t *testing.T) {
	withTLS(t, func(t *testing.T, w *world) {
		c := w.dial("192.0.2.1").hello()
		c.want("STARTTLS", "220")
		c.send(evil)
		for l := c.line(); l != "EOF"; l = c.line() {
			if len(l) > 3 && l[0] >= '2' && l[0] <= '5' && l[3] == ' ' {
				t.Errorf("an answer in clear text: %q", l)
			}
		}
		synctest.Wait()
		w.noEvil(t)
		if w.took() != 0 || !w.sawRefusal("tls handshake") {
			t.Error(w.took(), w.refusals)
		}
	})
}

func TestHandshakeTimeout(t *testing.T) {
	withTLS(t, func(t *testing.T, w *world) {
		c := w.dial("192.0.2.1").hello()
		c.want("STARTTLS", "220")
		time.Sleep(31 * time.Second)
		if l := c.line(); l != "EOF" {
			t.Errorf("%q", l)
		}
	})
}

func TestCertificateReload(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := writePair(t, dir, "one.example")
	w := newWorld(t)
	w.cfg.SMTP.TLSCertFile, w.cfg.SMTP.TLSKeyFile = certFile, keyFile
	w.start()
	name := func() string {
		leaf, err := x509.ParseCertificate(w.srv.set.certs.pair.Load().Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		return leaf.Subject.CommonName
	}
	cert2, key2 := writePair(t, t.TempDir(), "two.example.org")
	replace := func(from, to string, stamp time.Time) {
		b, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(to, stamp, stamp); err != nil {
			t.Fatal(err)
		}
	}
	replace(cert2, certFile, time.Unix(1e9, 0))
	w.srv.set.certs.reload()
	if name() != "one.example" || !strings.Contains(w.logged(), "the old one stays in force") {
		t.Error("a certificate without its key was taken, or not spoken of", name())
	}
	replace(key2, keyFile, time.Unix(1e9, 0))
	w.srv.set.certs.reload()
	if name() != "two.example.org" {
		t.Error(name())
	}
}
