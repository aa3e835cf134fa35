package relay

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sekimori/internal/config"
)

// authority is a CA of a test.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
	n    int64
}

func newAuthority(t *testing.T) *authority {
	pair, file := certificate(t)
	cert, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return &authority{t: t, cert: cert, key: pair.PrivateKey.(*ecdsa.PrivateKey), file: file, n: 1}
}

// issue makes a certificate that is valid from 1999 (before the clock of a bubble, which begins in 2000) to the year given.
func (a *authority) issue(name string, year int, usage x509.ExtKeyUsage) tls.Certificate {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	a.n++
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(a.n), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC),
		ExtKeyUsage: []x509.ExtKeyUsage{usage},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// save writes a pair into two files.
func save(t *testing.T, dir string, c tls.Certificate) (cert, key string) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: c.Certificate[0]}, key: {Type: "PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

func fingerprint(c tls.Certificate) string {
	cert, _ := x509.ParseCertificate(c.Certificate[0])
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:])
}

// TestVerification: with required, what is wrong with the certificate keeps the mail in the queue, and the reason names it.
func TestVerification(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	good := ca.issue("mail.test", 2090, x509.ExtKeyUsageServerAuth)
	old := ca.issue("mail.test", 1995, x509.ExtKeyUsageServerAuth)
	foreign := other.issue("mail.test", 2090, x509.ExtKeyUsageServerAuth)
	for _, c := range []struct {
		name   string
		shows  tls.Certificate
		policy config.BackendTLS
		reason string // "": delivered
	}{
		{"known", good, config.BackendTLS{CAFile: ca.file, Name: "mail.test"}, ""},
		{"wrong name", good, config.BackendTLS{CAFile: ca.file, Name: "mail2.test"}, "certificate is valid for mail.test, not mail2.test"},
		{"the host when no name is set", good, config.BackendTLS{CAFile: ca.file}, "cannot validate certificate for 192.0.2.1"},
		{"expired", old, config.BackendTLS{CAFile: ca.file, Name: "mail.test"}, "certificate has expired"},
		{"unknown CA", foreign, config.BackendTLS{CAFile: ca.file, Name: "mail.test"}, "certificate signed by unknown authority"},
		{"pinned", foreign, config.BackendTLS{Fingerprint: []string{strings.Repeat("00", 32), fingerprint(foreign)}}, ""},
		{"pinned, expired", old, config.BackendTLS{Fingerprint: []string{"sha256:" + fingerprint(old)}}, ""},
		{"another key", good, config.BackendTLS{Fingerprint: []string{fingerprint(old)}}, "has the fingerprint " + fingerprint(good)},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &fakeServer{
				ehlo: append([]string{"STARTTLS"}, pipelining...),
				tls:  &tls.Config{Certificates: []tls.Certificate{c.shows}, SessionTicketsDisabled: true},
			} // a pipe holds no tickets
			run(t, []*fakeServer{s}, func(w *world) {
				w.restart(func(b *config.Backend) { b.TLS = c.policy; b.TLS.Mode = "required" })
				state := w.deliver("m", "x@example.jp")
				if c.reason == "" {
					w.want("state", state, "delivered")
					return
				}
				w.want("state", state, "queued")
				e, err := w.spool.Get("m")
				if err != nil || !strings.Contains(e.Rcpts[0].Last, c.reason) {
					t.Errorf("the reason is %q, %v; want %q", e.Rcpts[0].Last, err, c.reason)
				}
				w.wantInt("MAIL", s.said("MAIL"), 0)
				if got := w.warning("backend smtp://192.0.2.1:25"); !strings.Contains(got, c.reason) {
					t.Errorf("the administrator is told %q", got)
				}
			})
		})
	}
}

// TestClientCertificate: the backend asks for one; a new one in the files is used without a restart, and a broken one is not.
func TestClientCertificate(t *testing.T) {
	ca := newAuthority(t)
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	server := ca.issue("mail.test", 2090, x509.ExtKeyUsageServerAuth)
	dir := t.TempDir()
	certFile, keyFile := save(t, dir, ca.issue("gate1.test", 2090, x509.ExtKeyUsageClientAuth))
	var seen []string
	s := &fakeServer{ehlo: append([]string{"STARTTLS"}, pipelining...)}
	s.tls = &tls.Config{
		Certificates: []tls.Certificate{server}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool, SessionTicketsDisabled: true,
		VerifyConnection: func(c tls.ConnectionState) error {
			s.set(func() { seen = append(seen, c.PeerCertificates[0].Subject.CommonName) })
			return nil
		},
	}
	last := func() (name string) {
		s.set(func() {
			if len(seen) > 0 {
				name = seen[len(seen)-1]
			}
		})
		return name
	}
	run(t, []*fakeServer{s}, func(w *world) {
		required := config.BackendTLS{Mode: "required", CAFile: ca.file, Name: "mail.test"}
		w.restart(func(b *config.Backend) { b.TLS = required })
		w.want("without one", w.deliver("m", "x@example.jp"), "queued")
		w.restart(func(b *config.Backend) { b.TLS.CertFile, b.TLS.KeyFile = certFile, keyFile })
		synctest.Wait()
		w.want("queue", w.queued(), "")
		w.want("first", last(), "gate1.test")

		save(t, dir, ca.issue("gate02.test", 2090, x509.ExtKeyUsageClientAuth))
		time.Sleep(15 * time.Second)
		w.want("with the second", w.deliver("n", "x@example.jp"), "delivered")
		w.want("second", last(), "gate02.test")

		if err := os.WriteFile(keyFile, []byte("no key"), 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		w.want("with a broken file", w.deliver("o", "x@example.jp"), "delivered")
		w.want("still the second", last(), "gate02.test")
		if got := w.warning("backend smtp://192.0.2.1:25 tls"); !strings.Contains(got, "do not load") {
			t.Errorf("the administrator is told %q", got)
		}
	})
}
