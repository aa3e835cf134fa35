package text

import (
	"encoding/base64"
	"mime"
	"net/mail"
	"strings"
	"testing"
)

func TestField(t *testing.T) {
	for _, c := range []struct{ name, value, suffix string }{
		{"Subject", "hello", ""},
		{"Subject", "メールをお届けできませんでした / Your mail could not be delivered", ""},
		{"Subject", strings.Repeat("関守の受信ゲートウェイ", 20), ""},
		{"Subject", strings.Repeat("a long line of words ", 20) + "end", ""},
		{"Subject", "é", ""},
		{"From", `"Mail Delivery System"`, "<postmaster@mx.example.jp>"},
		{"From", "メール配送システム", "<postmaster@" + strings.Repeat("long.", 12) + "example.jp>"},
	} {
		got := Field(c.name, c.value, c.suffix)
		for line := range strings.Lines(got) {
			if len(line) > foldAt+2 && !strings.Contains(line, "<") {
				t.Errorf("%d octets: %q", len(line), line)
			}
			if !strings.HasSuffix(line, "\r\n") || !printable(strings.TrimSuffix(line, "\r\n")) || strings.TrimSpace(line) == "" {
				t.Errorf("not a line of a header: %q", line)
			}
		}
		m, err := mail.ReadMessage(strings.NewReader(got + "\r\n"))
		if err != nil {
			t.Fatal(err)
		}
		back, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get(c.name))
		if want := strings.TrimSpace(c.value + " " + c.suffix); err != nil || back != want {
			t.Errorf("%q, want %q (%v)", back, want, err)
		}
	}
}

func TestBase64(t *testing.T) {
	for n := range 200 {
		in := strings.Repeat("x", n)
		out := string(Base64([]byte(in)))
		for l := range strings.Lines(out) {
			if len(strings.TrimRight(l, "\r\n")) > 76 {
				t.Errorf("a line of %d", len(l))
			}
		}
		if back, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(out, "\r\n", "")); err != nil || string(back) != in {
			t.Errorf("%d octets: %q %v", n, back, err)
		}
	}
}
