package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	auditlog "sekimori/internal/audit"
	"sekimori/internal/config"
	"sekimori/internal/front"
	sm "sekimori/internal/mail"
	"sekimori/internal/mime"
	"sekimori/internal/store"
	"sekimori/reputation"
)

// dropWorld is what learns from a learning address, over a store in memory.
type dropWorld struct {
	dropPort
	t       *testing.T
	cfg     *config.Config
	store   *store.Store
	entries []auditlog.Entry
	refuse  error // of the audit log
}

func (w *dropWorld) Append(_ context.Context, e auditlog.Entry) error {
	if w.refuse == nil {
		w.entries = append(w.entries, e)
	}
	return w.refuse
}

func newDropWorld(t *testing.T) *dropWorld {
	t.Helper()
	st, err := store.Open(t.Context(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	cfg, err := config.Parse("test.toml", []byte(`hostname = "mx1.example.test"
[smtp]
mynetworks = ["192.0.2.0/24"]
[bayes.drop]
spam = ["spam@example.test"]
ham = ["ham@example.test"]
max_mails = 3
[[domain]]
names = ["example.test"]
recipients = "any"
backends = ["smtp://mail.example.test:25"]
`), config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	w := &dropWorld{t: t, cfg: cfg, store: st}
	w.dropPort = dropPort{learner: reputation.NewLearner(st.Client(), time.Now, log), audit: w, log: log, count: func(string, string) {}, find: func(_ context.Context, a sm.Address) sm.Address {
		if a.Local == "alias" {
			a.Local = "taro"
		}
		return a
	}}
	return w
}

// hand hands mails in, and returns the whole answer.
func (w *dropWorld) hand(class, from string, parts ...string) string {
	w.t.Helper()
	text := "From: <" + from + ">\nSubject: Fwd\nContent-Type: multipart/mixed; boundary=outer\n\n--outer\n\nthis one\n"
	for _, p := range parts {
		text += "\n--outer\n" + p + "\n"
	}
	a, err := sm.ParseAddress(from, false)
	if err != nil {
		w.t.Fatal(err)
	}
	said, reply := w.Learn(w.t.Context(), front.Handed{
		Config: w.cfg, ID: "id1", Class: class, From: a, Rcpts: []sm.Address{{Local: class, Domain: "example.test"}},
		Session: &sm.Session{Client: netip.MustParseAddr("192.0.2.1")}, Message: mime.Parse(withCRLF([]byte(text + "\n--outer--\n"))),
	})
	if reply.IsZero() {
		return said
	}
	return fmt.Sprint(reply.Code(), " ", reply.Text())
}

func attachedMail(n int) string {
	return fmt.Sprintf("Content-Type: message/rfc822\n\nFrom: a@partner.test\nMessage-ID: <%d@partner.test>\nSubject: offer %d\n\nSome words %d\n", n, n, n)
}

func TestDropLearns(t *testing.T) {
	const outlook = "Content-Type: application/vnd.ms-outlook; name=offer.msg\n\nx"
	w := newDropWorld(t)
	for _, c := range []struct {
		class, from string
		parts       []string
		want        string
	}{
		{"spam", "taro@example.test", []string{attachedMail(1), attachedMail(2), outlook}, "2 learned as spam, 1 not readable"},
		{"spam", "hanako@example.test", []string{attachedMail(2), attachedMail(3)}, "1 learned as spam, 1 known before"},
		{"ham", "taro@example.test", []string{attachedMail(1)}, "1 learned as ham, 1 of them as spam before"},
		{"spam", "taro@example.test", nil, "554 no mail is attached*forward it as an attachment*"},
		{"spam", "taro@example.test", []string{outlook}, "554 what is attached is in a format of Outlook*"},
		{"spam", "taro@example.test", []string{attachedMail(11), attachedMail(12), attachedMail(13), attachedMail(14)}, "554 more than 3 mails are attached*"},
		{"spam", "taro@example.test", []string{"Content-Type: message/rfc822\n\nFrom: sekimori@example.test\nAuto-Submitted: auto-generated\nSubject: held\n\nText"}, "554 only a mail of this gateway's own*"},
	} {
		got := w.hand(c.class, c.from, c.parts...)
		head, tail, _ := strings.Cut(c.want, "*")
		if !strings.HasPrefix(got, head) || !strings.Contains(got, strings.Trim(tail, "*")) || len(got) > 400 {
			t.Errorf("%s of %s: %q, want %q", c.class, c.from, got, c.want)
		}
	}
	if n := w.learner.Model().Counts(); n.SpamShown != 2 || n.HamShown != 1 {
		t.Errorf("%+v", n)
	}
	if len(w.entries) != 3 || w.entries[0].Actor != "taro@example.test" || w.entries[0].Act != "learn" || w.entries[0].Via != "drop" ||
		w.entries[0].Detail != "spam: 2 learned as spam, 1 not readable" || w.entries[0].Peer.String() != "192.0.2.1" {
		t.Errorf("%+v", w.entries)
	}
	if n := w.learner.Scopes(); len(n) != 0 {
		t.Errorf("it was learned for somebody alone: %+v", n)
	}
}

// One sender, whose name may be anybody's, teaches everybody no more than one person may.
func TestDropPersonLimit(t *testing.T) {
	w := newDropWorld(t)
	w.learner.WithLimits(func() reputation.Limits { return reputation.Limits{Person: 2} })
	if got := w.hand("spam", "taro@example.test", attachedMail(1), attachedMail(2), attachedMail(3)); got != "2 learned as spam, 1 waiting for another person to say the same" {
		t.Error(got)
	}
	if got := w.hand("spam", "hanako@example.test", attachedMail(3)); got != "1 learned as spam" {
		t.Error(got)
	}
	w.cfg.Bayes.Drop.Senders, w.cfg.Bayes.Drop.Admins = true, []string{"boss@example.test"}
	if got := w.hand("spam", "boss@example.test", attachedMail(4), attachedMail(5), attachedMail(6)); got != "3 learned as spam" {
		t.Error(got)
	}
	if e := w.entries[len(w.entries)-1]; e.Role != "admin" {
		t.Errorf("%+v", e)
	}
}

// Where senders are who they say, their mails teach for them and their domain, too; an alias is the mailbox behind it.
func TestDropScopes(t *testing.T) {
	for _, c := range []struct {
		senders bool
		scope   string
		want    string
	}{
		{false, "all", ""},
		{false, "domain", "@example.test"},
		{false, "@example.net", "@example.net"},
		{true, "all", "@example.test taro@example.test"},
	} {
		w := newDropWorld(t)
		w.cfg.Bayes.Drop.Senders, w.cfg.Bayes.Drop.Scope = c.senders, c.scope
		if got := w.hand("spam", "alias@example.test", attachedMail(1)); got != "1 learned as spam" {
			t.Error(got)
		}
		var got []string
		for _, s := range w.learner.Scopes() {
			got = append(got, s.Scope.String())
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%+v: %q", c, got)
		}
		if n := w.learner.Model().Counts().SpamShown; n != 1 && c.scope == "all" {
			t.Errorf("%+v: everybody: %d", c, n)
		}
	}
}

// With the store away nothing is acknowledged, and what comes again is not learned twice, however far it came the first time.
func TestDropStoreAway(t *testing.T) {
	w := newDropWorld(t)
	w.refuse = errors.New("out of order")
	for range 2 {
		if got := w.hand("spam", "taro@example.test", attachedMail(1), attachedMail(2)); !strings.HasPrefix(got, "451 ") {
			t.Error(got)
		}
	}
	w.refuse = nil
	if got := w.hand("spam", "taro@example.test", attachedMail(1), attachedMail(2), attachedMail(3)); got != "1 learned as spam, 2 known before" {
		t.Error(got)
	}
	if n := w.learner.Model().Counts().SpamShown; n != 3 {
		t.Errorf("%d mails are counted", n)
	}
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	if got := w.hand("spam", "taro@example.test", attachedMail(4)); !strings.HasPrefix(got, "451 ") {
		t.Error(got)
	}
}
