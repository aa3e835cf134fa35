package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const behindGatewayZone = `2.0.0.127.bl.test. A 127.0.0.2
66.100.51.198.bl.test. A 127.0.0.4
7.100.51.198.in-addr.arpa. PTR mail.partner.test.
mail.partner.test. A 198.51.100.7
partner.test. TXT "v=spf1 ip4:198.51.100.7 ip6:2001:db8:5::7 -all"
`

const behindGatewayRules = `[[rule]]
id = "BY_THE_GATEWAY"
describe = { ja = "試験", en = "a test" }
when = 'client.ip == "127.0.0.1" or ratelimit.client'
action = "reject"
`

// TestPostfixGateway has a real Postfix as the older gateway in front. It is told by XCLIENT who its clients are; Sekimori hears of
// them only by Postfix' Received field.
func TestPostfixGateway(t *testing.T) {
	needTool(t, "postfix")
	g := startGateway(t, gatewayOptions{zone: behindGatewayZone, rules: behindGatewayRules, extra: `[[smtp.listener]]
listen = ["127.0.0.1:0"]
[smtp]
trusted_relays = ["127.0.0.1"]
[[filters.dnsbl.list]]
zone = "bl.test"
score = 4.0
[filters.ratelimit]
client = "2/1h"
`})
	addr := g.listener(1)
	port := freePort(t)
	dir := postfix(t, port, "virtual_mailbox_domains =\nrelay_domains = example.test\nrelay_transport = smtp:["+
		strings.Replace(addr, ":", "]:", 1)+"\nsmtpd_authorized_xclient_hosts = 127.0.0.1\ninet_protocols = all\n")
	from := func(client, helo, mail string) {
		t.Helper()
		c := dial(t, fmt.Sprintf("127.0.0.1:%d", port), "")
		defer c.c.Close()
		c.want("250", "EHLO test")
		c.want("220", "XCLIENT ADDR=%s NAME=[UNAVAILABLE] HELO=%s PROTO=ESMTP", client, helo)
		c.want("250", "EHLO %s", helo)
		c.want("250", "MAIL FROM:<sender@partner.test>")
		c.want("250", "RCPT TO:<taro@example.test>")
		if r := c.data([]byte(mail)); !strings.HasPrefix(r, "250") {
			t.Fatalf("Postfix says %q", r)
		}
	}
	const forged = "Received: from mail.partner.test (mail.partner.test [198.51.100.7]) by backend.test (Postfix) with ESMTP id 4X; Fri, 20 Nov 2026 14:32:00 +0900\r\n"
	from("198.51.100.7", "mail.partner.test", plainMail)
	from("IPV6:2001:db8:5::7", "mail.partner.test", plainMail)
	from("198.51.100.66", "mail.partner.test", plainMail)
	from("198.51.100.66", "[198.51.100.7]", forged+plainMail)
	sendmail := exec.Command(needTool(t, "sendmail"), "-C", filepath.Join(dir, "etc"), "-f", "root@backend.test", "taro@example.test")
	sendmail.Stdin = strings.NewReader("Subject: cron\n\nthe gateway's own mail\n")
	if out, err := sendmail.CombinedOutput(); err != nil {
		t.Fatalf("sendmail: %v\n%s", err, out)
	}
	eventually(t, "five mails are judged", func() bool { return len(g.log("mail")) >= 5 })
	got := map[string]int{}
	for _, l := range g.log("mail") {
		got[fmt.Sprint(l["client"], " ", l["client_unknown"], " ", l["action"], " ", l["rule"])]++
		if l["relay"] != "127.0.0.1" {
			t.Errorf("the log does not name the gateway: %v", l)
		}
	}
	for want, n := range map[string]int{
		"198.51.100.7 <nil> deliver <nil>":                             1,
		"2001:db8:5::7 <nil> deliver <nil>":                            1,
		"198.51.100.66 <nil> hold BLOCK_LISTED_NO_NAME":                2,
		"127.0.0.1 the mail comes from the relay itself deliver <nil>": 1,
	} {
		if got[want] != n {
			t.Errorf("%d times %q in %v", got[want], want, got)
		}
	}
	for _, m := range maildir(t, g.maildir, 3) {
		head, _, _ := strings.Cut(string(m), "\r\n\r\n")
		auth, client := field(head, "Authentication-Results"), field(head, "X-Sekimori-Client")
		switch {
		case strings.Contains(head, "Subject: cron"):
			if !strings.Contains(client, "unknown") || !strings.Contains(field(head, "X-Sekimori-Reason"), "client not known") || strings.Contains(auth, "spf=") {
				t.Errorf("the gateway's own mail:\n%s", head)
			}
		case !strings.Contains(auth, "spf=pass") || !strings.Contains(client, "by way of 127.0.0.1") ||
			!strings.Contains(field(head, "Received"), "on behalf of"):
			t.Errorf("a good mail:\n%s", head)
		case strings.Contains(client, "198.51.100.7") && !strings.Contains(auth, "iprev=pass"):
			t.Errorf("the reverse name of the client was not looked up:\n%s", head)
		}
	}
	held := g.held()
	if len(held) != 2 || held[0]["class"] != "refused" || held[1]["class"] != "refused" {
		t.Errorf("held: %v", held)
	}
	if out := execute(t, needTool(t, "postqueue"), "-c", filepath.Join(dir, "etc"), "-p"); !strings.Contains(out, "queue is empty") {
		t.Errorf("the gateway has something to bounce or to try again:\n%s", out)
	}
}

// listener waits for the address of the n-th SMTP listener and returns it.
func (p *program) listener(n int) string {
	p.t.Helper()
	var all []string
	for _, l := range p.log("listening") {
		if l["service"] == "smtp" {
			all = append(all, fmt.Sprint(l["addr"]))
		}
	}
	if n >= len(all) {
		p.t.Fatalf("there are %d SMTP listeners", len(all))
	}
	return all[n]
}
