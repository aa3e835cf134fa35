package front

import (
	"slices"
	"testing"

	"sekimori/internal/mail"
)

// TestBeside: the quarantine is told who else would lose the mail for want of room.
func TestBeside(t *testing.T) {
	rcpt := func(domain string, a mail.Action) mail.Verdict {
		return mail.Verdict{Rcpt: mail.Address{Local: "x", Domain: domain}, Action: a}
	}
	for _, c := range []struct {
		verdicts []mail.Verdict
		at       []int
		shared   bool
		others   []string
	}{
		{[]mail.Verdict{rcpt("a.example", mail.Hold)}, []int{0}, false, nil},
		{[]mail.Verdict{rcpt("a.example", mail.Hold), rcpt("b.example", mail.Deliver)}, []int{0}, true, nil},
		{[]mail.Verdict{rcpt("a.example", mail.Hold), rcpt("b.example", mail.Reject), rcpt("b.example", mail.Hold)}, []int{0}, false, []string{"b.example"}},
	} {
		tx := &transaction{verdicts: c.verdicts}
		for _, v := range c.verdicts {
			tx.rcpts = append(tx.rcpts, v.Rcpt)
		}
		d := &disposal{tx: tx}
		if shared, others := d.beside(&batch{at: c.at}); shared != c.shared || !slices.Equal(others, c.others) {
			t.Errorf("%v: %v %v", c.verdicts, shared, others)
		}
	}
}
