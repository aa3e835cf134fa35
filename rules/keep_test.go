package rules

import (
	"strings"
	"testing"
	"time"

	"sekimori/internal/mail"
)

func TestKeep(t *testing.T) {
	const always, kept = "client.early", "action = \"reject\"\nat = \"data\"\nkeep = \"3d\""
	days := 3 * 24 * time.Hour
	for _, c := range []struct {
		name, text string
		rcpt       string
		mode       string
		want       time.Duration
	}{
		{name: "kept", text: simple("R", always, kept), want: days},
		{name: "hours", text: simple("R", always, strings.Replace(kept, "3d", "36h", 1)), want: 36 * time.Hour},
		{name: "no wish", text: simple("R", always, "action = \"reject\"\nat = \"data\"")},
		{name: "held by the rule's mode", text: simple("R", always, kept+"\nmode = \"hold\"")},
		{name: "held for postmaster", text: simple("R", always, kept), rcpt: "postmaster"},
		{name: "observed", text: simple("R", always, kept), mode: "observe"},
		{name: "comes again", text: simple("R", always, kept), mode: "soft"},
		{name: "by another rule", text: simple("A", always, "action = \"reject\"\nat = \"data\"") + simple("R", always, kept)},
	} {
		tx := fixtureTx(mail.Conclude)
		tx.Facts["client.early"] = true
		rcpt := info
		if c.rcpt != "" {
			rcpt.Local = c.rcpt
		}
		v := policy(t, c.text, func(o *Options) { o.Mode = c.mode }).Judge(tx, []mail.Address{rcpt})[0]
		if v.Keep != c.want {
			t.Errorf("%s: %s, kept for %v, want %v", c.name, v.Word(), v.Keep, c.want)
		}
	}
}

// TestKeepNeedsMail: `rules check` says when there is no mail yet that could be kept.
func TestKeepNeedsMail(t *testing.T) {
	w := policy(t, simple("EARLY", "client.early", "action = \"reject\"\nkeep = \"3d\"")).Warnings().Error()
	if !strings.Contains(w, "EARLY refuses at rcpt, when there is no mail yet that could be kept; with at = \"data\"") {
		t.Errorf("%q", w)
	}
	w = policy(t, simple("LATE", "client.early", "action = \"reject\"\nat = \"data\"\nkeep = \"3d\"")).Warnings().Error()
	if strings.Contains(w, "could be kept") {
		t.Errorf("%q", w)
	}
}
