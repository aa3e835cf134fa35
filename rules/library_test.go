package rules_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sekimori/filters"
	"sekimori/internal/mail"
	"sekimori/internal/text"
	"sekimori/rules"
)

// useAll copies the whole library into a directory.
func useAll(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for _, r := range rules.Library() {
		for name, data := range r.Source() {
			if len(data) == 0 {
				t.Errorf("%s: %s is empty", r.Name, name)
			}
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

func loadLibrary(t testing.TB, dir string) *rules.Policy {
	return loadLibraryOf(t, dir, "example.jp")
}

// loadLibraryOf loads it for a domain that is ours.
func loadLibraryOf(t testing.TB, dir, domain string) *rules.Policy {
	t.Helper()
	specs := filters.Specs()
	p, err := rules.Load(rules.Options{
		Dir: dir, Facts: filters.Facts(specs), Symbols: filters.Symbols(specs), States: filters.Names(specs), Domains: []string{domain},
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Every ready rule loads with all others, hits and misses in its tests, and has its words in both languages.
func TestLibrary(t *testing.T) {
	p := loadLibrary(t, useAll(t))
	for _, w := range p.Warnings() {
		if !strings.Contains(w.Message, "is empty, so that nothing is ever in it") {
			t.Error(w)
		}
	}
	got := map[string]map[string]bool{}
	for _, r := range p.Test() {
		if !r.OK() {
			t.Error(r)
		}
		if got[r.RuleID] == nil {
			got[r.RuleID] = map[string]bool{}
		}
		got[r.RuleID][r.Got] = true
	}
	ready := 0
	for _, r := range p.Rules() {
		if r.Builtin {
			continue
		}
		ready++
		if !got[r.ID]["hit"] || !got[r.ID]["miss"] {
			t.Errorf("%s (%s): no test that hits, or none that misses", r.ID, r.Place)
		}
		ja, en := r.Describe["ja"], r.Describe["en"]
		if !strings.HasSuffix(ja, "。") || !strings.HasSuffix(en, ".") || strings.Contains(ja, "_") || strings.Contains(ja, r.ID) {
			t.Errorf("%s: %q %q", r.ID, ja, en)
		}
	}
	if ready < 35 {
		t.Errorf("%d ready rules", ready)
	}
	for _, r := range rules.Library() {
		if text.Fill("library."+r.Name, text.Ja) == "" || text.Fill("library."+r.Name, text.En) == "" {
			t.Errorf("%s is not said in both languages", r.Name)
		}
		alone := t.TempDir()
		for name, data := range r.Source() {
			if err := os.WriteFile(filepath.Join(alone, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		loadLibrary(t, alone)
	}
}

// BenchmarkLibrary is the whole library and the built-in rules over a usual mail.
func BenchmarkLibrary(b *testing.B) {
	p := loadLibrary(b, useAll(b))
	tx := usualMail()
	b.ReportAllocs()
	for b.Loop() {
		p.Judge(tx, tx.Rcpts)
	}
}

// usualMail is one on which all checks answered and found nothing.
func usualMail() *mail.Transaction {
	from := mail.Address{Local: "sato", Domain: "example.co.jp"}
	text := strings.Repeat("いつもお世話になっております。資料をお送りします。 Please find the minutes attached.\n", 30)
	tx := &mail.Transaction{
		Session: &mail.Session{Helo: "mx.example.co.jp"}, Stage: mail.Conclude, From: from, Rcpts: []mail.Address{{Local: "info", Domain: "example.jp"}},
		Facts: map[string]any{}, Message: &mail.Message{
			Raw: []byte(text), Subject: "資料をお送りします", From: []mail.Mailbox{{Name: "佐藤 花子", Addr: from}},
			Header: []mail.Field{{Name: "Subject", Value: "=?UTF-8?B?6LOH5paZ?="}},
			Parts:  []mail.Part{{Type: "text/plain", Text: text, Links: []mail.Link{{URL: "https://example.co.jp/"}}}, {Type: "application/pdf", Name: "資料.pdf"}},
		},
	}
	mail.AddBaseFacts(tx.Facts, tx)
	for _, f := range filters.Facts(filters.Specs()) {
		if _, ok := tx.Facts[f.Name]; ok || f.PerRcpt || strings.HasPrefix(f.Name, "rcpt.") {
			continue
		}
		tx.Facts[f.Name] = map[mail.FactType]any{mail.Bool: false, mail.Int: 0, mail.Float: 0.0, mail.String: "", mail.Strings: []string{}}[f.Type]
	}
	for name, v := range map[string]any{"geoip.country": "JP", "spf.result": "pass", "dkim.result": "pass", "dmarc.result": "pass", "rdns.result": "pass"} {
		tx.Facts[name] = v
	}
	for _, s := range filters.Specs() {
		tx.Outcomes = append(tx.Outcomes, mail.Outcome{Check: s.Name, Stage: s.Stages[len(s.Stages)-1]})
	}
	return tx
}
