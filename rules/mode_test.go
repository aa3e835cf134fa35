package rules

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"sekimori/internal/mail"
)

// What each mode of a policy makes of each action, and what the verdict says would have been done.
func TestPolicyModes(t *testing.T) {
	const (
		deliver, tag, hold, later, reject = mail.Deliver, mail.Tag, mail.Hold, mail.Defer, mail.Reject
	)
	outcomes := []struct{ rest, would string }{
		{`action = "tag"`, "tag"},
		{`redirect = "other@example.jp"`, "redirect"},
		{`action = "hold"`, "hold"},
		{`action = "discard"`, "discard"},
		{`action = "defer"`, "defer"},
		{"action = \"reject\"\nkeep = \"1h\"", "reject"},
		{"action = \"reject\"\nclass = \"malware\"", "reject"},
	}
	for mode, want := range map[string][]string{
		"observe": {"deliver", "deliver", "deliver", "deliver", "deliver", "deliver", "deliver"},
		"tag":     {"tag", "tag", "tag", "tag", "tag", "tag", "hold"},
		"hold":    {"tag", "redirect", "hold", "hold", "hold", "hold", "hold"},
		"soft":    {"tag", "redirect", "hold", "discard", "defer", "defer", "defer"},
		"enforce": {"tag", "redirect", "hold", "discard", "defer", "reject", "reject"},
	} {
		for i, o := range outcomes {
			v := judge(policy(t, simple("A", `client.helo != ""`, o.rest+"\nat = \"data\""), func(x *Options) { x.Mode = mode }), fixtureTx(mail.Conclude))
			would := ""
			if want[i] != o.would {
				would = o.would
			}
			if v.Word() != want[i] || v.Would != would || v.RuleID != "A" || (v.Keep > 0) != (mode == "enforce" && i == 5) {
				t.Errorf("%s, %s: %s, would %q, keep %v", mode, o.rest, v.Word(), v.Would, v.Keep)
			}
			if (v.Action >= later) == v.Reply.IsZero() || mode == "soft" && v.Action == later && v.Reply.Code()/100 != 4 {
				t.Errorf("%s, %s: reply %q", mode, o.rest, v.Reply)
			}
			if slices.Contains(v.Observed, "A") != (mode == "observe") {
				t.Errorf("%s, %s: observed %v", mode, o.rest, v.Observed)
			}
		}
	}
}

// A domain may be tried while the others are not touched, and the other way round. Points that reach a threshold are stopped likewise.
func TestModeOfADomain(t *testing.T) {
	p := policy(t, "[domain.\"example.co.jp\"]\nmode = \"enforce\"\n"+simple("A", `client.helo != ""`, `action = "reject"`)+
		"[policy]\nthresholds = { hold = 1 }\n", func(o *Options) { o.Mode = "observe" })
	tx := fixtureTx(mail.Conclude)
	v := p.Judge(tx, []mail.Address{info, {Local: "a", Domain: "example.co.jp"}})
	if v[0].Action != mail.Deliver || v[0].Would != "reject" || v[1].Action != mail.Reject || v[1].Would != "" {
		t.Errorf("%+v", v)
	}
	if p.Mode(v[1].Rcpt) != "enforce" || p.Mode(info) != "observe" || p.DomainModes()["example.co.jp"] != "enforce" {
		t.Error(p.DomainModes())
	}
	p = policy(t, simple("A", `client.helo != ""`, `score = 9`)+"[policy]\nthresholds = { hold = 5 }\n", func(o *Options) { o.Mode = "tag" })
	if v := judge(p, tx); v.Action != mail.Tag || v.Would != "hold" || v.RuleID != "threshold.hold" {
		t.Errorf("%+v", v)
	}
}

// A share is what it says, each rule chooses others, and a larger share has all of the smaller one. Which recipients are chosen is a
// promise: it is the same on every host, in every version.
func TestShare(t *testing.T) {
	const n = 20_000
	people := make([]mail.Address, n)
	for i := range people {
		people[i] = mail.Address{Local: fmt.Sprintf("user%d", i), Domain: "example.jp"}
	}
	for _, percent := range []float64{0, 0.1, 1, 10, 50, 99, 100} {
		count, both := 0, 0
		for _, a := range people {
			in := concernsShare("A_RULE", a, percent)
			if in {
				count++
				if concernsShare("ANOTHER", a, percent) {
					both++
				}
			}
			if more := concernsShare("A_RULE", a, percent*1.5); in && !more {
				t.Fatalf("%s is among %g percent, not among %g", a, percent, percent*1.5)
			}
			if in != concernsShare("A_RULE", mail.Address{Local: strings.ToUpper(a.Local), Domain: "EXAMPLE.jp"}, percent) {
				t.Fatal("upper case is somebody else")
			}
			if in != concernsShare("A_RULE", mail.Address{Local: a.Local + "+news+x", Domain: a.Domain}, percent) {
				t.Fatal("who is addressed with a tag is somebody else")
			}
		}
		q := percent / 100
		if slack := 5*math.Sqrt(n*q*(1-q)) + 1e-9; math.Abs(float64(count)-n*q) > slack {
			t.Errorf("%g percent: %d of %d", percent, count, n)
		}
		if slack := 5*math.Sqrt(n*q*q) + 1e-9; math.Abs(float64(both)-n*q*q) > slack {
			t.Errorf("%g percent: %d of %d are chosen by both rules", percent, both, n)
		}
	}
	for s, want := range map[string]uint64{"sato@example.jp": 4942, "taro@example.co.jp": 9944, "": 5923} {
		a := mail.Address{}
		if s != "" {
			_ = a.UnmarshalText([]byte(s))
		}
		if got := shareOf("A_RULE", a); got != want {
			t.Errorf("%q stands at %d, not at %d", s, got, want)
		}
	}
}

// For the others the rule observes; the recipients of one mail may differ.
func TestPercent(t *testing.T) {
	p := policy(t, simple("SOME", `client.helo != ""`, "action = \"hold\"\npercent = 30")+simple("POINTS", `client.helo != ""`, "score = 2.5\npercent = 0"))
	tx := fixtureTx(mail.Conclude)
	var rcpts []mail.Address
	for i := range 200 {
		rcpts = append(rcpts, mail.Address{Local: fmt.Sprint("p", i), Domain: "example.jp"})
	}
	held := 0
	for _, v := range p.Judge(tx, rcpts) {
		in := concernsShare("SOME", v.Rcpt, 30)
		if in {
			held++
		}
		if in != (v.Action == mail.Hold) || in == slices.Contains(v.Observed, "SOME") || v.Score != 0 || !slices.Contains(v.Observed, "POINTS") {
			t.Errorf("%s: %+v", v.Rcpt, v)
		}
	}
	if held < 40 || held > 80 {
		t.Errorf("%d of 200 are held", held)
	}
}

func TestSchedule(t *testing.T) {
	tokyo := time.FixedZone("JST", 9*3600)
	for _, c := range []struct {
		schedule string
		in, out  []string // 2026-11-27 is a Friday; times of Tokyo
	}{
		{`{ days = ["mon-fri"] }`, []string{"27 00:00", "27 23:59", "30 12:00"}, []string{"28 00:00", "29 23:59"}},
		{`{ days = "Fri-mon" }`, []string{"27 12:00", "29 12:00", "30 12:00"}, []string{"26 23:59", "25 12:00"}},
		{`{ hours = "8:30-17:00" }`, []string{"27 08:30", "29 16:59"}, []string{"27 08:29", "27 17:00"}},
		{`{ hours = ["00:00-06:00", "22:00-24:00"] }`, []string{"27 00:00", "27 05:59", "27 22:00", "27 23:59"}, []string{"27 06:00", "27 21:59"}},
		{`{ days = ["fri"], hours = "18:00-08:00" }`, []string{"27 18:00", "27 23:59", "28 00:00", "28 07:59"}, []string{"27 07:59", "28 08:00", "28 18:00", "26 19:00"}},
		{`{ days = ["friday"], hours = "09:00-17:00", time_zone = "UTC" }`, []string{"27 18:00", "28 01:59"}, []string{"27 17:59", "28 02:00"}},
	} {
		p := policy(t, simple("A", `client.helo != ""`, "action = \"tag\"\nschedule = "+c.schedule))
		for want, times := range map[mail.Action][]string{mail.Tag: c.in, mail.Deliver: c.out} {
			for _, at := range times {
				tx := fixtureTx(mail.Conclude)
				var err error
				if tx.Start, err = time.ParseInLocation("2006-01-02 15:04", "2026-11-"+at, tokyo); err != nil {
					t.Fatal(err)
				}
				if v := judge(p, tx); v.Action != want || len(v.Unknown)+len(v.Observed) > 0 {
					t.Errorf("%s at %s: %s", c.schedule, at, v.Action)
				}
			}
		}
		if v := judge(p, fixtureTx(mail.Conclude)); !slices.Equal(v.Unknown, []string{"A"}) {
			t.Errorf("at no known time: %+v", v)
		}
	}
}

const retreating = `action = "reject"` + "\n"

// A rule steps back one mode after the other, never forward, and only while it is the same rule.
func TestRetreat(t *testing.T) {
	text := simple("A", `client.helo != ""`, retreating)
	p := policy(t, text)
	sum := ruleSum(t, p, "A")
	tx := fixtureTx(mail.Conclude)
	for _, c := range []struct {
		mode string
		want mail.Action
		next string
	}{{"", mail.Reject, "hold"}, {"hold", mail.Hold, "tag"}, {"tag", mail.Tag, ""}, {"observe", mail.Deliver, ""}} {
		p.SetRetreats([]Retreat{{"A", sum, c.mode}})
		v := judge(p, tx)
		if _, next := p.Ceiling("A"); v.Action != c.want || next != c.next {
			t.Errorf("%s: %s, next %q", c.mode, v.Action, next)
		}
	}
	p.SetRetreats([]Retreat{{"A", "0000000000000000", "tag"}, {"B", sum, "tag"}})
	if v := judge(p, tx); v.Action != mail.Reject || len(p.Retreats()) > 0 {
		t.Errorf("another rule is meant: %+v", v)
	}
	p = policy(t, simple("A", `client.helo != ""`, "action = \"hold\"\nmode = \"observe\"\n"))
	p.SetRetreats([]Retreat{{"A", ruleSum(t, p, "A"), "tag"}})
	if v := judge(p, tx); v.Action != mail.Deliver {
		t.Errorf("made stricter: %+v", v)
	}
	same := policy(t, simple("A", `client.helo != ""`, retreating+"reply = \"Other words\"\n"))
	other := policy(t, simple("A", `client.helo != "x"`, retreating))
	if ruleSum(t, same, "A") != sum || ruleSum(t, other, "A") == sum {
		t.Error("the sum is over what a rule does, not over its words")
	}
}

// What the administrator marked stands, whatever people release.
func TestRetreatSpares(t *testing.T) {
	for _, rest := range []string{"class = \"malware\"", "final = true", "retreat = false", "class = \"secret\""} {
		p := policy(t, simple("A", `client.helo != ""`, "action = \"hold\"\n"+rest), func(o *Options) { o.Protected = []string{"secret"} })
		p.SetRetreats([]Retreat{{"A", ruleSum(t, p, "A"), "tag"}})
		if _, next := p.Ceiling("A"); judge(p, fixtureTx(mail.Conclude)).Action != mail.Hold || next != "" {
			t.Errorf("%s: steps back", rest)
		}
	}
}

func ruleSum(t *testing.T, p *Policy, id string) string {
	t.Helper()
	for _, r := range p.Rules() {
		if r.ID == id {
			return r.Sum
		}
	}
	t.Fatalf("no rule %s", id)
	return ""
}

// Percentages, schedules, days, modes of domains and rules that had stepped back: judged again, all is as it was.
func TestCaseKeepsWhatLimitsRules(t *testing.T) {
	p := policy(t, simple("SHARE", `client.helo != ""`, "action = \"hold\"\npercent = 50\n")+
		simple("NIGHT", `client.helo != ""`, "action = \"tag\"\nschedule = { days = [\"mon-thu\"], hours = \"18:00-08:00\", time_zone = \"Asia/Tokyo\" }\n")+
		simple("SEASON", `client.helo != ""`, "score = 3\nfrom = 2026-12-01\nuntil = \"2026-12-20\"\n")+
		simple("BACK", `client.helo != ""`, "action = \"reject\"\nschedule = { days = \"sun\" }\n")+
		"[domain.\"example.co.jp\"]\nmode = \"tag\"\n", func(o *Options) { o.Mode = "hold" })
	r := rand.New(rand.NewPCG(7, 8))
	back := []Retreat{{"BACK", ruleSum(t, p, "BACK"), "tag"}, {"SHARE", ruleSum(t, p, "SHARE"), "tag"}}
	seen := map[string]bool{}
	for n := range 1000 {
		c := anyCase(r)
		c.Rcpts = append(c.Rcpts, mail.Address{Local: fmt.Sprint("x", n), Domain: "example.co.jp"})
		c.Tx.Rcpts = c.Rcpts
		c.Tx.Start = time.Date(2026, 11, 20, 0, 0, r.IntN(40*86400), 0, time.UTC).In(time.FixedZone("", 9*3600))
		mail.AddBaseFacts(c.Tx.Facts, c.Tx)
		p.SetRetreats(back[:r.IntN(3)])
		want := p.JudgeCase(c)
		plain := p.Judge(c.Tx, c.Rcpts)
		b := p.AppendCase(nil, c, want)
		p.SetRetreats(back[:r.IntN(3)]) // what is in force by now must not matter
		d, err := DecodeCase(b)
		if err != nil {
			t.Fatal(err)
		}
		for i, got := range p.JudgeCase(d) {
			if !SameVerdict(&got, &want[i]) || !SameVerdict(&plain[i], &want[i]) || !SameVerdict(&d.Verdicts[i], &want[i]) {
				t.Fatalf("%s\nagain %+v\nkept  %+v\nwas   %+v", c.Tx.Start, got, d.Verdicts[i], want[i])
			}
			seen[got.Word()+" "+got.Would+" "+got.RuleID] = true
		}
	}
	if len(seen) < 6 {
		t.Errorf("too few kinds of verdicts to tell: %v", seen)
	}
}

// The counterfactual rests on what the rules really did: a rule that only observed for this recipient is nothing to take away.
func TestWithoutWhatOnlyObserves(t *testing.T) {
	in := mail.Address{Domain: "example.jp"}
	out := in
	for i := 0; in.Local == "" || out.Local == ""; i++ {
		a := mail.Address{Local: fmt.Sprint("u", i), Domain: "example.jp"}
		if concernsShare("SHARE", a, 50) {
			in = a
		} else {
			out = a
		}
	}
	p := policy(t, simple("SHARE", `client.helo != ""`, "action = \"hold\"\npercent = 50\n")+simple("ALL", `client.helo != ""`, `action = "hold"`))
	tx := fixtureTx(mail.Conclude)
	for rcpt, want := range map[mail.Address][]string{in: {"SHARE", "ALL"}, out: {"ALL"}} {
		change := p.Without(tx, rcpt)
		var got []string
		for _, c := range change.Sets[0] {
			got = append(got, c.Name)
		}
		if len(change.Sets) != 1 || !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", rcpt, change.Sets, want)
		}
	}
	p = policy(t, simple("A", `client.helo != ""`, `action = "reject"`))
	p.SetRetreats([]Retreat{{"A", ruleSum(t, p, "A"), "tag"}})
	c := &Case{Tx: tx, Rcpts: []mail.Address{in}}
	d, err := DecodeCase(p.AppendCase(nil, c, p.JudgeCase(c)))
	if err != nil {
		t.Fatal(err)
	}
	p.SetRetreats(nil)
	if change := p.WithoutCase(d, 0); len(change.Sets) != 1 || change.Sets[0][0].Name != "A" {
		t.Errorf("%+v", change)
	}
}
