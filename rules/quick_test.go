package rules

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
)

// quickForms are atoms that have a quick form.
var quickForms = []string{
	"client.early", `spf.result == "pass"`, `spf.result != "pass"`, "dnsbl.count >= 1", "dnsbl.count == 1", "dnsbl.count < 2", "dnsbl.count > 0",
	"dnsbl.score < 2", "dnsbl.score != 0.5", "dnsbl.count > 0.5", "dnsbl.count <= 0", `symbol("SPF_FAIL")`, `header("X-Mailer") != ""`,
	`message.text contains "副業"`, `message.text startsWith "plain"`, `message.subject endsWith "12"`, `message.text matches "(?i)CLICK +here"`,
	`lower(message.subject) contains "long"`, `upper(message.subject) == "INVOICE 7"`, `trim(message.subject) != "invoice 7"`,
	`lower(message.subject) matches "invoice-? ?[0-9]"`, `lower(geoip.country) in ["jp", "us"]`, `geoip.country in ["JP"]`,
	`message.subject in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "invoice 7"]`,
	`any(message.links, # contains "/7")`, `none(message.links, # endsWith "9" or # startsWith "x")`, `all(message.links, # startsWith "https://")`,
	`any(message.links, not (lower(#) matches "bit") and # != "")`, `any(message.links, # in ["https://bit.ly/3", "x"])`, `any(headers("X-Long"), # contains "bbb")`,
	`looks_like(message.from_name, "amazon")`, `"https://bit.ly/3" in message.links`, `rcpt.domain in message.links`, `from.address in lists.deny_senders`, `client.ip in lists.deny_clients`,
	`under(from.domain, "co.jp")`, `in_network(client.ip, "192.0.2.0/31")`, `in_network(geoip.country, "192.0.2.0/24")`,
	`registrable(from.domain) == "example.co.jp"`, `registrable(from.domain) != registrable(rcpt.domain)`, `from.domain == rcpt.domain`,
	`message.subject contains rcpt.local`, `any(message.links, # contains rcpt.local)`, `message.text contains "click" `,
}

// TestQuickMeansTheSame runs quick forms and the machine over mails of all kinds.
func TestQuickMeansTheSame(t *testing.T) {
	hits := map[string]int{}
	r := rand.New(rand.NewPCG(8, 9))
	var cases []*Case
	for range 200 {
		cases = append(cases, anyCase(r))
	}
	files := map[string]string{"deny_senders.txt": "@example.co.jp\n", "deny_clients.txt": "192.0.2.0/24\n"}
	for n, src := range quickForms {
		files["a.toml"] = fmt.Sprintf("[[rule]]\nid = \"X%d\"\ndescribe = { ja = \"あ\", en = \"a\" }\nwhen = '%s'\nscore = 1.0\n", n, src)
		dir := t.TempDir()
		for name, text := range files {
			write(t, filepath.Join(dir, name), text)
		}
		p := policy(t, files["a.toml"], func(o *Options) { o.Dir = dir })
		c := p.rules[len(p.rules)-1].cond
		if c.quick == nil {
			t.Errorf("%s: no quick form", src)
			continue
		}
		s := newState(p.vocab)
		for _, k := range cases {
			s.fill(k.Tx, k.Rcpts[0], decodeHeader)
			all := true
			for _, i := range c.reads {
				s.env[s.words[i].key] = s.val[i]
				all = all && s.known[i]
			}
			if !all {
				continue
			}
			out, err := s.run(c.prog)
			if got := c.quick(s, ""); err != nil || out.(bool) != got {
				t.Fatalf("%s: the machine says %v (%v), the quick form %v", src, out, err, got)
			} else if got {
				hits[src]++
			}
		}
	}
	if len(hits) < len(quickForms)-8 {
		t.Errorf("only %d of %d forms are ever true", len(hits), len(quickForms))
	}
}

// What the machine does when something is wrong is not made quick: what it says then is kept.
func TestNotQuick(t *testing.T) {
	for _, src := range []string{
		`message.size % dnsbl.count == 1`, `glob(from.address, "a*")`, `any(message.links, len(#) > 5)`, `looks_like(message.from_name, message.subject)`, `len(message.subject) > 3`,
	} {
		p := loadText(t, "[[rule]]\nid = \"X\"\ndescribe = { ja = \"あ\", en = \"a\" }\nwhen = '"+src+"'\nscore = 1.0\n")
		if p.rules[len(p.rules)-1].cond.quick != nil {
			t.Errorf("%s has a quick form", src)
		}
	}
}

func TestBelongs(t *testing.T) {
	for _, check := range []string{"spf", "SPF", "bayes", "s", "", "spf_fail"} {
		for _, symbol := range []string{"SPF_FAIL", "SPF", "SPFX_FAIL", "BAYES_", "_X", "S_PF", "SPF_FAIL_X"} {
			if got, want := belongs(symbol, check), strings.HasPrefix(symbol, strings.ToUpper(check)+"_"); got != want {
				t.Errorf("%s of %s: %v", symbol, check, got)
			}
		}
	}
}
