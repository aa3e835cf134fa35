package rules

import (
	"slices"
	"strings"
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
	if f := named.Fingerprint(); !strings.HasPrefix(f, "0123456789ab-") || old.Fingerprint() != load("").Fingerprint() || len(old.Fingerprint()) < 16 {
		t.Errorf("%q, %q", f, old.Fingerprint())
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

// TestFingerprintOfPoints: an upgrade that gives a symbol other points makes another set of the same files, unless the files say the points; so
// a replay does not call a mistake what the program says otherwise now.
func TestFingerprintOfPoints(t *testing.T) {
	load := func(points float64, file string) *Policy {
		o := fixtureOptions()
		o.Name = "0123456789ab"
		o.Symbols = slices.Clone(o.Symbols)
		i := slices.IndexFunc(o.Symbols, func(s mail.Symbol) bool { return s.Name == "SPF_FAIL" })
		o.Symbols[i].Score = points
		o.Extra = map[string][]byte{"a.toml": []byte(file)}
		p, err := Load(o)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	if load(3, "").Fingerprint() == load(2, "").Fingerprint() {
		t.Error("other points have the same name")
	}
	const said = "[scores]\nSPF_FAIL = 4.0\n"
	if load(3, said).Fingerprint() != load(2, said).Fingerprint() {
		t.Error("the points that the files say are the same")
	}
}
