package front

import (
	"mime"
	"strings"
	"testing"

	"sekimori/internal/config"
	"sekimori/internal/mail"
	"sekimori/internal/text"
)

// TestSentences: header and log say what the digest says, in the language of the recipients' domain, and nothing of what is the
// administrator's: ids of rules, lists, points.
func TestSentences(t *testing.T) {
	v := mail.Verdict{
		Action: mail.Hold, Class: "spam", RuleID: "threshold.hold", Score: 7, Limit: 6,
		Counted: []mail.Counted{
			{Name: "MY_LIST", Points: 4, Rule: "10-mine.toml:3", Describe: map[string]string{"ja": "当社の一覧にある業者からの案内です。", "en": "An offer from a seller on our list."}, Evidence: []mail.Evidence{{Key: "lists.sellers", Value: "sellers.txt:9"}}},
			{Name: "RDNS_NONE", Points: 3, Evidence: []mail.Evidence{{Key: "ip", Value: "192.0.2.1\r\nX-Evil: y"}}},
		},
	}
	tr := trace{id: "id1", lang: text.Ja}
	for _, lang := range []text.Lang{text.Ja, text.En} {
		tr.lang = lang
		field := headerField(string(tr.fields(v)), "X-Sekimori-Explanation")
		got, err := new(mime.WordDecoder).DecodeHeader(strings.ReplaceAll(strings.ReplaceAll(field, "\r\n\t", " "), "\r\n", ""))
		if want := text.Reason(v, lang); err != nil || strings.Join(strings.Fields(got), " ") != strings.Join(strings.Fields(want), " ") {
			t.Errorf("%v: %q\nwant %q", err, got, want)
		}
		for _, secret := range []string{"MY_LIST", "sellers", "10-mine", "threshold", "7"} {
			if strings.Contains(got, secret) {
				t.Errorf("%q names %q", got, secret)
			}
		}
	}
	if got := string(tr.fields(mail.Verdict{})); strings.Contains(got, "Explanation") {
		t.Errorf("a mail that was simply delivered says\n%s", got)
	}
	for degraded, want := range map[string]bool{"bayes: skipped: not trained: 0 of 200 ham, 0 of 200 spam": false, "dnsbl: temperror: the server says no": true} {
		if got := sentences(&mail.Verdict{Degraded: []string{degraded}}, text.En); (got != "") != want {
			t.Errorf("%s: %q", degraded, got)
		}
	}
}

func headerField(head, name string) string {
	_, after, _ := strings.Cut(head, "\r\n"+name+":")
	var b strings.Builder
	for i, line := range strings.SplitAfter(after, "\r\n") {
		if i > 0 && !strings.HasPrefix(line, "\t") {
			break
		}
		b.WriteString(line)
	}
	return strings.TrimPrefix(b.String(), " ")
}

// TestEncodedField: every line is short enough, no letter is broken, and nothing gets out of the field.
func TestEncodedField(t *testing.T) {
	for _, value := range []string{"", "plain words", "=?utf-8?B?WA==?=", "あ", strings.Repeat("差出人が本人であることを確認できませんでした。", 40), strings.Repeat("a“b”𠮟", 90), "x\r\nX-Evil: y", "\xff\xfe broken"} {
		f := encodedField("X-Sekimori-Explanation", value)
		if value == "" {
			if f != "" {
				t.Errorf("%q", f)
			}
			continue
		}
		lines := strings.Split(strings.TrimSuffix(f, "\r\n"), "\r\n")
		for i, line := range lines {
			if len(line) > 78 || i > 0 && line[0] != '\t' || strings.ContainsAny(line, "\r\n") {
				t.Errorf("%q: line %q", value, line)
			}
			if w := strings.Fields(line); strings.Contains(line, "?B?") {
				if s, err := new(mime.WordDecoder).Decode(w[len(w)-1]); err != nil || strings.Contains(s, "\uFFFD") && !strings.Contains(value, "\xff") {
					t.Errorf("%q: %q breaks a letter (%v)", value, line, err)
				}
			}
		}
		got, err := new(mime.WordDecoder).DecodeHeader(strings.TrimPrefix(strings.Join(lines, ""), "X-Sekimori-Explanation: "))
		if got = strings.ReplaceAll(got, "\t", ""); err != nil || !strings.Contains(value, "\xff") && got != value {
			t.Errorf("%q came back as %q (%v)", value, got, err)
		}
	}
}

// TestLangOf: the language is that of the recipients' domain, and that of all where they differ.
func TestLangOf(t *testing.T) {
	cfg := config.Default()
	cfg.Digest.Lang = "ja"
	cfg.Domains = []config.Domain{{Names: []string{"a.example"}}, {Names: []string{"b.example", "c.example"}, Digest: config.DigestOf{Lang: "en"}}}
	for want, domains := range map[text.Lang][][]string{text.Ja: {{}, {"a.example"}, {"b.example", "a.example"}}, text.En: {{"b.example"}, {"b.example", "c.example", "b.example"}}} {
		for _, list := range domains {
			var rcpts []mail.Address
			for _, d := range list {
				rcpts = append(rcpts, mail.Address{Local: "x", Domain: d})
			}
			if got := langOf(cfg, rcpts); got != want {
				t.Errorf("%v: %s, want %s", list, got, want)
			}
		}
	}
}

// TestListInReason: that an entry of a list was found is said in words.
func TestListInReason(t *testing.T) {
	v := mail.Verdict{Counted: []mail.Counted{{Name: "MY_LIST", Points: 4, Evidence: []mail.Evidence{{Key: "from.address", Value: "a@shop.test"}, {Key: "lists.sellers", Value: "sellers.txt:9"}}}}}
	const want = "MY_LIST 4 (from.address=a@shop.test found in list sellers: sellers.txt:9)"
	if got := reason(v, false); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
