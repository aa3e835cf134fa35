package front

import (
	"bufio"
	"crypto/tls"
	"testing"
	"testing/synctest"

	"sekimori/internal/mail"
)

// A client is asked for a certificate only with tls_client_ca_file; one that is not known is as good as none.
func TestClientCertificate(t *testing.T) {
	cert, key := writePair(t, t.TempDir(), "mx.example.jp")
	clientDir, otherDir := t.TempDir(), t.TempDir()
	clientCert, clientKey := writePair(t, clientDir, "Client.example")
	otherCert, otherKey := writePair(t, otherDir, "other.example")
	for name, c := range map[string]struct {
		ca, cert, key string
		shown         string
		verified      bool
	}{
		"not asked": {"", clientCert, clientKey, "", false},
		"known":     {clientCert, clientCert, clientKey, "client.example", true},
		"unknown":   {clientCert, otherCert, otherKey, "other.example", false},
		"none":      {clientCert, "", "", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.cfg.SMTP.TLSCertFile, w.cfg.SMTP.TLSKeyFile, w.cfg.SMTP.TLSClientCAFile = cert, key, c.ca
				raw := w.start().raw("192.0.2.1")
				raw.say("EHLO a.example", "250 ")
				raw.say("STARTTLS", "220 2.0.0")
				conf := &tls.Config{InsecureSkipVerify: true}
				if c.cert != "" {
					pair, err := tls.LoadX509KeyPair(c.cert, c.key)
					if err != nil {
						t.Fatal(err)
					}
					conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
				}
				conn := tls.Client(raw.conn, conf)
				if err := conn.Handshake(); err != nil {
					t.Fatal(err)
				}
				raw.conn, raw.br = conn, bufio.NewReader(conn)
				raw.say("EHLO a.example", "250 ")
				facts := map[string]any{}
				mail.AddBaseFacts(facts, &mail.Transaction{Session: &w.sessions[len(w.sessions)-1], Stage: mail.Helo})
				if facts["client.tls_cert_name"] != c.shown || facts["client.tls_verified"] != c.verified || facts["client.tls_version"] != "1.3" {
					t.Errorf("%v", facts)
				}
			})
		})
	}
}
