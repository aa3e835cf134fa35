package digest

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	sm "sekimori/internal/mail"
	"sekimori/internal/text"
	"sekimori/quarantine"
)

// largest is a digest of as many mails as one may name, each as long as it gets.
func largest(t *testing.T, lang text.Lang) *Digest {
	d := sample(t, lang)
	d.Entries = nil
	long := func(s string) string { return strings.Repeat(s, 4000) }
	for i := range 500 {
		d.Entries = append(d.Entries, Entry{Again: true, To: []sm.Address{d.Person.Address}, Item: quarantine.Item{Until: d.Now.Add(time.Hour), Held: quarantine.Held{
			ID: fmt.Sprintf("m%05d", i), Class: "spam", Time: d.Now, Size: 1 << 30, Score: 7, Limit: 6, Subject: long("&<長."), FromName: long("\"<b>名:"), HeaderFrom: long("a.") + "@" + long("x."),
			Attached: 900, Attachments: []string{long("請"), long("求"), long("書"), long("&"), long("<")},
			Reasons: []sm.Counted{counted("BAYES_SPAM", 6.2, "words", long("副業.")), counted("GEOIP_COUNTRY", 1, "country", "BR")},
		}}})
	}
	d.Total = 2000
	return d
}

// TestFits: Gmail does not clip the largest digest, its end with the recognition mark is there, and it says where the rest is.
func TestFits(t *testing.T) {
	for lang, more := range map[text.Lang]string{text.Ja: "すべては一覧からご覧ください", text.En: "The list has all of them"} {
		d := largest(t, lang)
		raw, err := d.Message()
		if err != nil {
			t.Fatal(err)
		}
		wellFormed(t, raw)
		_, plain, html := parts(t, raw)
		if len(html) > 102_000 {
			t.Errorf("%s: %d octets of HTML", lang, len(html))
		}
		shown := strings.Count(html, "<h3")
		if shown < 10 {
			t.Errorf("%s: only %d mails are named", lang, shown)
		}
		for _, part := range []string{plain, html} {
			if !strings.Contains(part, more) || !strings.Contains(part, fmt.Sprint(d.Total-shown)) || !strings.Contains(part, d.Mark.Words(lang)) {
				t.Errorf("%s: the rest, or the mark, is not told", lang)
			}
		}
		if len(d.Entries) != 500 {
			t.Error("the digest itself was changed")
		}
	}
}

// TestClients: nothing in the HTML that Outlook's Word engine or Gmail does not know or takes away, and every box that has a colour for its
// text has one behind it, so that no program mixes its own dark colours with ours.
func TestClients(t *testing.T) {
	known := []string{
		"margin", "padding", "background-color", "color", "font-family", "font-size", "font-weight", "line-height", "border", "border-bottom", "border-radius",
		"text-align", "text-decoration", "display", "max-width", "word-break", "overflow-wrap", "margin-top", "-webkit-text-size-adjust",
	}
	for _, lang := range []text.Lang{text.Ja, text.En} {
		_, html, err := sample(t, lang).Parts()
		if err != nil {
			t.Fatal(err)
		}
		for _, bad := range []string{"<style", "<link", "<script", "<img", "<svg", "<form", "<input", "<button", "<video", "class=", " id=", "url(", "@import", "@media", "position:", "flex", "grid", "float:", "var(", "calc(", "rgba(", "!important", "data:"} {
			if strings.Contains(html, bad) {
				t.Errorf("%s: %s", lang, bad)
			}
		}
		for _, m := range regexp.MustCompile(`style="([^"]*)"`).FindAllStringSubmatch(html, -1) {
			for decl := range strings.SplitSeq(m[1], ";") {
				name, value, ok := strings.Cut(decl, ":")
				if !ok || !slices.Contains(known, name) || value == "" {
					t.Errorf("%s: %q", lang, decl)
				}
			}
		}
		// Outlook takes the colour of a cell from the attribute.
		for _, m := range regexp.MustCompile(`<(?:table|td)[^>]*background-color:(#[0-9a-f]{6})[^>]*>`).FindAllStringSubmatch(html, -1) {
			if !strings.Contains(m[0], `bgcolor="`+m[1]+`"`) {
				t.Errorf("%s: no bgcolor in %s", lang, m[0])
			}
		}
		if a, b := strings.Count(html, "<table"), strings.Count(html, `role="presentation"`); a != b {
			t.Errorf("%s: %d of %d tables are for the layout", lang, b, a)
		}
	}
}
