package rules

import (
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"sekimori/internal/mail"
)

// load makes a policy of one file.
func load(t *testing.T, text string, change func(*Options)) *Policy {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.toml"), text)
	o := fixtureOptions()
	o.Dir = dir
	if change != nil {
		change(&o)
	}
	p, err := Load(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const ruleHead = "describe = { ja = \"あ\", en = \"a\" }\n"

// A rule holds from its first day to its last, on the clock that the mail's time carries.
func TestDates(t *testing.T) {
	p := load(t, "[[rule]]\nid = \"SEASON\"\n"+ruleHead+"when = 'not from.null'\naction = \"tag\"\nfrom = 2026-12-01\nuntil = \"2026-12-31\"\n", nil)
	tokyo := time.FixedZone("JST", 9*3600)
	for at, want := range map[string]mail.Action{
		"2026-11-30T14:59:59Z": mail.Deliver, "2026-11-30T15:00:00Z": mail.Tag, "2026-12-31T14:59:59Z": mail.Tag, "2026-12-31T15:00:00Z": mail.Deliver,
	} {
		tx := fixtureTx(mail.Conclude)
		when, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		tx.Start = when.In(tokyo)
		if v := p.Judge(tx, tx.Rcpts)[0]; v.Action != want || len(v.Unknown) > 0 {
			t.Errorf("%s: %s (%s), want %s", at, v.Action, v.RuleID, want)
		}
	}
}

// What is said for one domain is true for its recipients only.
func TestDomains(t *testing.T) {
	p := load(t, `
[policy]
thresholds = { hold = 6.0 }
[domain."example.co.jp"]
thresholds = { tag = 1.0, hold = 100.0 }
scores = { SPF_FAIL = 5.0 }
disable = ["EVERYBODY"]
[[rule]]
id = "EVERYBODY"
`+ruleHead+`when = 'from.domain == "bad.example"'
action = "reject"
[[rule]]
id = "ONE"
domains = ["example.jp"]
`+ruleHead+`when = 'not from.null'
score = 4
`, nil)
	judge := func(from string) []mail.Verdict {
		tx := fixtureTx(mail.Conclude)
		tx.From = mail.Address{Local: "a", Domain: from}
		tx.Rcpts = []mail.Address{{Local: "x", Domain: "example.jp"}, {Local: "x", Domain: "example.co.jp"}, {Local: "y", Domain: "example.jp"}}
		tx.Outcomes = append(tx.Outcomes, mail.Outcome{Check: "spf", Stage: mail.Mail, Result: mail.Result{Findings: []mail.Finding{{Symbol: "SPF_FAIL"}}}})
		mail.AddBaseFacts(tx.Facts, tx)
		return p.Judge(tx, tx.Rcpts)
	}
	v := judge("good.example")
	if v[0].Action != mail.Hold || v[0].Score != 7 || v[1].Action != mail.Tag || v[1].Score != 5 || v[2].Action != mail.Hold {
		t.Errorf("%+v", v)
	}
	v = judge("bad.example")
	if v[0].Action != mail.Reject || v[1].Action != mail.Tag || v[2].Action != mail.Reject {
		t.Errorf("%+v", v)
	}
}

// A list can be the members of a group. When nobody can say who they are, what is asked is unknown.
func TestGroupLists(t *testing.T) {
	var asked []string
	var answer error
	p := load(t, `
[lists]
board = "group:board@example.jp"
partners = ["partner.example", "192.0.2.0/24"]
[[rule]]
id = "BOARD"
`+ruleHead+`when = 'rcpt.address in lists.board and not (from.domain in lists.partners)'
action = "hold"
`, func(o *Options) {
		o.Member = func(group, a mail.Address) (bool, error) {
			asked = append(asked, group.String()+" "+a.String())
			return a.Local == "ceo", answer
		}
	})
	tx := fixtureTx(mail.Conclude)
	tx.Rcpts = []mail.Address{{Local: "ceo", Domain: "example.jp"}, {Local: "info", Domain: "example.jp"}}
	v := p.Judge(tx, tx.Rcpts)
	if v[0].Action != mail.Hold || v[1].Action != mail.Deliver || asked[0] != "board@example.jp ceo@example.jp" {
		t.Errorf("%+v, asked %v", v, asked)
	}
	if e := v[0].Counted[len(v[0].Counted)-1].Evidence; !slices.Contains(e, mail.Evidence{Key: "lists.board", Value: "group:board@example.jp"}) {
		t.Errorf("evidence %v", e)
	}
	answer = errors.New("the directory does not answer")
	v = p.Judge(tx, tx.Rcpts)
	if v[0].Action != mail.Deliver || !slices.Contains(v[0].Unknown, "BOARD") || !slices.Contains(v[0].Degraded, "rules: lists.board: the directory does not answer") {
		t.Errorf("%+v", v[0])
	}
	tx.From, answer = mail.Address{Local: "a", Domain: "partner.example"}, nil
	mail.AddBaseFacts(tx.Facts, tx)
	if v = p.Judge(tx, tx.Rcpts); v[0].Action != mail.Deliver || len(v[0].Unknown) > 0 {
		t.Errorf("%+v", v[0])
	}
}
