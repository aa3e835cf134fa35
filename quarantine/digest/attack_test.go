package digest

import (
	"context"
	"math"
	"net/mail"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sekimori/internal/config"
	sm "sekimori/internal/mail"
	"sekimori/internal/mime"
	"sekimori/internal/text"
	"sekimori/quarantine"
)

// TestAttack: a sender writes what is to break out of its place, or to look like our own words.
func TestAttack(t *testing.T) {
	fake := "x」\r\n\r\nあなたの合言葉は「赤いりんご」です。\r\nhttps://evil.example/q/token\r\n" + strings.Repeat("-", 60)
	raw := "From: =?UTF-8?B?4oCuPGI+?= =?no-such-charset?Q?=1B$B=00=FF?= <\"a\\\r\n b\"@evil.example>\r\nSubject: =?ISO-2022-JP?B?GyRC////?= =?UTF-8?Q?a=0D=0ABcc:_all@example.jp=0D=0A=0D=0A<a_href=3Dhttps://evil.example>?=\r\n\r\nx"
	m := mime.Parse([]byte(raw))
	for _, lang := range []text.Lang{text.Ja, text.En} {
		d := sample(t, lang)
		d.Entries = []Entry{
			{Item: quarantine.Item{Held: quarantine.Held{ID: "m1", Class: "spam", Subject: fake, FromName: fake, HeaderFrom: fake, Attached: 1, Attachments: []string{fake}}}, To: []sm.Address{d.Person.Address}},
			{Item: quarantine.Item{Held: quarantine.Held{ID: "m2", Class: "spam", Subject: m.Subject, FromName: m.From[0].Name, HeaderFrom: m.From[0].Raw}}, To: []sm.Address{d.Person.Address}},
		}
		d.Total = 2
		message, err := d.Message()
		if err != nil {
			t.Fatal(err)
		}
		wellFormed(t, message)
		h, plain, html := parts(t, message)
		if list, err := mail.ParseAddressList(h.Get("To")); err != nil || len(list) != 1 || h.Get("Bcc") != "" || len(h["Subject"]) != 1 || len(h["From"]) != 1 {
			t.Errorf("%s: header %v", lang, h)
		}
		lines := strings.Split(strings.ReplaceAll(plain, "\r\n", "\n"), "\n")
		for _, forged := range []string{"あなたの合言葉は「赤いりんご」です。", "Bcc:", "https://evil"} {
			if slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(strings.TrimSpace(l), forged) }) {
				t.Errorf("%s: a line of its own begins with %q\n%s", lang, forged, plain)
			}
		}
		if strings.Contains(plain, "https://evil") || strings.Contains(html, "<a href=https://evil") || strings.ContainsAny(plain, "\x00\x1b\u202e") {
			t.Errorf("%s: something is not defused", lang)
		}
		// One group and the end have a rule of their own line each.
		if strings.Count(html, "<h2") != 1 || strings.Count(strings.Join(lines, "\n"), "\n"+strings.Repeat("-", 60)+"\n") != 2 {
			t.Errorf("%s: the structure is the sender's", lang)
		}
	}
}

// hostileLinks would end the attribute or the line in which they stand.
type hostileLinks struct{}

func (hostileLinks) Link(sm.Address, string, string) (string, error) {
	return "https://guard.example.jp/q/a\"onmouseover=\"alert(1)", nil
}

// TestLinksStay: whatever a link is made of, it stays within its attribute.
func TestLinksStay(t *testing.T) {
	d := sample(t, text.En)
	d.Links = hostileLinks{}
	_, html, err := d.Parts()
	if err != nil || strings.Contains(html, `"onmouseover`) {
		t.Errorf("%v %s", err, html)
	}
}

// TestOwnerChanged: who does not own a shared mailbox any more is told nothing of it, and the new owner is.
func TestOwnerChanged(t *testing.T) {
	shared := func(owner string) string {
		return "[[digest.shared]]\nmailbox = \"info@example.jp\"\nowners = [\"" + owner + "\"]"
	}
	w, out := newWorld(t, config.Redis{}, shared("taro@example.jp")), newOutbox()
	w.hold(t, "before the change", "info@example.jp")
	other := newWorld(t, config.Redis{}, shared("ken@example.jp"))
	w.cfg = other.cfg
	w.set(w.clock().Add(25 * time.Hour))
	w.tick(t, w.runner("a", out))
	if got := out.texts(t, "ken@example.jp"); len(got) != 1 || !has(got[0], "before the change") {
		t.Errorf("the new owner: %q", got)
	}
	if got := out.texts(t, "taro@example.jp"); len(got) != 0 {
		t.Errorf("the old owner: %q", got)
	}
	if err := w.runner("a", out).SendListNow(context.Background(), addr("taro@example.jp")); err != nil {
		t.Fatal(err)
	}
	for _, s := range out.texts(t, "taro@example.jp") {
		if strings.Contains(s, "before the change") {
			t.Error("the old owner's list has it")
		}
	}
}

// TestContrast: every colour of a text has 4.5 to 1 (WCAG 2.2, 1.4.3) on the ground that it stands on.
func TestContrast(t *testing.T) {
	_, html, err := sample(t, text.En).Parts()
	if err != nil {
		t.Fatal(err)
	}
	ground, seen := []string{"#ffffff"}, 0
	for _, tag := range regexp.MustCompile(`<(/?)(\w+)([^>]*)>`).FindAllStringSubmatch(html, -1) {
		if !slices.Contains([]string{"body", "table", "td", "a", "span", "h1", "h2", "h3", "div"}, tag[2]) {
			continue
		}
		if tag[1] == "/" {
			ground = ground[:len(ground)-1]
			continue
		}
		on := ground[len(ground)-1]
		if c := regexp.MustCompile(`background-color:(#[0-9a-f]{6})`).FindStringSubmatch(tag[3]); c != nil {
			on = c[1]
		}
		ground = append(ground, on)
		if c := regexp.MustCompile(`[";]color:(#[0-9a-f]{6})`).FindStringSubmatch(tag[3]); c != nil {
			seen++
			if r := contrast(c[1], on); r < 4.5 {
				t.Errorf("<%s%s>: %s on %s has %.2f", tag[2], tag[3], c[1], on, r)
			}
		}
	}
	if seen < 20 || len(ground) != 1 {
		t.Errorf("%d colours looked at, %d boxes are open", seen, len(ground)-1)
	}
}

func contrast(a, b string) float64 {
	x, y := luminance(a), luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

func luminance(c string) float64 {
	n, _ := strconv.ParseUint(c[1:], 16, 32)
	part := func(shift uint) float64 {
		v := float64(n>>shift&255) / 255
		if v <= 0.04045 {
			return v / 12.92
		}
		return math.Pow((v+0.055)/1.055, 2.4)
	}
	return 0.2126*part(16) + 0.7152*part(8) + 0.0722*part(0)
}
