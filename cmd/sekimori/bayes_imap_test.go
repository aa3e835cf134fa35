package main

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"sekimori/internal/config"
	"sekimori/internal/imapfolder/realimap"
	"sekimori/internal/store"
	"sekimori/reputation"
)

// TestLearnFromDovecot: mails that a person moves into a folder by IMAP are learned from the server, and from the Maildir that it keeps,
// once each, whatever ends in between.
func TestLearnFromDovecot(t *testing.T) {
	s := realimap.Start(t)
	st, err := store.Open(t.Context(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte(realimap.Password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Parse("test.toml", fmt.Appendf(nil, `hostname = "mx1.example.test"
[[bayes.imap]]
url = "imap://%s"
user = %q
password_file = %q
ca_file = %q
tls_name = "imap.example.test"
folder = "Junk"
class = "spam"
[[domain]]
names = ["example.test"]
recipients = "any"
backends = ["smtp://mail.example.test:25"]
`, s.StartTLS, realimap.User, password, s.CAFile), config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	moveToJunk(t, s, 1, 2)
	c := &cfg.Bayes.IMAP[0]
	l := reputation.NewLearner(st.Client(), time.Now, slog.New(slog.DiscardHandler))
	r := &imapReader{client: st.Client(), learner: l, log: slog.New(slog.DiscardHandler), hostname: cfg.Hostname, node: "mx1"}
	read := func(shown int) {
		t.Helper()
		if more, err := r.read(t.Context(), c); more || err != nil || l.Model().Counts().SpamShown != shown {
			t.Fatalf("%v, %v, %d mails are known, not %d", more, err, l.Model().Counts().SpamShown, shown)
		}
	}
	read(2)
	moveToJunk(t, s, 3)
	turn := "bayes:imap:{" + imapKey(c) + "}:turn"
	if err := st.Client().SetNX(t.Context(), turn, "mx2", time.Minute).Err(); err != nil {
		t.Fatal(err)
	}
	read(2) // another host is at it
	st.Client().Del(t.Context(), turn)
	read(3)
	read(3)
	st.Client().Del(t.Context(), "bayes:imap:{"+imapKey(c)+"}:place") // as if its end had come before the place was kept
	read(3)
	f := &mailFolder{BayesFolder: config.BayesFolder{Path: filepath.Join(s.Maildir, ".Junk"), Class: "spam", Scope: "@example.test"}, known: map[string]bool{}}
	for i, shown := range []int{3, 0} {
		if p, err := f.learn(t.Context(), l, cfg.Hostname); err != nil || p.Shown != shown {
			t.Errorf("%d: from the Maildir: %+v, %v", i, p, err)
		}
	}
	checkIMAPTest(t, cfg)
	moveToJunk(t, s, 4)
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.read(t.Context(), c); err == nil || !strings.Contains(err.Error(), "the store does not answer") {
		t.Errorf("with the store away: %v", err)
	}
}

func checkIMAPTest(t *testing.T, cfg *config.Config) {
	t.Helper()
	var out bytes.Buffer
	a := &app{ctx: t.Context(), out: &out, err: io.Discard}
	a.checkIMAP(cfg)
	if !strings.Contains(out.String(), "learned as spam for all: "+realimap.User) || !strings.Contains(out.String(), "Junk: 3 mails lie there") {
		t.Error(out.String())
	}
	out.Reset()
	wrong := *cfg
	wrong.Bayes.IMAP = []config.BayesIMAP{cfg.Bayes.IMAP[0]}
	wrong.Bayes.IMAP[0].Password = "sesame, close"
	a.checkIMAP(&wrong)
	if !strings.HasPrefix(out.String(), "warning: the folder ") || !strings.Contains(out.String(), "the server says NO") || strings.Contains(out.String(), "sesame") {
		t.Error(out.String())
	}
}

// moveToJunk has mails arrive and moves them, as a person's program does.
func moveToJunk(t *testing.T, s *realimap.Server, numbers ...int) {
	t.Helper()
	c, err := imapclient.DialTLS(s.TLS, &imapclient.Options{TLSConfig: &tls.Config{RootCAs: s.Roots, ServerName: "imap.example.test"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Login(realimap.User, realimap.Password).Wait(); err != nil {
		t.Fatal(err)
	}
	_ = c.Create("Junk", nil).Wait() // it may be there
	for _, n := range numbers {
		text := fmt.Sprintf("From: a@partner.test\r\nMessage-ID: <%d@partner.test>\r\nSubject: offer %d\r\n\r\nSome words %d\r\n", n, n, n)
		cmd := c.Append("INBOX", int64(len(text)), nil)
		_, err := io.WriteString(cmd, text)
		if err = errors.Join(err, cmd.Close()); err == nil {
			_, err = cmd.Wait()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Select("INBOX", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	var all imap.SeqSet
	all.AddRange(1, 0)
	if _, err := c.Move(all, "Junk").Wait(); err != nil {
		t.Fatal(err)
	}
}

// A server that fails is told of, and asked more and more rarely, until it answers.
func TestIMAPFailures(t *testing.T) {
	standing := map[string]bool{}
	s := &server{warn: newWarnings(slog.New(slog.DiscardHandler), func(cause string, on bool) { standing[cause] = on })}
	w := &imapWatch{BayesIMAP: config.BayesIMAP{URL: "imaps://imap.example.test", User: "taro", Folder: "Spam", Every: config.Duration(time.Minute)}}
	const cause = "learning.taro@imap.example.test:993 Spam"
	var waits []time.Duration
	for range 6 {
		w.busy = true
		s.endIMAP(w, imapDone{err: errors.New("out of order")})
		waits = append(waits, time.Until(w.next).Round(time.Minute))
		if !standing[cause] || w.busy {
			t.Fatalf("%v, busy %v", standing, w.busy)
		}
	}
	if fmt.Sprint(waits) != "[1m0s 2m0s 4m0s 8m0s 15m0s 15m0s]" {
		t.Error(waits)
	}
	s.endIMAP(w, imapDone{more: true})
	if standing[cause] || w.failures != 0 || w.next.After(time.Now()) {
		t.Errorf("%v, %d failures, next %v", standing, w.failures, w.next)
	}
}
