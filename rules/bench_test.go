package rules

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sekimori/internal/mail"
)

// twoHundred makes rules of the kinds that administrators write.
func twoHundred() string {
	kinds := []string{
		`rdns.result == "none" and dnsbl.count >= %d and geoip.country != "JP"`,
		`spf.result in ["fail", "softfail"] and not (dkim.result == "pass") and from.domain != "x%d.example"`,
		`message.subject contains "副業%d" or message.from_name contains "LINE"`,
		`from.address in lists.deny_senders and message.size > %d000`,
		`any(message.links, # contains "bit.ly/%d")`,
		`lower(message.subject) matches "invoice-?%d" or header("List-Id") != ""`,
		`geoip.country in ["KP", "RU"] and bayes.z > %d.0 and bayes.probability > 0.9`,
		`symbol("SPF_FAIL") and symbol("RDNS_NONE") and geoip.asn == %d`,
		`dmarc.result == "fail" and dmarc.org_domain == "p%d.example"`,
		`rcpt.domain == "d%d.example.jp" and bayes.probability >= 0.99`,
	}
	var b strings.Builder
	for i := range 200 {
		fmt.Fprintf(&b, "[[rule]]\nid = \"R%d\"\ndescribe = { ja = \"あ\", en = \"a\" }\nwhen = '%s'\nscore = 1.0\n", i, fmt.Sprintf(kinds[i%len(kinds)], i))
	}
	return b.String()
}

func BenchmarkJudge200(b *testing.B) {
	dir := b.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.toml"), []byte(twoHundred()), 0o600); err != nil {
		b.Fatal(err)
	}
	o := fixtureOptions()
	o.Dir = dir
	p, err := Load(o)
	if err != nil {
		b.Fatal(err)
	}
	tx := fixtureTx(mail.Conclude)
	b.ReportAllocs()
	for b.Loop() {
		p.Judge(tx, tx.Rcpts)
	}
}

func BenchmarkLoad200(b *testing.B) {
	dir := b.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.toml"), []byte(twoHundred()), 0o600); err != nil {
		b.Fatal(err)
	}
	o := fixtureOptions()
	o.Dir = dir
	for b.Loop() {
		if _, err := Load(o); err != nil {
			b.Fatal(err)
		}
	}
}
