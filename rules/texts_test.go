package rules_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestRuleTexts holds the table of what the built-in and the ready rules say to people to the rules.
func TestRuleTexts(t *testing.T) {
	const page = "TEXTS.md"
	var b strings.Builder
	b.WriteString("# What rules say to people, Japanese and English side by side\n\n" +
		"Written by `go test ./rules -run TestRuleTexts -update`. All other texts: [internal/text/TEXTS.md](../internal/text/TEXTS.md).\n")
	section, cell := "", strings.NewReplacer("|", "\\|")
	for _, r := range loadLibrary(t, useAll(t)).Rules() {
		file, _, _ := strings.Cut(r.Place, ":")
		if r.Builtin {
			file = "built in"
		}
		if file != section {
			section = file
			fmt.Fprintf(&b, "\n## %s\n\n| rule | 日本語 | English |\n|---|---|---|\n", section)
		}
		if r.Describe["ja"] == "" || r.Describe["en"] == "" {
			t.Errorf("%s is not said in both languages", r.ID)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", r.ID, cell.Replace(r.Describe["ja"]), cell.Replace(r.Describe["en"]))
	}
	if flag.Lookup("update").Value.String() == "true" {
		if err := os.WriteFile(page, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(page)
	if err != nil || string(have) != b.String() {
		t.Errorf("%s is not what the rules say (%v); write it with -update", page, err)
	}
}
