package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/mail"
	"sekimori/internal/mime"
	"sekimori/quarantine"
	"sekimori/quarantine/acts"
)

// TestAskMail: what people ask comes to the administrators in one mail, in both languages; a note cannot write a field or a line of ours.
func TestAskMail(t *testing.T) {
	cfg := config.Default()
	cfg.Hostname, cfg.Alert.Mail, cfg.HTTP.PublicURL = "mx.example.jp", []string{"admin@example.jp"}, "https://guard.example.jp"
	taro := mail.Address{Local: "taro", Domain: "example.jp"}
	q := acts.Question{
		Item:  acts.Item{Item: quarantine.Item{Held: quarantine.Held{ID: "m1", Class: "malware", HeaderFrom: "a@b.example", Subject: "請求書\r\nBcc: x@evil.example"}}},
		Asked: []acts.Asked{{ID: "m1", By: "taro@example.jp", Rcpts: []mail.Address{taro}, Note: "電話で\n確認しました\u202E", At: time.Unix(1795427974, 0)}},
	}
	env := askMail(cfg, "ask-1", time.Unix(1795427974, 0), []acts.Question{q, q})
	raw := env.Content.Bytes()
	if len(env.Rcpts) != 1 || !env.From.IsNull() || bytes.ContainsFunc(raw, func(r rune) bool { return r > 0x7E }) {
		t.Errorf("%+v", env)
	}
	m := mime.Parse(raw)
	if !strings.Contains(m.Subject, "確認依頼が2件") || !strings.Contains(m.Subject, "2 held mail") || m.Get("Bcc") != "" {
		t.Errorf("%q", m.Subject)
	}
	for _, want := range []string{"件名：「請求書  Bcc: x@evil.example」", "電話で 確認しました", "Asked by: taro@example.jp", "https://guard.example.jp", "ID: m1"} {
		if !strings.Contains(m.Text(), want) {
			t.Errorf("%q is not in\n%s", want, m.Text())
		}
	}
	if strings.Contains(m.Text(), "\u202E") {
		t.Error("a direction character is left")
	}
}
