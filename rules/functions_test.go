package rules

import "testing"

func TestLooksLike(t *testing.T) {
	for _, c := range []struct {
		text, like string
		want       bool
	}{
		{"Amazon", "amazon", true},
		{"Аmаzоn.co.jp カスタマーサービス", "amazon", true}, // Cyrillic а and о
		{"ＡＭＡＺＯＮ", "amazon", true},
		{"A m a z 0 n", "amazon", true},
		{"a-m-a-z\u200bon", "amazon", true},
		{"Ámàzön", "amazon", true},
		{"三井住友力ード", "三井住友カード", true},  // the kanji 力
		{"三井住友ｶｰﾄﾞ", "三井住友カード", true}, // half width
		{"三井住友カ一ド", "三井住友カード", true},  // the kanji 一
		{"三井住友カート", "三井住友カード", false}, // カート is another word
		{"アマソン", "アマゾン", false},       // ソ and ゾ are other letters
		{"Amazing Online", "amazon", false},
		{"佐藤商店", "三井住友カード", false},
	} {
		got, err := looksLike(c.text, c.like)
		if err != nil || got != c.want {
			t.Errorf("%q like %q: %v %v", c.text, c.like, got, err)
		}
	}
}

func TestRegistrable(t *testing.T) {
	for d, want := range map[string]string{
		"mail.Example.co.jp": "example.co.jp", "example.jp": "example.jp", "co.jp": "co.jp", "": "", "[192.0.2.1]": "[192.0.2.1]",
		"a.city.kawasaki.jp": "city.kawasaki.jp",
	} {
		if got, _ := registrable(d); got != want {
			t.Errorf("%s: %v, want %s", d, got, want)
		}
	}
}
