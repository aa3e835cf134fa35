package bayes_test

import (
	"slices"
	"strings"
	"testing"
)

// TestLook: each token for what is written to be read otherwise by a program has a text that gives it, and near neighbours of genuine
// writing that give none of them at all.
func TestLook(t *testing.T) {
	for _, c := range []struct {
		look    string
		with    []string
		without []string
	}{
		{
			"mixed",
			[]string{
				"confirm your P\u0430yPal \u0430ccount",   // Cyrillic а
				"your \u0391mazon order",                  // Greek capital alpha
				"p\u0430y-now offer",                      // one part of a word with a hyphen
				"the s\u026acure way",                     // a small capital of phonetics
				"\u0432it\u0441oin and l\u043Ett\u0435ry", // several in one word
			},
			[]string{
				"Привет, это счёт за ноябрь",            // Russian alone
				"Αγαπητέ κύριε, το τιμολόγιο",           // Greek alone
				"IT-отдел и e-mail рассылка",            // each part of one script
				"VPN-доступ, USB-кабель, Wi-Fi роутер",  // the same
				"10 µm and 5 kΩ at 20 °C",               // units
				"Straße, naïve, Łódź, Çelik, Ærø, þing", // Latin letters of other languages
				"iPhoneを購入、NHKの番組、Tシャツ",                 // Latin beside Japanese
				"α-Amylase und β-Carotin",               // each part of one script
			},
		},
		{
			"script",
			[]string{"urgent \u0440\u0430\u0443\u0440\u0430\u04CF notice, act now"}, // paypal in Cyrillic, in an English mail
			[]string{
				"Уважаемые коллеги, сосна растёт в парке", // сосна looks Latin, but its neighbours are Russian
				"Το τόνο και νερό στο κατάστημα",          // Greek
				"ордер on the table", // д is no Latin letter
				"ок",                 // too short to be a name
			},
		},
		{
			"styled",
			[]string{
				"win \U0001D4EF\U0001D4FB\U0001D4EE\U0001D4EE money", // script letters of formulas
				"\u24D5\u24E1\u24D4\u24D4 offer",                     // letters in circles
				"\U0001F175\U0001F181\U0001F174\U0001F174 offer",     // letters in squares
			},
			[]string{
				"ＡＢＣ株式会社　ご請求書　Ｎｏ．１２３",  // full width
				"①②③の順に、㈱山田、℡ 03-1234", // circled digits and signs of Japan
				"№ 5, ½ cup, x², H₂O, ™ and ℃",
				"\U0001F170\uFE0F \U0001F17E\uFE0F \U0001F1EF\U0001F1F5", // blood types are emoji, a flag
			},
		},
		{
			"zero-width",
			[]string{
				"free m\u200Boney", // zero width space
				"via\u200Dgra",     // joiner between Latin letters
				"vi\u2060agra",     // word joiner
				"無\uFEFF料の副業",      // within Japanese
				"ca\u034Fsino",     // combining grapheme joiner
				"lot\u3164tery",    // a Hangul filler, which draws nothing
			},
			[]string{
				"می\u200Cخواهم نامه\u200Cای بنویسم",        // Persian: the non-joiner is spelling
				"क्\u200Dष और श्री\u200Cमान",               // Hindi
				"ක්\u200Dරමය, ශ්\u200Dරී ලංකා",             // Sinhala
				"สวัสดี\u200Bครับ\u200Bยินดี",              // Thai: where a line may break
				"សួស្តី\u200Bអ្នក",                         // Khmer
				"👨\u200D👩\u200D👧 family, 🏳\uFE0F\u200D🌈",   // emoji that are joined
				"\uFEFFHello at the beginning",             // a byte order mark
				"see https://example.test/\u200B for more", // a break behind a slash
				"안녕하세요 반갑습니다",                              // Hangul
			},
		},
		{
			"soft-hyphen",
			[]string{"via\u00ADgra and ca\u00ADsi\u00ADno", "無\u00AD料"},
			[]string{"well-known, re\u2010entry, co\u2011op, 10\u2212 5", "price 5 \u00AD 10"},
		},
		{
			"bidi",
			[]string{
				"file \u202Egpj.exe",     // override
				"a \u202Dleft\u202C one", // override
				"pay\u200Epal",           // a mark within a word
				"pay\u2066pal\u2069",     // an isolate within a word
			},
			[]string{
				"שלום \u200Fלכולם, מחיר 100\u200F ש״ח",         // Hebrew with marks
				"مرحبا \u200Fبكم (\u200EABC\u200F) في 2026",    // Arabic with Latin
				"\u202Bשלום עולם\u202C and \u2067مرحبا\u2069.", // embedded and isolated runs
				"السعر \u061C100 دولار",                        // Arabic letter mark
				"Name: \u2068Yamada\u2069, welcome",            // an isolate around a name
			},
		},
		{
			"selector",
			[]string{"free m\uFE0Foney", "ca\U000E0101sino", "lot\u180Btery"},
			[]string{
				"I ❤\uFE0F it, ☎\uFE0F 1\uFE0F\u20E3, ©\uFE0E", // the form of an emoji
				"葛\U000E0100城市の辻\U000E0101さん、祇\uFE00園",         // the form of a kanji
				"ᠮᠣᠩᠭᠣᠯ\u180B ᠬᠡᠯᠡ\u180C",                      // Mongolian
			},
		},
		{
			"tag",
			[]string{
				"hello\U000E0068\U000E0069 there",       // hidden letters behind a word
				"\U000E0041\U000E0042 at the beginning", //
				"🎉\U000E0067\U000E0062\U000E007F",       // behind what is no flag
			},
			[]string{"🏴\U000E0067\U000E0062\U000E0073\U000E0063\U000E0074\U000E007F Scotland, 🇯🇵 and 🇻🇳"},
		},
		{
			"marks",
			[]string{
				"f\u0301\u0302\u0303ree money",                                       // three on a letter
				"c\u0300\u0301\u0302\u0303\u0304\u0305a\u0300\u0301\u0302\u0303sino", // as text that drips
			},
			[]string{
				"Tiê\u0301ng Viê\u0323t, Nguyê\u0303n, e\u0302\u0301 e\u0302\u0323", // Vietnamese: two on a letter
				"e\u0301te\u0301, nai\u0308ve, c\u0327a",                            // French, decomposed
				"שָׁלוֹם עֲלֵיכֶם",                                                  // Hebrew with points
				"بِسْمِ ٱللَّٰهِ الرَّحْمَٰنِ",                                      // Arabic with vowels
				"น้ำใจ ที่นี่ กำลัง",                                                // Thai
				"हिन्दी में लिखा, क्ष्म्य",                                          // Hindi
				"か\u3099き\u3099く\u3099、は\u309Aひ\u309A",                              // Japanese, decomposed
				"l'été, aujourd\u2019hui, d\u02BCaccord, qu\u2019est-ce",            // apostrophes
			},
		},
		{
			"overlay",
			[]string{"f\u0336r\u0336e\u0336e money", "vi\u0338agra", "c\u0334asino"},
			[]string{"a – b — c, 1\u2044 2, ≠ and ∉, Øre, Łuk, Đà Nẵng, ħ"},
		},
	} {
		for _, text := range c.with {
			if got := looks(text); !slices.Contains(got, c.look) {
				t.Errorf("%+q: look:%s is not there, but %v", text, c.look, got)
			}
		}
		for _, text := range c.without {
			if got := looks(text); len(got) > 0 {
				t.Errorf("near look:%s: %s (%+q) is genuine and gives %v", c.look, text, text, got)
			}
		}
	}
}

// looks returns the look: tokens of a mail with a text, without the prefix. They are the same when it is the subject, and in HTML.
func looks(text string) []string {
	var all []string
	for _, head := range []string{"Subject: hello\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n", "Content-Type: text/html; charset=utf-8\r\n\r\n<p>"} {
		for _, token := range tokens("From: a@sender.test\r\nMIME-Version: 1.0\r\n" + head + text) {
			if l, ok := strings.CutPrefix(token, "look:"); ok {
				all = append(all, l)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
