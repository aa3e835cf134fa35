package rules

import (
	"slices"
	"strings"
	"testing"

	"sekimori/internal/mail"
)

const attrRules = `
[[rule]]
id = "SALES"
describe = "x"
when = 'rcpt.attr("Department") == "営業部"'
action = "hold"

  [[rule.test]]
  expect = "hit"
  given  = { 'rcpt.attr("department")' = "営業部" }
  [[rule.test]]
  expect = "miss"
  given  = { 'rcpt.attr("department")' = "" }
  [[rule.test]]
  expect = "unknown"

[[rule]]
id = "SPEAKS_ENGLISH"
describe = "x"
when = 'not ("ja" in rcpt.attrs("preferredLanguage"))'
score = 1

[[rule]]
id = "SAY"
describe = "x"
when = 'rcpt.attr("department") != ""'
add_header = { X-Department = '{rcpt.attr("department")}' }
`

func attrTx(known map[string][]string) (*mail.Transaction, mail.Address) {
	tx := fixtureTx(mail.Conclude)
	for name, values := range known {
		tx.SetRcptFact(tx.Rcpts[0], mail.AttrFact(name), values)
	}
	return tx, tx.Rcpts[0]
}

// TestAttributes: a value decides, no value is an empty one, and what no directory knows is unknown, never false. Whatever it is, a
// kept case says the same again, to this set and to another.
func TestAttributes(t *testing.T) {
	o := fixtureOptions()
	o.Extra = map[string][]byte{"a.toml": []byte(attrRules)}
	p, err := Load(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range p.Test() {
		if r.Got != r.Want {
			t.Errorf("%s: %s, not %s", r.Place, r.Got, r.Want)
		}
	}
	for name, c := range map[string]struct {
		known   map[string][]string
		action  mail.Action
		unknown bool
		english bool
	}{
		"sales":       {map[string][]string{"department": {"営業部", "総務部"}, "preferredLanguage": {"en", "ja"}}, mail.Hold, false, false},
		"second":      {map[string][]string{"Department": {"総務部", "営業部"}, "preferredLanguage": {"ja"}}, mail.Deliver, false, false},
		"none":        {map[string][]string{"department": {}, "preferredLanguage": {}}, mail.Deliver, false, true},
		"nobody says": {nil, mail.Deliver, true, false},
	} {
		tx, rcpt := attrTx(c.known)
		kase := Case{Tx: tx, Rcpts: []mail.Address{rcpt}}
		v := p.JudgeCase(&kase)
		hit := slices.ContainsFunc(v[0].Counted, func(x mail.Counted) bool { return x.Name == "SPEAKS_ENGLISH" })
		if v[0].Action != c.action || slices.Contains(v[0].Unknown, "SALES") != c.unknown || hit != c.english {
			t.Errorf("%s: %v, unknown %v, counted %v", name, v[0].Action, v[0].Unknown, v[0].Counted)
		}
		if name == "second" && (len(v[0].Header) != 1 || v[0].Header[0].Value != "総務部") {
			t.Errorf("%s: %v", name, v[0].Header)
		}
		data := p.AppendCase(nil, &kase, v)
		back, err := DecodeCase(data)
		if err != nil {
			t.Fatal(err)
		}
		if again := p.JudgeCase(back); !SameVerdict(&v[0], &again[0]) || len(back.NotJudged) > 0 {
			t.Errorf("%s: judged again it is %+v, not %+v (%v)", name, again[0], v[0], back.NotJudged)
		}
		if _, lean, err := p.Replayer().Judge(data); err != nil || !SameVerdict(&v[0], &lean[0]) {
			t.Errorf("%s: replayed: %v", name, err)
		}
		o.Extra = map[string][]byte{"b.toml": []byte(strings.Replace(attrRules, `"hold"`, `"tag"`, 1))}
		other, err := Load(o)
		if err != nil {
			t.Fatal(err)
		}
		if again := other.JudgeCase(back); len(back.NotJudged) > 0 || (again[0].Action == mail.Tag) != (c.action == mail.Hold) {
			t.Errorf("%s: another set: %+v %v", name, again[0], back.NotJudged)
		}
	}
}
