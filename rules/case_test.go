package rules

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"sekimori/internal/mail"
)

// loadText loads the defaults and the rules in text.
func loadText(t testing.TB, text string) *Policy {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.toml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	o := fixtureOptions()
	o.Dir = dir
	p, err := Load(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// anyCase makes up a mail that rules of all kinds say something about.
func anyCase(r *rand.Rand) *Case {
	tx := fixtureTx(mail.Conclude)
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	tx.Facts["rdns.result"] = pick("none", "pass", "fail")
	tx.Facts["dnsbl.count"] = r.IntN(4)
	tx.Facts["geoip.country"] = pick("JP", "US", "RU", "KP")
	tx.Facts["spf.result"] = pick("pass", "fail", "softfail")
	tx.Facts["bayes.probability"] = r.Float64()
	tx.Facts["bayes.z"] = 40 * r.Float64()
	tx.Facts["message.text"] = strings.Repeat(pick("plain text ", "副業のご案内 ", "click here "), 1+r.IntN(400))
	tx.Facts["message.subject"] = pick("invoice 7", "副業12", strings.Repeat("long subject ", 200))
	links := make([]string, r.IntN(600))
	for i := range links {
		links[i] = fmt.Sprintf("https://bit.ly/%d", r.IntN(50))
	}
	tx.Facts["message.links"] = links
	for range r.IntN(300) {
		tx.Message.Header = append(tx.Message.Header, mail.Field{Name: pick("List-Id", "X-Mailer", "X-Long", "DKIM-Signature"), Value: strings.Repeat(pick("a", "b"), r.IntN(1000))})
	}
	for range r.IntN(3) {
		tx.Message.Parts = append(tx.Message.Parts, mail.Part{Type: pick("application/zip", "image/png"), Name: pick("a.exe", "b.zip", ""), Attached: true, Encoding: "base64", End: r.IntN(9000)})
	}
	if r.IntN(4) == 0 { // nothing but a file
		tx.Message.Parts = []mail.Part{{Type: "application/zip", Name: "a.exe", Attached: true, End: 100}}
	}
	if r.IntN(3) == 0 {
		tx.Outcomes[1] = mail.Outcome{Check: "dnsbl", State: mail.StateTempError, Why: "timeout"}
		delete(tx.Facts, "dnsbl.count")
	}
	if r.IntN(2) == 0 {
		tx.Outcomes[4].Findings = append(tx.Outcomes[4].Findings, mail.Finding{Symbol: "SPF_FAIL", Weight: 0.5, Evidence: []mail.Evidence{{Key: "domain", Value: "x"}}})
	}
	for i := range r.IntN(3) {
		tx.Rcpts = append(tx.Rcpts, mail.Address{Local: fmt.Sprint("user", i), Domain: fmt.Sprintf("d%d.example.jp", i)})
	}
	last := tx.Rcpts[len(tx.Rcpts)-1]
	tx.RcptFacts = map[mail.Address]map[string]any{last: {"ratelimit.recipient": true}}
	tx.Mailboxes = map[mail.Address][]mail.Address{last: {{Local: "box", Domain: "example.jp"}}}
	tx.Outcomes[3].Findings = append(tx.Outcomes[3].Findings, mail.Finding{Symbol: "RATELIMIT_RECIPIENT", Rcpt: last})
	tx.Session.KeepRefused = r.IntN(5) == 0
	return &Case{Tx: tx, Rcpts: tx.Rcpts}
}

const textRules = `
[[rule]]
id = "TEXT"
describe = { ja = "あ", en = "a" }
when = 'message.text contains "副業" and spf.result != "pass"'
score = 2.5
[[rule]]
id = "TEXT_RCPT"
describe = { ja = "あ", en = "a" }
when = 'message.text contains rcpt.local or lower(message.text) matches "click +here"'
score = 1.25
[[rule]]
id = "HEADERS"
describe = { ja = "あ", en = "a" }
when = 'any(headers("X-Long"), # contains "bbb") and not (header("X-Mailer") startsWith "a")'
action = "hold"
class = "spam"
[[rule]]
id = "LINKS"
describe = { ja = "あ", en = "a" }
when = 'any(message.links, # endsWith "/7") or message.subject contains "subject long subject long subject"'
score = 1.5
[[rule]]
id = "STRIP"
describe = { ja = "あ", en = "a" }
when = 'message.size >= 0'
strip = { extensions = ["exe"] }
`

// The set in force reproduces every verdict from what was kept, whatever the mail.
func TestCaseJudgedAgainIsTheSame(t *testing.T) {
	p := loadText(t, twoHundred()+textRules)
	r := rand.New(rand.NewPCG(1, 2))
	total := 0
	for n := range 3000 {
		c := anyCase(r)
		want := p.JudgeCase(c)
		plain := p.Judge(c.Tx, c.Rcpts)
		b := p.AppendCase(nil, c, want)
		total += len(b)
		d, err := DecodeCase(b)
		if err != nil {
			t.Fatal(err)
		}
		got := p.JudgeCase(d)
		if len(d.NotJudged) > 0 || d.Rules != p.Fingerprint() {
			t.Fatalf("case %d: not judged: %v, rules %s", n, d.NotJudged, d.Rules)
		}
		for i := range want {
			if !SameVerdict(&got[i], &want[i]) || !SameVerdict(&plain[i], &want[i]) || !SameVerdict(&d.Verdicts[i], &want[i]) {
				t.Fatalf("case %d, %s:\nagain %+v\nkept  %+v\nwas   %+v", n, want[i].Rcpt, got[i], d.Verdicts[i], want[i])
			}
			if !slices.Equal(got[i].Degraded, want[i].Degraded) || got[i].Reply != want[i].Reply {
				t.Fatalf("case %d: %v, %v; was %v, %v", n, got[i].Degraded, got[i].Reply, want[i].Degraded, want[i].Reply)
			}
		}
	}
	t.Logf("%d octets a case (these are larger than usual mails)", total/3000)
}

func TestChangedRuleIsJudgedWhereItCanBe(t *testing.T) {
	old := loadText(t, textRules)
	keep := func(c *Case) *Case {
		d, err := DecodeCase(old.AppendCase(nil, c, old.JudgeCase(c)))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	c := anyCase(rand.New(rand.NewPCG(3, 4)))
	c.Rcpts = c.Tx.Rcpts[:1]
	c.Tx.Facts["spf.result"], c.Tx.Facts["geoip.country"], c.Tx.Facts["message.text"] = "fail", "RU", "副業のご案内"
	d := keep(c)

	changed := loadText(t, strings.Replace(textRules, `spf.result != "pass"`, `geoip.country == "RU"`, 1)) // the condition on the text is the same
	was := d.Verdicts[0].Score
	if got := changed.JudgeCase(d); len(d.NotJudged) > 0 || got[0].Score != was {
		t.Errorf("%v, score %v, was %v", d.NotJudged, got[0].Score, was)
	}
	points := loadText(t, strings.Replace(textRules, "score = 2.5", "score = 7.0", 1))
	if got := points.JudgeCase(d); len(d.NotJudged) > 0 || got[0].Score != was+4.5 {
		t.Errorf("%v, score %v, was %v", d.NotJudged, got[0].Score, was)
	}
	text := loadText(t, strings.Replace(textRules, `contains "副業"`, `contains "案内"`, 1))
	if text.JudgeCase(d); !slices.Equal(d.NotJudged, []string{"TEXT"}) {
		t.Errorf("a changed condition on the text: not judged %v", d.NotJudged)
	}
	// What is decided by something else needs no text.
	c.Tx.Facts["spf.result"] = "pass"
	d = keep(c)
	swapped := strings.Replace(textRules, `message.text contains "副業" and spf.result != "pass"`, `spf.result != "pass" and message.text contains "案内"`, 1)
	if loadText(t, swapped).JudgeCase(d); len(d.NotJudged) > 0 {
		t.Errorf("a condition that does not matter: not judged %v", d.NotJudged)
	}
	if text.Fingerprint() == old.Fingerprint() || loadText(t, textRules).Fingerprint() != old.Fingerprint() {
		t.Error("fingerprints")
	}
}

// notRead are the fields that Judge does not read, so that a case need not keep them. A new field must be kept or named here, and
// TestJudgeReadsOnlyWhatIsKept fails when the rules begin to read one of them.
var notRead = map[string][]string{
	"Transaction": {"ID", "From", "Params", "Rcpt"},
	"Session": {
		"ID", "Client", "Port", "Local", "Helo", "Esmtp", "TLS", "Proxy", "Verified", "Trusted", "Early", "Listener", "Relay", "Unknown", "Start",
	},
	"Message": {"Raw", "HeaderLen", "Subject", "MessageID", "From", "ReplyTo", "Sender", "To", "Cc", "Anomalies"},
	"Field":   {"Start", "End"},
	"Part":    {"Charset", "ID", "Depth", "Head", "Start", "Hidden", "HTML", "Tags", "Links", "File"},
	"Outcome": {"Took"},
	"Result":  {"Facts", "Skipped"},
	"Finding": {"Auth"},
}

// TestNothingIsForgotten fills every field that rules may read, and looks for it in what was decoded.
func TestNothingIsForgotten(t *testing.T) {
	p := loadText(t, textRules)
	rcpt := mail.Address{Local: "a", Domain: "example.jp"}
	facts := map[string]any{}
	for _, f := range slices.Concat(mail.BaseFacts, fixtureFacts) {
		facts[f.Name] = map[mail.FactType]any{mail.Bool: true, mail.Int: -7, mail.Float: 1.0 / 3, mail.String: "text", mail.Strings: []string{"a", ""}}[f.Type]
		if facts[f.Name] == nil {
			t.Errorf("%s has a type that a case does not know", f.Name)
		}
	}
	facts["message.text"] = ""
	tx := &mail.Transaction{
		Start:   time.Date(2026, 11, 27, 23, 59, 58, 0, time.FixedZone("JST", 9*3600)),
		Session: &mail.Session{KeepRefused: true}, Stage: mail.Conclude, Rcpts: []mail.Address{rcpt}, Mailboxes: map[mail.Address][]mail.Address{rcpt: {rcpt}},
		Message: &mail.Message{Header: []mail.Field{{Name: "Subject", Value: "s"}}, Parts: []mail.Part{
			{Type: "application/zip", Encoding: "base64", Name: "a.zip", OtherNames: []string{"b.exe"}, Attached: true, Text: "x", End: 1000},
		}}, Facts: facts, RcptFacts: map[mail.Address]map[string]any{rcpt: {"geoip.asn": 5}},
		Outcomes: []mail.Outcome{{
			Check: "spf", Stage: mail.Mail, State: mail.StateTempError, Why: "why", Off: true,
			Result: mail.Result{Partial: []string{"p"}, Findings: []mail.Finding{{Symbol: "SPF_FAIL", Weight: 0.1, Rcpt: rcpt, Evidence: []mail.Evidence{{Key: "k", Value: "v"}}}}},
		}},
	}
	c := &Case{Tx: tx, Rcpts: tx.Rcpts}
	verdicts := p.JudgeCase(c)
	d, err := DecodeCase(p.AppendCase(nil, c, verdicts))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := d.Tx.When().Format(time.RFC3339), tx.When().Format(time.RFC3339); got != want {
		t.Errorf("the time is %s, was %s", got, want)
	}
	for _, x := range []struct{ in, out any }{
		{*tx, *d.Tx},
		{*tx.Session, *d.Tx.Session},
		{*tx.Message, *d.Tx.Message},
		{tx.Message.Header[0], d.Tx.Message.Header[0]},
		{tx.Message.Parts[0], d.Tx.Message.Parts[0]},
		{tx.Outcomes[0], d.Tx.Outcomes[0]},
		{tx.Outcomes[0].Result, d.Tx.Outcomes[0].Result},
		{tx.Outcomes[0].Findings[0], d.Tx.Outcomes[0].Findings[0]},
	} {
		in, out := reflect.ValueOf(x.in), reflect.ValueOf(x.out)
		name := in.Type().Name()
		for i := range in.NumField() {
			field := in.Type().Field(i).Name
			if slices.Contains(notRead[name], field) {
				continue
			}
			if in.Field(i).IsZero() && field != "Stage" {
				t.Errorf("%s.%s: the test does not fill it; keep it in a case, or name it in notRead", name, field)
			}
			if k := in.Field(i).Kind(); k == reflect.Pointer || k == reflect.Struct {
				continue // looked at by itself
			}
			if field == "Outcomes" || field == "Findings" || field == "Header" || field == "Parts" {
				continue
			}
			if !reflect.DeepEqual(in.Field(i).Interface(), out.Field(i).Interface()) {
				t.Errorf("%s.%s: %v, was %v", name, field, out.Field(i), in.Field(i))
			}
		}
	}
}

// TestJudgeReadsOnlyWhatIsKept looks at the source: what is read of a transaction, its session and its message.
func TestJudgeReadsOnlyWhatIsKept(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) < 10 {
		t.Fatal(err, files)
	}
	seen := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			of := ""
			switch x := sel.X.(type) {
			case *ast.Ident:
				of = x.Name
			case *ast.SelectorExpr:
				of = x.Sel.Name
			}
			name := map[string]string{"tx": "Transaction", "Tx": "Transaction", "Session": "Session", "Message": "Message"}[of]
			if name != "" {
				seen++
			}
			if slices.Contains(notRead[name], sel.Sel.Name) {
				t.Errorf("%s: %s.%s is read, but not kept in a case", set.Position(sel.Pos()), name, sel.Sel.Name)
			}
			return true
		})
	}
	if seen < 20 {
		t.Errorf("only %d places found", seen)
	}
}

func FuzzDecodeCase(f *testing.F) {
	p := loadText(f, textRules)
	c := anyCase(rand.New(rand.NewPCG(5, 6)))
	b := p.AppendCase(nil, c, p.JudgeCase(c))
	f.Add(b)
	f.Add(b[:len(b)/3])
	f.Add([]byte{1, 5, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := DecodeCase(b)
		if err != nil {
			return
		}
		if n := len(p.JudgeCase(c)); n != len(c.Rcpts) {
			t.Fatalf("%d verdicts for %d recipients", n, len(c.Rcpts))
		}
	})
}

func BenchmarkAppendCase(b *testing.B) {
	p := loadText(b, twoHundred())
	tx := fixtureTx(mail.Conclude)
	c := &Case{Tx: tx, Rcpts: tx.Rcpts}
	v := p.JudgeCase(c)
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = p.AppendCase(buf[:0], c, v)
	}
	b.ReportMetric(float64(len(buf)), "octets")
}

func BenchmarkReplay200(b *testing.B) {
	p := loadText(b, twoHundred())
	tx := fixtureTx(mail.Conclude)
	c := &Case{Tx: tx, Rcpts: tx.Rcpts}
	buf := p.AppendCase(nil, c, p.JudgeCase(c))
	b.ReportAllocs()
	for b.Loop() {
		d, err := DecodeCase(buf)
		if err != nil {
			b.Fatal(err)
		}
		p.JudgeCase(d)
	}
}

// What the directory says of a group may change: its answer is kept, and one that was not given is not made up.
func TestAnswersOfGroupsAreKept(t *testing.T) {
	dir := t.TempDir()
	rule := "[lists]\nboard = \"group:board@example.jp\"\n[[rule]]\nid = \"BOARD\"\ndescribe = { ja = \"あ\", en = \"a\" }\nwhen = 'rcpt.address in lists.board'\nscore = 1.0\n"
	if err := os.WriteFile(filepath.Join(dir, "a.toml"), []byte(rule), 0o600); err != nil {
		t.Fatal(err)
	}
	in := true
	o := fixtureOptions()
	o.Dir, o.Member = dir, func(_, a mail.Address) (bool, error) { return in && a.Local == "info", nil }
	p, err := Load(o)
	if err != nil {
		t.Fatal(err)
	}
	tx := fixtureTx(mail.Conclude)
	tx.Rcpts = append(tx.Rcpts, mail.Address{Local: "other", Domain: "example.jp"})
	c := &Case{Tx: tx, Rcpts: tx.Rcpts}
	was := p.JudgeCase(c)
	d, err := DecodeCase(p.AppendCase(nil, c, was))
	if err != nil {
		t.Fatal(err)
	}
	in = false
	got := p.JudgeCase(d)
	if len(d.NotJudged) > 0 || !SameVerdict(&got[0], &was[0]) || !SameVerdict(&got[1], &was[1]) || was[0].Score == was[1].Score {
		t.Errorf("%+v\nwas %+v, not judged %v", got, was, d.NotJudged)
	}
	if err := os.WriteFile(filepath.Join(dir, "a.toml"), []byte(strings.Replace(rule, "board@", "staff@", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if p, err = Load(o); err != nil {
		t.Fatal(err)
	}
	if p.JudgeCase(d); !slices.Equal(d.NotJudged, []string{"BOARD"}) {
		t.Errorf("another group: not judged %v", d.NotJudged)
	}
}
