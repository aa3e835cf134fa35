package filters

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sekimori/internal/text"
)

// TestAuthTexts: every symbol of spf, dkim and dmarc stands in a scenario, and what its texts quote is in its evidence.
func TestAuthTexts(t *testing.T) {
	texts := map[string]text.Entry{}
	for _, e := range text.All() {
		texts[e.Key] = e
	}
	holder := regexp.MustCompile(`\{(\w+)\}`)
	for _, spec := range []Spec{spfSpec, dkimSpec, dmarcSpec} {
		seen := scenarioFindings(t, spec.Name)
		for _, s := range Symbols([]Spec{spec}) {
			e, ok := texts["symbol."+s.Name]
			if !ok || e.Ja == "" || e.En == "" {
				t.Errorf("%s has no text", s.Name)
			}
			if len(seen[s.Name]) == 0 {
				t.Errorf("%s is in no scenario", s.Name)
			}
			for _, line := range seen[s.Name] {
				for _, m := range holder.FindAllStringSubmatch(e.Ja+e.En, -1) {
					if !strings.Contains(line, " "+m[1]+"=") {
						t.Errorf("the text of %s quotes %s, which is not in: %s", s.Name, m[1], line)
					}
				}
			}
		}
		for _, f := range spec.Facts {
			if texts["fact."+f.Name].En == "" {
				t.Errorf("fact %s has no text", f.Name)
			}
		}
	}
}

// scenarioFindings returns the lines of want by symbol.
func scenarioFindings(t *testing.T, check string) map[string][]string {
	t.Helper()
	paths, _ := filepath.Glob("../testdata/filters/" + check + "*.txtar")
	seen := map[string][]string{}
	for _, p := range paths {
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		_, want, _ := strings.Cut(string(b), "-- want --\n")
		for line := range strings.Lines(want) {
			name, _, _ := strings.Cut(line, " ")
			if strings.HasPrefix(name, strings.ToUpper(check)+"_") {
				seen[name] = append(seen[name], strings.TrimSpace(line))
			}
		}
	}
	return seen
}
