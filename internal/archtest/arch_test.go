// Package archtest holds the directions in which packages import each other, and the owner of each library, as a test.
package archtest

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const root = "../.."

// may says which of our own packages a package may import; mail and text are open to all.
var may = map[string][]string{
	"internal/mail":             {},
	"internal/text":             {},
	"internal/mime":             {},
	"internal/alike":            {},
	"internal/dns":              {},
	"internal/metrics":          {},
	"internal/config":           {},
	"internal/store":            {"internal/config"},
	"internal/disk":             {},
	"internal/disk/powercut":    {"internal/disk"},
	"internal/spool":            {"internal/disk"},
	"internal/web":              {"internal/config", "internal/link", "internal/people", "internal/audit", "internal/web/session", "internal/web/login", "internal/web/safe", "internal/web/pages", "quarantine", "quarantine/acts", "reputation"},
	"internal/web/session":      {"internal/store"},
	"internal/web/login":        {"internal/store", "internal/config", "internal/recipients"},
	"internal/web/login/issuer": {},
	"internal/web/safe":         {"internal/mime"},
	"internal/web/browser":      {},
	"internal/web/pages":        {"quarantine", "quarantine/acts", "internal/audit", "internal/web/safe"},
	"internal/link":             {"internal/store"},
	"reputation":                {"internal/store"},
	"filters":                   {"internal/dns", "internal/config", "internal/mime", "reputation", "filters/bayes"},
	"filters/bayes/labels":      {"reputation"},
	"filters/bayes":             {"internal/mime", "internal/alike"},
	"filters/bayes/measure":     {"reputation"},
	"rules":                     {"internal/alike"},
	"internal/attached":         {"internal/mime"},
	"internal/imapfolder":       {},
	"quarantine":                {"internal/store", "internal/spool", "internal/mime", "internal/config"},
	"quarantine/acts":           {"quarantine", "reputation", "filters/bayes", "internal/mime", "internal/audit", "internal/store"},
	"internal/audit":            {"internal/store"},
	"internal/gate":             {"filters", "rules"},
	"internal/ledger":           {"internal/disk"},
	"internal/bounce":           {"internal/mime"},
	"internal/history":          {"internal/disk"},
	"internal/history/nodes":    {"internal/history", "internal/store"},
	"internal/ruleset":          {"internal/disk"},
	"internal/replay":           {"internal/history", "rules"},
	"internal/recipients":       {"internal/config"},
	"internal/people":           {"internal/config", "internal/recipients", "internal/store"},
	"quarantine/digest":         {"quarantine", "internal/people", "internal/config", "internal/store", "internal/mime"},
	"internal/relay":            {"internal/disk", "internal/spool", "internal/config", "internal/dns", "internal/ledger"},
	"internal/front":            {"internal/recipients", "internal/gate", "internal/relay", "quarantine", "internal/spool", "internal/config", "internal/mime", "internal/dns"},
}

// owners says who may import a library, by its import path or a prefix of it.
var owners = map[string][]string{
	"github.com/emersion/go-smtp":          {"internal/front", "internal/relay"},
	"github.com/emersion/go-imap":          {"internal/imapfolder"},
	"github.com/emersion/go-msgauth":       {"filters", "quarantine/digest"},
	"github.com/miekg/dns":                 {"internal/dns"},
	"blitiri.com.ar/go/spf":                {"filters"},
	"github.com/oschwald/geoip2-golang":    {"filters"},
	"github.com/redis/go-redis":            {"internal/store"},
	"github.com/alicebob/miniredis":        {"internal/store"},
	"github.com/jbrukh/bayesian":           {"reputation"},
	"github.com/expr-lang/expr":            {"rules"},
	"github.com/pelletier/go-toml":         {"rules", "internal/config"},
	"github.com/prometheus/client_golang":  {"internal/metrics"},
	"github.com/alecthomas/kong":           {"cmd/sekimori"},
	"github.com/pires/go-proxyproto":       {"internal/front"},
	"github.com/klauspost/compress":        {"quarantine", "internal/store", "internal/history"},
	"github.com/go-ldap/ldap":              {"internal/recipients"},
	"github.com/jackc/pgx":                 {"internal/recipients"},
	"github.com/go-sql-driver/mysql":       {"internal/recipients"},
	"github.com/xdg-go/scram":              {"internal/relay"},
	"github.com/coreos/go-systemd":         {"cmd/sekimori"},
	"github.com/landlock-lsm/go-landlock":  {"cmd/sekimori"},
	"golang.org/x/crypto/argon2":           {"internal/web/login"},
	"github.com/coreos/go-oidc":            {"internal/web/login"},
	"golang.org/x/oauth2":                  {"internal/web/login"},
	"golang.org/x/image":                   {"filters/bayes/measure"},
	"golang.org/x/net/html":                {"internal/mime", "internal/web/safe"},
	"github.com/microcosm-cc/bluemonday":   {"internal/web/safe"},
	"github.com/chromedp":                  {"internal/web/browser"},
	"github.com/maypok86/otter":            {"internal/dns"},
	"github.com/rs/xid":                    {"internal/front", "cmd/sekimori", "reputation"},
	"golang.org/x/net/publicsuffix":        {"filters", "filters/bayes", "filters/bayes/labels", "rules"},
	"golang.org/x/text/language":           {"internal/text"},
	"golang.org/x/text/encoding":           {"internal/mime"},
	"golang.org/x/text/unicode/norm":       {"internal/mime", "internal/alike", "filters/bayes", "quarantine", "rules"},
	"github.com/oschwald/maxminddb-golang": {"filters"},
}

// top is all that may stand at the top level beside dot-files.
var top = []string{
	"cmd", "filters", "reputation", "quarantine", "rules", "testdata", "internal",
	"go.mod", "go.sum", "README.md", "LICENSE", "CHANGELOG.md",
}

func TestTopLevel(t *testing.T) {
	entries, err := filepath.Glob(filepath.Join(root, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name := filepath.Base(e)
		if !strings.HasPrefix(name, ".") && !slices.Contains(top, name) && name != "sekimori-data" && name != "sekimori" {
			t.Errorf("%s stands at the top level; the layout has no place for it", name)
		}
	}
}

func TestImports(t *testing.T) {
	files := sources(t)
	if len(files) < 30 {
		t.Fatalf("only %d files found below %s", len(files), root)
	}
	for _, file := range files {
		pkg := filepath.ToSlash(filepath.Dir(file))
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, file), nil, parser.ImportsOnly)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, spec := range f.Imports {
			path, _ := strconv.Unquote(spec.Path.Value)
			checkImport(t, file, pkg, path)
		}
		if name := f.Name.Name; name == "util" || name == "common" || name == "helpers" {
			t.Errorf("%s: a package called %s says nothing about what is in it", file, name)
		}
	}
}

func checkImport(t *testing.T, file, pkg, path string) {
	t.Helper()
	if own, ok := strings.CutPrefix(path, "sekimori/"); ok {
		allowed, known := may[pkg]
		switch {
		case pkg == "cmd/sekimori", own == "internal/mail", own == "internal/text", own == pkg:
		case !known:
			t.Errorf("%s: package %s has no line in the table of directions", file, pkg)
		case strings.HasSuffix(file, "_test.go"):
			// A test may put a package together with its neighbours; circles the compiler finds.
		case !slices.Contains(allowed, own):
			t.Errorf("%s: %s must not import %s", file, pkg, own)
		}
		return
	}
	for lib, who := range owners {
		if (path == lib || strings.HasPrefix(path, lib+"/")) && !slices.Contains(who, pkg) && !strings.HasSuffix(file, "_test.go") {
			t.Errorf("%s: %s is imported by %v only", file, lib, who)
		}
	}
}

func sources(t *testing.T) []string {
	var files []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != root && strings.HasPrefix(d.Name(), ".") {
			return fs.SkipDir
		}
		if strings.HasSuffix(path, ".go") {
			rel, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			files = append(files, rel)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
