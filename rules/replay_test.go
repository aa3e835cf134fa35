package rules

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"sekimori/internal/mail"
)

// TestReplayerSaysTheSame: what a Replayer says is what JudgeCase says of the whole case, by the set that judged it and by another, and it
// carries nothing over from one case to the next.
func TestReplayerSaysTheSame(t *testing.T) {
	p := loadText(t, twoHundred()+textRules)
	other := loadText(t, strings.ReplaceAll(textRules, "副業", "案内")+twoHundred())
	r := rand.New(rand.NewPCG(11, 12))
	again, changed := p.Replayer(), other.Replayer()
	blind := 0
	for n := range 1500 {
		c := anyCase(r)
		b := p.AppendCase(nil, c, p.JudgeCase(c))
		for _, x := range []struct {
			p *Policy
			r *Replayer
		}{{p, again}, {other, changed}} {
			d, err := DecodeCase(b)
			if err != nil {
				t.Fatal(err)
			}
			want := x.p.JudgeCase(d)
			got, verdicts, err := x.r.Judge(b)
			if err != nil || len(verdicts) != len(want) || got.Rules != d.Rules || !slices.Equal(got.NotJudged, d.NotJudged) || len(got.Verdicts) != len(d.Verdicts) {
				t.Fatalf("case %d: %v, %d verdicts, not judged %v and %v", n, err, len(verdicts), got.NotJudged, d.NotJudged)
			}
			blind += len(d.NotJudged)
			for i := range want {
				if !SameVerdict(&verdicts[i], &want[i]) || !SameVerdict(&got.Verdicts[i], &d.Verdicts[i]) {
					t.Fatalf("case %d:\ngot  %+v\nwant %+v", n, verdicts[i], want[i])
				}
				if !slices.Equal(rulesIn(&verdicts[i]), rulesIn(&want[i])) {
					t.Fatalf("case %d: %v, not %v", n, rulesIn(&verdicts[i]), rulesIn(&want[i]))
				}
			}
		}
		if n%50 == 0 { // what is no case leaves nothing behind
			_, _, err := again.Judge(b[:len(b)/2])
			if err == nil {
				t.Fatal("half a case was taken")
			}
		}
	}
	if blind == 0 {
		t.Error("nothing was not judged: the test tries too little")
	}
}

func rulesIn(v *mail.Verdict) []string {
	var ids []string
	for i := range v.Counted {
		if v.Counted[i].Rule != "" {
			ids = append(ids, v.Counted[i].Name)
		}
	}
	return ids
}

func TestWhatever(t *testing.T) {
	old := loadText(t, simple("OLD", `message.size >= 0`, "score = 1"))
	c := anyCase(rand.New(rand.NewPCG(3, 4)))
	c.Rcpts, c.Tx.Rcpts = c.Rcpts[:1], c.Rcpts[:1]
	c.Tx.Facts["spf.result"], c.Tx.Facts["dnsbl.count"] = "fail", 3
	b := old.AppendCase(nil, c, old.JudgeCase(c))
	ways := func(rules string) (actions []string, all bool, blind []string) {
		t.Helper()
		d, err := DecodeCase(b)
		if err != nil {
			t.Fatal(err)
		}
		p := loadText(t, rules)
		p.JudgeCase(d)
		blind = slices.Clone(d.NotJudged)
		all = p.Whatever(d, func(v []mail.Verdict) bool {
			if !slices.Contains(actions, v[0].Word()) {
				actions = append(actions, v[0].Word())
			}
			return true
		})
		if !slices.Equal(d.NotJudged, blind) || d.assume != nil {
			t.Errorf("the case was changed: %v, was %v", d.NotJudged, blind)
		}
		slices.Sort(actions)
		return actions, all, blind
	}
	text := simple("A", `message.text contains "x"`, "action = \"hold\"")
	if got, all, blind := ways(text); !all || !slices.Equal(blind, []string{"A"}) || len(got) != 2 {
		t.Errorf("%v %v %v", got, all, blind)
	}
	// Something else decides.
	if got, all, _ := ways(text + simple("B", `spf.result == "fail"`, "action = \"reject\"\nat = \"rcpt\"")); !all || !slices.Equal(got, []string{"reject"}) {
		t.Errorf("%v %v", got, all)
	}
	// A rule that is only asked when another does not hit.
	if got, all, _ := ways(simple("C", `message.text contains "x"`, "action = \"accept\"") + simple("D", `message.text contains "y"`, "action = \"reject\"")); !all || len(got) != 2 {
		t.Errorf("%v %v", got, all)
	}
	many := ""
	for _, id := range []string{"A", "B", "C", "D", "E"} {
		many += simple(id, `message.text contains "`+id+`"`, "score = 1")
	}
	if _, all, blind := ways(many); all || len(blind) != 5 {
		t.Errorf("%v %v", all, blind)
	}
}

// TestFill gives a kept case its mail back, and no other mail.
func TestFill(t *testing.T) {
	old := loadText(t, simple("OLD", `message.size >= 0`, "score = 1"))
	fresh := loadText(t, simple("A", `message.text contains "plain" or message.text contains "click" or message.text contains "副業"`, "score = 2")+
		simple("H", `count(headers("X-Long"), len(#) > 600) > 3`, "score = 4"))
	r := rand.New(rand.NewPCG(5, 6))
	cut := 0
	for n := range 300 {
		c := anyCase(r)
		m := c.Tx.Message
		m.Parts, m.Subject = append([]mail.Part{{Type: "text/plain", Text: strings.Repeat("plain text 副業 ", r.IntN(90))}}, m.Parts...), "subject"
		mail.AddBaseFacts(c.Tx.Facts, c.Tx)
		want := fresh.Judge(c.Tx, c.Rcpts)
		d, err := DecodeCase(old.AppendCase(nil, c, old.JudgeCase(c)))
		if err != nil {
			t.Fatal(err)
		}
		fresh.JudgeCase(d)
		cut += len(d.NotJudged)
		changed := *m
		changed.Raw = append(slices.Clone(m.Raw), 'x')
		if d.Fill(&changed) {
			t.Fatal("another mail was taken for this one")
		}
		if !d.Fill(m) {
			t.Fatalf("case %d: its own mail was not taken", n)
		}
		got := fresh.JudgeCase(d)
		if len(d.NotJudged) > 0 {
			t.Fatalf("case %d: not judged %v", n, d.NotJudged)
		}
		for i := range want {
			if !SameVerdict(&got[i], &want[i]) {
				t.Fatalf("case %d:\ngot  %+v\nwant %+v", n, got[i], want[i])
			}
		}
	}
	if cut < 100 {
		t.Errorf("only %d rules needed the mail", cut)
	}
}

func BenchmarkReplayer200(b *testing.B) {
	p := loadText(b, twoHundred())
	tx := fixtureTx(mail.Conclude)
	c := &Case{Tx: tx, Rcpts: tx.Rcpts}
	buf := p.AppendCase(nil, c, p.JudgeCase(c))
	r := p.Replayer()
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := r.Judge(buf); err != nil {
			b.Fatal(err)
		}
	}
}
