package rules

import (
	"path/filepath"
	"strings"
	"testing"

	"sekimori/internal/mail"
)

func TestOptions(t *testing.T) {
	for _, c := range []struct {
		change func(*Options)
		want   string
	}{
		{func(o *Options) { o.Defaults = "1999.01" }, `policy.defaults: there is no version "1999.01" of the built-in rules; there is 2026.11`},
		{func(o *Options) { o.Defaults = "../defaults/2026.11" }, "policy.defaults: there is no version"},
		{func(o *Options) { o.Disable = []string{"DMARC_POLICY_REJET"} }, `policy.disable: there is no rule "DMARC_POLICY_REJET"; did you mean "DMARC_POLICY_REJECT"?`},
		{func(o *Options) { o.Mode = "observ" }, `policy.mode: unknown mode "observ": one of observe, tag, hold, soft, enforce; did you mean "observe"?`},
		{func(o *Options) { o.Thresholds = map[string]float64{"helt": 6} }, `policy.thresholds: unknown threshold "helt"`},
		{func(o *Options) { o.Dir = filepath.Join(o.Dir, "none") }, "rules_dir: "},
	} {
		o := fixtureOptions()
		o.Dir = t.TempDir()
		c.change(&o)
		if _, err := Load(o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
}

func TestDisable(t *testing.T) {
	o := fixtureOptions()
	o.Disable = []string{"DMARC_POLICY_REJECT"}
	p, err := Load(o)
	if err != nil {
		t.Fatal(err)
	}
	tx := fixtureTx(mail.Conclude)
	tx.Facts["dmarc.result"] = "fail"
	if v := judge(p, tx); v.Action != mail.Deliver {
		t.Errorf("%+v", v)
	}
	// A rule file may do it too, and may then have a rule of its own with that id.
	p = policy(t, "disable = [\"DMARC_POLICY_QUARANTINE\"]")
	if strings.Contains(ids(p), "DMARC_POLICY_QUARANTINE") {
		t.Error(ids(p))
	}
}

func ids(p *Policy) string {
	var all []string
	for _, r := range p.rules {
		all = append(all, r.id)
	}
	return strings.Join(all, " ")
}

func TestWarnings(t *testing.T) {
	p := policy(t, "[policy]\nthresholds = { hold = 6, reject = 5 }\n[[rule]]\nid = \"A\"\ndescribe = \"one text\"\nwhen = 'client.early'\nscore = 1\n"+
		"[[rule]]\nid = \"B\"\nwhen = 'client.early'\nscore = 1\n[[rule]]\nid = \"C\"\ndescribe = { en = \"x\" }\nwhen = 'client.early'\nscore = 1\n")
	w := p.Warnings().Error()
	for _, want := range []string{
		"a.toml:5:12: the text of A stands for both languages", "a.toml:8:1: B has no describe", "a.toml:14:12: the text of C lacks ja",
		"hold (6) never applies",
	} {
		if !strings.Contains(w, want) {
			t.Errorf("no %q in\n%s", want, w)
		}
	}
	if p.Version() != "2026.11" || p.Score("SPF_FAIL") != 3 {
		t.Error(p.Version(), p.Score("SPF_FAIL"))
	}
}

func TestNameOrder(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "20.toml"), simple("SECOND", `client.helo != ""`, `action = "hold"`)+"[[rule.test]]\nexpect = \"miss\"\ngiven = { client.helo = \"\" }\n")
	write(t, filepath.Join(dir, "10.toml"), simple("FIRST", `client.helo != ""`, `action = "tag"`))
	write(t, filepath.Join(dir, ".hidden.toml"), "nonsense")
	write(t, filepath.Join(dir, "30.toml.bak"), "nonsense")
	o := fixtureOptions()
	o.Dir = dir
	p, err := Load(o)
	if err != nil {
		t.Fatal(err)
	}
	if v := judge(p, fixtureTx(mail.Rcpt)); v.RuleID != "FIRST" {
		t.Error(v.RuleID)
	}
	results := p.Test()
	if last := results[len(results)-1]; !last.OK() || !strings.HasSuffix(last.Place, "20.toml:6") || !strings.Contains(last.String(), "SECOND: ok (miss)") {
		t.Error(last)
	}
}

// A failing test says what was expected.
func TestFailingTest(t *testing.T) {
	p := policy(t, simple("A", `client.early`, "score = 1")+"[[rule.test]]\nexpect = \"hit\"\ngiven = {}\n")
	results := p.Test()
	if last := results[len(results)-1]; last.OK() || !strings.Contains(last.String(), "A: expected hit, got unknown") {
		t.Error(last)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte(twoHundred()[:1500]))
	f.Add([]byte(simple("A", `any(message.links, # contains "x") and not (geoip.country in ["JP"])`, "score = 1")))
	f.Add([]byte("[a.b]\nc.d = [1, {x = 'y'}]\n[[rule.test]]\n[rule]\n"))
	f.Add([]byte("\xef\xbb\xbf[[rule]]\r\nwhen = \"\\u3042 \\U0001F600\\\n  x\"\r\n"))
	f.Add([]byte("[[rule]]\nwhen = '''\n(((((((((('''\n"))
	o := fixtureOptions()
	tx := fixtureTx(mail.Conclude)
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "a.toml"), string(data))
		o := o
		o.Dir = dir
		p, err := Load(o)
		if err == nil {
			p.Test()
			if vs := p.Judge(tx, []mail.Address{info}); len(vs) != 1 {
				t.Fatal("no verdict")
			}
			return
		}
		for _, e := range err.(Errors) {
			if e.Line < 0 || e.Column < 0 || e.Message == "" || e.File == "" {
				t.Fatalf("%+v", e)
			}
		}
	})
}

// FuzzCondition judges whatever compiles.
func FuzzCondition(f *testing.F) {
	for _, s := range []string{
		`geoip.country != "JP"`, `1 < dnsbl.count < 3`, `"a" in dkim.domains`, `message.size % 0 == 1`, `-dnsbl.count ** 2 > 1`,
		`count(message.types, # == "a") > 1`, `none(message.links, {# contains "x"})`, `lower(client.helo) startsWith "a"`, `max(1, dnsbl.count) == 1`,
		`client.ip in lists.deny_clients`, `symbol("SPF_FAIL") or header("a") == ""`, `"副業" in [message.subject]`,
	} {
		f.Add(s)
	}
	tx := fixtureTx(mail.Conclude)
	f.Fuzz(func(t *testing.T, src string) {
		env := &environment{vocab: newVocabulary(fixtureOptions())}
		env.vocab.lists["deny_clients"] = newList("deny_clients")
		d := &diagnostics{}
		raw := "'" + src + "'"
		c, _ := compile(env, d, newFile("a.toml", "a.toml", []byte(raw)), &value{kind: kindString, raw: []byte(raw), str: src})
		if (c == nil) != (len(d.errs) > 0) {
			t.Fatalf("%v with %v", c, d.errs)
		}
		if c == nil {
			return
		}
		s := newState(env.vocab)
		if got := s.eval(c); got == hit && len(c.reads) > 0 {
			t.Fatalf("%s is %s although nothing is known", src, got)
		}
		s.fill(tx, info, decodeHeader)
		s.eval(c)
	})
}
