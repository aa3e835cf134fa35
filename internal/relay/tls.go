package relay

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"sekimori/internal/config"
)

// tlsPolicy is a backend's tls table made ready. It is never changed: files that have changed make a new one.
type tlsPolicy struct {
	use      bool
	required bool
	conf     *tls.Config
	stamps   []stamp // of the files when they were read
}

// stamp tells whether a file may have changed.
type stamp struct {
	file string
	mod  time.Time
	size int64
}

func stampOf(file string) stamp {
	s := stamp{file: file}
	if info, err := os.Stat(file); err == nil {
		s.mod, s.size = info.ModTime(), info.Size()
	}
	return s
}

func changed(list []stamp) bool {
	for _, s := range list {
		if stampOf(s.file) != s {
			return true
		}
	}
	return false
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
	for _, file := range []string{c.CAFile, c.CertFile, c.KeyFile} {
		if file != "" {
			p.stamps = append(p.stamps, stampOf(file)) // before they are read, so that no change is missed
		}
	}
	if err := pin(p.conf, c.Fingerprint); err != nil {
		return p, err
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

// pin makes conf accept exactly the public keys with the given digests, whoever has signed them and whatever their dates are.
func pin(conf *tls.Config, fingerprints []string) error {
	if len(fingerprints) == 0 {
		return nil
	}
	var known [][sha256.Size]byte
	for _, f := range fingerprints {
		d, err := config.ParseFingerprint(f)
		if err != nil {
			return err
		}
		known = append(known, d)
	}
	conf.InsecureSkipVerify = true // VerifyConnection is the check
	conf.VerifyConnection = func(s tls.ConnectionState) error {
		if len(s.PeerCertificates) == 0 {
			return errors.New("the backend shows no certificate")
		}
		got := sha256.Sum256(s.PeerCertificates[0].RawSubjectPublicKeyInfo)
		if !slices.Contains(known, got) {
			return fmt.Errorf("the certificate's public key has the fingerprint %s, which is not one of those that tls.fingerprint names",
				hex.EncodeToString(got[:]))
		}
		return nil
	}
	return nil
}
