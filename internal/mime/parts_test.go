package mime

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestFileNames(t *testing.T) {
	tests := []struct{ disposition, ctype, want string }{
		{"attachment; filename*=UTF-8''%E8%AB%8B.exe", "", "請.exe"},
		{"attachment; filename*=Shift_JIS'ja'%90%BF.exe", "", "請.exe"},
		{"attachment; filename*=ISO-2022-JP''%1B%24BEa%1B%28B.exe", "", "刀.exe"},
		{"attachment; filename*0*=UTF-8''%E8%AB;\r\n filename*1*=%8B;\r\n filename*2=.exe", "", "請.exe"},
		{"attachment; filename*1*=%8B; filename*2=.exe; filename*0*=UTF-8''%E8%AB", "", "請.exe"},
		{`attachment; filename="=?utf-8?B?6KuL?=.exe"`, "", "請.exe"},
		{"attachment; filename==?utf-8?B?6KuL?=", "", "請"},
		{"attachment; filename=\"=?utf-8?B?6KuL?=\r\n =?utf-8?B?6KuL?=\"", "", "請請"},
		{"attachment; filename=my evil file.exe", "", "my evil file.exe"},
		{`attachment; filename="..\\..\\evil.exe"`, "", `..\..\evil.exe`},
		{`attachment; filename="C:\evil.exe"`, "", `C:\evil.exe`},
		{"attachment; filename=\"\x90\xbf\x8b\x81\x8f\x91.exe\"", "", "請求書.exe"},
		{"inline", "x/y; name=a.exe", "a.exe"},
		{"attachment; filename=a.txt; filename*=UTF-8''b.exe", "", "b.exe,a.txt"},
		{"attachment; filename=a.txt", "x/y; name=b.exe", "a.txt,b.exe"},
		{"ATTACHMENT; FILENAME=\"a.txt\"", "", "a.txt"},
	}
	for _, tt := range tests {
		ctype := tt.ctype
		if ctype == "" {
			ctype = "application/octet-stream"
		}
		m := Parse([]byte(top + "Content-Type: " + ctype + "\r\nContent-Disposition: " + tt.disposition + "\r\n\r\nMZ\r\n"))
		if got := strings.Join(names(m), ","); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.disposition, got, tt.want)
		}
		if attached := strings.HasPrefix(strings.ToLower(tt.disposition), "attachment"); m.Parts[0].Attached != attached {
			t.Errorf("%s: attached %v", tt.disposition, m.Parts[0].Attached)
		}
	}
}

func TestHTML(t *testing.T) {
	m := Parse([]byte(top + "Content-Type: text/html; charset=utf-8\r\n\r\n" +
		`<html><head><title>T</title><style>.x{}</style><script>var a;</script></head><body background="http://b.test/i">` +
		`<p>via<b>g</b>ra<!-- x --> &amp; <i>so</i> on<br>line</p><table><tr><td>a<td>b</table>` +
		`<a HREF="http://evil.test/&#x61;">http://bank.test/</a> <img src=" http://img.test/1.gif " alt="pic">` +
		`see http://plain.test/x。<form action="https://form.test/"><a href=mailto:x@y.test>mail</form></body>`))
	p := m.Parts[0]
	if want := "viagra & so on\nline\na b\nhttp://bank.test/ pic see http://plain.test/x。\nmail"; p.Text != want || p.Hidden != "T" {
		t.Errorf("text %q, want %q; hidden %q", p.Text, want, p.Hidden)
	}
	want := "[{http://b.test/i } {http://evil.test/a http://bank.test/} {http://img.test/1.gif } {http://plain.test/x } {https://form.test/ } {mailto:x@y.test mail}]"
	if got := fmt.Sprint(p.Links); got != want {
		t.Errorf("links %s, want %s", got, want)
	}
	if !p.HTML || !slices.Contains(p.Tags, "img.src") || !slices.Contains(p.Tags, "script") {
		t.Errorf("tags %q", p.Tags)
	}
}

func TestMetaCharset(t *testing.T) {
	m := Parse([]byte(top + "Content-Type: text/html\r\n\r\n<meta http-equiv=x content=\"text/html; charset=euc-jp\"><p>\xc6\xfc\xcb\xdc</p>"))
	if got := m.Parts[0].Text; got != "日本" {
		t.Errorf("%q", got)
	}
}

func TestPlainLinks(t *testing.T) {
	m := Parse([]byte(top + "\r\n詳細はhttps://a.test/x?y=1をご覧ください。(www.b.test), HTTP://c.test. x://no ://no http:// awww.no.test ftp://d.test\r\n"))
	want := "[{https://a.test/x?y=1 } {http://www.b.test } {HTTP://c.test } {ftp://d.test }]"
	if got := fmt.Sprint(m.Parts[0].Links); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestTransfer(t *testing.T) {
	tests := []struct{ encoding, in, want string }{
		{"BASE64 ", "aGVsbG8=\r\nd29ybGQ=", "helloworld"},
		{"base64", "aGVsbG8gd29ybGQ", "hello world"},
		{"base64", "aGVs!bG8g*d29ybGQ=", "hello world"},
		{"quoted-printable", "ab=ZZcd =  \r\nef=3d=\r\n=E3=81=82=", "ab=ZZcd ef=あ"},
		{"quoted-printable;", "a=\nb", "ab"},
		{"7bit", "a=3D\r\nb\rc", "a=3D\nb\rc"},
	}
	for _, tt := range tests {
		m := Parse([]byte(top + "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: " + tt.encoding + "\r\n\r\n" + tt.in))
		if got := m.Parts[0].Text; got != tt.want {
			t.Errorf("%s %q: %q, want %q", tt.encoding, tt.in, got, tt.want)
		}
	}
}

func TestTextIsCutAtACharacter(t *testing.T) {
	m := Parse([]byte(top + "Content-Type: text/plain; charset=utf-8\r\n\r\n" + strings.Repeat("あい", maxPartText)))
	if p := m.Parts[0]; strings.ContainsRune(p.Text, '\uFFFD') || len(p.Text) < maxPartText-3 || !slices.Contains(m.Anomalies, "text_cut") {
		t.Errorf("%d octets, %q", len(p.Text), m.Anomalies)
	}
}

// usual is a mail as most are: ten hops of header, text and HTML.
func usual() []byte {
	html := strings.Repeat("<p>html text of the =3D <a href=3D\"http://x.test/a\">line</a> =E3=81=82</p>\r\n", 20)
	return []byte("Received: from mx.ex.test (mx.ex.test [192.0.2.1])\r\n\tby mx.sekimori.example with ESMTPS id 1;\r\n\tFri, 20 Nov 2026 14:32:00 +0900\r\n" +
		"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=ex.test; s=s1;\r\n\th=from:to:subject:date; bh=" + strings.Repeat("a", 44) + ";\r\n\tb=" + strings.Repeat("b", 340) + "\r\n" +
		"Message-ID: <1@ex.test>\r\nFrom: =?utf-8?B?5pel5pys?= <a@ex.test>\r\nTo: b@ex.test\r\nSubject: =?ISO-2022-JP?B?GyRCRnxLXBsoQg==?=\r\nDate: Fri, 20 Nov 2026 14:32:00 +0900\r\n" +
		"MIME-Version: 1.0\r\nX-Mailer: x 1.0\r\nContent-Type: multipart/alternative; boundary=\"=_b\"\r\n\r\n--=_b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" +
		strings.Repeat("plain text of the message, one line of it あ\r\n", 40) + "--=_b\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" + html + "--=_b--\r\n")
}

func BenchmarkParse(b *testing.B) {
	raw := usual()
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		Parse(raw)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(usual())
	f.Add([]byte(mixed + exe))
	f.Add([]byte(top + "Content-Type: message/rfc822\r\n\r\n" + mixed + exe))
	f.Add([]byte(top + "Content-Disposition: attachment; filename*0*=UTF-8''%E8%AB; filename*1*=%8B\r\n\r\nbegin 644 a\r\nend\r\n"))
	f.Add([]byte("Subject: =?ISO-2022-JP?B?GyRCRnw=?= =?iso-2022-jp?q?K=5C?=\r\nFrom: g:\"a\" (c) <x@y>, \x1b$B;\r\n\r\n\x1b$(D!!\x8f\xf4\xd4"))
	f.Add([]byte(top + "Content-Type: text/html; charset=utf-7\r\n\r\n+ADw-a href=x+AD4-"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m := Parse(raw)
		checkInvariants(t, "fuzz", m)
		_ = m.Text()
	})
}
