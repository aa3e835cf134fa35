package front

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"sekimori/internal/mail"
)

type worldEnds world

func (e *worldEnds) Direct(id string, ends []End) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.steps = append(e.steps, "direct")
	if e.endsErr != nil {
		return e.endsErr
	}
	for _, x := range ends {
		e.direct = append(e.direct, fmt.Sprintf("%s %s %s %s", x.State, id, x.Rcpt, x.Detail))
	}
	return nil
}

func (e *worldEnds) Undo(id string, ends []End) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.steps = append(e.steps, "undo")
	for _, x := range ends {
		line := fmt.Sprintf("%s %s %s %s", x.State, id, x.Rcpt, x.Detail)
		e.direct = slices.DeleteFunc(e.direct, func(s string) bool { return s == line })
	}
}

// TestEndsInOrder: what can be taken back comes before what cannot, and nothing is acknowledged without its line.
func TestEndsInOrder(t *testing.T) {
	boss := mail.Address{Local: "boss", Domain: "example.jp"}
	for _, c := range []struct {
		name string
		set  func(w *world)
		want string // the reply's beginning, then the steps
	}{
		{"well", func(*world) {}, "250 2.0.0: stage direct hold deliver commit"},
		{"no line", func(w *world) { w.endsErr = errTest }, "451 4.3.0: stage direct discard"},
		{"no hold", func(w *world) { w.holdErr = errTest }, "451 4.3.0: stage direct hold discard undo"},
		{"no backend", func(w *world) { w.relayErr = errTest }, "451 4.3.0: stage direct hold deliver discard undo"},
		{"no spool", func(w *world) { w.stageErr = errTest }, "451 4.3.0: stage"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.atData["drop@example.jp"] = mail.Verdict{Discard: true, RuleID: "NOISE"}
				w.atData["gone@example.jp"] = mail.Verdict{Redirect: boss, RuleID: "LEFT"}
				w.atData["held@example.jp"] = mail.Verdict{Action: mail.Hold}
				c.set(w)
				w.start()
				k := w.dial("192.0.2.1")
				k.line()
				for _, l := range []string{
					"HELO c.example", "MAIL FROM:<a@sender.example>", "RCPT TO:<drop@example.jp>", "RCPT TO:<gone@example.jp>",
					"RCPT TO:<held@example.jp>", "RCPT TO:<y@example.jp>", "DATA",
				} {
					k.send(l + "\r\n")
					k.line()
				}
				k.send("Subject: x\r\n\r\ny\r\n.\r\n")
				reply := k.line()
				w.stop()
				if got := reply[:9] + ": " + strings.Join(w.steps, " "); got != c.want {
					t.Errorf("got %q, want %q", got, c.want)
				}
				if ok := strings.HasPrefix(reply, "250"); ok != (len(w.direct) == 2) {
					t.Errorf("%s with the lines %q", reply, w.direct)
				}
			})
		})
	}
}
