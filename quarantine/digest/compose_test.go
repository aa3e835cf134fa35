package digest

import (
	"bytes"
	"encoding/base64"
	"flag"
	"io"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	mimemultipart "mime/multipart"

	"github.com/google/go-cmp/cmp"

	"sekimori/internal/config"
	sm "sekimori/internal/mail"
	"sekimori/internal/mime"
	"sekimori/internal/people"
	"sekimori/internal/text"
	"sekimori/quarantine"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const goldenDir = "../../testdata/digest"

func addr(s string) sm.Address {
	a, err := sm.ParseAddress(s, true)
	if err != nil {
		panic(err)
	}
	return a
}

// plainLinks makes links that can be read.
type plainLinks struct{}

func (plainLinks) Link(person sm.Address, id, action string) (string, error) {
	return "https://guard.example.jp/q/" + strings.Join([]string{strings.ReplaceAll(person.String(), "@", "."), id, action}, "~"), nil
}

func settings(t testing.TB) config.DigestOf {
	t.Helper()
	cfg, err := config.Parse("test.toml", []byte(`
[http]
public_url = "https://guard.example.jp"
[digest]
enabled = true
time_zone = "Asia/Tokyo"
contact = "情報システム部（内線1234）"
contact_en = "the IT department (ext. 1234)"
portal = "社内ポータルの「隔離メール」"
portal_en = "“Held mail” on the intranet"
[[domain]]
names = ["example.co.jp"]
recipients = "any"
backends = ["smtp://192.0.2.1:25"]
`), config.Options{SkipFiles: true})
	if err != nil {
		t.Fatal(err)
	}
	return cfg.DigestOf("example.co.jp")
}

func counted(name string, points float64, evidence ...string) sm.Counted {
	c := sm.Counted{Name: name, Points: points}
	for i := 0; i+1 < len(evidence); i += 2 {
		c.Evidence = append(c.Evidence, sm.Evidence{Key: evidence[i], Value: evidence[i+1]})
	}
	return c
}

// samples are mails as the quarantine has them: of every certainty, and hostile ones.
func samples(t testing.TB) []Entry {
	t.Helper()
	// 2026-11-20 14:32 in Tokyo, a Friday
	at := time.Date(2026, 11, 20, 5, 32, 0, 0, time.UTC)
	yamada := addr("yamada.taro@example.co.jp")
	var list []Entry
	add := func(h quarantine.Held, to ...sm.Address) {
		h.Time = at.Add(-time.Duration(len(list)) * time.Hour)
		h.Rcpts = to
		list = append(list, Entry{Item: quarantine.Item{Held: h, Until: h.Time.Add(14 * 24 * time.Hour)}, To: to})
	}
	add(quarantine.Held{
		ID: "d4e1", Class: "spoof", FromName: "○○カード株式会社", HeaderFrom: "info@example-card.co.jp", Subject: "【重要】カードご利用の一時停止について",
		Size: 48_300, Final: true, Score: 8, Rule: "DMARC_POLICY_REJECT (defaults/2026.11.toml:7)",
		Reasons: []sm.Counted{counted("DMARC_REJECT", 5, "domain", "example-card.co.jp")},
		Describe: map[string]string{
			"ja": "差出人のアドレスは example-card.co.jp のものですが、同社の正規の送信元から送られたことを確認できませんでした。",
			"en": "The sender's address is at example-card.co.jp, but nothing shows that the mail comes from there.",
		},
	}, yamada)
	add(quarantine.Held{
		ID: "d4e2", Class: "spam", HeaderFrom: "news@first-contact.example", FromName: "Side job <b>NOW</b>", Subject: "先着順\u202Eexe.\u202C副業 https://evil.example/x www.evil.example <script>alert(1)</script>",
		Size: 3_100, Score: 6.2, Limit: 6, Confirmed: true, Attached: 7,
		Attachments: []string{"請求書_11月分\u202Efdp.exe", strings.Repeat("長い名前", 40) + ".xlsm", "", "a.pdf", "b.pdf", "c.pdf"},
		Reasons:     []sm.Counted{counted("BAYES_SPAM", 6.2, "words", "副業, 先着, <img src=x>")}, Degraded: []string{"dnsbl: zen: timeout"},
	}, addr("info@example.co.jp"))
	add(quarantine.Held{
		ID: "d4e3", Class: "undeliverable", HeaderFrom: "keiri@partner.example", FromName: "経理部", Subject: "", Size: 12_400_000,
		Reasons: []sm.Counted{counted("UNDELIVERABLE", 0)},
	}, yamada)
	add(quarantine.Held{ID: "d4e4", Class: "malware", HeaderFrom: "", Subject: strings.Repeat("とても長い件名", 40), Size: 900, Final: true}, yamada)
	// The subjects of these three are as mail has them: package mime decodes.
	for id, raw := range map[string]string{
		"d4e5": "Subject: =?ISO-2022-JP?B?GyRCOGY4K0BRJE43bxsoQg==?=\r\nFrom: =?Shift_JIS?B?jlKTYw==?= <a@sjis.example>\r\n\r\nx",
	} {
		m := mime.Parse([]byte(raw))
		add(quarantine.Held{ID: id, Class: "spam", Subject: m.Subject, FromName: m.From[0].Name, HeaderFrom: m.From[0].Addr.String(), Score: 8, Limit: 6, Size: 2_000, Reasons: []sm.Counted{counted("GEOIP_COUNTRY", 1, "country", "BR")}}, yamada)
	}
	return list
}

func sample(t testing.TB, lang text.Lang) *Digest {
	return &Digest{
		ID: "digest-0123456789abcdef-1764000000", Person: people.Person{Address: addr("yamada.taro@example.co.jp"), Lang: lang}, Mark: people.ParseMark("1.1"),
		Entries: samples(t), Total: 5, Settings: settings(t), URL: "https://guard.example.jp", Now: time.Date(2026, 11, 20, 23, 0, 0, 0, time.UTC),
		Links: plainLinks{}, Dangerous: func(class string) bool { return class == "malware" },
	}
}

// parts takes a message apart with Go's own library, as a reader of mail would.
func parts(t testing.TB, raw []byte) (h mail.Header, plain, html string) {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	_, params, _ := strings.Cut(m.Header.Get("Content-Type"), "boundary=\"")
	r := mimemultipart.NewReader(m.Body, strings.TrimSuffix(params, `"`))
	for {
		p, err := r.NextPart()
		if err == io.EOF {
			return m.Header, plain, html
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, p))
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(p.Header.Get("Content-Type"), "text/plain") {
			plain = string(b)
		} else {
			html = string(b)
		}
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join(goldenDir, name)
	got = strings.ReplaceAll(got, "\r\n", "\n")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got)\n%s", name, d)
	}
}

func TestGolden(t *testing.T) {
	for _, lang := range []text.Lang{text.Ja, text.En} {
		raw, err := sample(t, lang).Message()
		if err != nil {
			t.Fatal(err)
		}
		wellFormed(t, raw)
		_, plain, html := parts(t, raw)
		header, _, _ := strings.Cut(string(raw), "\r\n\r\n")
		golden(t, string(lang)+".header", header+"\r\n")
		golden(t, string(lang)+".txt", plain)
		golden(t, string(lang)+".html", html)
	}
}

// wellFormed asserts what every server takes: ASCII, CRLF, lines below 998 octets (RFC 5322 section 2.1.1).
func wellFormed(t testing.TB, raw []byte) {
	t.Helper()
	for line := range bytes.Lines(raw) {
		body, ok := bytes.CutSuffix(line, []byte("\r\n"))
		if !ok || len(body) > 998 {
			t.Fatalf("a line of %d octets, CRLF %v", len(body), ok)
		}
		for _, c := range body {
			if c < ' ' && c != '\t' || c > '~' {
				t.Fatalf("octet %#x in %q", c, body)
			}
		}
	}
}

// TestHostile: what comes from a mail is shown as text, hidden characters included, and nothing makes a link of it.
func TestHostile(t *testing.T) {
	for _, lang := range []text.Lang{text.Ja, text.En} {
		raw, err := sample(t, lang).Message()
		if err != nil {
			t.Fatal(err)
		}
		h, plain, html := parts(t, raw)
		for _, s := range []string{"\u202E", "\u202C", "<script", "<img", "<b>NOW", "https://evil", "www.evil"} {
			if strings.Contains(plain, s) && !strings.HasPrefix(s, "<") || strings.Contains(html, s) {
				t.Errorf("%s: %q is in the mail", lang, s)
			}
		}
		for _, s := range []string{"[U+202E]", "御見積の件", "山田", "info@example-card.co.jp"} {
			if !strings.Contains(plain, s) || !strings.Contains(strings.ReplaceAll(html, "<wbr>", ""), s) {
				t.Errorf("%s: no %q in the mail", lang, s)
			}
		}
		n := strings.Count(html, "<a ")
		if strings.Count(html, `href="https://guard.example.jp/q/`) != n || n != 8 {
			t.Errorf("%s: %d links, not all of them ours", lang, n)
		}
		if strings.Contains(html, "<img") || strings.Contains(html, "url(") || strings.Contains(html, "<form") {
			t.Errorf("%s: the mail fetches or sends something", lang)
		}
		if h.Get("Auto-Submitted") != "auto-generated" || h.Get("List-Unsubscribe-Post") != "" || !strings.HasPrefix(h.Get("List-Unsubscribe"), "<https://") {
			t.Errorf("%s: header %v", lang, h)
		}
		dec := strings.Contains(plain, "青いもみじ")
		if lang == text.En {
			dec = strings.Contains(plain, "blue maple")
		}
		if !dec {
			t.Errorf("%s: no recognition mark", lang)
		}
	}
}

// TestCapped: a long list ends in how many more there are, and the link to the list.
func TestCapped(t *testing.T) {
	d := sample(t, text.Ja)
	d.Total = 4321
	raw, err := d.Message()
	if err != nil {
		t.Fatal(err)
	}
	_, plain, html := parts(t, raw)
	if !strings.Contains(plain, "このほかに4316件") || !strings.Contains(html, "このほかに4316件") {
		t.Error("the rest is not counted")
	}
	d.Entries, d.Total, d.Requested = nil, 0, true
	if raw, err = d.Message(); err != nil {
		t.Fatal(err)
	}
	if _, plain, _ = parts(t, raw); !strings.Contains(plain, "1件もありません") {
		t.Errorf("an empty list: %s", plain)
	}
}
