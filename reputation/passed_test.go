package reputation

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"sekimori/internal/mail"
)

func ended(int) bool { return true }

// TestReports teaches spam by every way there is, of mails that were delivered because the check found them good.
func TestReports(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		limits := DriftLimits{Enabled: true, Window: 24 * time.Hour, Min: 3, Persons: 3, Released: 0.5, Reported: 0.01}
		watch := func() *BayesWatch {
			return NewBayesWatch(w.client, func() DriftLimits { return limits }, w.clock)
		}
		ctx, server, other := t.Context(), watch(), watch()
		l := w.learner().WithWatch(other)
		good := []mail.Counted{{Name: "BAYES_HAM", Points: -2}}
		of := func(i int) string { return fmt.Sprintf("%016x%016x", i, i) }
		for i := range 100 {
			rcpt := address(fmt.Sprintf("p%d@example.jp", i%50))
			server.Passed(server.Ended([]mail.Verdict{{Rcpt: rcpt, Counted: good}}, ended), of(i))
		}
		for _, v := range []mail.Verdict{{Action: mail.Hold, Counted: good}, {Counted: []mail.Counted{{Name: "BAYES_HAM"}}}, {}} {
			if to := server.Ended([]mail.Verdict{v}, ended); len(to) > 0 {
				t.Errorf("nobody has it as good: %+v, %v", v, to)
			}
		}
		if to := server.Ended([]mail.Verdict{{Counted: good}}, func(int) bool { return false }); len(to) > 0 {
			t.Errorf("a mail that the backend refused was passed to %v", to)
		}
		must[DriftState](t)(server.Look(ctx))
		numbers := func(reported, by int, why string) {
			t.Helper()
			n := must[DriftNumbers](t)(server.Numbers(ctx))
			if n.Passed != 100 || n.Reported != reported || n.ReportedBy != by {
				t.Errorf("%s: %+v, not %d by %d", why, n, reported, by)
			}
		}
		teach := func(s Sample) Taught {
			t.Helper()
			return must[Taught](t)(l.Teach(ctx, s))
		}
		numbers(0, 0, "nothing is taught")
		spam := byPerson(Spam, "P1@example.jp", of(1), spamTokens(1))
		was := teach(spam)
		numbers(1, 1, "a person")
		teach(spam)
		numbers(1, 1, "the same again")
		teach(byPerson(Spam, "p2+news@example.jp", of(1), spamTokens(1)))
		numbers(2, 2, "another person about the same mail")
		teach(byPerson(Spam, "p2@example.jp", of(2), spamTokens(2)))
		numbers(3, 2, "the same person with another address")
		teach(byPerson(Spam, "p9@example.jp", "ffffffffffffffffffffffffffffffff", spamTokens(9)))
		numbers(3, 2, "a mail that was not passed")
		auto, held := Sample{Class: Spam, Fingerprint: of(3), Tokens: spamTokens(3), Source: Auto}, byPerson(Spam, "p4@example.jp", of(4), spamTokens(4))
		held.Held = true
		teach(auto)
		teach(held)
		numbers(3, 2, "by itself, and one whose holder counts it")
		for i := range 10 {
			forged := byPerson(Spam, fmt.Sprintf("p%d@example.jp", 20+i), of(2), spamTokens(2))
			forged.Unproven = true
			teach(forged)
		}
		numbers(3, 2, "names that anybody could give, of a mail that is reported")
		// A command or a folder: who had it reports it. All in one batch.
		p := must[Progress](t)(l.LearnAll(ctx, slices.Values([]Sample{
			{Class: Spam, Fingerprint: of(5), Tokens: spamTokens(5)},
			{Class: Spam, Fingerprint: of(6), Tokens: spamTokens(6)},
			{Class: Spam, Fingerprint: of(6), Tokens: spamTokens(6)},
			{Class: Ham, Fingerprint: of(7), Tokens: spamTokens(7)},
		}), nil))
		if p.Shown != 3 {
			t.Errorf("%+v", p)
		}
		numbers(5, 4, "a folder")
		if s := must[DriftState](t)(server.Look(ctx)); !s.Halved || s.Why != "4 of 100 mails that it found good were reported as spam by 4 people in 24 hours" {
			n, _ := server.Numbers(ctx)
			t.Errorf("%+v %+v", s, n)
		}
		if s := must[DriftState](t)(other.Read(ctx)); !s.Halved || !l.Halved() {
			t.Errorf("the other host: %+v", s)
		}
		// Taken back, each in its way.
		if err := l.Restore(ctx, spam, was.Before); err != nil {
			t.Fatal(err)
		}
		numbers(4, 3, "undone")
		teach(byPerson(Ham, "p2@example.jp", of(1), spamTokens(1)))
		numbers(3, 3, "found good after all")
		must[[]Lesson](t)(l.Unlearn(ctx, spamTokens(2), of(2)))
		numbers(2, 2, "unlearned")
		teach(Sample{Class: Ham, Fingerprint: of(5), Tokens: spamTokens(5), Source: Admin})
		numbers(1, 1, "an administrator finds it good")
		if s := must[DriftState](t)(server.Look(ctx)); s.Halved {
			t.Errorf("%+v", s)
		}
		// After days nobody knows any more that it was passed.
		w.set(w.clock().Add(3 * 24 * time.Hour))
		server.Ended([]mail.Verdict{{Counted: good}}, ended)
		must[DriftState](t)(server.Look(ctx))
		teach(byPerson(Spam, "p8@example.jp", of(8), spamTokens(8)))
		if n := must[DriftNumbers](t)(server.Numbers(ctx)); n.Reported != 1 || n.Passed != 1 {
			t.Errorf("three days later: %+v", n)
		}
		w.set(w.clock().Add(8 * 24 * time.Hour))
		teach(byPerson(Spam, "p9@example.jp", of(9), spamTokens(9)))
		if n := must[DriftNumbers](t)(server.Numbers(ctx)); n.Reported != 0 {
			t.Errorf("long after: %+v", n)
		}
		limits.Enabled = false
		if to := server.Ended([]mail.Verdict{{Counted: good}}, ended); len(to) > 0 {
			t.Errorf("it is off: %v", to)
		}
		teach(byPerson(Spam, "p9@example.jp", of(10), spamTokens(10)))
	})
}
