package front

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"sekimori/internal/mail"
	"sekimori/internal/recipients"
)

// slowSource is a directory that takes its time for each question.
type slowSource struct {
	flowSource
	asked int
}

const lookupTakes = 40 * time.Millisecond

func (s *slowSource) Lookup(ctx context.Context, a mail.Address) ([]recipients.Entry, error) {
	s.asked++
	time.Sleep(lookupTakes)
	return s.flowSource.Lookup(ctx, a)
}

// TestTempo: the time of an answer to RCPT does not tell who exists: whether the directory is asked, memory answers, an alias file does, or
// "unknown" is remembered, each takes as long as a question. The clock is the bubble's, so that a difference of a nanosecond would show.
func TestTempo(t *testing.T) {
	aliases := filepath.Join(t.TempDir(), "aliases")
	if err := os.WriteFile(aliases, []byte("sales: taro\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		src := &slowSource{}
		for _, local := range []string{"taro", "hanako"} {
			src.entries = append(src.entries, recipients.Entry{ID: local, Address: mail.Address{Local: local, Domain: "example.jp"}})
		}
		w.source = src
		w.cfg.Domains[0].Recipients, w.cfg.Domains[0].Aliases = "ldap:test", []string{aliases}
		w.start()
		c := w.dial("192.0.2.7").hello()
		c.want("MAIL FROM:<a@sender.example>", "250")
		for _, step := range []struct {
			what, rcpt, code string
			asks             bool
		}{
			{"known, asked for", "taro", "250", true},
			{"unknown, asked for", "nobody", "550", true},
			{"unknown, remembered", "nobody", "550", false},
			{"an alias", "sales", "250", false},
			{"known, a second one", "hanako", "250", true},
			{"unknown, a second one", "nemo", "550", true},
			{"unknown, remembered again", "nemo", "550", false},
		} {
			before, begun := src.asked, time.Now()
			c.want("RCPT TO:<"+step.rcpt+"@example.jp>", step.code)
			if took := time.Since(begun); took != lookupTakes {
				t.Errorf("%s: %s, want %s", step.what, took, lookupTakes)
			}
			if asked := src.asked > before; asked != step.asks {
				t.Errorf("%s: asked %v", step.what, asked)
			}
		}
		c.want("QUIT", "221")
		w.stop()
	})
}
