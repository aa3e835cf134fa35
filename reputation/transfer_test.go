package reputation

import (
	"bytes"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"sekimori/internal/mail"
)

// fingerprint is one as a mail has.
func fingerprint(i int) string { return fmt.Sprintf("%032x", i) }

func taughtWorld(t *testing.T, w *world) *Learner {
	l := w.limited(Limits{Person: 5, Campaign: 20})
	for i := range 30 {
		who := fmt.Sprintf("p%d@example.jp", i%3)
		must[Taught](t)(l.Teach(t.Context(), byPerson(Spam, who, fingerprint(i), append(spamTokens(i), "日本語\n"))))
		must[bool](t)(l.Learn(t.Context(), Ham, hamTokens(i), fingerprint(100+i)))
		if i == 15 {
			w.set(w.clock().AddDate(0, 1, 0))
		}
	}
	return l
}

func TestExportImport(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx, l := t.Context(), taughtWorld(t, w)
		var file bytes.Buffer
		mails, left, err := l.Export(ctx, &file, nil, nil)
		if err != nil || mails != 60 || left != 0 {
			t.Fatalf("%d, %d, %v", mails, left, err)
		}
		if n, err := CheckExport(bytes.NewReader(file.Bytes()), w.clock()); err != nil || n != 60 {
			t.Fatalf("%d, %v", n, err)
		}
		other := newWorld(t)
		other.set(w.clock())
		half := strings.Join(strings.SplitAfter(file.String(), "\n")[:40], "")
		if _, err := other.learner().Import(ctx, strings.NewReader(half), nil); err == nil || !strings.Contains(err.Error(), "a part is missing") {
			t.Errorf("half of it: %v", err)
		}
		added, err := other.learner().Import(ctx, bytes.NewReader(file.Bytes()), nil)
		if err != nil || added != 60-39 {
			t.Errorf("the rest: %d, %v", added, err)
		}
		if x, y := w.stored(t), other.stored(t); !maps.Equal(x, y) {
			t.Errorf("exported\n%v\nimported\n%v", x, y)
		}
		if n, err := other.learner().Import(ctx, bytes.NewReader(file.Bytes()), nil); err != nil || n != 0 || !maps.Equal(w.stored(t), other.stored(t)) {
			t.Errorf("a second time: %d, %v", n, err)
		}
		// One person is taken out, exactly; then everything.
		person := Scope("p1@example.jp")
		if n, err := l.Reset(ctx, &person, nil); err != nil || n != 10 {
			t.Errorf("%d, %v", n, err)
		}
		for key := range w.stored(t) {
			if strings.Contains(key, ":p1@") {
				t.Errorf("left of the person: %s", key)
			}
		}
		if x, y := w.counts(t), w.recount(t); !maps.Equal(x, y) {
			t.Errorf("after that the store counts\n%v\nthe records say\n%v", x, y)
		}
		before := l.Model().Counts()
		if n, err := l.Forget(ctx, address("p2@example.jp")); err != nil || n != 10 || l.Model().Counts() != before {
			t.Errorf("%d, %v", n, err)
		}
		for key, value := range w.stored(t) {
			if strings.Contains(key+value, "p2@") {
				t.Errorf("left of the person: %s %s", key, value)
			}
		}
		if _, err := l.Reset(ctx, nil, nil); err != nil || len(w.stored(t)) != 0 || l.Model().Counts() != (Counts{}) {
			t.Errorf("left: %v, %v", w.stored(t), err)
		}
	})
}

func TestBadExport(t *testing.T) {
	head := `{"format":"sekimori-bayes","version":1}` + "\n"
	mail := `{"mail":"` + fingerprint(1) + `","lessons":[{"c":"spam","m":"202611","l":true}],"tokens":["a"]}` + "\n"
	if n, err := CheckExport(strings.NewReader(head+mail+`{"end":1}`), epoch); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	for name, text := range map[string]string{
		"line 1: this is no export": "From a@b\n",
		"version 2":                 `{"format":"sekimori-bayes","version":2}`,
		"no last line":              head + mail,
		"not 2: a part is missing":  head + mail + `{"end":2}`,
		"line 2":                    head + "{\n",
		"no digest":                 head + strings.Replace(mail, fingerprint(1), "x", 1),
		"is no class":               head + strings.Replace(mail, `"spam"`, `"eggs"`, 1),
		"is no month":               head + strings.Replace(mail, "202611", "202613", 1),
		"has not begun":             head + strings.Replace(mail, "202611", "202612", 1),
		"65 octets":                 head + strings.Replace(mail, `["a"]`, `["`+strings.Repeat("a", 65)+`"]`, 1),
		"6001 tokens for 1":         head + strings.Replace(mail, `["a"]`, manyTokens(6001), 1),
		"6000 tokens for 167":       head + strings.Replace(strings.Replace(mail, `["a"]`, manyTokens(6000), 1), `{"c":`, manyLessons(166)+`{"c":`, 1),
		"is no scope":               head + strings.Replace(mail, `"c":`, `"s":"nobody","c":`, 1),
		"is no token":               head + strings.Replace(mail, `["a"]`, `["a","a"]`, 1),
		"nothing is said":           head + `{"mail":"` + fingerprint(1) + `"}`,
	} {
		if _, err := CheckExport(strings.NewReader(text), epoch); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func manyTokens(n int) string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf(`"%d"`, i))
	}
	return "[" + strings.Join(list, ",") + "]"
}

func manyLessons(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"s":"p%d@example.jp","c":"spam","m":"202611","l":true},`, i)
	}
	return b.String()
}

// The largest mail that is taken in can be read again, and be taken away.
func TestLargestExport(t *testing.T) {
	w := newWorld(t)
	var list []string
	for i := range mostTokens {
		list = append(list, fmt.Sprintf(`"%064d"`, i))
	}
	text := `{"format":"sekimori-bayes","version":1}` + "\n" + `{"mail":"` + fingerprint(1) + `","lessons":[{"c":"spam","m":"` + monthOf(w.clock()) + `","l":true}],"tokens":[` +
		strings.Join(list, ",") + "]}\n" + `{"end":1}`
	if n, err := w.learner().Import(t.Context(), strings.NewReader(text), nil); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	if n, err := w.learner().Reset(t.Context(), nil, nil); err != nil || n != 1 || len(w.stored(t)) != 0 {
		t.Errorf("%d, %v, left %d", n, err, len(w.stored(t)))
	}
}

func FuzzExport(f *testing.F) {
	f.Add(`{"format":"sekimori-bayes","version":1}` + "\n" + `{"mail":"` + fingerprint(1) + `","lessons":[{"c":"spam","m":"202611"}]}` + "\n" + `{"end":1}`)
	f.Fuzz(func(t *testing.T, text string) {
		n, err := CheckExport(strings.NewReader(text), epoch)
		if err == nil && n > strings.Count(text, "\n") {
			t.Errorf("%d mails in %q", n, text)
		}
	})
}

func FuzzRecord(f *testing.F) {
	for _, s := range []string{"", "spam 202611 1", "spam 00000\xff 0", `2 {"e":[{"c":"ham","m":"202611","l":true}]}` + "\n" + string(packTokens([]string{"a", "語"}))} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := parseRecord(text)
		if err != nil {
			return
		}
		if _, err := r.counted(nil); err != nil {
			return
		}
		again, err := parseRecord(r.value())
		if err != nil || again.headline() != r.headline() {
			t.Errorf("%q becomes %q, %v", text, r.value(), err)
		}
	})
}

func TestDrift(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		limits := DriftLimits{Enabled: true, Window: 24 * time.Hour, Min: 5, Persons: 3, Released: 0.1, Reported: 0.1}
		watch := func() *BayesWatch {
			return NewBayesWatch(w.client, func() DriftLimits { return limits }, w.clock)
		}
		ctx, a, b := t.Context(), watch(), watch()
		look := func(x *BayesWatch, want bool) {
			t.Helper()
			if s := must[DriftState](t)(x.Look(ctx)); s.Halved != want || x.State() != s {
				n, _ := x.Numbers(ctx)
				t.Errorf("halved is %v: %+v %+v", s.Halved, s, n)
			}
		}
		points := []mail.Counted{{Name: "BAYES_SPAM", Points: 3}}
		for range 25 { // mails to two people, of which one has it delivered otherwise
			a.Ended([]mail.Verdict{{Action: mail.Hold, Counted: points}, {Action: mail.Hold, Counted: points}, {Action: mail.Tag, Counted: points}, {Action: mail.Hold}}, ended)
		}
		note := func(n, people int) {
			t.Helper()
			for i := range n {
				if err := b.Note(ctx, HeldWrongly, fmt.Sprintf("User p%d+%d@example.jp", i%people, i), 1); err != nil {
					t.Fatal(err)
				}
			}
		}
		note(4, 1)
		look(a, false) // too few
		note(10, 2)
		look(a, false) // of two people only
		note(1, 1)
		must[struct{}](t)(struct{}{}, b.Note(ctx, HeldWrongly, "user p2@example.jp", 1))
		look(a, false) // the third has said little, and the others do not speak for all
		for range 3 {
			must[struct{}](t)(struct{}{}, b.Note(ctx, HeldWrongly, "user p2+x@example.jp", 1))
		}
		look(b, true) // the other host sees it
		look(a, true)
		if s := a.State(); !strings.Contains(s.Why, "12 of 50 mails") || !strings.Contains(s.Why, "3 people") || !s.Since.Equal(w.clock()) {
			t.Errorf("%+v", s)
		}
		look(watch(), true) // and one that was started since
		w.set(w.clock().Add(20 * time.Hour))
		look(a, true)
		w.set(w.clock().Add(6 * time.Hour))
		look(a, false) // it has passed
		look(b, false)
		for range 20 {
			b.add(hourKey(w.clock()), "passed")
		}
		for i := range 6 {
			must[struct{}](t)(struct{}{}, b.Note(ctx, PassedWrongly, fmt.Sprint("q", i), 1))
		}
		look(b, true)
		must[struct{}](t)(struct{}{}, b.Note(ctx, PassedWrongly, "q0", -1))
		if n := must[DriftNumbers](t)(a.Numbers(ctx)); n.Reported != 5 || n.ReportedBy != 5 || n.Passed != 20 {
			t.Errorf("%+v", n)
		}
		must[struct{}](t)(struct{}{}, a.Clear(ctx))
		look(b, false)
		look(a, false)
	})
}

func TestZones(t *testing.T) {
	for z, want := range map[float64]string{-9: "<=-6", -6: "<=-6", -2.1: "-6..-2", 0: "0..2", 3.9: "2..4", 4: "4..6", 8: ">=8", 99: ">=8"} {
		if got := zoneOf(z); got != want {
			t.Errorf("%v is in %s, not %s", z, got, want)
		}
	}
}
