package text

import (
	"testing"
	"unicode/utf8"
)

func TestReveal(t *testing.T) {
	for in, want := range map[string]string{
		"請求書\u202Efdp.exe":        "請求書[U+202E]fdp.exe",
		"a\x00\x1b[31mb":          "a[U+0000×2][31mb",
		"line\r\nInjected: x":     "line Injected:…",
		"\u200b\u200b\u200bhello": "[U+200B×3]hello",
		"家族👨\u200d👩\u200d👧":       "家族👨\u200d👩\u200d👧",
		"\xff日本":                  "\uFFFD日本",
		"あいうえおかきくけこさしすせそ":         "あいうえおかきくけこさしすせ…",
		"\u2067abc\u2069":         "[U+2067]abc[U+2069]",
	} {
		if got := Reveal(in, 14); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if got := Reveal("請求書\u202Efdp.exe", 40); got != "請求書[U+202E]fdp.exe" {
		t.Errorf("%q", got)
	}
	if got := RevealLines("a\r\n\tb\u202e\n", 40); got != "a\n\tb[U+202E]\n" {
		t.Errorf("%q", got)
	}
}

func FuzzReveal(f *testing.F) {
	f.Add("a\u202e\x00b\u200d\ufe0f", 5)
	f.Fuzz(func(t *testing.T, s string, n int) {
		n = n & 0xFF
		for _, lines := range []bool{false, true} {
			got := reveal(s, n, lines)
			if !utf8.ValidString(got) {
				t.Fatalf("%q: not UTF-8", got)
			}
			for _, r := range got {
				if Hidden(r) && r != 0x200D && !(lines && (r == '\n' || r == '\t')) {
					t.Fatalf("%q shows %U as it is", got, r)
				}
			}
		}
	})
}
