package bayes_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"mime/quotedprintable"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"golang.org/x/text/encoding"
	"golang.org/x/text/unicode/norm"
	"golang.org/x/text/width"
)

const (
	variantSubject = "【重要】ご請求金額のご案内 Invoice No.4711 のデータ"
	variantBody    = "平素よりお世話になっております。関守サービスの長谷川です。\n" +
		"ご請求金額は￥12,800（税込）です。お支払いはカードでお願いします。\n" +
		"New Order confirmation for Mail Gateway PRO, call 03-1234-5678 before 10:30 and don't wait.\n" +
		"データベースのバックアップをダウンロードして下さい。\n\n" +
		"株式会社ガーデン　担当：パク\n"
)

// formPrefixes are tokens that speak of the form of a mail, not of its text: they may differ between encodings.
var formPrefixes = []string{"cs:", "ce:", "t:", "tree:", "n:", "g:", "an:", "b:", "h:", "v:"}

func textTokens(t *testing.T, raw []byte) []string {
	t.Helper()
	got := tokens(string(raw))
	checkTokens(t, got)
	got = slices.DeleteFunc(got, func(s string) bool {
		return slices.ContainsFunc(formPrefixes, func(p string) bool { return strings.HasPrefix(s, p) })
	})
	slices.Sort(got)
	return got
}

// variant is a mail with the same text in another encoding.
type variant struct {
	name    string
	subject string // raw; variantSubject in UTF-8 by default
	fields  []string
	body    []byte
}

func (v variant) raw() []byte {
	var b bytes.Buffer
	subject := v.subject
	if subject == "" {
		subject = variantSubject
	}
	b.WriteString("From: =?utf-8?B?6Zai5a6I?= <info@sender.example>\r\nSubject: " + subject + "\r\n")
	for _, f := range v.fields {
		b.WriteString(f + "\r\n")
	}
	b.WriteString("\r\n")
	b.Write(v.body)
	return b.Bytes()
}

func encodeWith(t *testing.T, e encoding.Encoding, s string) []byte {
	t.Helper()
	b, err := e.NewEncoder().Bytes([]byte(s))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

func wide(big bool, s string) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		if big {
			b = append(b, byte(u>>8), byte(u))
		} else {
			b = append(b, byte(u), byte(u>>8))
		}
	}
	return b
}

func utf7(s string) []byte {
	var b []byte
	for _, r := range s {
		switch {
		case r == '+':
			b = append(b, "+-"...)
		case r < 0x80:
			b = append(b, byte(r))
		default:
			b = append(b, '+')
			b = append(b, base64.RawStdEncoding.EncodeToString(wide(true, string(r)))...)
			b = append(b, '-')
		}
	}
	return b
}

// inLines is base64 in lines of n characters.
func inLines(b []byte, n int) []byte {
	s := base64.StdEncoding.EncodeToString(b)
	var out []byte
	for len(s) > n {
		out = append(append(out, s[:n]...), "\r\n"...)
		s = s[n:]
	}
	return append(append(out, s...), "\r\n"...)
}

func qp(t *testing.T, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := quotedprintable.NewWriter(&out)
	w.Binary = true
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func words2047(label string, b []byte, n int) string {
	var words []string
	for len(b) > 0 {
		k := min(n, len(b))
		words = append(words, "=?"+label+"?B?"+base64.StdEncoding.EncodeToString(b[:k])+"?=")
		b = b[k:]
	}
	return strings.Join(words, "\r\n ")
}

func word2047Q(label string, b []byte) string {
	var out strings.Builder
	out.WriteString("=?" + label + "?Q?")
	for _, c := range b {
		fmt.Fprintf(&out, "=%02X", c)
	}
	out.WriteString("?=")
	return out.String()
}

// wrapped breaks lines of Japanese after n characters, as mailers that fill lines do.
func wrapped(s string, n int, lineEnd string) string {
	var b strings.Builder
	for _, line := range strings.Split(strings.TrimSuffix(s, "\n"), "\n") {
		count := 0
		for _, r := range line {
			if count >= n && r > 0x2E80 {
				b.WriteString(lineEnd)
				count = 0
			}
			b.WriteRune(r)
			count++
		}
		b.WriteString("\r\n")
	}
	return b.String()
}

func textType(charset, encoding string) []string {
	f := []string{"MIME-Version: 1.0", "Content-Type: text/plain; charset=" + charset}
	if encoding != "" {
		f = append(f, "Content-Transfer-Encoding: "+encoding)
	}
	return f
}

func html(body string) string {
	paragraphs := strings.Split(strings.TrimSpace(body), "\n")
	return "<html><body><p>" + strings.Join(paragraphs, "</p>\r\n<p>") + "</p></body></html>\r\n"
}

// references writes all that is not ASCII as numeric character references.
func references(format, s string) string {
	var b strings.Builder
	for _, r := range s {
		if r < 0x80 {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, format, r)
		}
	}
	return b.String()
}

// halfKana is s with katakana of half width, as old systems write it.
func halfKana(s string) string {
	var b strings.Builder
	for _, r := range norm.NFD.String(s) {
		switch {
		case r >= 0x30A1 && r <= 0x30FC && r != 0x30FB || r == 0x3099 || r == 0x309A:
			if n := width.Narrow.String(string(r)); n != string(r) {
				b.WriteString(n)
				continue
			}
			b.WriteString(map[rune]string{0x3099: "ﾞ", 0x309A: "ﾟ"}[r])
		default:
			b.WriteRune(r)
		}
	}
	return norm.NFC.String(b.String())
}
