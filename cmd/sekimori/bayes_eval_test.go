package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestBayesEval measures on mails whose class their words tell: an mbox of ham, files of spam.
func TestBayesEval(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	mail := func(i int, word string) string {
		return fmt.Sprintf("From: a@%s%d.test\r\nSubject: %s\r\nMessage-ID: <%d@%s.test>\r\n\r\n%s number %d and %s%d\r\n", word, i%7, word, i, word, word, i, word, i%5)
	}
	var mbox, manifest strings.Builder
	for i := range 60 {
		mbox.WriteString("From x Fri Nov 20 14:32:00 2026\n" + strings.ReplaceAll(mail(i, "minutes"), "\r\n", "\n") + "\n")
		write(fmt.Sprintf("spam/%d", i), mail(i, "pills"))
		write(fmt.Sprintf("flat/h%d", i), mail(i, "minutes"))
		write(fmt.Sprintf("flat/s%d", i), mail(i, "pills"))
		fmt.Fprintf(&manifest, "h%d ham %d %d\ns%d spam %d %d\n", i, i, 100-i, i, i, 200-i)
	}
	write("spam/again", mail(1, "pills"))
	write("ham/all.mbox", mbox.String())
	write("manifest", manifest.String())
	command := func(args ...string) (int, string, string) {
		var out, errs strings.Builder
		code := run(t.Context(), append([]string{"bayes", "eval"}, args...), strings.NewReader(""), &out, &errs)
		return code, out.String(), errs.String()
	}
	eval := func(args ...string) []evalRow {
		t.Helper()
		code, out, errs := command(append([]string{"--json"}, args...)...)
		if code != 0 {
			t.Fatal(errs)
		}
		var r evalReport
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			t.Fatal(err)
		}
		return r.Rows
	}
	picture := filepath.Join(dir, "p.svg")
	rows := eval(dir, "--folds", "4", "--svg", picture, "--peers", "bogofilter")
	if r := rows[0]; r.Split != "4 folds" || r.Ham != 60 || r.Spam != 60 || r.ROCA != 0 || len(rows) != 2 || rows[1].Filter != "bogofilter" {
		t.Errorf("%+v", rows)
	}
	if b, err := os.ReadFile(picture); err != nil || !strings.Contains(string(b), "</svg>") {
		t.Error("no picture", err)
	}
	rows = eval(filepath.Join(dir, "flat"), "--manifest", filepath.Join(dir, "manifest"), "--train", "80", "--auto")
	if len(rows) != 4 || rows[0].Split != "random" || rows[2].Split != "time" || rows[2].Ham+rows[2].Spam != 40 || rows[1].Filter == rows[0].Filter {
		t.Errorf("%+v", rows)
	}
	if code, _, errs := command(dir, "--peers", "nobody"); code != 2 || !strings.Contains(errs, "bogofilter") {
		t.Error(code, errs)
	}
	if code, _, errs := command(filepath.Join(dir, "flat")); code != 1 || !strings.Contains(errs, "no mail in") {
		t.Error(code, errs)
	}
	// A mail in the wrong folder is named, one that lies in both is left out, one that cannot be read is told.
	write("ham/misplaced", mail(300, "pills"))
	write("ham/twice", mail(2, "pills"))
	if err := os.Symlink("nowhere", filepath.Join(dir, "ham", "link")); err != nil {
		t.Fatal(err)
	}
	pixels := filepath.Join(dir, "p.png")
	code, out, errs := command(dir, "--folds", "4", "--png", pixels)
	if code != 0 {
		t.Fatal(code, errs)
	}
	for _, want := range []string{
		filepath.Join(dir, "ham/misplaced"), "In ham and in spam, and left out:", filepath.Join(dir, "spam/2"), "z | spam",
		"collect 139 more", "2 mails lie in ham and in spam", "Look at the mistakes",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	if b, err := os.ReadFile(pixels); err != nil || !strings.HasPrefix(string(b), "\x89PNG") {
		t.Error("no picture", err)
	}
	var r evalReport
	_, out, _ = command(dir, "--folds", "4", "--json")
	if err := json.Unmarshal([]byte(out), &r); err != nil || len(r.Mistakes) != 1 || r.Mistakes[0].Class != "ham" || r.Mistakes[0].Subject != "pills" ||
		len(r.InBoth) != 2 || len(r.Advice) == 0 || len(r.Spread) == 0 || r.Rows[0].Score <= 0 {
		t.Errorf("%v %s", err, out)
	}
	for want, args := range map[string][]string{
		"no directory":          {filepath.Join(dir, "manifest")},
		"no such file":          {filepath.Join(dir, "nothing")},
		"--split time":          {dir, "--split", "time"},
		"100 parts (--folds)":   {dir, "--folds", "100"},
		"spamassassin, rspamd,": {dir, "--peers", "x"},
	} {
		if code, _, errs := command(args...); code == 0 || !strings.Contains(errs, want) {
			t.Errorf("%v: %d %s", args, code, errs)
		}
	}
}
