package rules

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sekimori/internal/mail"
)

// policy loads rules from text, without the built-in ones unless defaults is asked for.
func policy(t testing.TB, text string, change ...func(*Options)) *Policy {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.toml"), text)
	o := fixtureOptions()
	o.Dir = dir
	for _, c := range change {
		c(&o)
	}
	p, err := Load(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func simple(id, when, rest string) string {
	return "[[rule]]\nid = \"" + id + "\"\ndescribe = { ja = \"あ\", en = \"a\" }\nwhen = '''" + when + "'''\n" + rest + "\n"
}

var info = mail.Address{Local: "info", Domain: "example.jp"}

func judge(p *Policy, tx *mail.Transaction) mail.Verdict {
	return p.Judge(tx, []mail.Address{info})[0]
}

func TestKleene(t *testing.T) {
	// T and F are known, U is not.
	vars := map[string]string{"T": "client.early", "F": "client.tls", "U": "rdns.generic"}
	for expr, want := range map[string]tri{
		"T and T": hit, "T and F": miss, "F and U": miss, "U and F": miss, "T and U": unknown, "U and T": unknown,
		"T or U": hit, "U or T": hit, "F or U": unknown, "F or F": miss, "not U": unknown, "not F": hit, "not T": miss,
		"not (U and F)": hit, "not (U or T)": miss, "!U || T && F": unknown, "(T and U) or T": hit,
		"U == true": unknown, "(U or T) == true": unknown, "(T and F) == false": hit,
	} {
		src := expr
		for k, v := range vars {
			src = strings.ReplaceAll(src, k, v)
		}
		p := policy(t, simple("X", src, "score = 1"))
		s := newState(p.vocab)
		for i, w := range p.vocab.words {
			switch w.key {
			case "client.early":
				s.set(i, true)
			case "client.tls":
				s.set(i, false)
			}
		}
		r := p.rules[len(p.rules)-1]
		if got := s.eval(r.cond); got != want {
			t.Errorf("%s is %s, want %s", expr, got, want)
		}
	}
}

func TestUnknownIsNoHit(t *testing.T) {
	p := policy(t, simple("FOREIGN", `geoip.country != "JP"`, "action = \"reject\"")+
		simple("SILENT", `geoip.state == "temperror"`, "score = 1")+simple("NO_SYMBOL", `not symbol("DNSBL_LISTED")`, "score = 1"))
	tx := fixtureTx(mail.Conclude)
	delete(tx.Facts, "geoip.country")
	for i := range tx.Outcomes {
		switch tx.Outcomes[i].Check {
		case "geoip":
			tx.Outcomes[i] = mail.Outcome{Check: "geoip", State: mail.StateTempError, Why: "no file"}
		case "dnsbl":
			tx.Outcomes[i] = mail.Outcome{Check: "dnsbl", State: mail.StateSkipped, Why: "trusted client"}
		case "spf":
			tx.Outcomes[i].Partial = []string{"helo: timeout"}
		case "ratelimit":
			tx.Outcomes[i] = mail.Outcome{Check: "ratelimit", State: mail.StateSkipped, Why: "every limit is off", Off: true}
		}
	}
	v := judge(p, tx)
	if v.Action != mail.Deliver || !slices.Contains(v.Unknown, "FOREIGN") || !slices.Contains(v.Unknown, "NO_SYMBOL") || v.Score != 1 {
		t.Errorf("%+v", v)
	}
	want := []string{"dnsbl: skipped: trusted client", "geoip: no file", "spf: helo: timeout"}
	if !slices.Equal(v.Degraded, want) {
		t.Errorf("degraded %q", v.Degraded)
	}
	tx.Outcomes = tx.Outcomes[:2]
	if v := judge(p, tx); !slices.Contains(v.Degraded, "bayes: skipped: did not run") {
		t.Errorf("degraded %q", v.Degraded)
	}
}

func TestScoresAndThresholds(t *testing.T) {
	p := policy(t, "[scores]\nSPF_FAIL = 2.5\n"+simple("THREE", `client.helo != ""`, "score = 3"))
	tx := fixtureTx(mail.Conclude)
	other := mail.Address{Local: "other", Domain: "example.jp"}
	tx.Outcomes[0].Findings = []mail.Finding{{Symbol: "SPF_FAIL", Weight: 2}, {Symbol: "RATELIMIT_RECIPIENT", Rcpt: other}, {Symbol: "NEVER_DECLARED"}}
	vs := p.Judge(tx, []mail.Address{info, other})
	if v := vs[0]; v.Score != 8 || v.Action != mail.Hold || v.RuleID != "threshold.hold" || v.Limit != 6 || v.Class != "spam" || v.Final || v.Rule != "" {
		t.Errorf("%+v", v)
	}
	if vs[1].Score != 10 || len(vs[1].Counted) != len(vs[0].Counted)+1 || vs[1].Rcpt != other {
		t.Errorf("%+v", vs[1])
	}
	tx.Stage = mail.Rcpt
	if v := judge(p, tx); v.Action != mail.Deliver {
		t.Errorf("a threshold applied at RCPT: %+v", v)
	}
	tx.Stage = mail.Conclude
	p = policy(t, simple("TWENTY", `client.helo != ""`, "score = 20"), func(o *Options) { o.Thresholds = map[string]float64{"tag": 5} })
	if v := judge(p, tx); v.Action != mail.Tag {
		t.Errorf("an absent threshold applied: %+v", v)
	}
}

// Points are added as people add them, and what reads the sum reads no 5.55e-17.
func TestScoreIsDecimal(t *testing.T) {
	p := policy(t, "[scores]\nSPF_FAIL = 0.5\nDKIM_FAIL = 0.3\nBAYES_HAM = -1.0\n"+simple("TENTH", `client.helo != ""`, "score = 0.2"))
	tx := fixtureTx(mail.Conclude)
	tx.Outcomes[0].Findings = []mail.Finding{{Symbol: "SPF_FAIL"}, {Symbol: "DKIM_FAIL"}, {Symbol: "BAYES_HAM"}}
	if v := judge(p, tx); v.Score != 0 || math.Signbit(v.Score) || len(v.Counted) != 4 {
		t.Errorf("%v of %+v", v.Score, v.Counted)
	}
	if sum := plus(0.1, 0.2); sum != 0.3 {
		t.Errorf("%v", sum)
	}
	if sum := plus(0, -1e-17); math.Signbit(sum) {
		t.Errorf("%v", sum)
	}
}

func TestActions(t *testing.T) {
	conclude := "\nat = \"conclude\""
	for _, c := range []struct {
		name, rules string
		action      mail.Action
		id          string
		final       bool
	}{
		{"the first match wins", simple("A", `client.helo != ""`, `action = "hold"`) + simple("B", `client.helo != ""`, `action = "reject"`), mail.Hold, "A", true},
		{"accept ends", simple("A", `client.helo != ""`, `action = "accept"`) + simple("B", `client.helo != ""`, `score = 50`), mail.Deliver, "A", true},
		{"accept carries forward", simple("A", `client.helo != ""`, `action = "accept"`) + simple("B", `message.size > 0`, `action = "reject"`), mail.Deliver, "A", true},
		{"not for malware", simple("A", `client.helo != ""`, `action = "accept"`) + simple("B", `message.size > 0`, "action = \"hold\"\nclass = \"malware\""), mail.Hold, "B", true},
		{"a later stage may be harsher", simple("A", `client.helo != ""`, `action = "hold"`) + simple("B", `message.size > 0`, `action = "reject"`), mail.Reject, "B", true},
		{"and not milder", simple("A", `client.helo != ""`, `action = "hold"`) + simple("B", `message.size > 0`, `action = "tag"`), mail.Hold, "A", true},
		{"but it may accept", simple("A", `client.helo != ""`, `action = "hold"`) + simple("B", `message.size > 0`, `action = "accept"`), mail.Deliver, "B", true},
		{"a tag protects nothing", simple("A", `client.helo != ""`, `action = "tag"`) + simple("B", `message.size > 0`, `score = 7`), mail.Hold, "threshold.hold", false},
		{"a hold is final", simple("A", `client.helo != ""`, `action = "hold"`) + simple("B", `message.size > 0`, `score = 70`), mail.Hold, "A", true},
		{"observe", simple("A", `client.helo != ""`, "action = \"reject\"\nmode = \"observe\"") + simple("B", `client.helo != ""`, `action = "tag"`), mail.Tag, "B", false},
		{"ceiling", simple("A", `client.helo != ""`, "action = \"reject\"\nmode = \"hold\""), mail.Hold, "A", true},
		{"a ceiling never makes harsher", simple("A", `client.helo != ""`, "action = \"tag\"\nmode = \"hold\""), mail.Tag, "A", false},
		{"at", simple("A", `client.helo != ""`, "action = \"reject\""+conclude), mail.Reject, "A", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := judge(policy(t, c.rules), fixtureTx(mail.Conclude))
			if v.Action != c.action || v.RuleID != c.id || v.Final != c.final {
				t.Errorf("%s by %q, final %v", v.Action, v.RuleID, v.Final)
			}
			if c.name == "observe" && !slices.Equal(v.Observed, []string{"A"}) {
				t.Errorf("observed %q", v.Observed)
			}
			if (v.Action >= mail.Defer) == v.Reply.IsZero() {
				t.Errorf("reply %q", v.Reply)
			}
		})
	}
	p := policy(t, simple("A", `client.helo != ""`, "action = \"reject\""+conclude))
	if v := judge(p, fixtureTx(mail.Rcpt)); v.Action != mail.Deliver {
		t.Errorf("a rule of a later stage acted: %+v", v)
	}
}

func TestReason(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "deny_clients.txt"), "# bad ones\n192.0.2.0/24 # a botnet\n")
	o := fixtureOptions()
	o.Dir = dir
	p, err := Load(o)
	if err != nil {
		t.Fatal(err)
	}
	v := judge(p, fixtureTx(mail.Rcpt))
	if v.Action != mail.Reject || v.RuleID != "DENIED_CLIENT" || !strings.HasPrefix(v.Rule, "defaults/2026.11.toml:") || v.Describe["ja"] == "" {
		t.Fatalf("%+v", v)
	}
	last := v.Counted[len(v.Counted)-1]
	if last.Name != "DENIED_CLIENT" || !slices.Contains(last.Evidence, mail.Evidence{Key: "lists.deny_clients", Value: "deny_clients.txt:2"}) {
		t.Errorf("%+v", last)
	}
	if got := v.Reply.String(); got != "550 5.7.1 Mail from your server is not accepted here" {
		t.Error(got)
	}
	for _, local := range []string{"postmaster", "Abuse"} {
		v := p.Judge(fixtureTx(mail.Rcpt), []mail.Address{{Local: local, Domain: "example.jp"}})[0]
		if v.Action != mail.Hold || !v.Reply.IsZero() {
			t.Errorf("%s: %+v", local, v)
		}
	}
	trusted := fixtureTx(mail.Rcpt)
	trusted.Facts["client.trusted"] = true
	if v := judge(p, trusted); v.Action != mail.Deliver || len(v.Unknown) > 0 {
		t.Errorf("trusted: %+v", v)
	}
}

func TestModes(t *testing.T) {
	rule := simple("A", `client.helo != ""`, "action = \"reject\"\nreply = \"Go away\"")
	v := judge(policy(t, rule, func(o *Options) { o.Mode = "observe" }), fixtureTx(mail.Rcpt))
	if v.Action != mail.Deliver || !v.Reply.IsZero() || !slices.Equal(v.Observed, []string{"A"}) || v.RuleID != "A" {
		t.Errorf("observe: %+v", v)
	}
	v = judge(policy(t, rule, func(o *Options) { o.Mode = "soft" }), fixtureTx(mail.Rcpt))
	if v.Action != mail.Defer || v.Reply.String() != "450 4.7.1 Go away" {
		t.Errorf("soft: %+v %s", v, v.Reply)
	}
}

func TestPerRecipient(t *testing.T) {
	p := policy(t, simple("A", `rcpt.address == "ceo@example.jp"`, `action = "hold"`)+simple("B", `message.size > 0`, "score = 1"))
	vs := p.Judge(fixtureTx(mail.Conclude), []mail.Address{info, {Local: "ceo", Domain: "example.jp"}, info})
	if len(vs) != 3 || vs[0].Action != mail.Deliver || vs[1].Action != mail.Hold || vs[2].Action != mail.Deliver {
		t.Errorf("%+v", vs)
	}
}

func TestEvaluationErrors(t *testing.T) {
	p := policy(t, simple("ZERO", `message.size % dnsbl.count == 1`, `action = "reject"`)+
		simple("BAD_TYPE", `geoip.asn > 1`, `action = "reject"`)+simple("MEMORY", `any(message.links, len(# + # + #) > 5 and # matches "x")`, "score = 1"))
	tx := fixtureTx(mail.Conclude)
	tx.Facts["geoip.asn"] = "not an int"
	v := judge(p, tx)
	if v.Action != mail.Deliver || !slices.Contains(v.Unknown, "ZERO") || !slices.Contains(v.Unknown, "BAD_TYPE") {
		t.Errorf("%+v", v)
	}
	if !slices.ContainsFunc(v.Degraded, func(s string) bool { return strings.HasPrefix(s, "rules: ") }) {
		t.Errorf("degraded %q", v.Degraded)
	}
}
