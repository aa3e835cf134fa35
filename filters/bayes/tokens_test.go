package bayes_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"sekimori/filters/bayes"
	"sekimori/internal/mime"
)

func tokens(lines ...string) []string {
	return bayes.Tokenizer{Hostname: "mx.ours.example"}.Tokens(mime.Parse([]byte(strings.Join(lines, "\r\n"))))
}

func TestTokens(t *testing.T) {
	got := tokens(
		"Received: from mail.behind.example by backend.ours.example; Fri, 20 Nov 2026 14:33:00 +0900",
		"X-Backend: ours",
		"Received: from client.sender.test (client.sender.test [203.0.113.9])",
		"\tby mx.ours.example with ESMTPS id abc; Fri, 20 Nov 2026 14:32:30 +0900",
		"Authentication-Results: mx.ours.example; spf=pass",
		"X-Sekimori-Score: 3",
		"X-Spam-Status: Yes",
		"Received: from pool-1-2-3-4.dyn.isp.test (pool-1-2-3-4.dyn.isp.test [192.0.2.77])",
		"\tby client.sender.test; Fri, 20 Nov 2026 14:32:00 +0900",
		"From: =?utf-8?B?5qWt5YuZ?= Dept <News12@Mail.Sender.co.jp>",
		"Reply-To: other@elsewhere.test",
		"To: secretname@ours.example",
		"Subject: FREE 副業案内 2026!",
		"Date: Fri, 20 Nov 2026 14:32:00 +0900 (JST)",
		"Message-ID: <ABC123.xyz@mail.sender.co.jp>",
		"X-Mailer: Mega Mailer 3.0",
		"MIME-Version: 1.0",
		"Content-Type: multipart/mixed; boundary=\"----=_Part_12\"",
		"",
		"------=_Part_12",
		"Content-Type: text/html; charset=utf-8",
		"",
		`<p>Ｐills for don't-miss FREE a 東京都, 語 <a href="http://www.evil.test:8080/click/now?id=7">www.bank.example</a><img src="x"></p>`,
		"------=_Part_12",
		"Content-Type: application/zip; name=Invoice.PDF.ZIP",
		"",
		"PK",
		"------=_Part_12--",
	)
	want := []string{
		"pills", "Pills", "free", "FREE", "don't-miss", "東京", "京都", "語",
		"s:free", "s:FREE", "s:副業", "s:業案", "s:案内", "s:2026!", "sc:end!",
		"fa:news12@mail.sender.co.jp", "fd:mail.sender.co.jp", "fo:sender.co.jp", "ft:jp", "fs:Aa9", "fn:業務", "fn:dept",
		"r=other", "ro:elsewhere.test", "td:ours.example",
		"rh:isp.test", "rn:dynamic", "ip:192.0.0.0/8", "ip:192.0.2.0/24", "hops:b",
		"h:x-mailer", "m:mega mailer 3.0", "m:mega", "is:A9.a", "tz:+0900", "tzs:JST", "i=from", "u=other",
		"tree:0mixed 1html 1zip ", "t:application/zip", "cs:utf-8", "x:zip",
		"ud:www.evil.test", "uo:evil.test", "ut:test", "u:port", "up:click", "a:other", "g:img.src",
	}
	for _, w := range want {
		if !slices.Contains(got, w) {
			t.Errorf("%q is not there", w)
		}
	}
	for _, g := range got {
		for _, never := range []string{"secretname", "backend", "x-sekimori", "spf", "x-spam", "203.0.113"} {
			if strings.Contains(g, never) {
				t.Errorf("%q must not be there", g)
			}
		}
		if g == "a" || g == "都" {
			t.Errorf("%q is too short", g)
		}
	}
	checkTokens(t, got)
}

func checkTokens(t *testing.T, got []string) {
	t.Helper()
	seen := map[string]bool{}
	for _, g := range got {
		if seen[g] || g == "" || len(g) > bayes.MaxToken || !utf8.ValidString(g) {
			t.Errorf("token %q", g)
		}
		seen[g] = true
	}
	if len(got) > bayes.MaxTokens {
		t.Errorf("%d tokens", len(got))
	}
}

func TestTokensBounded(t *testing.T) {
	var words, links strings.Builder
	for i := range 40000 {
		fmt.Fprintf(&words, "word%d 漢%c ", i, rune(0x4e00+i%20000))
	}
	for i := range 1000 {
		fmt.Fprintf(&links, "http://h%d.test/p%d/%d ", i, i, i)
	}
	long := strings.Repeat("あ", 200)
	for _, m := range []string{
		"Subject: x\r\n\r\n" + words.String(),
		"Subject: x\r\n\r\n" + links.String() + words.String(),
		strings.Repeat("X-A"+strings.Repeat("b", 100)+": c\r\n", 3000) + "\r\n",
		"X-Mailer: " + long + "\r\nMessage-ID: <" + long + "@" + long + ">\r\nFrom: " + long + "@" + long + ".test\r\n\r\nhttp://" + strings.Repeat("a.", 3000) + "test/",
		"X-Mailer: \xff\xfe\r\nReceived: from \xff (\xff [\xff]) by \xff\r\nDate: \xff\r\nSubject: \xff\r\n\r\n\xff",
		"",
	} {
		got := tokens(m)
		checkTokens(t, got)
		if strings.HasPrefix(m, "Subject: x") && !slices.Contains(got, "word0") {
			t.Error("links crowd out the text")
		}
	}
}

func TestFingerprint(t *testing.T) {
	of := func(s string) string { return bayes.Fingerprint(mime.Parse([]byte(s))) }
	m := "From: a@b.test\r\nDate: Fri, 20 Nov 2026 14:32:00 +0900\r\nMessage-ID: <1@b.test>\r\n\r\nbody\r\nline\r\n"
	for name, same := range map[string]string{
		"trace on top":  "Received: from x by y; now\r\nX-Sekimori-Score: 1\r\n" + m,
		"LF line ends":  strings.ReplaceAll(m, "\r\n", "\n"),
		"no final line": strings.TrimSuffix(m, "\r\n"),
	} {
		if of(same) != of(m) {
			t.Errorf("%s: another fingerprint", name)
		}
	}
	for _, other := range []string{strings.Replace(m, "body", "bodies", 1), strings.Replace(m, "<1@", "<2@", 1)} {
		if of(other) == of(m) {
			t.Errorf("the same fingerprint for %q", other)
		}
	}
}

func BenchmarkTokens(b *testing.B) {
	m := mime.Parse([]byte("From: A <a@ex.test>\r\nSubject: Hello World\r\nDate: Fri, 20 Nov 2026 14:32:00 +0900\r\n\r\n" +
		strings.Repeat("Plain text of a Message with some words, http://x.test/path/a and so on.\r\n日本語の本文もあります。\r\n", 40)))
	b.ReportAllocs()
	for b.Loop() {
		bayes.Tokenizer{}.Tokens(m)
	}
}

// FuzzTokens reads hostile mail: the bounds hold.
func FuzzTokens(f *testing.F) {
	f.Add("Subject: v\u200biаgrа\r\nContent-Type: text/html\r\n\r\n<p style=display:none>x</p>ᴀb𝐜 \u202ed\u0301\u0302\u0303\U000E0041")
	f.Add("Content-Type: multipart/alternative; boundary=x\r\n\r\n--x\r\n\r\na\r\n--x\r\nContent-Type: text/html\r\n\r\n東 京\r\n都--x--")
	f.Add("Content-Type: \xd0BoundArY=") // longer in lower case
	f.Add("Content-Type: text/html\r\n\r\n" + strings.Repeat("\xd0", 20) + "charset=")
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) < 1<<16 {
			checkTokens(t, bayes.Tokenizer{}.Tokens(mime.Parse([]byte(s))))
		}
	})
}
