package recipients

import (
	"net/netip"
	"os"
	"strings"
	"testing"

	"sekimori/internal/config"
)

// readmeBlocks are the examples of README.md in a language.
func readmeBlocks(t *testing.T, language string) []string {
	t.Helper()
	b, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for i, part := range strings.Split(string(b), "```") {
		if text, ok := strings.CutPrefix(part, language+"\n"); ok && i%2 == 1 {
			list = append(list, text)
		}
	}
	return list
}

func readmeConfig(t *testing.T, text string) *config.Config {
	t.Helper()
	if !strings.Contains(text, "[[domain]]") {
		text += "\n[[domain]]\nnames = [\"example.jp\"]\nrecipients = \"any\"\nbackends = [\"smtp://192.0.2.1\"]\n"
	}
	c, err := config.Parse("README.toml", []byte(text), config.Options{SkipFiles: true, LocalAddrs: func() []netip.Addr { return nil }})
	if err != nil {
		t.Fatalf("%s\n%v", text, err)
	}
	return c
}

// TestReadme loads every example of a table.
func TestReadme(t *testing.T) {
	n := 0
	for _, text := range readmeBlocks(t, "toml") {
		if strings.HasPrefix(text, "[") {
			n++
			readmeConfig(t, text)
		}
	}
	if n != 3 {
		t.Errorf("%d examples", n)
	}
}

// TestReadmeQueriesReal runs the example queries against the tables they are for.
func TestReadmeQueriesReal(t *testing.T) {
	tables := map[string][]string{
		"postgres": {
			"CREATE TABLE alias (address varchar(255) PRIMARY KEY, goto text NOT NULL, domain varchar(255), " +
				"modified timestamp with time zone DEFAULT now(), active boolean NOT NULL DEFAULT true)",
			"INSERT INTO alias (address, goto) VALUES ('a@example.jp', 'a@example.jp'), ('all@example.jp', 'a@example.jp,b@example.jp'), ('@old.example.jp', 'a@example.jp')",
		},
		"mysql": {
			"CREATE TABLE users (username varchar(128) NOT NULL, domain varchar(128) NOT NULL, password varchar(64) NOT NULL)",
			"INSERT INTO users VALUES ('a', 'example.jp', 'x')",
		},
	}
	want := map[string]string{"postgres": "@old.example.jp a@example.jp all@example.jp", "mysql": "a@example.jp"}
	run := 0
	for _, text := range readmeBlocks(t, "toml") {
		if !strings.HasPrefix(text, "query") {
			continue
		}
		driver := "mysql"
		if strings.Contains(text, "$1") {
			driver = "postgres"
		}
		run++
		t.Run(driver, func(t *testing.T) {
			cfg := sqlConfig(t, driver, sqlKinds[driver](t))
			sqlAdmin(t, cfg, tables[driver]...)
			c := readmeConfig(t, "[sql.test]\ndriver = \""+driver+"\"\nhost = \"127.0.0.1\"\nuser = \"x\"\ndbname = \"x\"\n"+text).SQL["test"]
			cfg.Query, cfg.Lookup, cfg.ChangedSince = c.Query, c.Lookup, c.ChangedSince
			s := newSQL(t, cfg)
			b := fetch(t, s, "")
			if got := addresses(b.Entries); got != want[driver] || len(b.Problems) > 0 {
				t.Errorf("%s, %q", got, b.Problems)
			}
			if got := addresses(lookup(t, s, "a@example.jp")); got != "a@example.jp" {
				t.Errorf("lookup: %s", got)
			}
			if b.Mark != "" {
				if b = fetch(t, s, b.Mark); b.Full || len(b.Entries) != 3 {
					t.Errorf("changes: %+v", b)
				}
			}
		})
	}
	if run != 2 {
		t.Errorf("%d examples of queries", run)
	}
}
