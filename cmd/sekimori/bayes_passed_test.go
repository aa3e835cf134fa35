package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"sekimori/internal/config"
	"sekimori/internal/front"
	sm "sekimori/internal/mail"
	"sekimori/internal/mime"
	"sekimori/internal/store"
	"sekimori/reputation"
)

// Only what was delivered or held counts as that, whatever the verdict was.
func TestPassedEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st, err := store.Open(t.Context(), store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer st.Close()
		cfg, err := config.Parse("test.toml", []byte("hostname = \"mx.test\"\n"+`
[[domain]]
names = ["example.test"]
recipients = "any"
backends = ["maildir:mail"]
`), config.Options{})
		if err != nil {
			t.Fatal(err)
		}
		_, watch := newLearner(st.Client(), func() *config.Config { return cfg }, nil)
		p := newPassedMails(watch)
		msg := func(n int) *sm.Message {
			return mime.Parse(fmt.Appendf(nil, "From: a@partner.test\r\nMessage-ID: <%d@partner.test>\r\n\r\ntext\r\n", n))
		}
		good := sm.Verdict{Rcpt: sm.Address{Local: "taro", Domain: "example.test"}, Counted: []sm.Counted{{Name: "BAYES_HAM", Points: -2}}}
		bad := sm.Verdict{Action: sm.Hold, Counted: []sm.Counted{{Name: "BAYES_SPAM", Points: 3}}}
		for n, r := range []front.Record{
			{Verdicts: []sm.Verdict{good}, Ends: []string{front.Delivered}, Reply: "250 2.0.0 accepted"},
			{Verdicts: []sm.Verdict{good, good}, Ends: []string{front.Queued, front.EndHeld}, Reply: "250 2.0.0 accepted"}, // one refused by the backend after all
			{Verdicts: []sm.Verdict{good}, Ends: []string{front.Refused}, Reply: "550 5.1.1 unknown"},
			{Verdicts: []sm.Verdict{good, bad}, Ends: []string{front.Queued, front.EndHeld}, Reply: "451 4.3.0 later"},
			{Verdicts: []sm.Verdict{bad}, Ends: []string{front.EndHeld}, Reply: "250 2.0.0 accepted"},
			{Verdicts: []sm.Verdict{bad}, Ends: []string{""}, Reply: "250 2.0.0 accepted"},
			{Verdicts: []sm.Verdict{good}, Reply: "451 4.3.0 later"},
		} {
			r.Message = msg(n)
			p.concluded(r)
		}
		if n := len(p.todo); n != 2 {
			t.Errorf("%d mails are to be remembered", n)
		}
		for range passedWaiting {
			p.concluded(front.Record{Message: msg(9), Verdicts: []sm.Verdict{good}, Ends: []string{front.Delivered}, Reply: "250 2.0.0 accepted"})
		}
		if n := p.lost.Load(); n != 2 {
			t.Errorf("%d mails are lost", n)
		}
		if _, err := watch.Look(t.Context()); err != nil {
			t.Fatal(err)
		}
		n, err := watch.Numbers(t.Context())
		if err != nil || n.Held != 1 || n.Passed != 2+passedWaiting {
			t.Errorf("%+v, %v", n, err)
		}
	})
}

// Large mails wait one at a time.
func TestPassedOctets(t *testing.T) {
	cfg := &config.Config{}
	cfg.Bayes.Drift.Enabled = true
	_, watch := newLearner(nil, func() *config.Config { return cfg }, nil)
	p := newPassedMails(watch)
	large := &sm.Message{Raw: make([]byte, passedOctets+1)}
	r := front.Record{
		Message: large, Verdicts: []sm.Verdict{{Counted: []sm.Counted{{Name: "BAYES_HAM", Points: -2}}}},
		Ends: []string{front.Delivered}, Reply: "250 2.0.0 accepted",
	}
	p.concluded(r)
	p.concluded(r)
	if len(p.todo) != 1 || p.lost.Load() != 1 {
		t.Errorf("%d wait, %d are lost", len(p.todo), p.lost.Load())
	}
	p.remember(<-p.todo)
	if p.concluded(r); len(p.todo) != 1 {
		t.Error("there is no room although nothing waits")
	}
}

// A mail that the backend refuses was not passed; one that it took is known at once, even by a server that is stopped behind its answer, and
// counts when it is reported.
func TestPassedToBackend(t *testing.T) {
	backend := startDotServer(t)
	backend.unknown = "nobody@example.test"
	g := startGateway(t, gatewayOptions{
		on: []string{"bayes"}, backend: "smtp://" + backend.addr,
		extra: "[filters.bayes]\nmin_ham = 20\nmin_spam = 20\nfull_ham = 20\nfull_spam = 20\n",
	})
	trainBayes(t, g)
	r := rand.New(rand.NewPCG(7, 8))
	refused, taken := bayesMail(r, false), bayesMail(r, false)
	if reply := send(t, g.SMTP, "192.0.2.9", "h.test", "a@partner.test", "nobody@example.test", refused); !strings.HasPrefix(reply, "550 ") {
		t.Fatal(reply)
	}
	if reply := send(t, g.SMTP, "192.0.2.9", "h.test", "a@partner.test", "taro@example.test", taken); !strings.HasPrefix(reply, "250 ") {
		t.Fatal(reply)
	}
	if code := g.stop(); code != 0 {
		t.Fatalf("exit %d\n%s", code, g.output())
	}
	for name, msg := range map[string][]byte{"refused": refused, "taken": taken} {
		path := filepath.Join(g.dir, name+".eml")
		if err := os.WriteFile(path, msg, 0o600); err != nil {
			t.Fatal(err)
		}
		g.mustRun("learn", "spam", path)
	}
	var drift struct{ Numbers reputation.DriftNumbers }
	out, _ := g.command("bayes", "drift", "--json")
	if err := json.Unmarshal([]byte(out), &drift); err != nil {
		t.Fatal(err, out)
	}
	if n := drift.Numbers; n.Passed != 1 || n.Reported != 1 {
		t.Errorf("%+v", n)
	}
}
