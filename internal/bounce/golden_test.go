package bounce

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sekimori/internal/mail"
)

var update = flag.Bool("update", false, "rewrite the reports under testdata")

// every is a report about recipients whose mail failed for each reason that the sentences know.
func every(r *Report) {
	r.Rcpts = nil
	for _, c := range []struct {
		local string
		reply mail.Reply
		own   bool
	}{
		{"unknown", mail.Permanent(550, 1, 1, "<unknown@example.jp>: Recipient address rejected: User unknown in virtual mailbox table"), false},
		{"full", mail.Permanent(552, 2, 2, "mailbox full"), false},
		{"size", mail.Permanent(552, 3, 4, "message size exceeds fixed limit"), false},
		{"policy", mail.Permanent(550, 7, 1, "message refused"), false},
		{"other", mail.Permanent(554, 0, 0, "transaction failed"), false},
		{"expired", mail.Permanent(554, 4, 7, "delivery time expired; last: connect to mail1.example.jp:25: connection refused"), true},
	} {
		r.Rcpts = append(r.Rcpts, Rcpt{
			Addr: mail.Address{Local: c.local, Domain: "example.jp"}, Reply: c.reply, Own: c.own, By: "smtp://mail1.example.jp:25", At: t0.Add(30 * time.Second),
		})
	}
}

func delayed(r *Report) {
	r.Action = Delayed
	r.Rcpts = []Rcpt{
		{Addr: mail.Address{Local: "x", Domain: "example.jp"}, Reply: mail.Transient(450, 2, 0, "try again later"), By: "smtp://mail1.example.jp:25", At: t0.Add(4 * time.Hour)},
		{Addr: mail.Address{Local: "y", Domain: "example.jp"}, Reply: mail.Transient(451, 4, 1, "connect to mail1.example.jp:25: connection refused"), Own: true, At: t0.Add(4 * time.Hour)},
	}
}

// TestReportGolden holds the whole of every report: what is sent, and the sentences as a person reads them.
func TestReportGolden(t *testing.T) {
	for name, make := range map[string]func(*Report){
		"failed": every, "delayed": delayed,
		"international": func(r *Report) { r.UTF8, r.To.Local, r.Rcpts[0].Addr.Local = true, "佐藤", "田中" },
	} {
		for _, lang := range []string{"ja", "en", "both"} {
			r := report(original)
			r.Lang = lang
			make(r)
			r.ID = ID("d4j0", r.Action, []mail.Address{r.Rcpts[0].Addr})
			raw := r.Bytes()
			golden(t, name+"."+lang+".eml", string(raw))
			golden(t, name+"."+lang+".txt", strings.ReplaceAll(check(t, raw, r.UTF8).people, "\r\n", "\n"))
		}
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is not what it was; look at it, then go test -update. It is now:\n%s", file, got)
	}
}
