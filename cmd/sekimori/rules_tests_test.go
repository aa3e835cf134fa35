package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const mailRules = `[[rule]]
id = "INVOICE_FROM_ABROAD"
describe = { ja = "国外から届いた請求書です。", en = "An invoice from abroad" }
when = 'message.subject contains "請求" and geoip.country != "JP"'
action = "hold"
[[rule]]
id = "AT_NIGHT"
describe = { ja = "深夜に届いたメールです。", en = "Mail at night" }
when = 'time.hour < 5'
action = "tag"
mode = "observe"
[[rule]]
id = "NEVER"
describe = { ja = "宛先の例です。", en = "Never" }
when = 'from.domain == "never.test"'
action = "tag"
  [[rule.test]]
  expect = "miss"
  given = { "from.domain" = "other.test" }
[[rule]]
id = "OF_SALES"
describe = { ja = "営業部あてです。", en = "To sales" }
when = 'rcpt.attr("department") == "Sales"'
score = 0.1
[[rule]]
id = "OF_OTHERS"
describe = { ja = "営業部以外あてです。", en = "To others" }
when = 'not ("Sales" in rcpt.attrs("department"))'
score = 0.1
[[rule]]
id = "TO_BOARD"
describe = { ja = "役員あてです。", en = "To the board" }
when = '"board@example.test" in rcpt.groups'
score = 0.1
[[rule]]
id = "NOBODY_TESTS"
describe = { ja = "送信元の例です。", en = "Untested" }
when = 'from.domain == "untested.test"'
action = "tag"
`

const mailTests = `[default]
client = "192.0.2.7"
rcpt = "taro@example.test"
dns = '''
sender.test. IN TXT "v=spf1 ip4:192.0.2.7 -all"
7.2.0.192.in-addr.arpa. IN PTR mail.sender.test.
mail.sender.test. IN A 192.0.2.7
'''

[[mail]]
file = "invoice.eml"
name = "from Brazil"
facts = { "geoip.country" = "BR" }
expect = { action = "hold", rule = "INVOICE_FROM_ABROAD", hits = ["SPF_PASS"], misses = ["SPF_FAIL"] }

[[mail]]
file = "invoice.eml"
name = "from Japan, at night"
time = "2026-11-27T03:00:00+09:00"
facts = { geoip.country = "JP" }
expect = { action = ["deliver", "tag"], misses = "INVOICE_FROM_ABROAD", observed = "AT_NIGHT", max_score = 3 }

[[mail]]
file = "invoice.eml"
name = "nobody knows"
down = "geoip"
expect = { unknown = "INVOICE_FROM_ABROAD", hits = "GEOIP_TEMPERROR" }

[[mail]]
file = "invoice.eml"
name = "what the directory says"
facts = { 'rcpt.attr("department")' = "Sales", "rcpt.groups" = ["board@example.test"] }
expect = { hits = ["OF_SALES", "TO_BOARD"], misses = "OF_OTHERS" }

[[mail]]
file = "invoice.eml"
name = "the directory is silent"
expect = { unknown = ["OF_SALES", "OF_OTHERS", "TO_BOARD"] }

[[mail]]
file = "invoice.eml"
name = "forged"
from = "x@sender.test"
client = "198.51.100.1"
expect = { hits = "SPF_FAIL", min_score = 0.5 }
`

// TestRulesTest: mails in the folder tests are judged with what the test says of the world, and what differs is said with the
// evidence.
func TestRulesTest(t *testing.T) {
	dir := t.TempDir()
	put := func(name, content string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	command := func(args ...string) (string, int) {
		t.Helper()
		var out bytes.Buffer
		code := run(t.Context(), append([]string{"-c", filepath.Join(dir, "sekimori.toml"), "rules", "test"}, args...), nil, &out, &out)
		return out.String(), code
	}
	put("sekimori.toml", "recipients.rule_attributes = [\"department\"]\nrules_dir = \"rules\"\ndata_dir = \"data\"\n[digest]\ntime_zone = \"Asia/Tokyo\"\n[[domain]]\nnames = [\"example.test\"]\nrecipients = \"any\"\nbackends = [\"maildir:m\"]\n")
	put("rules/10-mail.toml", mailRules)
	put("rules/tests/tests.toml", mailTests)
	put("rules/tests/invoice.eml", "From: x@sender.test\nTo: taro@example.test\nSubject: =?UTF-8?B?44GU6KuL5rGC5pu4?=\nMessage-ID: <1@sender.test>\nDate: Fri, 27 Nov 2026 09:00:00 +0900\n\nbody\n")
	if out, code := command("-v"); code != 0 || !strings.Contains(out, "ok      tests/tests.toml:10: from Brazil") || !strings.Contains(out, ", 0 failed") {
		t.Errorf("%d\n%s", code, out)
	}
	out, code := command("--coverage")
	if code != 0 || !strings.Contains(out, "no test:       NOBODY_TESTS (10-mail.toml:") || !strings.Contains(out, "no test hits:  NEVER (") || strings.Contains(out, "no test:       INVOICE") || strings.Contains(out, "no test hits:  INVOICE") {
		t.Errorf("%d\n%s", code, out)
	}
	put("rules/tests/tests.toml", strings.Replace(mailTests, `action = "hold", rule`, `action = "tag", rule`, 1))
	if out, code = command("--only", "Brazil"); code != 1 || !strings.Contains(out, "action: expected tag, got hold") || !strings.Contains(out, "BR") || !strings.Contains(out, "1 tests, 1 failed") {
		t.Errorf("%d\n%s", code, out)
	}
	var r testReport
	if out, code = command("--json", "--coverage"); code != 1 || json.Unmarshal([]byte(out), &r) != nil || r.OK || r.Failed != 1 || r.Coverage == nil {
		t.Fatalf("%d\n%s", code, out)
	}
	put("rules/tests/tests.toml", `[defaults]
[[mail]]
file = "gone.eml"
clinet = "x"
facts = { "geoip.contry" = "JP", "from.domain" = "x", "dnsbl.count" = "2" }
found = "SPF_FIAL"
down = "dnsl"
expect = { action = "holt", rule = "INVOICE", hits = "NEVR", min_scor = 1 }
[[mail]]
file = "invoice.eml"
client = "192.0.2"
rcpt = "nobody"
time = "yesterday"
`)
	out, code = command()
	for _, want := range []string{
		`tests.toml:1:2: unknown key "defaults" in a file of tests; did you mean "default"?`, `:3:8: gone.eml: there is no such file beside tests.toml`, `:4:1: unknown key "clinet"`,
		`unknown fact "geoip.contry"; did you mean "geoip.country"?`, `from.domain comes from the mail and its envelope`, `dnsbl.count is an integer, not a string`, `unknown symbol "SPF_FIAL"`, `unknown check "dnsl"`,
		`unknown action "holt"`, `unknown rule "INVOICE"`, `unknown rule or symbol "NEVR"`, `unknown key "min_scor" in expect`, `:2:1: the test names no recipient`,
		`client: "192.0.2" is not an IP address`, `rcpt: "nobody"`, `time is written as`, `the test expects nothing`,
	} {
		if code != 1 || !strings.Contains(out, want) {
			t.Errorf("%d: no %q in\n%s", code, want, out)
		}
	}
}
