package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sekimori/rules"
)

// TestRulesLibrary: ready rules are listed, copied with their lists and tests, tried with whole mails, never written over unasked, and
// compared after a change.
func TestRulesLibrary(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, "rules", name) }
	command := func(args ...string) (string, int) {
		t.Helper()
		var out bytes.Buffer
		code := run(t.Context(), append([]string{"-c", filepath.Join(dir, "sekimori.toml"), "rules"}, args...), nil, &out, &out)
		return out.String(), code
	}
	config := "data_dir = \"data\"\n[digest]\ntime_zone = \"Asia/Tokyo\"\n[[domain]]\nnames = [\"example.jp\"]\nrecipients = \"any\"\nbackends = [\"maildir:m\"]\n"
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(dir, "sekimori.toml"), config)
	if out, code := command("library", "use", "attachments"); code != 1 || !strings.Contains(out, "rules_dir is not set") {
		t.Errorf("%d\n%s", code, out)
	}
	write(filepath.Join(dir, "sekimori.toml"), "rules_dir = \"rules\"\n"+config)
	if err := os.Mkdir(filepath.Join(dir, "rules"), 0o700); err != nil {
		t.Fatal(err)
	}
	var rows []readyRow
	out, code := command("library", "--json")
	if err := json.Unmarshal([]byte(out), &rows); err != nil || code != 0 || len(rows) != len(rules.Library()) || rows[0].State != readyAbsent || rows[0].Rules == 0 {
		t.Fatalf("%d %v\n%s", code, err, out)
	}
	if out, code := command("library", "--lang", "ja"); code != 0 || !strings.Contains(out, "危険な添付ファイル") || !strings.Contains(out, "未使用") {
		t.Errorf("%d\n%s", code, out)
	}
	if out, code := command("library", "show", "own-domain"); code != 0 || !strings.Contains(out, "OWN_DOMAIN_FORGED") {
		t.Errorf("%d\n%s", code, out)
	}
	for _, wrong := range [][]string{{"library", "show", "nope"}, {"library", "use", "nope"}, {"library", "show", "countries", "--file", "x"}} {
		if out, code := command(wrong...); code != 2 || !strings.Contains(out, "attachments") && !strings.Contains(out, "ready-countries.toml") {
			t.Errorf("%q: %d\n%s", wrong, code, out)
		}
	}
	// A rule of one's own of the same name: nothing is copied.
	write(file("mine.toml"), "[[rule]]\nid = \"DISK_IMAGE\"\ndescribe = { ja = \"例です。\", en = \"Mine\" }\nwhen = 'client.early'\nscore = 1\n")
	if out, code := command("library", "use", "attachments"); code != 1 || !strings.Contains(out, "nothing was copied") || !strings.Contains(out, `"DISK_IMAGE"`) {
		t.Errorf("%d\n%s", code, out)
	}
	if left, err := os.ReadDir(filepath.Join(dir, "rules")); err != nil || len(left) != 1 {
		t.Errorf("%v %v", left, err)
	}
	if err := os.Remove(file("mine.toml")); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, r := range rules.Library() {
		all = append(all, r.Name)
	}
	out, code = command(append([]string{"library", "use"}, all...)...)
	if code != 0 || !strings.Contains(out, "ready-executives.txt: Write into it the names") || !strings.Contains(out, "13 rules, 6 of them only observe") {
		t.Errorf("%d\n%s", code, out)
	}
	if out, code := command("test"); code != 0 || !strings.Contains(out, ", 0 failed") {
		t.Errorf("%d\n%s", code, out)
	}
	// What the administrator filled in stays, whatever is forced.
	write(file("ready-executives.txt"), "山田太郎\n")
	own, err := os.ReadFile(file("ready-countries.toml"))
	if err != nil {
		t.Fatal(err)
	}
	write(file("ready-countries.toml"), strings.Replace(string(own), "score    = 1.5", "score    = 2.5", 1))
	if out, code := command("library", "diff", "--exit-code"); code != 1 || !strings.Contains(out, "score: 2.5 -> 1.5") || strings.Contains(out, "executives") {
		t.Errorf("%d\n%s", code, out)
	}
	if out, code := command("library", "use", "countries"); code != 1 || !strings.Contains(out, "--force") {
		t.Errorf("%d\n%s", code, out)
	}
	if out, code := command("library", "use", "countries", "business-mail", "--force"); code != 0 || strings.Contains(out, "ready-executives.txt: Write") {
		t.Errorf("%d\n%s", code, out)
	}
	if data, err := os.ReadFile(file("ready-executives.txt")); err != nil || string(data) != "山田太郎\n" {
		t.Errorf("%q %v", data, err)
	}
	if out, code := command("library", "diff"); code != 0 || !strings.Contains(out, "all as shipped") {
		t.Errorf("%d\n%s", code, out)
	}
}
