package filters

import (
	"context"
	"flag"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"sekimori/internal/config"
	"sekimori/internal/dns"
	"sekimori/internal/mail"
	"sekimori/internal/mime"
)

var update = flag.Bool("update", false, "rewrite the want part of the scenario files")

// scenario is one file of testdata/filters: a session with its surroundings, and what one check must find in it.
//
//	-- facts --          TOML, see scenarioFacts
//	-- config --         the content of [filters.CHECK]; -- config.OTHER -- for further checks; $DIR is a scratch directory
//	-- zone --           the DNS (dns.ParseZone); names that are not there do not exist
//	-- mail --           the message; LF becomes CRLF
//	-- learn/spam/1.eml --, -- learn/ham/1.eml --   mails to train with, for bayes
//	-- mmdb/NAME.mmdb -- a GeoIP file made for the test: "type T", then lines "network JSON"; lands in $DIR
//	-- want --           see render; written by -update
//
// Any other file is written into $DIR. The check is the file's name up to the first hyphen.
type scenario struct {
	check string
	facts scenarioFacts
	files map[string]string
	dir   string
	now   atomic.Pointer[time.Time]
}

// clock and set guard the time, since the embedded store looks at it by itself once a second.
func (sc *scenario) clock() time.Time { return *sc.now.Load() }

func (sc *scenario) set(t time.Time) { sc.now.Store(&t) }

// scenarioFacts say who sends what. The stage helo runs when helo is given, mail when from or a mail is, rcpt once for
// each of rcpts, data and conclude when there is a mail.
type scenarioFacts struct {
	Client  string   `toml:"client"` // default 192.0.2.1
	Helo    string   `toml:"helo"`
	Esmtp   bool     `toml:"esmtp"`
	From    *string  `toml:"from"` // "" is the null reverse-path
	Rcpts   []string `toml:"rcpts"`
	Now     string   `toml:"now"` // default 2026-11-20T05:32:00Z
	TLS     bool     `toml:"tls"`
	Trusted bool     `toml:"trusted"`
	Early   bool     `toml:"early"`
	Relay   bool     `toml:"relay"`  // a trusted relay brings it
	Checks  []string `toml:"checks"` // those that run; default: only the file's own
	Repeat  int      `toml:"repeat"` // run all of it so many times; the last counts
	Every   string   `toml:"every"`  // how much time passes between these runs
}

func TestScenarios(t *testing.T) {
	paths, err := filepath.Glob("../testdata/filters/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) { runFile(t, path) })
	}
}

func runFile(t *testing.T, path string) {
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	ar := txtar.Parse(text)
	sc := readScenario(t, filepath.Base(path), ar)
	spec := Specs()[slices.IndexFunc(Specs(), func(s Spec) bool { return s.Name == sc.check })]
	if spec.New == nil {
		t.Fatalf("there is no check %s", sc.check)
	}
	var got []string
	if slices.Contains(spec.Needs, "redis") {
		got = sc.run(t)
	} else {
		synctest.Test(t, func(t *testing.T) { got = sc.run(t) })
	}
	if *update {
		rewrite(t, path, ar, got)
		return
	}
	compare(t, sc.files["want"], got)
}

func readScenario(t *testing.T, file string, ar *txtar.Archive) *scenario {
	t.Helper()
	check, _, _ := strings.Cut(strings.TrimSuffix(file, ".txtar"), "-")
	if !slices.Contains(Names(Specs()), check) {
		t.Fatalf("%s: no check is called %s", file, check)
	}
	sc := &scenario{check: check, files: map[string]string{}, dir: t.TempDir()}
	for _, f := range ar.Files {
		sc.files[f.Name] = string(f.Data)
		sc.writeFile(t, f.Name, f.Data)
	}
	sc.facts = scenarioFacts{Client: "192.0.2.1", Esmtp: true, Now: "2026-11-20T05:32:00Z", Checks: []string{check}, Repeat: 1}
	if err := section(t, sc.files["facts"]).Decode(&sc.facts); err != nil {
		t.Fatalf("facts: %v", err)
	}
	now, err := time.Parse(time.RFC3339, sc.facts.Now)
	if err != nil {
		t.Fatalf("facts: now: %v", err)
	}
	sc.set(now)
	return sc
}

// writeFile puts what is no part of the format into the scratch directory.
func (sc *scenario) writeFile(t *testing.T, name string, data []byte) {
	t.Helper()
	if mmdb, ok := strings.CutPrefix(name, "mmdb/"); ok {
		writeMMDB(t, filepath.Join(sc.dir, mmdb), string(data))
		return
	}
	own := []string{"facts", "config", "zone", "mail", "want", "allow", "past"}
	if slices.Contains(own, name) || strings.HasPrefix(name, "config.") || strings.HasPrefix(name, "learn/") {
		return
	}
	if !filepath.IsLocal(name) {
		t.Fatalf("file name %q", name)
	}
	p := filepath.Join(sc.dir, name)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func section(t *testing.T, text string) config.Section {
	t.Helper()
	s, err := config.ParseSection(text)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return s
}

// env is what a check is given in a scenario.
func (sc *scenario) env(t *testing.T, name string, zone *dns.Zone) Env {
	text := sc.files["config."+name]
	if name == sc.check {
		text = sc.files["config"]
	}
	e := Env{
		Config: section(t, strings.ReplaceAll(text, "$DIR", sc.dir)), DNS: zone, Hostname: "mx.sekimori.example",
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Now: sc.clock,
		Warn: func(string, string) {},
	}
	sc.remember(t, &e)
	return e
}

// run plays the scenario and returns the lines of want.
func (sc *scenario) run(t *testing.T) []string {
	zone, err := dns.ParseZone(sc.files["zone"])
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var specs []Spec
	for _, s := range Specs() {
		if slices.Contains(sc.facts.Checks, s.Name) && s.New != nil {
			specs = append(specs, s)
		}
	}
	envs := map[string]Env{}
	for _, s := range specs {
		envs[s.Name] = sc.env(t, s.Name, zone)
	}
	chain, err := NewChain(ctx, ChainOptions{
		Specs: specs, Deadline: 5 * time.Second, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Env: func(name string) Env { return envs[name] }, Now: sc.clock,
	})
	if err != nil {
		t.Fatal(err)
	}
	var out []mail.Outcome
	every, _ := time.ParseDuration(sc.facts.Every)
	for i := range sc.facts.Repeat {
		if i > 0 {
			sc.set(sc.clock().Add(every))
		}
		out = append(chain.Off(), sc.play(ctx, t, chain)...)
	}
	return render(sc.check, specs, out)
}

// play takes one mail through the stages and returns all outcomes.
func (sc *scenario) play(ctx context.Context, t *testing.T, chain *Chain) []mail.Outcome {
	tx := mail.Transaction{Session: sc.session(t), ID: "scenario", Start: sc.clock(), Facts: map[string]any{}}
	stage := func(s mail.Stage) {
		tx.Stage = s
		mail.AddBaseFacts(tx.Facts, &tx)
		for _, o := range chain.Start(ctx, tx).Wait() {
			tx.Outcomes = append(tx.Outcomes, o)
			for _, f := range o.Facts {
				tx.Facts[f.Name] = f.Value
			}
		}
	}
	stage(mail.Connect)
	if sc.facts.Helo != "" {
		stage(mail.Helo)
	}
	text, hasMail := sc.files["mail"]
	if sc.facts.From != nil || hasMail {
		if sc.facts.From != nil && *sc.facts.From != "" {
			tx.From = address(t, *sc.facts.From)
		}
		stage(mail.Mail)
	}
	for _, r := range sc.facts.Rcpts {
		tx.Rcpt = address(t, r)
		stage(mail.Rcpt)
		tx.Rcpts = append(tx.Rcpts, tx.Rcpt)
	}
	tx.Rcpt = mail.Address{}
	if hasMail {
		tx.Message = mime.Parse([]byte(strings.ReplaceAll(text, "\n", "\r\n")))
		stage(mail.Data)
		stage(mail.Conclude)
	}
	return tx.Outcomes
}

func (sc *scenario) session(t *testing.T) *mail.Session {
	client, err := netip.ParseAddr(sc.facts.Client)
	if err != nil {
		t.Fatalf("facts: client: %v", err)
	}
	s := &mail.Session{
		ID: "scenario", Client: client, Helo: sc.facts.Helo, Esmtp: sc.facts.Esmtp,
		Trusted: sc.facts.Trusted, Early: sc.facts.Early, Start: sc.clock(),
	}
	if sc.facts.Relay {
		s.Relay = netip.MustParseAddr("192.0.2.250")
	}
	if sc.facts.TLS {
		s.TLS = tlsState()
	}
	return s
}

func address(t *testing.T, s string) mail.Address {
	a, err := mail.ParseAddress(s, true)
	if err != nil {
		t.Fatalf("facts: %s: %v", s, err)
	}
	return a
}
