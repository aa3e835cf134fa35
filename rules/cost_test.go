package rules

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sekimori/internal/mail"
)

// hostilePattern is one that an administrator might write: very many words, each with any characters before it.
func hostilePattern(words int) string {
	var b strings.Builder
	for i := range words {
		fmt.Fprintf(&b, "w.{0,40}%d|", i)
	}
	return "(?i)(" + strings.TrimSuffix(b.String(), "|") + ")"
}

func longText(n int) string { return strings.Repeat("w お世話になっております ", n/30) }

func mailWith(text string) *mail.Transaction {
	tx := fixtureTx(mail.Conclude)
	tx.Message.Parts[0].Text = text
	mail.AddBaseFacts(tx.Facts, tx)
	return tx
}

const costly = `
[[rule]]
id = "COSTLY"
describe = { ja = "あ", en = "a" }
when = 'message.text matches "%s" or message.subject == "never"'
action = "reject"
[[rule]]
id = "CHEAP"
describe = { ja = "あ", en = "a" }
when = 'message.subject == "資料"'
action = "tag"
`

// A rule that takes too long over a mail is unknown for it, not hit; the others are judged. Mail after mail it is suspended, once
// said; mail in between for which it keeps to its budget puts that off.
func TestSuspended(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.toml"), fmt.Sprintf(costly, hostilePattern(20)))
	var told []string
	o := fixtureOptions()
	o.Dir = dir
	o.OnSuspend = func(id, place string) { told = append(told, id+" "+place) }
	p, err := Load(o)
	if err != nil {
		t.Fatal(err)
	}
	if w := p.Warnings(); len(w) != 1 || !strings.Contains(w[0].Error(), "a.toml:5:") || !strings.Contains(w[0].Message, "takes too long over a text of more than") {
		t.Errorf("the rule is not spoken of when it is loaded: %v", w)
	}
	long, short := mailWith(longText(256<<10)), mailWith("w 19")
	judge := func(tx *mail.Transaction) mail.Verdict { return p.Judge(tx, tx.Rcpts)[0] }
	for range suspendAt - 1 {
		v := judge(long)
		if v.Action != mail.Tag || v.RuleID != "CHEAP" || !slices.Contains(v.Unknown, "COSTLY") || !slices.Contains(v.Degraded, "rules: COSTLY: takes too long over this mail") {
			t.Fatalf("%+v", v)
		}
	}
	if v := judge(short); v.RuleID != "COSTLY" || v.Action != mail.Reject {
		t.Errorf("a mail that it can look through: %+v", v)
	}
	judge(long)
	if len(told) > 0 || p.Suspended() != nil {
		t.Errorf("suspended too early: %v", told)
	}
	judge(long)
	judge(long)
	if len(told) != 1 || told[0] != "COSTLY a.toml:2" || !slices.Equal(p.Suspended(), []string{"COSTLY (a.toml:2)"}) {
		t.Errorf("told %v, suspended %v", told, p.Suspended())
	}
	if v := judge(short); v.RuleID != "CHEAP" || !slices.Contains(v.Degraded, "rules: COSTLY: suspended, it takes too long") {
		t.Errorf("suspended: %+v", v)
	}
}

// However many costly rules there are and however large a mail is: what all of them spend on one mail is bounded, recipients
// included, and rules that cost nothing are judged all the same.
func TestMailBudget(t *testing.T) {
	p, tx := hostileWorld(t)
	v := p.Judge(tx, tx.Rcpts)
	s := p.states.Get().(*state) // a new one, when the pool has dropped that which judged, as it does at random under -race
	if s.mail > mailBudget {
		t.Errorf("%d steps", s.mail)
	}
	for _, v := range v {
		if v.RuleID != "DENIED_SENDER" || v.Action != mail.Reject {
			t.Fatalf("%+v", v)
		}
	}
	if !slices.Contains(v[0].Degraded, "rules: the rules take too long over this mail") {
		t.Errorf("%v", v[0].Degraded)
	}
}

// hostileWorld is 200 rules that search and a mail that makes them work as long as one can.
func hostileWorld(t testing.TB) (*Policy, *mail.Transaction) {
	dir := t.TempDir()
	var b strings.Builder
	for i := range 200 {
		fmt.Fprintf(&b, "[[rule]]\nid = \"R%d\"\ndescribe = { ja = \"あ\", en = \"a\" }\nwhen = 'rcpt.local == \"x%d\" or any(message.links, lower(#) matches \"(?i)(a.{0,9}b|c.{0,9}%d)\") or message.text matches \"w.*e.*%d\"'\nscore = 1\n", i, i, i, i)
	}
	write(t, filepath.Join(dir, "a.toml"), b.String())
	write(t, filepath.Join(dir, "deny_senders.txt"), "@example.co.jp\n")
	o := fixtureOptions()
	o.Dir = dir
	p, err := Load(o)
	if err != nil {
		t.Fatal(err)
	}
	tx := mailWith(longText(256 << 10))
	for i := range 500 {
		tx.Message.Parts[0].Links = append(tx.Message.Parts[0].Links, mail.Link{URL: fmt.Sprintf("https://%d.example/%s", i, strings.Repeat("ac", 4000))})
	}
	tx.Rcpts = nil
	for i := range 100 {
		tx.Rcpts = append(tx.Rcpts, mail.Address{Local: fmt.Sprintf("u%d", i), Domain: "example.jp"})
	}
	mail.AddBaseFacts(tx.Facts, tx)
	return p, tx
}

func BenchmarkHostile(b *testing.B) {
	p, tx := hostileWorld(b)
	for b.Loop() {
		p.Judge(tx, tx.Rcpts)
	}
}
