package relay

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sekimori/internal/config"
)

func loginOf(b *config.Backend) {
	b.Auth = config.BackendAuth{User: "gate", Password: secret, AllowCleartext: true}
}

// TestLogin logs in with each mechanism, over TLS of both versions and in clear text.
func TestLogin(t *testing.T) {
	cert, ca := certificate(t)
	for _, version := range []uint16{0, tls.VersionTLS12, tls.VersionTLS13} {
		for _, c := range []struct{ offered, used string }{
			{"PLAIN LOGIN", "PLAIN"},
			{"LOGIN", "LOGIN"},
			{"PLAIN LOGIN SCRAM-SHA-1", "SCRAM-SHA-1"},
			{"CRAM-MD5 plain scram-sha-256 SCRAM-SHA-1 XOAUTH2", "SCRAM-SHA-256"},
			{"SCRAM-SHA-1-PLUS SCRAM-SHA-256 PLAIN", "SCRAM-SHA-1-PLUS"},
			{"PLAIN SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"},
		} {
			if version == 0 && strings.HasSuffix(c.used, "-PLUS") {
				c.used = "SCRAM-SHA-256" // there is no channel to bind to
			}
			t.Run(tls.VersionName(version)+" "+c.offered, func(t *testing.T) {
				s := &fakeServer{ehlo: append([]string{"AUTH " + c.offered}, pipelining...), user: "gate"}
				if version != 0 {
					s.ehlo = append(s.ehlo, "STARTTLS")
					s.tls = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: version, MaxVersion: version}
				}
				run(t, []*fakeServer{s}, func(w *world) {
					w.restart(func(b *config.Backend) {
						loginOf(b)
						if version != 0 {
							b.TLS = config.BackendTLS{Mode: "required", CAFile: ca, Name: "mail.test"}
						}
					})
					w.want("first", w.deliver("a", "x@example.jp"), "delivered")
					w.want("second", w.deliver("b", "x@example.jp"), "delivered")
					w.wantInt("logins", s.said("AUTH"), 1)
					w.wantInt("with "+c.used, s.said("AUTH "+c.used), 1)
					w.noSecret()
				})
			})
		}
	}
}

func (w *world) noSecret() {
	w.t.Helper()
	for _, hidden := range []string{secret, encode64(secret), encode64("\x00gate\x00" + secret), "sesame"} {
		if strings.Contains(w.log.String(), hidden) {
			w.t.Errorf("the log shows the password:\n%s", w.log.String())
		}
	}
}

// TestLoginRefused: nothing is handed over, the mail is queued with the reason, the administrator is told, and the password is
// not tried again at once, which could lock the account.
func TestLoginRefused(t *testing.T) {
	offers := func(what ...string) []string { return append(what, pipelining...) }
	for _, c := range []struct {
		name   string
		server *fakeServer
		change func(b *config.Backend)
		reason string
		tries  int
	}{
		{"wrong password", &fakeServer{ehlo: offers("AUTH PLAIN"), user: "other"}, loginOf, "535 5.7.8 authentication failed", 1},
		{"wrong password, SCRAM", &fakeServer{ehlo: offers("AUTH SCRAM-SHA-256"), user: "gate"}, func(b *config.Backend) {
			loginOf(b)
			b.Auth.Password = "wrong"
		}, "535 5.7.8 authentication failed", 1},
		{"server does not know it", &fakeServer{ehlo: offers("AUTH SCRAM-SHA-256"), user: "gate", lie: true}, loginOf, "server validation failed", 1},
		{"server proves nothing", &fakeServer{ehlo: offers("AUTH SCRAM-SHA-256"), user: "gate", mute: true}, loginOf, "did not prove that it knows the password", 1},
		{"too many iterations", &fakeServer{ehlo: offers("AUTH SCRAM-SHA-256"), on: func(verb, _ string) string {
			if verb == "AUTH" {
				return "334 " + encode64("r=x,s=MDEyMzQ1,i=2000000000")
			}
			return ""
		}}, loginOf, "more than 1000000 iterations", 1},
		{"not offered", &fakeServer{ehlo: offers()}, loginOf, "offers no way to log in", 0},
		{"not allowed", &fakeServer{ehlo: offers("AUTH PLAIN LOGIN"), user: "gate"}, func(b *config.Backend) {
			loginOf(b)
			b.Auth.Mechanisms = []string{"SCRAM-SHA-256"}
		}, "it offers: PLAIN LOGIN", 0},
		{"clear text", &fakeServer{ehlo: offers("AUTH PLAIN SCRAM-SHA-256"), user: "gate"}, func(b *config.Backend) {
			loginOf(b)
			b.Auth.AllowCleartext = false
		}, "must not cross it in clear text", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			run(t, []*fakeServer{c.server}, func(w *world) {
				w.restart(c.change)
				w.want("states", w.deliver("m", "x@example.jp"), "queued")
				e, err := w.spool.Get("m")
				if err != nil || !strings.Contains(e.Rcpts[0].Last, c.reason) {
					t.Errorf("the reason is %q, %v; want %q", e.Rcpts[0].Last, err, c.reason)
				}
				w.wantInt("mails", len(c.server.got()), 0)
				w.wantInt("MAIL", c.server.said("MAIL"), 0)
				w.wantInt("QUIT", c.server.said("QUIT"), 0)
				w.wantInt("tries", c.server.said("AUTH"), c.tries)
				if w.warning("backend smtp://192.0.2.1:25") == "" {
					t.Error("the administrator is not told")
				}
				w.noSecret()
				time.Sleep(10 * time.Minute)
				if n := c.server.said("AUTH"); n > 20 {
					t.Errorf("%d tries in 10 minutes", n)
				}
			})
		})
	}
}

// TestNewPassword: the file is read again, and what has waited is delivered.
func TestNewPassword(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("old one\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &fakeServer{ehlo: append([]string{"AUTH PLAIN"}, pipelining...), user: "gate"}
	run(t, []*fakeServer{s}, func(w *world) {
		w.restart(func(b *config.Backend) {
			loginOf(b)
			b.Auth.PasswordFile, b.Auth.Password = file, "old one"
		})
		w.want("old", w.deliver("m", "x@example.jp"), "queued")
		if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		w.want("queue", w.queued(), "")
		w.wantInt("mails", len(s.got()), 1)
		w.want("warning", w.warning("backend smtp://192.0.2.1:25"), "")
	})
}
