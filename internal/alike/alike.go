// Package alike knows which letters are taken for others: by a reader who hurries (Skeleton), and by one who looks (Latin).
package alike

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// The Latin letter stands first, then the letters of other scripts and the small capitals of phonetics that are read as it. Capitals are
// apart, since their look-alikes are others: Η is an H and η an n.
var (
	capitals = table("AАΑ", "BВΒ", "CСϹ", "EЕΕ", "HНΗ", "IІΙӀ", "JЈͿ", "KКΚ", "MМΜ", "NΝ", "OОΟՕ", "PРΡ", "QԚ", "SЅ", "TТΤ", "WԜ", "XХΧ", "YУΥҮ", "ZΖ")
	smalls   = table("aаαɑᴀ", "bьвβʙ", "cсϲᴄ", "dԁᴅ", "eеёεᴇ", "fϝꜰ", "gɡɢ", "hһнʜ", "iіїιıɪ", "jјϳᴊ", "kкκᴋ", "lӏʟ", "mмμᴍ", "nпոηɴ", "oоοσօᴏ", "pрρᴘ", "qԛ",
		"rгяʀ", "sѕꜱ", "tтτᴛ", "uυսцᴜ", "vνѵᴠ", "wԝшωᴡ", "xхχ", "yуγүʏ", "zᴢ")
	// hurried are letters, signs and digits that count as one for a hurried reader alone.
	hurried = table("il1|!", "o0", "s5$", "z2", "ロ口", "カ力", "タ夕", "ニ二", "エ工", "ハ八", "ト卜", "へヘ")
)

func table(groups ...string) map[rune]rune {
	m := map[rune]rune{}
	for _, group := range groups {
		letters := []rune(group)
		for _, r := range letters[1:] {
			m[r] = letters[0]
		}
	}
	return m
}

// Skeleton is a text as a hurried reader takes it in: two texts with one skeleton look alike. Case, width, accents, blanks and
// marks between letters do not count; letters of other scripts count as those that they resemble.
func Skeleton(s string) string {
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
		if like, ok := capitals[r]; ok {
			r = like
		}
		r = unicode.ToLower(r)
		if like, ok := smalls[r]; ok {
			r = like
		}
		if like, ok := hurried[r]; ok {
			r = like
		}
		// The long sound of カード is drawn as a dash, or as the numeral one.
		if (unicode.IsLetter(r) || unicode.IsDigit(r)) && r != 'ー' && r != '一' {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// Latin returns the Latin letter as which a letter that is not of the usual Latin alphabet is read, in its case. The Turkish ı and the μ of
// units are what they are.
func Latin(r rune) (rune, bool) {
	if r < 0x80 || r == 'ı' || r == 'μ' {
		return r, false
	}
	if like, ok := capitals[r]; ok {
		return like, true
	}
	like, ok := smalls[r]
	return like, ok
}
