package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// newPair writes a self-signed certificate of that name.
func (p *program) newPair(name string) {
	p.t.Helper()
	cert, key := selfSigned(p.t, name)
	p.write("key.pem", key)
	p.write("cert.pem", cert)
}

func selfSigned(t *testing.T, name string) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	kder, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: kder}))
}

// startTLS returns the name in the certificate, and the connection over TLS.
func startTLS(t *testing.T, addr string) (*client, string) {
	t.Helper()
	c := dial(t, addr, "")
	c.want("250", "EHLO client.test")
	c.want("220", "STARTTLS")
	tc := tls.Client(c.c, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // only the name is looked at
	if err := tc.Handshake(); err != nil {
		t.Fatal(err)
	}
	return &client{t, tc, bufio.NewReader(tc)}, tc.ConnectionState().PeerCertificates[0].Subject.CommonName
}

// TestReloadCertificate: under a connection in the middle of DATA over TLS the certificate is replaced.
func TestReloadCertificate(t *testing.T) {
	p := startReload(t, "")
	p.newPair("first.test")
	p.write("sekimori.toml", strings.Replace(reloadConfig(p.dir, "old.test", ""), "[smtp]", "[smtp]\ntls_cert_file = \"cert.pem\"\ntls_key_file = \"key.pem\"", 1))
	p.hangup("configuration reloaded")
	old, name := startTLS(t, p.SMTP)
	if name != "first.test" {
		t.Error(name)
	}
	old.toData("x@old.test")
	p.newPair("second.test")
	p.hangup("configuration reloaded")
	if _, name := startTLS(t, p.SMTP); name != "second.test" {
		t.Error(name)
	}
	old.want("250 2.0.0 accepted", "second half\r\n.")
	// A pair that does not match leaves all as it was.
	cert, _ := selfSigned(t, "third.test")
	p.write("cert.pem", cert)
	p.hangup("configuration not reloaded")
	if _, name := startTLS(t, p.SMTP); name != "second.test" {
		t.Error(name)
	}
}

// TestDrainUnderLoad: what is acknowledged while the server ends is there, and nothing that is cut was acknowledged.
func TestDrainUnderLoad(t *testing.T) {
	p := startReload(t, "[filters.spf]\nenabled = false\n[filters.dmarc]\nenabled = false\n[filters.ratelimit]\nenabled = false\n")
	var sent atomic.Int64
	var stop atomic.Bool
	var run sync.WaitGroup
	for range 4 {
		run.Go(func() {
			for !stop.Load() && stormConnection(p.SMTP, &sent, &stop) == nil { // until it is told 421 or refused
			}
		})
	}
	eventually(t, "load", func() bool { return sent.Load() > 40 })
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-p.done
	stop.Store(true)
	run.Wait()
	if code := p.cmd.ProcessState.ExitCode(); code != 0 || strings.Contains(p.output(), "were cut") {
		t.Errorf("exit %d\n%s", code, p.output())
	}
	if got := len(maildir(t, p.dir+"/maildir", int(sent.Load()))); got != int(sent.Load()) {
		t.Errorf("%d mails were acknowledged, %d are there", sent.Load(), got)
	}
}

// TestPagesCertificate: the pages take a renewed certificate without a restart.
func TestPagesCertificate(t *testing.T) {
	dir := t.TempDir()
	p := &program{t: t, dir: dir}
	p.newPair("first.test")
	p = startIn(t, dir, strings.Replace(serveConfig(dir, "[[smtp.listener]]\nlisten = [\"127.0.0.1:0\"]\n[[domain]]\nnames = [\"old.test\"]\nrecipients = \"any\"\nbackends = [\"maildir:"+dir+"/maildir\"]\n"),
		"[http]", "[http]\ntls_cert_file = \"cert.pem\"\ntls_key_file = \"key.pem\"", 1))
	name := func() string {
		c, err := tls.Dial("tcp", p.HTTP, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // only the name is looked at
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	if got := name(); got != "first.test" {
		t.Error(got)
	}
	p.newPair("second.test")
	p.until("the new certificate", func() bool { return name() == "second.test" })
}
