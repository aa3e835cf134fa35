package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// block is a fenced block of a page: what stands behind the three backticks, and the text.
type block struct{ info, text string }

var fenced = regexp.MustCompile("(?ms)^```([^\n]*)\n(.*?)^```$")

// blocksOf returns the fenced blocks of one section of a page.
func blocksOf(t *testing.T, path, title string) []block {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(data), "\n## "+title+"\n")
	if !ok {
		t.Fatalf("%s has no section %q", path, title)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var all []block
	for _, m := range fenced.FindAllStringSubmatch(section, -1) {
		all = append(all, block{m[1], m[2]})
	}
	return all
}

// TestGuide does what the guide says, step by step: files are written, commands are run, and what they print is what stands there.
func TestGuide(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "rules"), 0o700); err != nil {
		t.Fatal(err)
	}
	p := startIn(t, dir, reloadConfig(dir, "example.jp", ""))
	mails := func() {
		for _, subject := range []string{"=?UTF-8?B?5b2T6YG444GK44KB44Gn44Go44GG44GU44GW44GE44G+44GZ?=", "minutes"} {
			c := dial(t, p.SMTP, "")
			c.want("250", "EHLO client.test")
			c.want("250", "MAIL FROM:<a@shop.test>")
			c.want("250", "RCPT TO:<x@example.jp>")
			c.want("354", "DATA")
			c.want("250", "%s.", "From: a@shop.test\r\nTo: x@example.jp\r\nSubject: "+subject+"\r\nMessage-ID: <1@shop.test>\r\n\r\nhello\r\n")
		}
	}
	commands, files := 0, 0
	for _, b := range blocksOf(t, "../../rules/README.md", "A rule from the first word to the way back") {
		kind, name, _ := strings.Cut(b.info, " ")
		switch {
		case name != "":
			files++
			if err := os.WriteFile(filepath.Join(dir, name), []byte(b.text), 0o600); err != nil {
				t.Fatal(err)
			}
		case kind == "console":
			for step := range strings.SplitSeq("\n"+b.text, "\n$ ") {
				if line, shown, _ := strings.Cut(step, "\n"); line != "" {
					commands++
					p.guided(line, shown)
					if line == "sekimori rules reload new" {
						mails() // the days that pass while a rule observes
					}
				}
			}
		default:
			t.Errorf("a block of %q", b.info)
		}
	}
	if commands < 12 || files < 3 {
		t.Errorf("%d commands, %d files", commands, files)
	}
}

// guided runs one command until it prints what is shown: what is counted off the path of the mail is there a moment later.
func (p *program) guided(line, shown string) {
	p.t.Helper()
	want := strings.Split(regexp.QuoteMeta(strings.TrimSpace(shown)), "…")
	looks := regexp.MustCompile("(?s)" + strings.Join(want, ".*"))
	var out string
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		if args, ours := strings.CutPrefix(line, "sekimori "); ours {
			out, _ = p.command(strings.Fields(args)...)
		} else {
			cmd := exec.Command("sh", "-c", line)
			cmd.Dir = p.dir
			b, err := cmd.CombinedOutput()
			if out = string(b); err != nil {
				p.t.Fatalf("%s: %v\n%s", line, err, out)
			}
		}
		if looks.MatchString(out) {
			return
		}
		if time.Now().After(end) || strings.Contains(line, "reload") || strings.Contains(line, "rollback") {
			p.t.Fatalf("$ %s\nprints\n%s\nnot\n%s", line, out, shown)
		}
	}
}
