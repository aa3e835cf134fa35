package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var allChecks = []string{"rdns", "dnsbl", "geoip", "ratelimit", "spf", "dkim", "dmarc", "bayes"}

// gateway is a serve with a zone server, a PROXY listener, a Maildir, and rules of its own.
type gateway struct {
	*program
	zone    *zoneServer
	maildir string
	sent    int
}

type gatewayOptions struct {
	zone    string
	on      []string // checks that are on; nil: all
	rules   string   // one rule file
	extra   string   // further configuration
	backend string   // empty: the Maildir
}

func startGateway(t *testing.T, o gatewayOptions) *gateway {
	t.Helper()
	dir := t.TempDir()
	g := &gateway{zone: serveZone(t, o.zone), maildir: filepath.Join(dir, "maildir")}
	rules := filepath.Join(dir, "rules")
	if err := os.Mkdir(rules, 0o755); err != nil {
		t.Fatal(err)
	}
	if o.rules != "" {
		if err := os.WriteFile(filepath.Join(rules, "own.toml"), []byte(o.rules), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	conf := fmt.Sprintf("rules_dir = %q\n", rules) + serveConfig(dir, fmt.Sprintf(`
[[smtp.listener]]
listen = ["127.0.0.1:0"]
proxy_protocol_from = ["127.0.0.1"]
[[domain]]
names = ["example.test"]
recipients = "any"
backends = ["%s"]
[dns]
servers = ["%s"]
timeout = "300ms"
%s
`, cmp.Or(o.backend, "maildir:"+g.maildir), g.zone.addr, o.extra))
	if o.on != nil {
		for _, c := range allChecks {
			if !strings.Contains(" "+strings.Join(o.on, " ")+" ", " "+c+" ") {
				conf += fmt.Sprintf("[filters.%s]\nenabled = false\n", c)
			}
		}
	}
	g.program = startIn(t, dir, conf)
	return g
}

const plainMail = "From: Sender <sender@partner.test>\r\nTo: taro@example.test\r\nSubject: hello\r\n" +
	"Message-ID: <1@partner.test>\r\nDate: Fri, 20 Nov 2026 14:32:00 +0900\r\n\r\nhello\r\n"

// TestEachCheckByItself runs every check alone, with one rule that asks for its fact, and sends two mails that differ
// only in what that check sees.
func TestEachCheckByItself(t *testing.T) {
	const reject = `
[[rule]]
id = "T"
describe = { ja = "試験", en = "a test" }
when = '%s'
action = "%s"
`
	cases := []struct {
		check, zone, when, action, extra string
		on                               []string
		good, bad                        [4]string // client, helo, from, mail ("": plain)
		times                            int
	}{
		{
			check: "rdns", zone: "9.2.0.192.in-addr.arpa. PTR mx.partner.test.\nmx.partner.test. A 192.0.2.9\n",
			when: `rdns.result == "none"`, action: "reject",
			good: [4]string{"192.0.2.9", "mx.partner.test", "sender@partner.test"}, bad: [4]string{"192.0.2.10", "mx.partner.test", "sender@partner.test"},
		},
		{
			check: "dnsbl", zone: "2.0.0.127.bl.test. A 127.0.0.2\n10.2.0.192.bl.test. A 127.0.0.4\n",
			when: `dnsbl.count >= 1`, action: "reject", extra: "[[filters.dnsbl.list]]\nzone = \"bl.test\"\nscore = 4.0\n",
			good: [4]string{"192.0.2.9", "mx.partner.test", "sender@partner.test"}, bad: [4]string{"192.0.2.10", "mx.partner.test", "sender@partner.test"},
		},
		{
			check: "geoip", when: `geoip.country == "BR"`, action: "reject", extra: "[filters.geoip]\ncountry = \"COUNTRY\"\n",
			good: [4]string{"192.0.2.9", "mx.partner.test", "sender@partner.test"}, bad: [4]string{"198.51.100.7", "mx.partner.test", "sender@partner.test"},
		},
		{
			check: "ratelimit", when: `ratelimit.client`, action: "defer", extra: "[filters.ratelimit]\nclient = \"3/1h\"\n",
			good: [4]string{"192.0.2.9", "mx.partner.test", "sender@partner.test"}, bad: [4]string{"192.0.2.10", "mx.partner.test", "sender@partner.test"}, times: 4,
		},
		{
			check: "spf", zone: "partner.test. TXT \"v=spf1 ip4:192.0.2.9 -all\"\n", when: `spf.result == "fail"`, action: "reject",
			good: [4]string{"192.0.2.9", "mx.partner.test", "sender@partner.test"}, bad: [4]string{"192.0.2.10", "mx.partner.test", "sender@partner.test"},
		},
		{
			check: "dkim", zone: dkimZone, when: `dkim.result == "fail"`, action: "hold",
			good: [4]string{"192.0.2.9", "mx.partner.test", "sender@partner.test", "signed"}, bad: [4]string{"192.0.2.9", "mx.partner.test", "sender@partner.test", "broken"},
		},
		{
			check: "dmarc", on: []string{"dmarc", "dkim", "spf"}, zone: dkimZone + "_dmarc.partner.test. TXT \"v=DMARC1; p=reject\"\n",
			when: `dmarc.result == "fail"`, action: "hold",
			good: [4]string{"192.0.2.9", "mx.partner.test", "sender@partner.test", "signed"}, bad: [4]string{"192.0.2.9", "mx.partner.test", "sender@partner.test", "broken"},
		},
		{
			check: "bayes", when: `bayes.probability > 0.9`, action: "hold", extra: "[filters.bayes]\nmin_ham = 20\nmin_spam = 20\n",
			good: [4]string{"192.0.2.9", "mx.partner.test", "sender@partner.test", "ham"}, bad: [4]string{"192.0.2.9", "mx.partner.test", "sender@partner.test", "spam"},
		},
	}
	for _, c := range cases {
		t.Run(c.check, func(t *testing.T) {
			if c.on == nil {
				c.on = []string{c.check}
			}
			c.extra = strings.ReplaceAll(c.extra, "COUNTRY", countryDatabase(t))
			g := startGateway(t, gatewayOptions{zone: c.zone, on: c.on, extra: c.extra, rules: fmt.Sprintf(reject, c.when, c.action)})
			if c.check == "bayes" {
				trainBayes(t, g)
			}
			try := func(w [4]string) string {
				return send(t, g.SMTP, w[0], w[1], w[2], "taro@example.test", testMail(t, w[3]))
			}
			if r := try(c.good); !strings.HasPrefix(r, "250") {
				t.Fatalf("the good mail: %s", r)
			}
			maildir(t, g.maildir, 1)
			bad := ""
			for range max(1, c.times) {
				bad = try(c.bad)
			}
			switch c.action {
			case "reject":
				if !strings.HasPrefix(bad, "550") {
					t.Errorf("the bad mail: %s", bad)
				}
			case "defer":
				if !strings.HasPrefix(bad, "45") {
					t.Errorf("the bad mail: %s", bad)
				}
			case "hold":
				if !strings.HasPrefix(bad, "250") {
					t.Fatalf("the bad mail: %s", bad)
				}
				if held := g.held(); len(held) != 1 {
					t.Errorf("held: %v\n%s", held, g.output())
				}
			}
		})
	}
}
