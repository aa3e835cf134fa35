package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/mail"
	"sekimori/internal/store"
	"sekimori/reputation"
)

// TestBayesCommands learns from a file, a directory, an mbox and a Maildir, and goes through what the commands do with it, in the
// embedded store and in Redis.
func TestBayesCommands(t *testing.T) {
	for name, redis := range map[string]func(t *testing.T) string{
		"embedded": func(*testing.T) string { return "" },
		"redis": func(t *testing.T) string {
			port := freePort(t)
			startRedis(t, t.TempDir(), port, "--save", "")
			return fmt.Sprintf("[redis]\nurl = \"redis://127.0.0.1:%d\"\n", port)
		},
	} {
		t.Run(name, func(t *testing.T) { bayesCommands(t, redis(t)) })
	}
}

func bayesCommands(t *testing.T, redis string) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	mailOf := func(i int, word string) string {
		return fmt.Sprintf("From: a@%s%d.test\nSubject: %s\nMessage-ID: <%d@%s.test>\n\n%s number %d and %s%d\n", word, i%7, word, i, word, word, i, word, i%5)
	}
	conf := write("sekimori.toml", fmt.Sprintf("data_dir = %q\nhostname = \"mx.example.jp\"\n%s[[domain]]\nnames = [\"example.jp\"]\nrecipients = \"any\"\nbackends = [\"lmtp://127.0.0.1:1\"]\n",
		filepath.Join(dir, "data"), redis))
	sekimori := func(want int, args ...string) (string, string) {
		t.Helper()
		var out, errs strings.Builder
		if code := run(t.Context(), append([]string{"-c", conf}, args...), strings.NewReader(""), &out, &errs); code != want {
			t.Fatalf("%v: exit code %d, not %d\n%s%s", args, code, want, out.String(), errs.String())
		}
		return out.String(), errs.String()
	}
	said := func(text string, want ...string) {
		t.Helper()
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("%q is not in\n%s", w, text)
			}
		}
	}
	var mbox strings.Builder
	for i := range 5 {
		mbox.WriteString("From x Fri Nov 20 14:32:00 2026\n" + mailOf(i, "minutes") + "\n")
		write(fmt.Sprintf("spam/nested/%d", i), mailOf(i, "pills"))
		write(fmt.Sprintf("maildir/cur/%d:2,S", i), mailOf(10+i, "minutes"))
	}
	write("maildir/new/x", mailOf(20, "minutes"))
	write("ham.mbox", mbox.String())
	one := write("one", mailOf(99, "pills"))
	out, _ := sekimori(0, "learn", "ham", filepath.Join(dir, "ham.mbox"), filepath.Join(dir, "maildir"))
	said(out, "11 mails shown, 11 of them taught something")
	out, _ = sekimori(0, "learn", "--json", "spam", filepath.Join(dir, "spam"), one)
	said(out, `"Shown": 6`, `"Learned": 6`)
	out, _ = sekimori(0, "learn", "spam", one)
	said(out, "0 mails shown", "1 were known")
	sekimori(0, "learn", "--scope", "sato@example.jp", "spam", one)
	_, errs := sekimori(1, "learn", "spam", filepath.Join(dir, "nothing"))
	said(errs, "nothing")
	sekimori(2, "learn", "--scope", "nobody", "spam", one)

	score := func() reputation.Score {
		t.Helper()
		cfg, err := config.Load(conf)
		if err != nil {
			t.Fatal(err)
		}
		st, err := store.Dial(t.Context(), store.Options{Redis: cfg.Redis, DataDir: cfg.DataDir})
		if err != nil {
			t.Fatal(err)
		}
		defer st.Close()
		l, _ := newLearner(st.Client(), func() *config.Config { return cfg }, nil)
		if err := l.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		return l.Model().Score((&learnReader{}).of([]byte(mailOf(3, "pills"))).Tokens)
	}
	before := score()
	out, _ = sekimori(0, "bayes", "stats")
	said(out, "ham    11", "spam   6", time.Now().UTC().Format("2006-01"), "sato@example.jp", "too few to count")
	file := filepath.Join(dir, "learned.jsonl.gz")
	out, _ = sekimori(0, "bayes", "export", file)
	said(out, "17 mails")
	_, errs = sekimori(1, "bayes", "export", file)
	said(errs, "there already")
	out, _ = sekimori(0, "bayes", "reset")
	said(out, "would be forgotten: 17 mails", "--yes")
	if score().Z != before.Z {
		t.Error("reset without --yes has changed something")
	}
	out, _ = sekimori(0, "bayes", "reset", "--yes", "--json")
	said(out, `"mails": 17`, `"done": true`)
	if z := score(); z.Z != 0 || z.Kept != 0 {
		t.Errorf("after the reset: %+v", z)
	}
	out, _ = sekimori(0, "bayes", "import", file)
	said(out, "17 mails, of which 17 taught something new")
	out, _ = sekimori(0, "bayes", "import", "--json", file)
	said(out, `"added": 0`)
	if after := score(); after.Z != before.Z || !slices.Equal(after.Words, before.Words) {
		t.Errorf("after reset and import z is %v, not %v", after.Z, before.Z)
	}
	hostileExports(t, sekimori, dir)
	out, _ = sekimori(0, "unlearn", "--scope", "sato@example.jp", one)
	said(out, "1 mails: what 1 had taught is taken away")
	out, _ = sekimori(0, "unlearn", "--json", one, filepath.Join(dir, "ham.mbox"))
	said(out, `"taken": 6`, `"unknown": 0`)
	out, _ = sekimori(0, "bayes", "stats", "--json")
	var s struct{ HamShown, SpamShown int }
	if err := json.Unmarshal([]byte(out), &s); err != nil || s.HamShown != 6 || s.SpamShown != 5 {
		t.Errorf("%v %s", err, out)
	}
	driftTold(t, conf, sekimori, write)
}

type command func(want int, args ...string) (out, errs string)

func exportedLines(t *testing.T, sekimori command) []string {
	t.Helper()
	out, _ := sekimori(0, "bayes", "export", "-")
	return strings.Split(strings.TrimSpace(out), "\n")
}

// hostileExports edits an export by hand: each is refused with its line, and nothing of it is learned.
func hostileExports(t *testing.T, sekimori command, dir string) {
	t.Helper()
	lines := exportedLines(t, sekimori)
	if len(lines) != 19 {
		t.Fatalf("%d lines are exported: a head, 17 mails and the end", len(lines))
	}
	edit := func(n int, line string) []string {
		all := slices.Clone(lines)
		all[n-1] = line
		return all
	}
	for want, all := range map[string][]string{
		"line 1":    edit(1, `{"format":"something else"}`),
		"version 9": edit(1, `{"format":"sekimori-bayes","version":9}`),
		"line 3":    edit(3, strings.Replace(lines[2], `"mail":"`, `"mail":"../`, 1)),
		"line 4":    edit(4, "{"),
		"line 5":    edit(5, strings.Replace(lines[4], `"m":"20`, `"m":"29`, 1)),
		"line 7":    edit(7, strings.Replace(lines[6], `"tokens":[`, `"tokens":["`+strings.Repeat("x", 2000)+`",`, 1)),
		"line 18":   slices.Delete(slices.Clone(lines), 5, 6),
		"last line": lines[:10],
	} {
		path := filepath.Join(dir, "edited")
		if err := os.WriteFile(path, []byte(strings.Join(all, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, errs := sekimori(1, "bayes", "import", path); !strings.Contains(errs, want) || !strings.Contains(errs, "nothing was learned") {
			t.Errorf("%s is not in %s", want, errs)
		}
	}
	if again := exportedLines(t, sekimori); !slices.Equal(again, lines) {
		t.Error("something of the edited exports was learned")
	}
}

// driftTold teaches as spam mails that another host delivered because the check found them good, until it weighs half: the commands say
// so.
func driftTold(t *testing.T, conf string, sekimori command, write func(name, content string) string) {
	t.Helper()
	cfg, err := config.Load(conf)
	if err != nil {
		t.Fatal(err)
	}
	sekimori(0, "bayes", "drift")
	host := func(f func(w *reputation.BayesWatch)) {
		t.Helper()
		st, err := store.Dial(t.Context(), store.Options{Redis: cfg.Redis, DataDir: cfg.DataDir})
		if err != nil {
			t.Fatal(err)
		}
		defer st.Close()
		_, w := newLearner(st.Client(), func() *config.Config { return cfg }, nil)
		f(w)
		if _, err := w.Look(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	host(func(w *reputation.BayesWatch) {
		for i := range 12 {
			text := fmt.Sprintf("From: a@lottery.test\nMessage-ID: <won%d@lottery.test>\n\nyou have won %d\n", i, i)
			write(fmt.Sprintf("reported/%d", i), text)
			rcpt, _ := mail.ParseAddress(fmt.Sprintf("p%d@example.jp", i%4), false)
			v := []mail.Verdict{{Rcpt: rcpt, Counted: []mail.Counted{{Name: "BAYES_HAM", Points: -2}}}}
			w.Passed(w.Ended(v, func(int) bool { return true }), (&learnReader{}).of([]byte(text)).Fingerprint)
			w.Outcome(mail.Outcome{Check: "bayes", Result: mail.Result{Facts: []mail.FactValue{{Name: "bayes.z", Value: -3.0}}}})
		}
	})
	sekimori(0, "learn", "spam", filepath.Join(filepath.Dir(conf), "reported"))
	host(func(*reputation.BayesWatch) {})
	out, _ := sekimori(1, "bayes", "drift")
	if !strings.Contains(out, "12 mails, of which 12 were reported as spam, by 4 people") || !strings.Contains(out, "weighs half since") {
		t.Error(out)
	}
	if out, _ = sekimori(0, "bayes", "stats"); !strings.Contains(out, "weighs half") || !strings.Contains(out, "  12  ") {
		t.Error(out)
	}
	var told bytes.Buffer
	a := &app{ctx: t.Context(), out: &told}
	a.tellDrift(cfg)
	if !strings.Contains(told.String(), "warning: the Bayesian check weighs half since") {
		t.Error(told.String())
	}
	sekimori(0, "bayes", "drift", "--clear", "--json")
	if out, _ = sekimori(0, "bayes", "drift"); strings.Contains(out, "half") {
		t.Error(out)
	}
}
