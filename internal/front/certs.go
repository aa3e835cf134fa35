package front

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"
)

// certificate is the pair of STARTTLS, reloaded when its files change.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger
	conf              *tls.Config
	pair              atomic.Pointer[tls.Certificate]
	stamps            [2]fileStamp
}

func newCertificate(certFile, keyFile string, log *slog.Logger) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, log: log}
	c.conf = &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return c.pair.Load(), nil
		},
	}
	c.stamps = c.look()
	if err := c.load(); err != nil {
		return nil, err
	}
	return c, nil
}

// WatchedTLS returns the TLS configuration of another server with a pair from files, and a function that reads the pair again when
// the files have changed; call it every few seconds, from one goroutine. A pair that does not load leaves the old one in force.
func WatchedTLS(certFile, keyFile string, log *slog.Logger) (*tls.Config, func(), error) {
	c, err := newCertificate(certFile, keyFile, log)
	if err != nil {
		return nil, nil, err
	}
	return c.conf, c.reload, nil
}

func (c *certificate) config() *tls.Config { return c.conf }

func (c *certificate) look() [2]fileStamp {
	var s [2]fileStamp
	s[0], _ = stampOf(c.certFile)
	s[1], _ = stampOf(c.keyFile)
	return s
}

func (c *certificate) load() error {
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("TLS certificate %s: %w", c.certFile, err)
	}
	c.pair.Store(&pair)
	return nil
}

// reload reads the pair when a file has changed. A pair that does not match, as while only one of the files is written
// yet, leaves the old one in force.
func (c *certificate) reload() {
	now := c.look()
	if now == c.stamps {
		return
	}
	c.stamps = now
	if err := c.load(); err != nil {
		c.log.Warn("TLS: the certificate does not load, the old one stays in force", "err", err)
		return
	}
	c.log.Info("TLS: certificate reloaded", "file", c.certFile)
}

// fileStamp tells whether a file may have changed.
type fileStamp struct {
	mod  time.Time
	size int64
}

func stampOf(path string) (fileStamp, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return fileStamp{}, err
	}
	return fileStamp{fi.ModTime(), fi.Size()}, nil
}
