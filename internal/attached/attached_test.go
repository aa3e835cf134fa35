package attached

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"sekimori/internal/mail"
	"sekimori/internal/mime"
)

// crlf ends lines as mail does.
func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

func b64(s string) string {
	e := base64.StdEncoding.EncodeToString([]byte(s))
	var b strings.Builder
	for len(e) > 76 {
		b.WriteString(e[:76] + "\n")
		e = e[76:]
	}
	return b.String() + e
}

// forward is a mail of sato with parts.
func forward(parts ...string) []byte {
	var b strings.Builder
	b.WriteString("From: Sato <sato@example.jp>\nTo: spam@example.jp\nSubject: Fwd: offer\nDate: Fri, 20 Nov 2026 14:32:00 +0900\nMIME-Version: 1.0\n")
	b.WriteString("Content-Type: multipart/mixed; boundary=\"outer\"\n\n--outer\nContent-Type: text/plain\n\nplease learn\n")
	for _, p := range parts {
		b.WriteString("\n--outer\n" + p + "\n")
	}
	return []byte(crlf(b.String() + "\n--outer--\n"))
}

func spam(n int) string {
	return fmt.Sprintf("Received: from spam.test by mx.partner.test; Fri, 20 Nov 2026 05:32:00 +0000\nFrom: a@spam.test\nTo: sato@example.jp\nSubject: offer %d\nMessage-ID: <%d@spam.test>\n\nBuy now %d\n", n, n, n)
}

func zipped(name string) string {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	_, _ = w.Create(name)
	_ = w.Close()
	return b.String()
}

func ownPeople(a mail.Address) bool { return a.Domain == "example.jp" }

var options = Options{
	Mails: 3, Size: 1 << 20, Ours: ownPeople,
	Digests: func(a mail.Address) bool { return a.Local == "sekimori" && a.Domain == "example.jp" },
}

const trace = "Return-Path: <a@spam.test>\nDelivered-To: sato\nReceived: from mx2.example.jp by mail.example.jp; Fri, 20 Nov 2026 05:32:01 +0000\n" +
	"Authentication-Results: mx2.example.jp; spf=fail\nX-Sekimori-Verdict: tag\nX-Sekimori-ID: abc\nReceived: from spam.test (unknown [192.0.2.1])\n\tby mx2.example.jp with ESMTP id abc;\n\tFri, 20 Nov 2026 05:32:00 +0000\n"

func TestFind(t *testing.T) {
	digest := "From: sekimori@example.jp\nSubject: held mail\nAuto-Submitted: auto-generated\nList-Id: <held-mail.example.jp>\n\nHeld: 3\n"
	rfc822 := "Content-Type: message/rfc822\nContent-Disposition: attachment\n\n"
	eml := func(ctype, name, content string) string {
		return "Content-Type: " + ctype + "; name=\"" + name + "\"\nContent-Disposition: attachment; filename=\"" + name + "\"\nContent-Transfer-Encoding: base64\n\n" + b64(content)
	}
	inner := func(from, top string, parts ...string) string {
		text := strings.ReplaceAll(string(forward(parts...)), "\r\n", "\n")
		return top + strings.ReplaceAll(strings.Replace(text, "sato@example.jp", from, 1), "outer", "inner")
	}
	for _, c := range []struct {
		name string
		raw  []byte
		want []string // subjects
		not  string   // Unread
		own  int
		many bool
	}{
		{name: "inline forward", raw: forward()},
		{name: "thunderbird", raw: forward("Content-Type: message/rfc822; charset=UTF-8; name=\"offer.eml\"\nContent-Disposition: attachment; filename=\"offer.eml\"\nContent-Transfer-Encoding: 7bit\n\n" + spam(1)), want: []string{"offer 1"}},
		{name: "apple", raw: forward("Content-Disposition: attachment\nContent-Type: message/rfc822\n\n"+spam(1), "Content-Type: text/plain\n\nsignature"), want: []string{"offer 1"}},
		{name: "gmail, several", raw: forward("Content-Type: message/rfc822; name=\"offer 1.eml\"\nContent-Disposition: attachment\nContent-Transfer-Encoding: base64\nX-Attachment-Id: f_1\n\n"+b64(spam(1)), rfc822+spam(2)), want: []string{"offer 1", "offer 2"}},
		{name: "outlook file", raw: forward(eml("application/octet-stream", "=?utf-8?B?5bqD5ZGKLkVNTA==?=", crlf(spam(1)))), want: []string{"offer 1"}},
		{name: "digest", raw: []byte(crlf("From: sato@example.jp\nContent-Type: multipart/digest; boundary=d\n\n--d\n\n" + spam(1) + "\n--d\n\n" + spam(2) + "\n--d--\n")), want: []string{"offer 1", "offer 2"}},
		{name: "the mail alone", raw: []byte(crlf("From: sato@example.jp\nContent-Type: message/rfc822\n\n" + spam(1))), want: []string{"offer 1"}},
		{name: "nothing but a file", raw: []byte(crlf("From: sato@example.jp\nContent-Type: application/octet-stream; name=x.eml\nContent-Transfer-Encoding: base64\n\n" + b64(spam(1)))), want: []string{"offer 1"}},
		{name: "msg and tnef", raw: forward(eml("application/vnd.ms-outlook", "offer.msg", "\xd0\xcf\x11\xe0"), eml("application/ms-tnef", "winmail.dat", "x\x9f>\""), rfc822+spam(1)), want: []string{"offer 1"}, not: "outlook outlook"},
		{name: "zip", raw: forward(eml("application/zip", "mails.zip", zipped("a/offer.eml"))), not: "archive"},
		{name: "no mail", raw: forward(eml("application/octet-stream", "x.eml", "just text")), not: "no mail"},
		{name: "large", raw: forward(rfc822 + spam(1) + strings.Repeat("x\n", 1<<20)), not: "large"},
		{name: "too many", raw: forward(rfc822+spam(1), rfc822+spam(2), rfc822+spam(3), rfc822+spam(4)), want: []string{"offer 1", "offer 2", "offer 3"}, many: true},
		{name: "forward of a forward", raw: forward(rfc822 + inner("ito@example.jp", "", rfc822+spam(1), rfc822+spam(2))), want: []string{"offer 1", "offer 2"}},
		{name: "and no deeper", raw: forward(rfc822 + inner("ito@example.jp", "", rfc822+strings.ReplaceAll(inner("ito@example.jp", "", rfc822+spam(1)), "inner", "deep"))), want: []string{"Fwd: offer"}},
		{name: "a stranger's mail with a mail in it", raw: forward(rfc822 + inner("a@spam.test", "", rfc822+spam(1))), want: []string{"Fwd: offer"}},
		{name: "the same in our name", raw: forward(rfc822 + inner("ito@example.jp", trace, rfc822+spam(1))), want: []string{"Fwd: offer"}},
		{name: "our digest", raw: forward(rfc822 + digest), own: 1},
		{name: "a forged digest", raw: forward(rfc822 + trace + digest), want: []string{"held mail"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := Find(mime.Parse(c.raw), options)
			var got, not []string
			for _, b := range f.Mails {
				got = append(got, mime.Parse(b).Subject)
			}
			for _, u := range f.Unread {
				not = append(not, u.Why)
			}
			if strings.Join(got, "|") != strings.Join(c.want, "|") || strings.Join(not, " ") != c.not || f.Own != c.own || f.Many != c.many {
				t.Errorf("%q, not read %q, own %d, many %v", got, not, f.Own, f.Many)
			}
		})
	}
}

// What this gateway, here or on another host, and the servers behind it wrote on top is no part of the mail.
func TestFindOnTop(t *testing.T) {
	for _, c := range []struct{ name, top, want string }{
		{"on top", trace, crlf(spam(1))},
		{"with a field of a rule", strings.Replace(trace, "X-Sekimori-ID", "X-Added: 1\nX-Sekimori-ID", 1), crlf(spam(1))},
		{"in another order", "From: a@spam.test\n" + trace, crlf("From: a@spam.test\n" + trace + spam(1))},
		{"only the end of it", "X-Sekimori-ID: abc\nSubject: offer\n", crlf("X-Sekimori-ID: abc\nSubject: offer\n" + spam(1))},
		{"not ours", "Received: by mail.example.jp; now\n", crlf("Received: by mail.example.jp; now\n" + spam(1))},
	} {
		f := Find(mime.Parse(forward("Content-Type: message/rfc822\n\n"+c.top+spam(1))), options)
		if len(f.Mails) != 1 || strings.TrimRight(string(f.Mails[0]), "\r\n") != strings.TrimRight(c.want, "\r\n") {
			t.Errorf("%s: %q", c.name, f.Mails)
		}
	}
}

// FuzzFind: whatever is sent in, what is found is bounded, and found again.
func FuzzFind(f *testing.F) {
	f.Add(forward("Content-Type: message/rfc822\n\n" + trace + spam(1)))
	f.Add(forward("Content-Type: application/octet-stream; name=x.eml\nContent-Transfer-Encoding: base64\n\n" + b64(spam(1))))
	f.Add(forward("Content-Type: message/rfc822\n\n" + strings.ReplaceAll(string(forward("Content-Type: message/rfc822\n\n"+spam(1), "Content-Type: message/rfc822\n\n"+spam(2))), "outer", "inner")))
	f.Add([]byte("Content-Type: message/rfc822\nContent-Transfer-Encoding: quoted-printable\n\nFrom: a@b=0ASubject: x=0A=0A"))
	f.Add([]byte("Content-Type: multipart/digest; boundary=\n\n--\n\n--\n\n----\n"))
	f.Add([]byte("Content-Type: multipart/mixed; boundary=a; name=x.eml\n\n--a\nContent-Type: message/global; name=winmail.dat\n\n--a--"))
	o := options
	o.Size = 4000
	f.Fuzz(func(t *testing.T, raw []byte) {
		keep := bytes.Clone(raw)
		got := Find(mime.Parse(raw), o)
		if !bytes.Equal(raw, keep) {
			t.Fatal("the mail was changed")
		}
		total := 0
		for _, b := range got.Mails {
			if len(b) == 0 || len(b) > o.Size || cap(b) != len(b) {
				t.Fatalf("a mail of %d octets", len(b))
			}
			if m := mime.Parse(b); len(m.Parts) == 0 {
				t.Fatal("a mail without parts")
			}
			total += len(b)
		}
		// Decoding makes nothing longer, and what was passed is not looked at again.
		if len(got.Mails) > o.Mails || total > len(raw) {
			t.Fatalf("%d mails of %d octets in %d", len(got.Mails), total, len(raw))
		}
		again := Find(mime.Parse(raw), o)
		if len(again.Mails) != len(got.Mails) || len(again.Unread) != len(got.Unread) || again.Own != got.Own || again.Many != got.Many {
			t.Fatal("found otherwise the second time")
		}
	})
}
