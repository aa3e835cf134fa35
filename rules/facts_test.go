package rules_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"sekimori/filters"
	"sekimori/internal/mail"
	"sekimori/internal/text"
)

const factsPage = "FACTS.md"

// TestFactsPage holds the page of facts to what is declared; with -update it is written anew.
func TestFactsPage(t *testing.T) {
	var b strings.Builder
	b.WriteString("# What rules can ask for\n\nWritten by `go test ./rules -run TestFactsPage -update`, from what the checks declare; `sekimori symbols --facts` prints the same.\n" +
		"A fact is known from its stage on, and only when its check looked: `<check>.state` is always known.\n")
	section := func(title, check string, facts []mail.Fact) {
		if len(facts) == 0 {
			return
		}
		fmt.Fprintf(&b, "\n## %s\n\n", title)
		if check != "" {
			fmt.Fprintf(&b, "%s\n%s\n\n", text.Fill("check."+check, text.En), text.Fill("check."+check, text.Ja))
		}
		b.WriteString("| fact | type | from | meaning | 意味 |\n|---|---|---|---|---|\n")
		for _, f := range facts {
			name, _, _ := strings.Cut(f.Name, "(")
			key := "fact." + name
			en, ja := text.Fill(key, text.En), text.Fill(key, text.Ja)
			if en == "" || ja == "" {
				t.Errorf("%s is not said in both languages", f.Name)
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", f.Name, f.Kind(), f.Stage, en, ja)
		}
	}
	section("Facts of the session, the envelope and the message", "", mail.BaseFacts)
	section("Attributes of the recipient", "", mail.RcptLookups)
	for _, s := range filters.Specs() {
		section("`"+s.Name+"`", s.Name, s.Facts)
	}
	if flag.Lookup("update").Value.String() == "true" {
		if err := os.WriteFile(factsPage, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(factsPage)
	if err != nil || string(have) != b.String() {
		t.Errorf("%s is not what is declared (%v); write it with -update", factsPage, err)
	}
}
