package rules

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// lookalikes are letters that are read as others, after compatibility forms (full width, half width, styled letters) have been
// taken to the usual ones and all is lower case. The Latin letter stands first; of digits, those that stand for letters.
var lookalikes = func() map[rune]rune {
	m := map[rune]rune{}
	for _, group := range []string{
		"aаαɑ", "bЬьвβ", "cсϲ", "dԁ", "eеёε", "fϝ", "gɡ", "hһнη", "iіїιıі1l|!ӏ", "jјϳ", "kкκ", "mмμ", "nпո", "oоοσօ0", "pрρ", "qԛ", "rгя",
		"sѕ5$", "tтτ", "uυսц", "vνѵ", "wԝшω", "xхχ", "yуγү", "z2",
		"ロ口", "カ力", "タ夕", "ニ二", "エ工", "ハ八", "ト卜", "へヘ",
	} {
		letters := []rune(group)
		for _, r := range letters[1:] {
			m[r] = letters[0]
		}
	}
	return m
}()

// skeleton is a text as a hurried reader takes it in: two texts with one skeleton look alike. Case, width, accents, blanks and
// marks between letters do not count; letters of other scripts count as those that they resemble.
func skeleton(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for _, r := range norm.NFKD.String(s) {
		switch {
		case r == '\u3099' || r == '\u309A': // the marks of が and ぱ make another letter
			b.WriteRune(r)
			continue
		case unicode.Is(unicode.Mn, r):
			continue
		}
		r = unicode.ToLower(r)
		if like, ok := lookalikes[r]; ok {
			r = like
		}
		// The long sound of カード is drawn as a dash, or as the numeral one.
		if (unicode.IsLetter(r) || unicode.IsDigit(r)) && r != 'ー' && r != '一' {
			b.WriteRune(r)
		}
	}
	return b.String()
}
