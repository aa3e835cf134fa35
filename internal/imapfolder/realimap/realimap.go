// Package realimap starts a real Dovecot for tests: IMAP on loopback, from a folder of its own, with a certificate made for it. Only
// tests import it.
package realimap

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"testing"
	"time"
)

// The account that there is.
const (
	User     = "taro@example.test"
	Password = "open sesame"
)

// Server is a running Dovecot. It ends with the test.
type Server struct {
	TLS, StartTLS string // host:port
	CAFile        string
	Roots         *x509.CertPool
	Maildir       string // of User, as Maildir++
}

// Need skips a test for a reason, which it prints, or fails it where real servers are required.
func Need(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("SEKIMORI_REQUIRE_REAL") == "1" {
		t.Fatalf("%s, and SEKIMORI_REQUIRE_REAL=1", why)
	}
	t.Skip(why)
}

// Start starts it.
func Start(t testing.TB) *Server {
	t.Helper()
	bin, err := exec.LookPath("dovecot")
	if err != nil {
		if bin = "/usr/sbin/dovecot"; !exists(bin) {
			Need(t, "dovecot is not installed")
		}
	}
	if !exists("/usr/lib/dovecot/imap") {
		Need(t, "dovecot-imapd is not installed")
	}
	if os.Getuid() != 0 {
		Need(t, "Dovecot is started by root only, to give its parts users of their own")
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		Need(t, "there is no user nobody")
	}
	dir, err := os.MkdirTemp("", "dovecot") // a short path: sockets are made in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := &Server{TLS: free(t), StartTLS: free(t), Maildir: filepath.Join(dir, "mail", User)}
	cert, key := Certificate(t, dir)
	s.CAFile = cert
	if b, err := os.ReadFile(cert); err == nil {
		s.Roots = x509.NewCertPool()
		s.Roots.AppendCertsFromPEM(b)
	}
	s.run(t, bin, dir, cert, key, nobody)
	return s
}

func (s *Server) run(t testing.TB, bin, dir, cert, key string, nobody *user.User) {
	t.Helper()
	_, tlsPort, _ := net.SplitHostPort(s.TLS)
	_, plainPort, _ := net.SplitHostPort(s.StartTLS)
	conf := fmt.Sprintf(`protocols = imap
base_dir = %[1]s/run
state_dir = %[1]s/state
log_path = %[1]s/log
ssl = required
ssl_cert = <%[2]s
ssl_key = <%[3]s
listen = 127.0.0.1
mail_location = maildir:%[1]s/mail/%%u
first_valid_uid = 1
auth_failure_delay = 0
passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%%u %[1]s/users
}
userdb {
  driver = passwd-file
  args = username_format=%%u %[1]s/users
}
service imap-login {
  inet_listener imap {
    port = %[4]s
  }
  inet_listener imaps {
    port = %[5]s
  }
}
`, dir, cert, key, plainPort, tlsPort)
	file := filepath.Join(dir, "dovecot.conf")
	users := fmt.Sprintf("%s:{PLAIN}%s:%s:%s::/nonexistent::\n", User, Password, nobody.Uid, nobody.Gid)
	for name, content := range map[string]string{file: conf, filepath.Join(dir, "users"): users} {
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	mail := filepath.Join(dir, "mail")
	if err := os.Mkdir(mail, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{dir, mail} {
		if err := os.Chmod(d, 0o777); err != nil { //nolint:gosec // Dovecot's users come and go in it
			t.Fatal(err)
		}
	}
	cmd := exec.Command(bin, "-F", "-c", file)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = exec.Command(bin, "-c", file, "stop").Run()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if b, err := os.ReadFile(filepath.Join(dir, "log")); err == nil && t.Failed() {
			t.Logf("Dovecot:\n%s", b)
		}
	})
	for range 600 {
		if c, err := net.Dial("tcp", s.TLS); err == nil {
			_ = c.Close()
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	b, _ := os.ReadFile(filepath.Join(dir, "log"))
	t.Fatalf("Dovecot does not listen:\n%s", b)
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

func free(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// Certificate makes a certificate of its own for 127.0.0.1 and imap.example.test, and its key, as files in dir.
func Certificate(t testing.TB, dir string) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "imap.example.test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		DNSNames: []string{"imap.example.test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := tls.LoadX509KeyPair(cert, key); err != nil {
		t.Fatal(err)
	}
	return cert, key
}
