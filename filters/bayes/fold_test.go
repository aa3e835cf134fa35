package bayes

import (
	"math/rand/v2"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// TestSettled: what is settled is normal by itself and composes with nothing before it, and so is normal in every text. What is copied
// unseen is neither replaced nor a mark.
func TestSettled(t *testing.T) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if settled(r) {
			if p := norm.NFKC.PropertiesString(string(r)); !norm.NFKC.IsNormalString(string(r)) || !p.BoundaryBefore() || p.CCC() != 0 {
				t.Errorf("%U is not settled", r)
			}
		}
		if !utf8.ValidRune(r) || simple(string(r)) == 0 {
			continue
		}
		if simple(string(r)) != utf8.RuneLen(r) || !settled(r) || isMark(r) || invisible(r) != "" || plain(r, "1") != r || r >= 0x24B6 && styled(r) || joining(r) {
			t.Errorf("%U is not simple", r)
		}
	}
	for _, s := range []string{"\\", "\xE3\x81", "\xE4\x41\x80", "\xE9\x80\xE9", "\xED\xA0\x80", "\xE0\x80\xAF", "\xFF", "\u3099", "é"} {
		if n := simple("a東" + s); n != 4 {
			t.Errorf("%q: %d octets are simple", s, n)
		}
	}
}

// foldPlainly is fold without what it leaves out for speed, for texts without what is not drawn.
func foldPlainly(s string) string {
	if isASCII(s) {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		b.WriteRune(plain(r, s[i+utf8.RuneLen(r):]))
	}
	return norm.NFKC.String(b.String())
}

// TestFoldShortCuts: a text of any pieces is folded as one character after the other is.
func TestFoldShortCuts(t *testing.T) {
	pieces := strings.Split("a| |\\|\\1|Z9|\r\n|é|e\u0301|か|か\u3099|ガ|ｶﾞ|Ａ|東|京都|、|。|〇|ー|・|‐|−|’|“|¥|￥|한|\u1112\u1161|\u11AB|й|и\u0306|½|㍿|ﬁ|Å|\u00A0|\u3000|٣|क\u093C|😀", "|")
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		var b strings.Builder
		for range rnd.IntN(12) {
			b.WriteString(pieces[rnd.IntN(len(pieces))])
		}
		c := &collector{tokenSet: newTokenSet(1)}
		if got, want := c.fold(b.String()), foldPlainly(b.String()); got != want {
			t.Fatalf("%+q is folded to %+q, not %+q", b.String(), got, want)
		}
	}
}
