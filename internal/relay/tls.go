package relay

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

	"sekimori/internal/config"
)

// tlsPolicy is a backend's tls table made ready.
type tlsPolicy struct {
	use      bool
	required bool
	conf     *tls.Config
}

// newTLSPolicy reads the files that the policy names. host is what a certificate is checked against when no name is set.
func newTLSPolicy(c config.BackendTLS, host string) (tlsPolicy, error) {
	p := tlsPolicy{}
	name := c.Name
	if name == "" {
		name = host
	}
	switch c.Mode {
	case "none":
		return p, nil
	case "", "opportunistic":
		// Any encryption is better than the clear text that is the alternative (RFC 7435).
		p.use = true
		p.conf = &tls.Config{ServerName: name, InsecureSkipVerify: true, MinVersion: tls.VersionTLS10}
	case "required":
		p.use, p.required = true, true
		p.conf = &tls.Config{ServerName: name, MinVersion: tls.VersionTLS12}
	default:
		return p, fmt.Errorf("tls mode %q is none of none, opportunistic, required", c.Mode)
	}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return p, err
		}
		p.conf.RootCAs = x509.NewCertPool()
		if !p.conf.RootCAs.AppendCertsFromPEM(pem) {
			return p, fmt.Errorf("%s holds no certificate", c.CAFile)
		}
	}
	if c.CertFile != "" || c.KeyFile != "" {
		cert, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		if err != nil {
			return p, err
		}
		p.conf.Certificates = []tls.Certificate{cert}
	}
	p.conf.ClientSessionCache = tls.NewLRUClientSessionCache(16)
	return p, nil
}
