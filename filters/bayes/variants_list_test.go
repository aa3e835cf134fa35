package bayes_test

import (
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode/utf32"
	"golang.org/x/text/unicode/norm"
	"golang.org/x/text/width"
)

// variants are mails with one text in the charsets, encodings and forms that mail has.
func variants(t *testing.T) []variant {
	t.Helper()
	text := crlf(variantBody)
	plainText := strings.ReplaceAll(text, "￥", "\\") // the yen of half width stands in the place of the backslash in Japanese charsets
	jis, sjis, euc := encodeWith(t, japanese.ISO2022JP, text), encodeWith(t, japanese.ShiftJIS, text), encodeWith(t, japanese.EUCJP, text)
	gb := encodeWith(t, simplifiedchinese.GB18030, text)
	subject := []byte(variantSubject)
	subjectJIS, subjectSJIS, subjectEUC := encodeWith(t, japanese.ISO2022JP, variantSubject), encodeWith(t, japanese.ShiftJIS, variantSubject), encodeWith(t, japanese.EUCJP, variantSubject)
	be32, err := utf32.UTF32(utf32.BigEndian, utf32.UseBOM).NewEncoder().Bytes([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	list := []variant{
		{name: "utf-8 base64", fields: textType("UTF-8", "base64"), body: inLines([]byte(text), 76)},
		{name: "utf-8 base64 folded at 7 characters", fields: textType("utf-8", "BASE64"), body: inLines([]byte(text), 7)},
		{name: "utf-8 base64 in one line", fields: textType("utf8", "base64"), body: inLines([]byte(text), 1<<20)},
		{name: "utf-8 quoted-printable", fields: textType("utf-8", "quoted-printable"), body: qp(t, []byte(text))},
		{name: "utf-8 binary", fields: textType("\"utf-8\"", "binary"), body: []byte(text)},
		{name: "utf-8 with BOM", fields: textType("utf-8", "8bit"), body: []byte("\ufeff" + text)},
		{name: "utf-8 without a label", body: []byte(text)},
		{name: "utf-8 labelled iso-8859-1", fields: textType("iso-8859-1", "8bit"), body: []byte(text)},
		{name: "utf-8 labelled us-ascii", fields: textType("us-ascii", "7bit"), body: []byte(text)},
		{name: "utf-8 labelled iso-2022-jp", fields: textType("iso-2022-jp", "7bit"), body: []byte(text)},
		{name: "utf-8 labelled shift_jis", fields: textType("shift_jis", "8bit"), body: []byte(text)},
		{name: "utf-8 under an unknown label", fields: textType("x-unknown", "8bit"), body: []byte(text)},
		{name: "utf-8 decomposed", subject: norm.NFD.String(variantSubject), fields: textType("utf-8", "8bit"), body: []byte(norm.NFD.String(text))},
		{name: "utf-8 katakana of half width", subject: halfKana(variantSubject), fields: textType("utf-8", "8bit"), body: []byte(halfKana(text))},
		{name: "utf-8 Latin of full width", subject: width.Widen.String(variantSubject), fields: textType("utf-8", "8bit"), body: []byte(crlf(width.Widen.String(variantBody)))},
		{name: "utf-8 with a yen of half width", fields: textType("utf-8", "8bit"), body: []byte(strings.ReplaceAll(text, "￥", "¥"))},
		{name: "utf-8 typographic signs", fields: textType("utf-8", "8bit"), body: []byte(strings.NewReplacer("don't", "don’t", "03-1234-5678", "03‐1234−5678").Replace(text))},
		{name: "utf-8 lines of 20", fields: textType("utf-8", "8bit"), body: []byte(wrapped(variantBody, 20, "\r\n"))},
		{name: "utf-8 flowed", fields: textType("utf-8; format=flowed", "8bit"), body: []byte(wrapped(variantBody, 20, " \r\n"))},
		{name: "utf-8 flowed DelSp", fields: textType("utf-8; format=flowed; delsp=yes", "8bit"), body: []byte(wrapped(variantBody, 13, " \r\n"))},
		{name: "iso-2022-jp", subject: words2047("ISO-2022-JP", subjectJIS, 1000), fields: textType("ISO-2022-JP", "7bit"), body: jis},
		{name: "iso-2022-jp base64", subject: words2047("iso-2022-jp", subjectJIS, 30), fields: textType("iso-2022-jp", "base64"), body: inLines(jis, 72)},
		{name: "iso-2022-jp quoted-printable", subject: word2047Q("iso-2022-jp", subjectJIS), fields: textType("iso-2022-jp", "quoted-printable"), body: qp(t, jis)},
		{name: "iso-2022-jp without a label", subject: string(subjectJIS), body: jis},
		{name: "iso-2022-jp labelled us-ascii", subject: words2047("us-ascii", subjectJIS, 1000), fields: textType("us-ascii", "7bit"), body: jis},
		{name: "iso-2022-jp labelled utf-8", subject: words2047("utf-8", subjectJIS, 1000), fields: textType("utf-8", "7bit"), body: jis},
		{name: "iso-2022-jp labelled shift_jis", fields: textType("shift_jis", "7bit"), body: jis},
		{name: "iso-2022-jp with the yen of JIS X 0201", fields: textType("iso-2022-jp", "7bit"), body: []byte(strings.ReplaceAll(string(encodeWith(t, japanese.ISO2022JP, plainText)), "\x1b(B\\12", "\x1b(J\\12"))},
		{name: "iso-2022-jp-ms", fields: textType("ISO-2022-JP-MS", "7bit"), body: jis},
		{name: "iso-2022-jp-1", fields: textType("iso-2022-jp-1", "7bit"), body: jis},
		{name: "iso-2022-jp-3", fields: textType("iso-2022-jp-3", "7bit"), body: []byte(strings.ReplaceAll(string(jis), "\x1b$B", "\x1b$(Q"))},
		{name: "cp50221 with kana by escape", fields: textType("cp50221", "7bit"), body: encodeWith(t, japanese.ISO2022JP, halfKana(text))},
		{name: "shift_jis", subject: words2047("Shift_JIS", subjectSJIS, 11), fields: textType("Shift_JIS", "8bit"), body: sjis},
		{name: "shift_jis base64", subject: word2047Q("shift_jis", subjectSJIS), fields: textType("shift_jis", "base64"), body: inLines(sjis, 61)},
		{name: "shift_jis quoted-printable", fields: textType("x-sjis", "quoted-printable"), body: qp(t, sjis)},
		{name: "shift_jis without a label", subject: string(subjectSJIS), body: sjis},
		{name: "shift_jis labelled utf-8", subject: words2047("utf-8", subjectSJIS, 1000), fields: textType("utf-8", "8bit"), body: sjis},
		{name: "shift_jis labelled iso-2022-jp", subject: words2047("iso-2022-jp", subjectSJIS, 1000), fields: textType("iso-2022-jp", "8bit"), body: sjis},
		{name: "shift_jis labelled euc-jp", fields: textType("euc-jp", "8bit"), body: sjis},
		{name: "shift_jis with a yen of half width", fields: textType("shift_jis", "8bit"), body: encodeWith(t, japanese.ShiftJIS, plainText)},
		{name: "cp932 katakana of half width", subject: words2047("cp932", encodeWith(t, japanese.ShiftJIS, halfKana(variantSubject)), 40), fields: textType("cp932", "base64"), body: inLines(encodeWith(t, japanese.ShiftJIS, halfKana(text)), 76)},
		{name: "windows-31j", fields: textType("Windows-31J", "8bit"), body: sjis},
		{name: "euc-jp", subject: words2047("EUC-JP", subjectEUC, 13), fields: textType("EUC-JP", "8bit"), body: euc},
		{name: "euc-jp base64", subject: word2047Q("euc-jp", subjectEUC), fields: textType("euc-jp", "base64"), body: inLines(euc, 76)},
		{name: "euc-jp quoted-printable", fields: textType("eucJP-ms", "quoted-printable"), body: qp(t, euc)},
		{name: "euc-jp without a label", subject: string(subjectEUC), body: euc},
		{name: "euc-jp labelled iso-2022-jp", subject: words2047("iso-2022-jp", subjectEUC, 1000), fields: textType("iso-2022-jp", "8bit"), body: euc},
		{name: "cp51932", fields: textType("CP51932", "8bit"), body: euc},
		{name: "gb18030", subject: words2047("gb18030", encodeWith(t, simplifiedchinese.GB18030, variantSubject), 1000), fields: textType("GB18030", "base64"), body: inLines(gb, 76)},
		{name: "utf-16 with BOM base64", fields: textType("utf-16", "base64"), body: inLines(append([]byte{0xFE, 0xFF}, wide(true, text)...), 76)},
		{name: "utf-16 without BOM, big end first", fields: textType("utf-16", "base64"), body: inLines(wide(true, text), 76)},
		{name: "utf-16 without BOM, little end first", fields: textType("utf-16", "base64"), body: inLines(wide(false, text), 76)},
		{name: "utf-16le", subject: words2047("utf-16le", wide(false, variantSubject), 30), fields: textType("UTF-16LE", "base64"), body: inLines(wide(false, text), 76)},
		{name: "utf-16be", subject: words2047("utf-16be", wide(true, variantSubject), 30), fields: textType("UTF-16BE", "quoted-printable"), body: qp(t, wide(true, text))},
		{name: "utf-16 binary", fields: textType("utf-16le", "binary"), body: wide(false, text)},
		{name: "utf-16 with BOM and no label", fields: []string{"Content-Transfer-Encoding: base64"}, body: inLines(append([]byte{0xFF, 0xFE}, wide(false, text)...), 76)},
		{name: "utf-16 labelled utf-8", fields: textType("utf-8", "base64"), body: inLines(append([]byte{0xFF, 0xFE}, wide(false, text)...), 76)},
		{name: "utf-32", fields: textType("utf-32", "base64"), body: inLines(be32, 76)},
		{name: "utf-7", subject: words2047("utf-7", utf7(variantSubject), 1000), fields: textType("utf-7", "7bit"), body: utf7(text)},
		{name: "subject of several words", subject: words2047("utf-8", subject, 10), fields: textType("utf-8", "8bit"), body: []byte(text)},
		{name: "subject in Q", subject: word2047Q("utf-8", subject), fields: textType("utf-8", "8bit"), body: []byte(text)},
		{name: "subject with a language", subject: words2047("utf-8*ja", subject, 1000), fields: textType("utf-8", "8bit"), body: []byte(text)},
	}
	return append(list, markupVariants(t)...)
}

func markupVariants(t *testing.T) []variant {
	t.Helper()
	page := html(variantBody)
	markup := func(charset, encoding string) []string {
		return append([]string{"Content-Type: text/html" + charset}, "Content-Transfer-Encoding: "+encoding)
	}
	meta := strings.Replace(page, "<html>", `<html><head><meta http-equiv="Content-Type" content="text/html; charset=Shift_JIS"></head>`, 1)
	alternative := "--x\r\nContent-Type: text/plain; charset=iso-2022-jp\r\n\r\n" + string(encodeWith(t, japanese.ISO2022JP, crlf(variantBody))) +
		"\r\n--x\r\nContent-Type: text/html; charset=euc-jp\r\nContent-Transfer-Encoding: base64\r\n\r\n" + string(inLines(encodeWith(t, japanese.EUCJP, page), 76)) + "\r\n--x--\r\n"
	return []variant{
		{name: "html", fields: markup("; charset=utf-8", "8bit"), body: []byte(page)},
		{name: "html in shift_jis by its meta", fields: markup("", "8bit"), body: encodeWith(t, japanese.ShiftJIS, meta)},
		{name: "html in iso-2022-jp", fields: markup("; charset=iso-2022-jp", "7bit"), body: encodeWith(t, japanese.ISO2022JP, page)},
		{name: "html of decimal references", fields: markup("; charset=us-ascii", "7bit"), body: []byte(references("&#%d;", page))},
		{name: "html of hexadecimal references", fields: markup("; charset=us-ascii", "quoted-printable"), body: qp(t, []byte(references("&#x%X;", page)))},
		{name: "html of references without semicolons", fields: markup("", "7bit"), body: []byte(strings.ReplaceAll(references("&#%d<b></b>", page), "don't", "don&#39;t"))},
		{name: "html with entities", fields: markup("; charset=utf-8", "8bit"), body: []byte(strings.NewReplacer("don't", "don&rsquo;t", "￥", "&yen;", "and", "&#97;nd").Replace(page))},
		{name: "html with tags in words", fields: markup("; charset=utf-8", "8bit"), body: []byte(strings.NewReplacer("Gateway", "Gate<b></b>way", "請求", "請<i>求</i>", "confirmation", "confir<wbr>ma<!-- x -->tion").Replace(page))},
		{name: "html with lines broken in the source", fields: markup("; charset=utf-8", "8bit"), body: []byte(wrapped(page, 12, "\r\n"))},
		{name: "multipart/alternative", fields: []string{"Content-Type: multipart/alternative; boundary=x"}, body: []byte(alternative)},
		{name: "multipart/mixed around it", fields: []string{"Content-Type: multipart/mixed; boundary=y"}, body: []byte("--y\r\nContent-Type: multipart/alternative; boundary=x\r\n\r\n" + alternative + "\r\n--y--\r\n")},
	}
}

// TestVariants reads one text in more than 35 charsets, encodings and forms: all give the same tokens of the text, of the body and of
// the subject.
func TestVariants(t *testing.T) {
	want := textTokens(t, variant{fields: textType("utf-8", "8bit"), body: []byte(crlf(variantBody))}.raw())
	for _, w := range []string{"平素", "請求", "求金", "¥12", "800", "pro", "PRO", "デー", "バッ", "don't", "03-1234-5678", "s:請求", "s:invoice", "confirmation"} {
		if !slices.Contains(want, w) {
			t.Errorf("%q is not among the tokens of the text: %q", w, want)
		}
	}
	list := variants(t)
	if len(list) < 35 {
		t.Fatalf("only %d variants", len(list))
	}
	for _, v := range list {
		got := textTokens(t, v.raw())
		if slices.Equal(got, want) {
			continue
		}
		missing := slices.DeleteFunc(slices.Clone(want), func(s string) bool { return slices.Contains(got, s) })
		more := slices.DeleteFunc(slices.Clone(got), func(s string) bool { return slices.Contains(want, s) })
		t.Errorf("%s: without %q, with %q", v.name, missing[:min(12, len(missing))], more[:min(12, len(more))])
	}
	t.Logf("%d variants, %d tokens of the text", len(list), len(want))
}
