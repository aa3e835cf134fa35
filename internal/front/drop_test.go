package front

import (
	"context"
	"strings"
	"testing"

	"sekimori/internal/mail"
)

// worldDrop learns what the dialogue says.
type worldDrop struct {
	w      *world
	said   string
	answer mail.Reply
}

func (d *worldDrop) Learn(_ context.Context, h Handed) (string, mail.Reply) {
	d.w.step("learn " + h.Class + " " + h.From.String() + " " + h.Message.Subject)
	if !d.answer.IsZero() {
		return "", d.answer
	}
	return d.said, mail.Reply{}
}

// flowDrop reads a line of the configuration that begins with drop_.
func flowDrop(t *testing.T, w *world, key, value string) {
	d := &w.cfg.Bayes.Drop
	switch key {
	case "drop_spam":
		d.Spam = strings.Fields(value)
	case "drop_ham":
		d.Ham = strings.Fields(value)
	case "drop_from":
		d.From = flowNetworks(t, value)
	case "drop_says":
		w.drop.said = value
	case "drop_answers":
		w.drop.answer = flowReply(value)
	case "no_drop":
		w.drop = nil
	default:
		t.Fatalf("config: %q", key)
	}
}

// TestDropCertificate: a client with a certificate of ours may hand in where the configuration says so, and only then.
func TestDropCertificate(t *testing.T) {
	for _, verified := range []bool{false, true} {
		for _, allowed := range []bool{false, true} {
			w := newWorld(t)
			w.cfg.Bayes.Drop.Spam, w.cfg.Bayes.Drop.Certificate = []string{"spam@example.jp"}, allowed
			conn := &wire{session: &mail.Session{Verified: verified}, set: &setup{cfg: w.cfg}}
			if conn.mayHandIn() != (verified && allowed) {
				t.Errorf("verified %v, allowed %v: %v", verified, allowed, conn.mayHandIn())
			}
		}
	}
}

// TestDropRecord: the record of a mail that was learned says so for each recipient.
func TestDropRecord(t *testing.T) {
	w := newWorld(t)
	w.cfg.SMTP.MyNetworks = flowNetworks(t, "192.0.2.0/24")
	w.cfg.Bayes.Drop.Ham = []string{"ham@example.jp", "good@example.jp"}
	w.drop.said = "2 learned as ham"
	w.start()
	c := w.dial("192.0.2.1").hello()
	c.want("MAIL FROM:<taro@example.jp>", "250")
	c.want("RCPT TO:<ham@example.jp>", "250")
	c.want("RCPT TO:<GOOD@example.jp>", "250")
	c.want("DATA", "354")
	c.want(strings.TrimSuffix(plainMail, "\r\n")+"\r\n.", "250 2.0.0 accepted: 2 learned as ham id=")
	w.stop()
	r := w.records[0]
	if r.Action != "learned" || len(r.Verdicts) != 0 || strings.Join(r.Ends, " ") != "learned learned" || r.Reply != "250 2.0.0 accepted: 2 learned as ham" {
		t.Errorf("%+v", r)
	}
	if !strings.Contains(strings.Join(w.steps, "|"), "learn ham taro@example.jp hello") {
		t.Error(w.steps)
	}
}
