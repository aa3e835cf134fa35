package web

import (
	"strings"
	"testing"
	"time"

	"sekimori/internal/text"
)

func TestLearningRows(t *testing.T) {
	since := time.Date(2026, 11, 20, 9, 0, 0, 0, time.Local)
	full := Learning{
		Ham: 700, Spam: 800, NeedHam: 200, NeedSpam: 200, Hours: 24, Since: since,
		Today: &ThreeWays{Ham: 3, Unsure: 4, Spam: 5}, Against: &Against{Held: 50, Released: 6, Passed: 90, Reported: 7},
	}
	few, half, doubted := full, full, full
	few.Ham, half.Half, doubted.Doubted = 20, true, true
	few.Today, few.Against = nil, nil
	for _, c := range []struct {
		l        *Learning
		rows     int
		en, ja   string
		sentence string
	}{
		{&full, 3, "700 good mails, 800 spam. It weighs fully.", "判定に使っています。", "6 of 50 mails held"},
		{&few, 1, "It says nothing yet: it needs 200 good mails", "まだ判定に使っていません", ""},
		{&half, 3, "It weighs half until", "学習がまだ少ない", "7 of 90 that it found good"},
		{&doubted, 3, "It weighs half since 2026-11-20 09:00", "2026-11-20 09:00", "good: 3, not sure: 4, spam: 5"},
		{&Learning{Unknown: true}, 1, "not known", "わかりません", ""},
		{nil, 0, "", "", ""},
	} {
		s := &Status{Learning: func() *Learning { return c.l }}
		for lang, want := range map[text.Lang]string{text.En: c.en, text.Ja: c.ja} {
			rows := s.learningRows(&shown{Lang: lang})
			all := ""
			for _, r := range rows {
				all += r.Name + ": " + r.Value + "\n"
			}
			if len(rows) != c.rows || !strings.Contains(all, want) || strings.Contains(all, "{") || lang == text.En && !strings.Contains(all, c.sentence) {
				t.Errorf("%+v is told as\n%s", c.l, all)
			}
		}
	}
	if rows := (&Status{}).learningRows(&shown{Lang: text.En}); rows != nil {
		t.Error(rows)
	}
}
