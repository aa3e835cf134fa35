package bounce

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	stdmime "mime"
	"mime/multipart"
	"net/netip"
	"net/textproto"
	"regexp"
	"strings"
	"testing"
	"time"

	netmail "net/mail"

	"sekimori/internal/mail"
	"sekimori/internal/mime"
)

const ours = "Authentication-Results: mx.example.jp; spf=pass smtp.mailfrom=a@sender.example\r\n" +
	"X-Sekimori-Verdict: deliver\r\n" +
	"Received: from out.sender.example (unknown [192.0.2.1])\r\n\tby mx.example.jp with ESMTP id d4j0\r\n\tfor <x@example.jp>;\r\n\tFri, 20 Nov 2026 14:32:00 +0900\r\n"

const original = "Received: from pc by out.sender.example; Fri, 20 Nov 2026 14:31:00 +0900\r\n" +
	"From: A <a@sender.example>\r\nTo: x@example.jp\r\nSubject: =?utf-8?B?6KuL5rGC5pu4?=\r\nMessage-ID: <77@sender.example>\r\n"

var t0 = time.Date(2026, 11, 20, 14, 32, 0, 0, time.FixedZone("", 9*3600))

func report(header string) *Report {
	addr := mail.Address{Local: "x", Domain: "example.jp"}
	r := &Report{
		Action: Failed, Hostname: "mx.example.jp", From: "postmaster@mx.example.jp", Lang: "both",
		To: mail.Address{Local: "a", Domain: "sender.example"}, Now: t0.Add(time.Minute),
		Origin:  mail.Origin{ID: "d4j0", Helo: "out.sender.example", Client: netip.MustParseAddr("192.0.2.1")},
		Arrived: t0, Until: t0.Add(120 * time.Hour), Message: mime.Parse([]byte(ours + header + "\r\nSECRET BODY\r\n")),
		Rcpts: []Rcpt{
			{Addr: addr, Reply: mail.Permanent(550, 1, 1, "unknown user "+strings.Repeat("who is nobody ", 20)), By: "smtp://mail1.example.jp:25", At: t0.Add(30 * time.Second)},
			{Addr: mail.Address{Local: "y", Domain: "example.jp"}, Reply: mail.Permanent(554, 4, 7, "delivery time expired; last: 450 4.2.0 later"), Own: true},
		},
	}
	r.ID = ID("d4j0", r.Action, []mail.Address{addr})
	return r
}

// parsed is a report taken apart and checked.
type parsed struct {
	head                     netmail.Header
	people, status, returned string
	statusType, returnedType string
	perMessage               textproto.MIMEHeader
	perRcpt                  []textproto.MIMEHeader
	encodings                []string
}

// Grammars of RFC 3464; the values are one line after unfolding.
var grammar = map[string]*regexp.Regexp{
	"Reporting-Mta":     regexp.MustCompile(`^dns; [A-Za-z0-9.-]+$`),
	"Received-From-Mta": regexp.MustCompile(`^dns; \S+$`),
	"Arrival-Date":      regexp.MustCompile(`^[A-Z][a-z]{2}, \d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d [+-]\d{4}$`),
	"Final-Recipient":   regexp.MustCompile(`^(rfc822; [\x21-\x7e]+@[A-Za-z0-9.-]+|utf-8; \S+@[A-Za-z0-9.-]+)$`),
	"Action":            regexp.MustCompile(`^(failed|delayed)$`),
	"Status":            regexp.MustCompile(`^[245]\.\d{1,3}\.\d{1,3}$`),
	"Remote-Mta":        regexp.MustCompile(`^dns; (\[[0-9A-Fa-f.:IPv]+\]|[A-Za-z0-9.-]+)$`),
	"Diagnostic-Code":   regexp.MustCompile(`^(smtp|x-sekimori); [45]\d\d [45]\.\d{1,3}\.\d{1,3} [\x20-\x7e]+$`),
	"Last-Attempt-Date": regexp.MustCompile(`^[A-Z][a-z]{2}, \d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d [+-]\d{4}$`),
	"Will-Retry-Until":  regexp.MustCompile(`^[A-Z][a-z]{2}, \d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d [+-]\d{4}$`),
	"X-Sekimori-Id":     regexp.MustCompile(`^\S+$`),
}

func check(t *testing.T, raw []byte, wantUTF8 bool) parsed {
	t.Helper()
	p := parsed{}
	for line := range bytes.Lines(raw) {
		if !bytes.HasSuffix(line, []byte("\r\n")) || len(line) > 1000 || bytes.ContainsAny(line[:len(line)-2], "\r\n\x00") {
			t.Errorf("not a line of a mail: %q", line)
		}
		if !isASCII(line) && !bytes.HasPrefix(line, []byte("To: ")) {
			t.Errorf("not in 7 bits: %q", line)
		}
	}
	m, err := netmail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	p.head = m.Header
	kind, params, err := stdmime.ParseMediaType(m.Header.Get("Content-Type"))
	want := "delivery-status"
	if wantUTF8 {
		want = "global-delivery-status"
	}
	if err != nil || kind != "multipart/report" || params["report-type"] != want {
		t.Errorf("%s %v %v", kind, params, err)
	}
	mr := multipart.NewReader(m.Body, params["boundary"])
	var types, bodies []string
	for {
		part, err := mr.NextRawPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(part)
		enc := part.Header.Get("Content-Transfer-Encoding")
		if enc == "base64" {
			if body, err = base64.StdEncoding.DecodeString(strings.NewReplacer("\r\n", "").Replace(string(body))); err != nil {
				t.Fatal(err)
			}
		}
		types, bodies, p.encodings = append(types, part.Header.Get("Content-Type")), append(bodies, string(body)), append(p.encodings, enc)
	}
	if len(bodies) != 3 {
		t.Fatalf("%d parts: %v", len(bodies), types)
	}
	p.people, p.status, p.returned, p.statusType, p.returnedType = bodies[0], bodies[1], bodies[2], types[1], types[2]
	p.groups(t)
	return p
}

// groups reads the fields of the status part: one group for the message, one for each recipient (RFC 3464 section 2.1).
func (p *parsed) groups(t *testing.T) {
	t.Helper()
	r := textproto.NewReader(bufio.NewReader(strings.NewReader(p.status)))
	var groups []textproto.MIMEHeader
	for {
		h, err := r.ReadMIMEHeader()
		if len(h) > 0 {
			groups = append(groups, h)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err, p.status)
		}
	}
	for i, g := range groups {
		required := []string{"Final-Recipient", "Action", "Status"}
		if i == 0 {
			required = []string{"Reporting-Mta"}
		}
		for _, name := range required {
			if len(g[name]) != 1 {
				t.Errorf("group %d has %d %s", i, len(g[name]), name)
			}
		}
		for name, values := range g {
			re := grammar[name]
			if re == nil || len(values) != 1 || !re.MatchString(values[0]) {
				t.Errorf("group %d: %s: %q", i, name, values)
			}
		}
		if i > 0 && g.Get("Action") == "failed" && g.Get("Status")[0] != '5' || i > 0 && g.Get("Action") == "delayed" && g.Get("Status")[0] != '4' {
			t.Errorf("%s with %s", g.Get("Action"), g.Get("Status"))
		}
	}
	if len(groups) < 2 {
		t.Fatalf("%d groups in %q", len(groups), p.status)
	}
	p.perMessage, p.perRcpt = groups[0], groups[1:]
}

func TestReport(t *testing.T) {
	r := report(original)
	raw := r.Bytes()
	p := check(t, raw, false)
	for name, want := range map[string]string{
		"Auto-Submitted": "auto-replied", "In-Reply-To": "<77@sender.example>", "References": "<77@sender.example>",
		"To": "<a@sender.example>", "Message-ID": "<" + r.ID + "@mx.example.jp>", "Date": "Fri, 20 Nov 2026 14:33:00 +0900",
	} {
		if got := p.head.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	from, err := netmail.ParseAddress(p.head.Get("From"))
	if err != nil || from.Address != "postmaster@mx.example.jp" || from.Name != "メール配送システム / Mail Delivery System" {
		t.Error(from, err)
	}
	if s, err := new(stdmime.WordDecoder).DecodeHeader(p.head.Get("Subject")); err != nil || s != "メールをお届けできませんでした / Your mail could not be delivered" {
		t.Error(s, err)
	}
	if p.returned != original || p.returnedType != "text/rfc822-headers" {
		t.Errorf("%s: %q", p.returnedType, p.returned)
	}
	if bytes.Contains(raw, []byte("SECRET")) || strings.Contains(p.people, "SECRET") {
		t.Error("the body was returned")
	}
	if p.perMessage.Get("Arrival-Date") != "Fri, 20 Nov 2026 14:32:00 +0900" || p.perMessage.Get("Reporting-MTA") != "dns; mx.example.jp" {
		t.Error(p.perMessage)
	}
	first, second := p.perRcpt[0], p.perRcpt[1]
	if first.Get("Final-Recipient") != "rfc822; x@example.jp" || first.Get("Status") != "5.1.1" || first.Get("Remote-MTA") != "dns; mail1.example.jp" ||
		!strings.HasPrefix(first.Get("Diagnostic-Code"), "smtp; 550 5.1.1 unknown user who") || first.Get("Last-Attempt-Date") == "" {
		t.Error(first)
	}
	if second.Get("Status") != "5.4.7" || second.Get("Remote-MTA") != "" || !strings.HasPrefix(second.Get("Diagnostic-Code"), "x-sekimori; ") {
		t.Error(second)
	}
	for _, want := range []string{
		"mx.example.jp のメール配送システムです。", "件名：「請求書」", "この宛先のアドレスは見つかりませんでした。", "There is no such address.",
		"番号 d4j0 をお知らせください", "2026年11月20日（金）14時32分", "y@example.jp", "Delivery was tried until the time was up",
	} {
		if !strings.Contains(p.people, want) {
			t.Errorf("no %q in\n%s", want, p.people)
		}
	}
}

func TestReportInEnglish(t *testing.T) {
	r := report(strings.Replace(original, "=?utf-8?B?6KuL5rGC5pu4?=", "invoice", 1))
	r.Lang, r.Action = "en", Delayed
	for i := range r.Rcpts {
		r.Rcpts[i].Reply = mail.Transient(450, 2, 0, "later")
		r.Rcpts[i].Own = false
	}
	p := check(t, r.Bytes(), false)
	if p.encodings[0] != "7bit" || strings.Contains(p.people, "メール") || !strings.Contains(p.people, "by Wednesday, 25 November 2026, 14:32 (UTC+09:00)") {
		t.Errorf("%s: %s", p.encodings[0], p.people)
	}
	if p.perRcpt[0].Get("Action") != "delayed" || p.perRcpt[0].Get("Will-Retry-Until") != "Wed, 25 Nov 2026 14:32:00 +0900" {
		t.Error(p.perRcpt)
	}
}

func TestReportInternational(t *testing.T) {
	r := report(strings.Replace(original, "From: A", "From: 佐藤", 1))
	r.UTF8, r.To.Local, r.Rcpts[0].Addr.Local = true, "佐藤", "田中"
	p := check(t, r.Bytes(), true)
	if p.statusType != "message/global-delivery-status" || p.returnedType != "message/global-headers" {
		t.Error(p.statusType, p.returnedType)
	}
	if p.perRcpt[0].Get("Final-Recipient") != "utf-8; 田中@example.jp" || !strings.Contains(p.returned, "From: 佐藤") || !r.NeedsUTF8() {
		t.Error(p.perRcpt[0], p.returned)
	}
}

// TestReportHostile: what stands in the original header does no harm to the report's.
func TestReportHostile(t *testing.T) {
	for _, head := range []string{
		"", "Subject: \x1b$B8+\x1b(B\x00\xff\r\n", "Message-ID: <a@b>\r\n\tBcc: x@y\r\n", "Message-ID: <a b\x80>\r\n", "Subject: " + strings.Repeat("x", 5000) + "\r\n",
		strings.Repeat("X-A: "+strings.Repeat("y", 900)+"\r\n", 200), "no header at all", "Received: by mx.example.jp ;x\r\nSubject: \xe3\x81\r\n",
	} {
		r := report(head)
		r.Message = mime.Parse([]byte(head + "\r\nSECRET BODY\r\n"))
		r.Rcpts[0].By = "smtp://[2001:db8::1]:25"
		p := check(t, r.Bytes(), false)
		if strings.Contains(p.returned, "SECRET BODY") && head != "no header at all" || len(p.returned) > maxHeader {
			t.Errorf("%.40q: %d octets returned: %.200q", head, len(p.returned), p.returned)
		}
		if p.head.Get("Bcc") != "" {
			t.Error("a field was put in")
		}
	}
}

func TestRefusal(t *testing.T) {
	from := mail.Address{Local: "a", Domain: "sender.example"}
	good := mail.Origin{ID: "d4j0", SPF: "pass", SPFOf: "sender.example"}
	with := func(f func(*mail.Origin)) mail.Origin { o := good; f(&o); return o }
	for _, c := range []struct {
		name   string
		from   mail.Address
		o      mail.Origin
		header string
		want   string // a part of the reason; "" for a report
	}{
		{"spf pass", from, good, original, ""},
		{"auto-submitted no", from, good, "Auto-Submitted: no (really)\r\n", ""},
		{"dmarc pass", from, mail.Origin{ID: "d", SPF: "fail", DMARC: "pass", DMARCOf: "sender.example"}, original, ""},
		{"spf fail", from, with(func(o *mail.Origin) { o.SPF = "fail" }), original, "spf=fail dmarc=none"},
		{"spf and dmarc fail", from, with(func(o *mail.Origin) { o.SPF, o.DMARC, o.DMARCOf = "fail", "fail", "sender.example" }), original, "dmarc=fail"},
		{"spf error", from, with(func(o *mail.Origin) { o.SPF = "temperror" }), original, "not confirmed"},
		{"nothing looked at", from, mail.Origin{ID: "d"}, original, "spf=none dmarc=none"},
		{"nothing known", from, mail.Origin{}, original, "not known how"},
		{"null sender", mail.Address{}, good, original, "the sender is empty"},
		{"daemon", mail.Address{Local: "MAILER-DAEMON", Domain: "sender.example"}, good, original, "mailer-daemon"},
		{"auto-submitted", from, good, "Auto-Submitted: auto-generated; x=y\r\n", "Auto-Submitted"},
		{"precedence", from, good, "Precedence: Bulk\r\n", "Precedence: bulk"},
		{"list", from, good, "List-Id: <l.sender.example>\r\n", "List-Id"},
		{"suppressed", from, good, "X-Auto-Response-Suppress: OOF, NDR\r\n", "wants no reports"},
		{"report", from, good, "Content-Type: multipart/report; report-type=delivery-status\r\n", "itself a report"},
		{"ours", from, with(func(o *mail.Origin) { o.Kind = mail.KindReport }), original, "of the kind report"},
		{"redirected", from, with(func(o *mail.Origin) { o.Kind = mail.KindRedirect }), original, "of the kind redirect"},
		{"released", from, with(func(o *mail.Origin) { o.Kind = mail.KindRelease }), original, "of the kind release"},
	} {
		got := Refusal(c.from, c.o, mime.Parse([]byte(c.header+"\r\nbody\r\n")))
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestID(t *testing.T) {
	a, b := mail.Address{Local: "a", Domain: "x"}, mail.Address{Local: "b", Domain: "x"}
	first, again := ID("m", Failed, []mail.Address{a}), ID("m", Failed, []mail.Address{a})
	if first != again || ID("m", Failed, []mail.Address{a}) == ID("m", Failed, []mail.Address{b}) ||
		ID("m", Failed, []mail.Address{a}) == ID("m", Delayed, []mail.Address{a}) {
		t.Error("names")
	}
	if got := fmt.Sprintf("%s|%s|%s|%s", RemoteHost("smtp://[2001:db8::1]:25"), RemoteHost("lmtp+unix:///run/x"), RemoteHost("maildir:/x"), RemoteHost("smtp://m.example.jp:25")); got != "2001:db8::1|||m.example.jp" {
		t.Error(got)
	}
}

func FuzzReport(f *testing.F) {
	f.Add(original, "unknown user")
	f.Add("Message-ID: <a\r\n b>\r\nSubject: \xff\r\n", "\x00")
	f.Fuzz(func(t *testing.T, header, words string) {
		r := report(header)
		r.Rcpts[0].Reply = mail.Permanent(550, 1, 1, "x "+strings.Map(func(c rune) rune {
			if c < ' ' || c > '~' { // as the relay makes what a backend says printable
				return '?'
			}
			return c
		}, words[:min(len(words), 400)]))
		check(t, r.Bytes(), false)
	})
}
