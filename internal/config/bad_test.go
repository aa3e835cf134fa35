package config

import (
	"errors"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the expected messages")

const badDir = "../../testdata/config"

// TestBroken loads every broken configuration and compares all of its messages.
func TestBroken(t *testing.T) {
	t.Chdir(badDir)
	files, err := filepath.Glob("bad-*.toml")
	if err != nil || len(files) < 30 {
		t.Fatalf("%d broken configurations: %v", len(files), err)
	}
	o := Options{
		Checks:     []string{"rdns", "dnsbl", "geoip", "ratelimit", "spf", "dkim", "dmarc", "bayes"},
		Env:        func(string) string { return "" },
		LocalAddrs: func() []netip.Addr { return []netip.Addr{netip.MustParseAddr("192.0.2.2")} },
	}
	for _, f := range files {
		t.Run(f, func(t *testing.T) {
			_, err := LoadWith(f, o)
			var errs Errors
			if !errors.As(err, &errs) {
				t.Fatalf("loaded without Errors: %v", err)
			}
			got := err.Error() + "\n"
			if strings.Contains(got, "sesame") {
				t.Error("a password is shown")
			}
			want := strings.TrimSuffix(f, ".toml") + ".want"
			if *update {
				if err := os.WriteFile(want, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			b, err := os.ReadFile(want)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(b), got); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
}
