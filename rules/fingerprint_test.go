package rules

import (
	"testing"

	"sekimori/internal/mail"
)

// TestFingerprint: a set has the name that it is kept under, a verdict says which set judged, and facts that were kept when the set
// had no such name are still read and judged.
func TestFingerprint(t *testing.T) {
	load := func(name string) *Policy {
		o := fixtureOptions()
		o.Name = name
		p, err := Load(o)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	old, named := load(""), load("0123456789ab")
	if named.Fingerprint() != "0123456789ab" || old.Fingerprint() != load("").Fingerprint() || len(old.Fingerprint()) < 16 {
		t.Errorf("%q, %q", named.Fingerprint(), old.Fingerprint())
	}
	tx := fixtureTx(mail.Conclude)
	tx.Rcpts = []mail.Address{{Local: "a", Domain: "example.jp"}}
	c := &Case{Tx: tx, Rcpts: tx.Rcpts}
	was := old.JudgeCase(c)
	d, err := DecodeCase(old.AppendCase(nil, c, was))
	if err != nil || d.Rules != old.Fingerprint() {
		t.Fatal(err, d)
	}
	got := named.JudgeCase(d)
	if len(got) != 1 || !SameVerdict(&got[0], &was[0]) || got[0].Rules != "0123456789ab" || got[0].Limits != named.Limits(tx.Rcpts[0]) || got[0].Limits.Hold == 0 {
		t.Errorf("%+v, was %+v", got, was)
	}
}
