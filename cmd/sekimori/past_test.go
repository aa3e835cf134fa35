package main

import (
	"strings"
	"testing"
	"time"
)

// A rule makes new senders wait; who has waited is let in, and when mail of his was delivered, he is known.
func TestGreylistAndHistory(t *testing.T) {
	g := startGateway(t, gatewayOptions{
		on: []string{"spf"}, zone: "partner.test. TXT \"v=spf1 ip4:192.0.2.9 -all\"\n", extra: "[filters.greylist]\ndelay = \"1s\"\n",
		rules: `
[[rule]]
id = "COME_AGAIN"
describe = { ja = "初めての送信元です。", en = "The client is new here" }
when = 'greylist.wait'
action = "defer"
reply = "Come again in a while"
at = "rcpt"
[[rule]]
id = "FRIEND"
describe = { ja = "以前にも届いています。", en = "Mail of the sender has come before" }
when = 'history.rcpt_mails >= 1 and not history.first and "taro@example.test" in message.to'
action = "tag"
`,
	})
	try := func() string {
		return send(t, g.SMTP, "192.0.2.9", "mx.partner.test", "sender@partner.test", "taro@example.test", []byte(plainMail))
	}
	if r := try(); !strings.HasPrefix(r, "45") || !strings.Contains(r, "Come again in a while") {
		t.Fatalf("the first attempt: %s", r)
	}
	eventually(t, "the sender to be let in after the delay", func() bool { return strings.HasPrefix(try(), "250") })
	if m := string(maildir(t, g.maildir, 1)[0]); !strings.Contains(m, "X-Sekimori-Verdict: deliver") {
		t.Errorf("the first mail: %s", m)
	}
	// What was delivered is written down beside the mail.
	eventually(t, "the sender to be known", func() bool {
		if r := try(); !strings.HasPrefix(r, "250") {
			t.Fatal(r)
		}
		time.Sleep(50 * time.Millisecond)
		for _, m := range maildir(t, g.maildir, 1) {
			if strings.Contains(string(m), "X-Sekimori-Verdict: tag (FRIEND)") {
				return true
			}
		}
		return false
	})
}
