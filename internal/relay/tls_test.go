package relay

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sekimori/internal/config"
)

// certificate makes a self-signed pair for mail.test and returns it with the file that holds the certificate.
func certificate(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mail.test"}, DNSNames: []string{"mail.test"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}

func TestTLSPolicies(t *testing.T) {
	cert, ca := certificate(t)
	good := &tls.Config{Certificates: []tls.Certificate{cert}}
	broken := &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, os.ErrNotExist }}
	offers := append([]string{"STARTTLS"}, pipelining...)
	refuse := func(verb, _ string) string {
		if verb == "STARTTLS" {
			return "454 4.7.0 not now"
		}
		return ""
	}
	for _, c := range []struct {
		name   string
		server *fakeServer
		policy config.BackendTLS
		state  string
		tls    bool
	}{
		{"opportunistic, self-signed", &fakeServer{ehlo: offers, tls: good}, config.BackendTLS{}, "delivered", true},
		{"opportunistic, not offered", &fakeServer{ehlo: pipelining}, config.BackendTLS{}, "delivered", false},
		{"opportunistic, refused", &fakeServer{ehlo: offers, on: refuse}, config.BackendTLS{}, "delivered", false},
		{"opportunistic, handshake fails", &fakeServer{ehlo: offers, tls: broken}, config.BackendTLS{}, "delivered", false},
		{"none", &fakeServer{ehlo: offers, tls: good}, config.BackendTLS{Mode: "none"}, "delivered", false},
		{"required, known", &fakeServer{ehlo: offers, tls: good}, config.BackendTLS{Mode: "required", CAFile: ca, Name: "mail.test"}, "delivered", true},
		{"required, unknown", &fakeServer{ehlo: offers, tls: good}, config.BackendTLS{Mode: "required", Name: "mail.test"}, "queued", false},
		{"required, wrong name", &fakeServer{ehlo: offers, tls: good}, config.BackendTLS{Mode: "required", CAFile: ca}, "queued", false},
		{"required, not offered", &fakeServer{ehlo: pipelining}, config.BackendTLS{Mode: "required", CAFile: ca}, "queued", false},
		{"required, refused", &fakeServer{ehlo: offers, on: refuse}, config.BackendTLS{Mode: "required", CAFile: ca}, "queued", false},
		{"required, injected", &fakeServer{ehlo: offers, tls: good, on: func(verb, _ string) string {
			if verb == "STARTTLS" {
				return "220 go\r\n250 ok"
			}
			return ""
		}}, config.BackendTLS{Mode: "required", CAFile: ca, Name: "mail.test"}, "queued", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			run(t, []*fakeServer{c.server}, func(w *world) {
				dir := w.spool.Dir()
				w.stop()
				w.relay.Close(context.Background())
				w.spool.Close()
				c.server.set(func() { c.server.log = nil })
				w.cfg.Domains[0].Backends[0].TLS = c.policy
				w.start(dir)
				w.want("states", w.deliver("t", "x@example.jp"), c.state)
				if c.state == "delivered" {
					w.want("octets", c.server.got()[0].data, octets)
				} else {
					w.wantInt("mails", len(c.server.got()), 0)
					w.wantInt("MAIL in clear text", c.server.said("MAIL"), 0)
				}
				if got := c.server.got(); len(got) > 0 && got[0].tls != c.tls {
					t.Errorf("encrypted: %v", got[0].tls)
				}
			})
		})
	}
}

func TestTLSConfigurationErrors(t *testing.T) {
	for _, c := range []config.BackendTLS{
		{Mode: "maybe"},
		{Mode: "required", CAFile: "/nonexistent"},
		{Mode: "required", CertFile: "/nonexistent", KeyFile: "/nonexistent"},
	} {
		if _, err := newTLSPolicy(c, "mail.test"); err == nil {
			t.Errorf("%+v is accepted", c)
		}
	}
}
