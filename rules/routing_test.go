package rules

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"sekimori/internal/mail"
)

func TestRouting(t *testing.T) {
	const always, r, d = "client.early", `redirect = "boss@example.jp"`, `action = "discard"`
	limits := func(o *Options) { o.Thresholds = map[string]float64{"hold": 6} }
	observe := func(o *Options) { o.Mode = "observe" }
	spam := simple("SPAM", always, "score = 7")
	for _, c := range []struct {
		name, text, want string
		change           []func(*Options)
		rcpt             string
	}{
		{name: "redirect", text: simple("R", always, r), want: "redirect boss@example.jp by R"},
		{name: "redirect is looked at further", text: simple("R", always, r) + spam, change: []func(*Options){limits}, want: "hold by threshold.hold"},
		{name: "redirect under hold", text: simple("R", always, r+"\nmode = \"hold\""), want: "redirect boss@example.jp by R"},
		{name: "redirect under tag", text: simple("R", always, r+"\nmode = \"tag\""), want: "tag by R"},
		{name: "redirect under observe", text: simple("R", always, r+"\nmode = \"observe\""), want: "deliver by  observed R"},
		{name: "a policy that observes", text: simple("R", always, r), change: []func(*Options){observe}, want: "deliver by R observed R"},
		{name: "the first of a stage", text: simple("R", always, r) + simple("H", always, `action = "hold"`), want: "redirect boss@example.jp by R"},
		{name: "over the stages the harsher", text: simple("R", always, r) + simple("H", always, "action = \"hold\"\nat = \"conclude\""), want: "hold by H"},
		{name: "discard is final", text: simple("D", always, d) + spam, change: []func(*Options){limits}, want: "discard by D"},
		{name: "discard is harsher than hold", text: simple("D", always, d+"\nat = \"conclude\"") + simple("H", always, `action = "hold"`), want: "discard by D"},
		{name: "discard is milder than reject", text: simple("D", always, d+"\nat = \"conclude\"") + simple("X", always, `action = "reject"`), want: "reject by X"},
		{name: "discard under hold", text: simple("D", always, d+"\nmode = \"hold\""), want: "hold by D"},
		{name: "accept undoes it", text: simple("D", always, d) + simple("A", always, "action = \"accept\"\nat = \"conclude\""), want: "deliver by A"},
		{name: "postmaster", text: simple("D", always, d), rcpt: "postmaster", want: "hold by D"},
		{
			name: "bcc", text: simple("B", always, `bcc = ["a@example.jp", "b@example.jp"]`) + simple("C", always, `bcc = "b@example.jp"`) + simple("T", always, `action = "tag"`),
			want: "tag by T copies [a@example.jp b@example.jp]",
		},
		{name: "bcc under observe", text: simple("B", always, "bcc = \"a@example.jp\"\nmode = \"observe\""), want: "deliver by  observed B"},
	} {
		tx := fixtureTx(mail.Conclude)
		tx.Facts["client.early"] = true
		rcpt := info
		if c.rcpt != "" {
			rcpt.Local = c.rcpt
		}
		noDefaults := func(o *Options) { o.Thresholds = map[string]float64{} }
		v := policy(t, c.text, append([]func(*Options){noDefaults}, c.change...)...).Judge(tx, []mail.Address{rcpt})[0]
		got := v.Word()
		if !v.Redirect.IsNull() {
			got += " " + v.Redirect.String()
		}
		got += " by " + v.RuleID
		if len(v.Copies) > 0 {
			got += fmt.Sprintf(" copies %v", v.Copies)
		}
		if len(v.Observed) > 0 {
			got += " observed " + strings.Join(v.Observed, " ")
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestUnreachable: an address that no mail can be sent to is found at load.
func TestUnreachable(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.toml"), simple("R", "client.early", `redirect = "x@elsewhere.example"`))
	o := fixtureOptions()
	o.Dir = dir
	o.Reachable = func(a mail.Address) error { return errors.New(a.Domain + " is not one of our domains") }
	if _, err := Load(o); err == nil || !strings.Contains(err.Error(), "a.toml:5:12: elsewhere.example is not one of our domains") {
		t.Error(err)
	}
}
