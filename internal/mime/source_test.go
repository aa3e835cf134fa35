package mime

import (
	"encoding/base64"
	"strings"
	"testing"
)

func TestSourceKeepsTheMarkup(t *testing.T) {
	sjis := "<p>\x93\xfa\x96{</p>"
	raw := "From: a@b.test\r\nMIME-Version: 1.0\r\nContent-Type: text/html; charset=Shift_JIS\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
		base64.StdEncoding.EncodeToString([]byte(sjis)) + "\r\n"
	m := Parse([]byte(raw))
	got, cut := Source(m, &m.Parts[0])
	if got != "<p>日本</p>" || cut {
		t.Errorf("%q, cut %v", got, cut)
	}
	if n := Size(m, &m.Parts[0]); n != int64(len(sjis)) {
		t.Errorf("%d octets, want %d", n, len(sjis))
	}
	long := "Content-Type: text/html\r\n\r\n" + strings.Repeat("あ", maxHTML)
	m = Parse([]byte(long))
	if got, cut := Source(m, &m.Parts[0]); !cut || len(got) > maxHTML || strings.Contains(got, "\uFFFD") {
		t.Errorf("%d octets, cut %v", len(got), cut)
	}
}

func TestSize(t *testing.T) {
	for encoding, body := range map[string]string{
		"7bit":             "hello",
		"quoted-printable": "h=65ll=\r\no",
		"base64":           "aGVs\r\nbG8=",
	} {
		m := Parse([]byte("Content-Transfer-Encoding: " + encoding + "\r\nContent-Type: application/x\r\n\r\n" + body))
		if n := Size(m, &m.Parts[0]); n != 5 {
			t.Errorf("%s: %d octets", encoding, n)
		}
	}
	m := Parse([]byte("Content-Type: text/plain\r\n\r\nbegin 644 a.txt\r\n%:&5L;&\\\r\n`\r\nend\r\n"))
	if len(m.Parts) != 2 || Size(m, &m.Parts[1]) != 5 {
		t.Errorf("uuencode: %+v", m.Parts)
	}
}
