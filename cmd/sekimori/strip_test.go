package main

import (
	"strings"
	"testing"
)

// A rule takes an attachment out of what is delivered, another adds a header field, and the whole mail is held.
func TestStripAndAddHeader(t *testing.T) {
	g := startGateway(t, gatewayOptions{on: []string{}, rules: `
[[rule]]
id = "NO_PROGRAMS"
describe = { ja = "実行できるファイルです。", en = "Files that can run" }
when = 'not from.null'
strip = { extensions = ["exe"] }
keep = "3d"
[[rule]]
id = "WHO"
describe = { ja = "記録", en = "A note" }
when = 'not from.null'
add_header = { X-Note = "{message.from_name} to {rcpt.local}" }
`})
	mail := strings.ReplaceAll(`From: =?utf-8?b?5L2Q6Jek?= <sato@partner.test>
To: taro@example.test
Subject: hello
Date: Fri, 20 Nov 2026 14:32:00 +0900
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=b

--b

the text
--b
Content-Type: application/octet-stream; name=tool.EXE
Content-Transfer-Encoding: base64

TVqQAAMAAAAEAAAA
--b--
`, "\n", "\r\n")
	if r := send(t, g.SMTP, "192.0.2.9", "mx.partner.test", "sato@partner.test", "taro@example.test", []byte(mail)); !strings.HasPrefix(r, "250") {
		t.Fatal(r)
	}
	got := string(maildir(t, g.maildir, 1)[0])
	for _, want := range []string{"X-Sekimori-Stripped: tool.EXE (application/octet-stream)", "X-Note: =?utf-8?b?", "the text", "NO_PROGRAMS"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "TVqQ") {
		t.Errorf("the file is still there:\n%s", got)
	}
	if held := g.held(); len(held) != 1 {
		t.Errorf("held: %v", held)
	}
}
