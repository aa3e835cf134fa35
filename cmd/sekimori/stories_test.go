package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sekimori/internal/history"
	"sekimori/internal/mail"
	"sekimori/quarantine/digest"
)

// TestDigestInStory: the story of a held mail tells of the digest that named it and of who opened its page, once for each hour.
func TestDigestInStory(t *testing.T) {
	dir := t.TempDir()
	conf := filepath.Join(dir, "sekimori.toml")
	if err := os.WriteFile(conf, []byte(serveConfig(dir, "[[domain]]\nnames = [\"example.test\"]\nrecipients = \"any\"\nbackends = [\"maildir:"+dir+"/maildir\"]\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := history.Open(filepath.Join(dir, "data", "history"), history.Options{})
	if err != nil {
		t.Fatal(err)
	}
	taro := mail.Address{Local: "taro", Domain: "example.test"}
	for _, id := range []string{"m1", "m2"} {
		w.Story(&history.Event{
			Time: time.Now(), Kind: history.KindMail, ID: id, From: "a@sender.test", Subject: "offer " + id,
			Rcpts: []history.Rcpt{{Addr: taro.String(), Action: "hold", Class: "spam"}},
		})
	}
	h := &stories{w: w}
	h.announced(digest.Mail{ID: "digest1", To: taro, Names: []string{"m1", "m2"}})
	for range 3 {
		h.opened("m1", taro.String())
	}
	h.opened("m1", "helpdesk")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for id, openings := range map[string]int{"m1": 2, "m2": 0} {
		for lang, words := range map[string][2]string{"en": {"digest1", "opened"}, "ja": {"digest1", "開き"}} {
			var out strings.Builder
			run(t.Context(), []string{"trace", "--config", conf, "--lang", lang, id}, strings.NewReader(""), &out, &out)
			got := out.String()
			if strings.Count(got, words[0]) != 1 || strings.Count(got, words[1]) != openings {
				t.Errorf("%s in %s, want the digest once and %d openings:\n%s", id, lang, openings, got)
			}
		}
	}
}
