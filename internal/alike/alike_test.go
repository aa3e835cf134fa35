package alike

import "testing"

func TestSkeleton(t *testing.T) {
	for _, same := range [][2]string{
		{"paypal", "раураӏ"},
		{"PAYPAL", "РАΥРАL"},
		{"example", "ехаmple"},
		{"Google", "g00gle"},
		{"ELLIOTT", "EIIiott"},
		{"ＡＢＣ", "abc"},
		{"Ηellο", "hello"},
		{"ﾛｸﾞｲﾝ", "ログイン"},
		{"カード", "力一ド"},
		{"café", "cafe"},
		{"a b-c", "abc"},
		{"ʙᴀɴᴋ", "bank"},
	} {
		if a, b := Skeleton(same[0]), Skeleton(same[1]); a != b {
			t.Errorf("%q is %q, and %q is %q", same[0], a, same[1], b)
		}
	}
	for _, other := range [][2]string{{"か", "が"}, {"bank", "tank"}, {"は", "ぱ"}} {
		if Skeleton(other[0]) == Skeleton(other[1]) {
			t.Errorf("%q and %q look alike", other[0], other[1])
		}
	}
}

func TestLatin(t *testing.T) {
	for from, want := range map[rune]rune{'а': 'a', 'А': 'A', 'Η': 'H', 'η': 'n', 'ӏ': 'l', 'ᴋ': 'k', 'օ': 'o'} {
		if got, ok := Latin(from); !ok || got != want {
			t.Errorf("%q: %q", from, got)
		}
	}
	for _, r := range "aZé0ıμдλあ漢한" {
		if got, ok := Latin(r); ok {
			t.Errorf("%q is read as %q", r, got)
		}
	}
}
