package rules

import (
	"slices"
	"strings"
	"testing"
	"time"

	"sekimori/internal/mail"
)

func withFiles(tx *mail.Transaction, files ...mail.Part) *mail.Transaction {
	tx.Message.Parts = append([]mail.Part{{Type: "multipart/mixed"}, {Type: "text/plain", Text: "x"}}, files...)
	mail.AddBaseFacts(tx.Facts, tx)
	return tx
}

func TestStrip(t *testing.T) {
	p := load(t, `
[[rule]]
id = "PROGRAMS"
`+ruleHead+`when = 'not (rcpt.local == "it")'
strip = { extensions = ["exe", ".SCR"], names = ["*macro*"], types = ["application/x-ms*"] }
keep = "7d"
[[rule]]
id = "LARGE"
`+ruleHead+`when = 'not from.null'
strip = { larger = "1KiB" }
domains = ["example.co.jp"]
[[rule]]
id = "WATCHED"
`+ruleHead+`when = 'not from.null'
strip = { types = ["*/*"] }
mode = "observe"
`, nil)
	tx := withFiles(fixtureTx(mail.Conclude),
		mail.Part{Type: "application/pdf", Name: "a.pdf", End: 5000},
		mail.Part{Type: "application/octet-stream", Name: "請求書.pdf", OtherNames: []string{"x.EXE "}},
		mail.Part{Type: "application/x-msdownload"},
		mail.Part{Type: "text/plain", Name: "With-MACRO.txt", Text: "x"},
		mail.Part{Type: "image/png", Attached: true},
	)
	tx.Rcpts = []mail.Address{{Local: "sato", Domain: "example.jp"}, {Local: "it", Domain: "example.jp"}, {Local: "it", Domain: "example.co.jp"}}
	v := p.Judge(tx, tx.Rcpts)
	if !slices.Equal(v[0].Strip, []int{3, 4, 5}) || v[0].Original != 7*24*time.Hour || v[0].Action != mail.Deliver || !slices.Contains(v[0].Observed, "WATCHED") {
		t.Errorf("%+v", v[0])
	}
	if c := v[0].Counted[len(v[0].Counted)-1]; c.Name != "PROGRAMS" || c.Evidence[len(c.Evidence)-1].Value != "請求書.pdf application/x-msdownload With-MACRO.txt" {
		t.Errorf("%+v", c)
	}
	if len(v[1].Strip) != 0 || v[1].Original != 0 || !slices.Equal(v[2].Strip, []int{2}) || v[2].Original != 0 {
		t.Errorf("%+v\n%+v", v[1], v[2])
	}
	// What is held is held whole.
	tx.Outcomes = append(tx.Outcomes, mail.Outcome{Check: "bayes", Stage: mail.Data, Result: mail.Result{Findings: []mail.Finding{{Symbol: "BAYES_SPAM", Weight: 1}}}})
	if v := p.Judge(tx, tx.Rcpts)[0]; v.Action != mail.Hold || v.Strip != nil {
		t.Errorf("%+v", v)
	}
	// A mail that is nothing but the file cannot go without it.
	tx = fixtureTx(mail.Conclude)
	tx.Message.Parts = []mail.Part{{Type: "application/x-msdownload", Name: "a.exe"}}
	mail.AddBaseFacts(tx.Facts, tx)
	if v := p.Judge(tx, tx.Rcpts)[0]; v.Action != mail.Hold || v.RuleID != "PROGRAMS" || v.Class != "content" {
		t.Errorf("%+v", v)
	}
}

func TestAddHeader(t *testing.T) {
	p := load(t, `
[[rule]]
id = "WHERE"
`+ruleHead+`when = 'not from.null'
add_header = { X-Origin = "{geoip.country} {{{rdns.name}} for {rcpt.address}", X-Said = "{message.subject}", X-Asn = "AS{geoip.asn} {bayes.class}" }
[[rule]]
id = "AGAIN"
`+ruleHead+`when = 'not from.null'
add_header = { x-said = "{message.subject}" }
`, nil)
	tx := fixtureTx(mail.Conclude)
	tx.Message.Subject = "hello\r\nBcc: x@evil.example\u202e\u2028 " + strings.Repeat("あ", 600)
	mail.AddBaseFacts(tx.Facts, tx)
	delete(tx.Facts, "bayes.class")
	v := p.Judge(tx, tx.Rcpts)[0]
	if len(v.Header) != 3 || v.Action != mail.Deliver {
		t.Fatalf("%+v", v.Header)
	}
	if h := v.Header[0]; h.Name != "X-Origin" || h.Value != "JP {mx.example.co.jp} for info@example.jp" {
		t.Errorf("%+v", h)
	}
	if h := v.Header[1].Value; !strings.HasPrefix(h, "hello Bcc: x@evil.example あ") || strings.ContainsAny(h, "\r\n\u202e\u2028") || len([]rune(h)) > maxHeaderText+1 {
		t.Errorf("%q", h)
	}
	if h := v.Header[2].Value; h != "AS0 unknown" {
		t.Errorf("%q", h)
	}
}
