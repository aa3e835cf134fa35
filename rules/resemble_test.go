package rules

import (
	"strings"
	"testing"
)

func TestResembles(t *testing.T) {
	p := loadText(t, `[lists]
partners = ["@torihiki.co.jp", ".nihon-shokuhin.example", "@abc.co.jp"]
[[rule]]
id = "LIKE"
describe = { ja = "似ています。", en = "alike" }
when = 'resembles(message.from_domain, lists.partners)'
score = 1.0
[[rule]]
id = "LIKE_OURS"
describe = { ja = "似ています。", en = "alike" }
when = 'resembles(message.from_domain, lists.our_domains)'
score = 1.0
`)
	for domain, want := range map[string]string{
		"torihiki.co.jp": "", "mail.torihiki.co.jp": "", "nihon-shokuhin.example": "", "a.nihon-shokuhin.example": "", "other.co.jp": "", "": "", "co.jp": "",
		"torihlki.co.jp": "torihiki.co.jp", "torihki.co.jp": "torihiki.co.jp", "torihikii.co.jp": "torihiki.co.jp", "torihiik.co.jp": "torihiki.co.jp",
		"torihiki.com": "torihiki.co.jp", "torihiki-support.com": "torihiki.co.jp", "login.torihiki.evil.test": "torihiki.co.jp",
		"nihonshokuhin.example": "nihon-shokuhin.example", "xn--trihiki-9ig.jp": "torihiki.co.jp", // with an о of Cyrillic letters
		"xn--q9jyb4c.jp": "",
		"TORIHIKI.net":   "torihiki.co.jp", "abd.co.jp": "", "abc.com": "", "x-abc.com": "", "torikihi-x.jp": "", "example.partner": "",
		strings.Repeat("a.", 200) + "jp": "",
	} {
		got, ok := p.vocab.lists["partners"].resembling(domain)
		if got != want || ok != (want != "") {
			t.Errorf("%s: %q, want %q", domain, got, want)
		}
	}
	if of, _ := p.vocab.lists[ourDomains].resembling("examp1e.jp"); of != "example.jp" && of != "example.co.jp" {
		t.Errorf("%q", of)
	}
}

func TestNames(t *testing.T) {
	l := newList("vips")
	l.kind = namesOnly
	for i, n := range []string{"山田太郎", "Taro Yamada", "林薫"} {
		if err := l.add(n, i+1, namesOnly); err != nil {
			t.Fatal(err)
		}
	}
	l.index()
	for text, want := range map[string]int{
		"山田 太郎": 1, "株式会社例 代表取締役 山田太郎": 1, "TARO YAMADA": 2, "taro.yamada (CEO)": 2, "林 薫": 3, "林薫子": 0, "山田花子": 0, "": 0, "Тaro Yаmada": 2,
	} {
		if line, ok := l.find(text); line != want || ok != (want > 0) {
			t.Errorf("%q: line %d, want %d", text, line, want)
		}
	}
	for _, bad := range []string{"x", "Taro <taro@example.jp>", "taro@example.jp"} {
		if l.add(bad, 1, namesOnly) == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}
