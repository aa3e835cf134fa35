package bayes_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"sekimori/filters/bayes"
	"sekimori/internal/mime"
	"sekimori/reputation"
)

// poisonTokens are the tokens of a mail in HTML with a plain alternative, of a sender, with a subject and words.
func poisonMail(sender, subject, before, words, behind, alternative, more string) string {
	return "Received: from mail." + sender + " (mail." + sender + " [192.0.2.7]) by mx.ours.example; Fri, 20 Nov 2026 14:32:00 +0900\r\n" +
		"From: Someone <info@" + sender + ">\r\nTo: a@ours.example\r\nSubject: " + subject + "\r\nDate: Fri, 20 Nov 2026 14:32:00 +0900\r\n" +
		"Message-ID: <1234.abc@" + sender + ">\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\n" +
		"Content-Type: multipart/alternative; boundary=x\r\n\r\n--x\r\nContent-Type: text/plain\r\n\r\n" + words + "\r\n" + alternative +
		"\r\n--x\r\nContent-Type: text/html\r\n\r\n<html><body>" + before + "<p>" + words + "</p><a href=\"http://www." + sender + "/x\">here</a>" + behind +
		"</body></html>\r\n--x--\r\n" + more + "\r\n--m--\r\n"
}

func join(prefix string, from, n, step, of int) string {
	var b strings.Builder
	for j := range n {
		fmt.Fprintf(&b, "%s%d ", prefix, (from+j*step)%of)
	}
	return b.String()
}

// TestPoisoned adds 5,000 words to a spam wherever a sender can put them. The model is made of 800 mails; the words of hams are from
// its hams. How far z moves is stated in README.md.
func TestPoisoned(t *testing.T) {
	m := reputation.NewModel()
	tokens := func(s string) []string { return bayes.Tokenizer{}.Tokens(mime.Parse([]byte(s))) }
	for i := range 400 {
		m.Show(reputation.Spam, tokens(poisonMail(fmt.Sprintf("s%d.example", i%60), join("offer", i, 4, 3, 50), "", join("pill", i*7, 30, 1, 300), "", "", "")))
		m.Show(reputation.Ham, tokens(poisonMail(fmt.Sprintf("h%d.example", i%60), join("topic", i*7, 4, 3, 300), "", join("minutes", i*131, 150, 1, 6000), "", "", "")))
	}
	spam := func(subject, before, behind, alternative, more string) string {
		return poisonMail("fresh.example", "offer1 offer4 "+subject, before, join("pill", 5, 30, 1, 300), behind, alternative, more)
	}
	clean := m.Score(tokens(spam("", "", "", "", ""))).Z
	if clean < 4 {
		t.Fatalf("the spam has z %.2f", clean)
	}
	ham, random := join("minutes", 0, 5000, 1, 6000), join("zxq", 0, 5000, 1, 6000)
	file := func(s string) string {
		return "--m\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; filename=a.txt\r\n\r\n" + s
	}
	for _, tt := range []struct {
		where string
		mail  func(words string) string
		ham   float64 // how far words of hams may move z
	}{
		{"before the text", func(w string) string { return spam("", w, "", "", "") }, 16},
		{"behind the text", func(w string) string { return spam("", "", w, "", "") }, 16},
		{"hidden", func(w string) string { return spam("", `<div style="display:none">`+w+`</div>`, "", "", "") }, 1},
		{"hidden by its colour", func(w string) string { return spam("", "", `<font color=white>`+w+`</font>`, "", "") }, 1},
		{"in a comment", func(w string) string { return spam("", "<!-- "+w+" -->", "", "", "") }, 1},
		{"in the title", func(w string) string { return spam("", "<title>"+w+"</title>", "", "", "") }, 1},
		{"in a file", func(w string) string { return spam("", "", "", "", file(w)) }, 1},
		{"in a mail within the mail", func(w string) string {
			return spam("", "", "", "", "--m\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\n"+w)
		}, 1},
		{"in the plain alternative", func(w string) string { return spam("", "", "", w, "") }, 1},
		{"in the subject", func(w string) string { return spam(w, "", "", "", "") }, 1},
		{"of their subjects in the subject", func(w string) string { return spam(strings.ReplaceAll(w, "minutes", "topic"), "", "", "", "") }, 10},
		{"in fields of the header", func(w string) string {
			return "X-Words: " + w + "\r\n" + strings.ReplaceAll(w, " ", ": x\r\n") + spam("", "", "", "", "")
		}, 1},
	} {
		for _, words := range []struct {
			kind, text string
			most       float64
		}{{"random words", random, 3}, {"words of hams", ham, tt.ham}} {
			z := m.Score(tokens(tt.mail(words.text))).Z
			t.Logf("%s %s: z from %.2f to %.2f", words.kind, tt.where, clean, z)
			if math.Abs(clean-z) > words.most {
				t.Errorf("%s %s move z from %.2f to %.2f, by more than %.1f", words.kind, tt.where, clean, z, words.most)
			}
		}
	}
}

// TestCrowdedOut puts 20,000 words before, or files and alternatives beside, a text whose words must all be seen.
func TestCrowdedOut(t *testing.T) {
	noise := join("zxq", 0, 20000, 1, 1<<30)
	text := join("pill", 0, 100, 1, 1000)
	for name, mail := range map[string]string{
		"hidden before it":      poisonMail("x.example", "s", `<div style="display:none">`+noise+`</div>`, text, "", "", ""),
		"in the alternative":    poisonMail("x.example", "s", "", text, "", noise, ""),
		"in a file":             poisonMail("x.example", "s", "", text, "", "", "--m\r\nContent-Disposition: attachment\r\n\r\n"+noise),
		"in the header":         strings.ReplaceAll(noise, " ", ": x\r\n") + poisonMail("x.example", noise, "", text, "", "", ""),
		"displayed before it":   poisonMail("x.example", "s", noise, text, "", "", ""),
		"displayed behind it":   poisonMail("x.example", "s", "", text, noise, "", ""),
		"in 200 parts before":   "Content-Type: multipart/mixed; boundary=q\r\n\r\n" + strings.Repeat("--q\r\n\r\n"+noise[:2000]+"\r\n", 200) + "--q\r\n\r\n" + text + "\r\n--q--\r\n",
		"in links and in tags ": poisonMail("x.example", "s", strings.ReplaceAll(strings.TrimSpace(join("zxq", 0, 5000, 1, 1<<30))+" ", " ", `"></a><a href="http://x.test/`)+`">`, text, "", "", ""),
	} {
		seen := 0
		for _, tok := range tokens(mail) {
			if strings.HasPrefix(tok, "pill") {
				seen++
			}
		}
		least := 90
		if strings.HasPrefix(name, "displayed") {
			least = 25 // its share
		}
		if seen < least {
			t.Errorf("%s: only %d of 100 words of the text are seen", name, seen)
		}
	}
}
