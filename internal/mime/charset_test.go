package mime

import (
	"encoding/base64"
	"strings"
	"testing"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
)

func encoded(t *testing.T, e encoding.Encoding, s string) string {
	t.Helper()
	b, err := e.NewEncoder().String(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const japaneseText = "日本語の本文です。会議の件について確認をお願いします。"

func TestCharsets(t *testing.T) {
	sjis := encoded(t, japanese.ShiftJIS, japaneseText)
	euc := encoded(t, japanese.EUCJP, japaneseText)
	jis := encoded(t, japanese.ISO2022JP, japaneseText)
	vendorSJIS := "\x87\x40\x87\x8a\xfb\xfc\xb6\xc5" // ①㈱髙 and half-width kana
	tests := []struct{ name, label, in, want string }{
		{"utf-8", "utf-8", japaneseText, japaneseText},
		{"utf-8 labelled latin-1", "iso-8859-1", japaneseText, japaneseText},
		{"utf-8 labelled us-ascii", "us-ascii", japaneseText, japaneseText},
		{"utf-8 labelled shift_jis", "Shift_JIS", japaneseText, japaneseText},
		{"utf-8 without a label", "", japaneseText, japaneseText},
		{"utf-8 with an escape", "utf-8", "あ\x1b$B", "あ\x1b$B"},
		{"shift_jis", "Shift_JIS", sjis, japaneseText},
		{"x-sjis", "x-sjis", sjis, japaneseText},
		{"windows-31j", "Windows-31J", sjis, japaneseText},
		{"cp932 vendor rows", "cp932", vendorSJIS, "①㈱髙ｶﾅ"},
		{"shift_jis without a label", "", sjis, japaneseText},
		{"shift_jis under an unknown label", "x-nothing", sjis, japaneseText},
		{"euc-jp", "EUC-JP", euc, japaneseText},
		{"euc-jp without a label", "", euc, japaneseText},
		{"euc-jp NEC row and NEC-selected kanji", "cp51932", "\xad\xa1\xad\xea\xfc\xe2", "①㈱髙"},
		{"eucJP-ms IBM rows", "eucJP-ms", "a\x8f\xf4\xd4\xc6\xfc\x8f\xf3\xf3\x8f\xf4\xfe\x8e\xb6", "a礰日ⅰ黑ｶ"},
		{"iso-2022-jp", "ISO-2022-JP", jis, japaneseText},
		{"iso-2022-jp under us-ascii", "us-ascii", jis, japaneseText},
		{"iso-2022-jp without a label", "", jis, japaneseText},
		{"cp50221 NEC row", "CP50221", "\x1b$B\x2d\x21\x2d\x6a\x7c\x62\x1b(B end", "①㈱髙 end"},
		{"iso-2022-jp-ms kana by escape", "ISO-2022-JP-MS", "\x1b(I\x36\x45\x1b(B end", "ｶﾅ end"},
		{"cp50222 kana by shift-out", "cp50222", "\x0e\x36\x45\x0f end", "ｶﾅ end"},
		{"iso-2022-jp raw kana", "iso-2022-jp", "\xb6\xc5 end", "ｶﾅ end"},
		{"iso-2022-jp line end resets", "iso-2022-jp", "\x1b$B\x46\x7c\nabc", "日\nabc"},
		{"iso-2022-jp-1 JIS X 0212", "iso-2022-jp-1", "\x1b$(D\x30\x21\x1b(B", "丂"},
		{"windows-1252", "windows-1252", encoded(t, charmap.Windows1252, "naïve café"), "naïve café"},
		{"latin-1 with a wrong utf-8 label", "utf-8", "caf\xe9 au lait", "café au lait"},
		{"latin without a label", "", "\x93na\xefve\x94 caf\xe9, tr\xe8s bien", "“naïve” café, très bien"},
		{"koi8-r", "koi8-r", encoded(t, charmap.KOI8R, "привет"), "привет"},
		{"utf-7", "utf-7", "+ADw-b+AD4- 1+-1 +ZeVnLA-", "<b> 1+1 日本"},
		{"utf-16", "utf-16", "\xff\xfev\x00i\x00", "vi"},
		{"language tag and quotes", `"utf-8*ja"`, japaneseText, japaneseText},
	}
	for _, tt := range tests {
		if got, _ := toUTF8(tt.label, []byte(tt.in)); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestDecodeHeader(t *testing.T) {
	word := func(cs, octets string) string {
		return "=?" + cs + "?B?" + base64.StdEncoding.EncodeToString([]byte(octets)) + "?="
	}
	jis := encoded(t, japanese.ISO2022JP, "日本語の件名")
	utf := "日本語の件名"
	tests := []struct{ name, in, want string }{
		{"plain", "Hello", "Hello"},
		{"utf-8", word("utf-8", utf), utf},
		{"q", "=?utf-8?Q?=E3=81=82_a?=", "あ a"},
		{"q with a space", "=?utf-8?Q?=E3=81=82 =E3=81=84?=", "あ い"},
		{"split in a character", word("utf-8", utf[:4]) + "\t" + word("UTF-8", utf[4:]), utf},
		{"iso-2022-jp split without escapes", word("ISO-2022-JP", jis[:7]) + " " + word("ISO-2022-JP", jis[7:]), utf},
		{"shift_jis split", word("cp932", "\x93\xfa\x96") + " " + word("cp932", "\x7b"), "日本"},
		{"mixed charsets", word("ISO-2022-JP", jis) + " " + word("utf-8", "です"), utf + "です"},
		{"no space between", word("utf-8", "日") + word("utf-8", "本") + "abc" + word("utf-8", "語"), "日本abc語"},
		{"text between", word("utf-8", "日") + " and " + word("utf-8", "本"), "日 and 本"},
		{"junk in base64", "=?utf-8?B?5pel5pys!?= =?utf-8?B?5pel?=", "日本日"},
		{"no padding", "=?utf-8?B?5pel5pysYQ?=", "日本a"},
		{"language", "=?utf-8*ja?B?5pel5pys?=", "日本"},
		{"quoted", `"=?utf-8?B?5pel5pys?="`, `"日本"`},
		{"cut off", "=?utf-8?B?5pel5pys", "日本"},
		{"unknown charset", "=?x-nothing?B?5pel5pys?= viagra", "日本 viagra"},
		{"latin-1 label on utf-8", word("iso-8859-1", utf), utf},
		{"raw utf-8", utf, utf},
		{"raw shift_jis", encoded(t, japanese.ShiftJIS, utf), utf},
		{"raw euc-jp", encoded(t, japanese.EUCJP, utf), utf},
		{"raw iso-2022-jp", jis, utf},
		{"raw and encoded", "あ " + word("utf-8", "い"), "あ い"},
		{"no words", "=? =?= ?=", "=? =?= ?="},
		{"a line end inside", word("utf-8", "a\r\nBcc: x"), "a Bcc: x"},
	}
	for _, tt := range tests {
		if got := DecodeHeader(tt.in); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	for _, s := range []string{strings.Repeat("=?utf-8?B?", 9000), strings.Repeat("=?", 40000), strings.Repeat("=?a?Q?x", 9000), strings.Repeat("\x1b$B", 9000)} {
		DecodeHeader(s)
	}
}
