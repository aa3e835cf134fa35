package front

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"time"
)

// ask lets clients be asked for a certificate, to be checked by those in a file; "" asks nobody. It is called before the first
// connection.
func (c *certificate) ask(caFile string) error {
	if caFile == "" {
		return nil
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return fmt.Errorf("TLS: certificates of clients: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return fmt.Errorf("TLS: %s holds no certificate in PEM", caFile)
	}
	c.conf.ClientCAs, c.conf.ClientAuth = roots, tls.RequestClientCert
	return nil
}

// verified reports whether a client's chain leads to one of the roots. The handshake does not ask it: a server of a stranger that
// shows some certificate of its own is as welcome as one without.
func verified(roots *x509.CertPool, chain []*x509.Certificate, now time.Time) bool {
	if roots == nil || len(chain) == 0 {
		return false
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	return err == nil
}
