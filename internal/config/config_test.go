package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const domainText = `
[[domain]]
names = ["example.jp"]
recipients = "any"
backends = ["smtp://192.0.2.1"]
`

func parse(t *testing.T, text string, o Options) *Config {
	t.Helper()
	if o.Env == nil {
		o.Env = func(string) string { return "" }
	}
	c, err := Parse(filepath.Join(t.TempDir(), "sekimori.toml"), []byte(text), o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestExamples(t *testing.T) {
	files, _ := filepath.Glob("../../cmd/sekimori/examples/*.toml")
	if len(files) < 2 {
		t.Fatal("the examples are gone")
	}
	for _, f := range files {
		o := Options{SkipFiles: true, Checks: []string{"rdns", "dnsbl", "geoip", "ratelimit", "spf", "dkim", "dmarc", "bayes", "allow", "greylist", "history", "gateway"}}
		c, err := LoadWith(f, o)
		if err != nil {
			t.Error(err)
			continue
		}
		if len(c.Domains) != 1 || len(c.Domains[0].Backends) == 0 {
			t.Errorf("%s: %+v", f, c.Domains)
		}
	}
}

func TestDefault(t *testing.T) {
	c := Default()
	got := []any{
		c.SMTP.Listeners[0].Listen[0], c.HTTP.Listen, c.Metrics.Listen, c.DataDir, c.Domains[0].Names[0],
		c.Domains[0].Recipients, c.Domains[0].Backends[0].URL, c.Redis.Embedded(), c.Section("dnsbl").Empty(),
	}
	want := []any{
		"127.0.0.1:2525", "127.0.0.1:8025", "127.0.0.1:9025", "./sekimori-data", "example.test", "any",
		"maildir:sekimori-data/maildir", true, true,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if err := c.Section("dnsbl").Decode(&struct{}{}); err != nil {
		t.Error(err)
	}
}

func TestDefaultsOfAFile(t *testing.T) {
	c := parse(t, "\xef\xbb\xbf"+strings.ReplaceAll(`
[smtp]
mynetworks = ["10.20.0.0/16", "192.0.2.7", "2001:db8::1", "::ffff:192.0.2.9"]
[dns]
servers = ["127.0.0.1", "::1"]
[[domain]]
names = ["Example.JP", "日本語.jp"]
recipients = "any"
backends = ["smtp://Mail1.example.jp", "lmtp://192.0.2.2"]
[[domain.backend]]
url = "maildir:mail"
[[domain.backend]]
url = "lmtp+unix:///run/lmtp"
weight = 3
`, "\n", "\r\n"), Options{})
	dir := filepath.Dir(c.File)
	var urls []string
	for _, b := range c.Domains[0].Backends {
		urls = append(urls, fmt.Sprint(b.URL, " ", b.Weight, " ", b.MaxConnections, " ", b.TLS.Mode))
	}
	want := []string{
		"smtp://mail1.example.jp:25 1 15 opportunistic", "lmtp://192.0.2.2:24 1 15 opportunistic",
		"maildir:" + dir + "/mail 1 15 opportunistic", "lmtp+unix:///run/lmtp 3 15 opportunistic",
	}
	if d := cmp.Diff(want, urls); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"example.jp", "xn--wgv71a119e.jp"}, c.Domains[0].Names); d != "" {
		t.Error(d)
	}
	if got := fmt.Sprint(c.SMTP.MyNetworks, c.DNS.Servers); got != "[10.20.0.0/16 192.0.2.7/32 2001:db8::1/128 192.0.2.9/32] [127.0.0.1:53 [::1]:53]" {
		t.Error(got)
	}
	if c.SMTP.MaxMessageSize != 36<<20 || c.SMTP.Listeners[0].Purpose != "mx" || c.Policy.Mode != "enforce" {
		t.Errorf("%+v", c.SMTP)
	}
}

func TestSection(t *testing.T) {
	c := parse(t, domainText+`
[filters.dnsbl]
enabled = false
timeout = "2s"
[[filters.dnsbl.list]]
zone = "a.example"
[[filters.dnsbl.list]]
zone = "b.example"
codes = { "127.0.0.2" = 4 }
`, Options{})
	type list struct {
		Zone  string             `toml:"zone"`
		Codes map[string]float64 `toml:"codes"`
		Score float64            `toml:"score"`
	}
	into := struct {
		List    []list        `toml:"list"`
		Timeout time.Duration `toml:"timeout"`
		Kept    string        `toml:"kept"`
	}{Kept: "preset"}
	s := c.Section("dnsbl")
	if err := s.Decode(&into); err != nil {
		t.Fatal(err)
	}
	if s.Enabled() || s.Empty() || into.Kept != "preset" || into.Timeout != 2*time.Second || into.List[1].Codes["127.0.0.2"] != 4 {
		t.Errorf("%+v", into)
	}
	for path, want := range map[string]string{
		`list[1].codes."127.0.0.2"`: `:14:25: filters.dnsbl.list[1].codes."127.0.0.2": no`,
		"list[0].zone":              ":11:8: filters.dnsbl.list[0].zone: no",
		"list[0].score":             ":10:17: filters.dnsbl.list[0].score: no",
		"":                          ":7:10: filters.dnsbl: no",
	} {
		if got := s.Errorf(path, "no").Error(); !strings.HasSuffix(got, want) {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
	if !s.Has("list[1].codes") || s.Has("list[2]") || s.Has("list[0].codes") {
		t.Error("Has")
	}
	s, err := ParseSection("limits = 5\nenabled = 1")
	if err != nil {
		t.Fatal(err)
	}
	err = s.Decode(&struct{ Limit int }{})
	if want := "1:1: limits: unknown key; did you mean limit?\n2:11: enabled: must be true or false, not a whole number"; err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
}

func TestSecrets(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		f := filepath.Join(dir, name)
		if err := os.WriteFile(f, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return f
	}
	write("redis.password", " sesame\r\n", 0o644)
	env := map[string]string{"CREDENTIALS_DIRECTORY": dir, "SEKIMORI_QUARANTINE_KEY": "from the environment "}
	o := Options{Env: func(k string) string { return env[k] }}
	text := domainText + "[redis]\nurl = \"redis://127.0.0.1\"\n"
	for _, more := range []string{"", "password_file = \"redis.password\"\n"} {
		c := parse(t, text+more, o)
		if string(c.Redis.Password) != "sesame" || string(c.Quarantine.Key) != "from the environment" {
			t.Errorf("%q %q", string(c.Redis.Password), string(c.Quarantine.Key))
		}
		if len(c.Warnings) != 1 || !strings.Contains(c.Warnings.Error(), "redis.password can be read by everybody") {
			t.Errorf("warnings: %v", c.Warnings)
		}
		js, err := json.Marshal(c.Redis)
		if all := fmt.Sprintf("%s %v %+v %#v %s", js, c.Redis, c.Redis, c.Redis, c.Redis.Password); err != nil || strings.Contains(all, "sesame") {
			t.Errorf("shown: %s %v", all, err)
		}
	}
	s := parse(t, domainText+"[[filters.dnsbl.list]]\nkey_file = \"dqs\"\n", o).Section("dnsbl")
	write("dqs", "dqs-key\n", 0o600)
	got, err := s.Secret("list[0].key_file", "dqs")
	if string(got) != "dqs-key" || err != nil {
		t.Errorf("%q %v", string(got), err)
	}
	if _, err := s.Secret("list[0].key_file", "gone"); err == nil || !strings.Contains(err.Error(), "sekimori.toml:7:12: filters.dnsbl.list[0].key_file: cannot be read") {
		t.Error(err)
	}
}

func TestCertificates(t *testing.T) {
	dir := t.TempDir()
	keyPair := func(name string) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		der, _ := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1)}, &x509.Certificate{}, key.Public(), key)
		keyDER, _ := x509.MarshalPKCS8PrivateKey(key)
		for f, b := range map[string]*pem.Block{name + ".crt": {Type: "CERTIFICATE", Bytes: der}, name + ".key": {Type: "PRIVATE KEY", Bytes: keyDER}} {
			if err := os.WriteFile(filepath.Join(dir, f), pem.EncodeToMemory(b), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	keyPair("a")
	keyPair("b")
	load := func(cert, key string) error {
		_, err := Parse(filepath.Join(dir, "c.toml"), []byte(domainText+fmt.Sprintf("[smtp]\ntls_cert_file = %q\ntls_key_file = %q\n", cert, key)), Options{})
		return err
	}
	if err := load("a.crt", "a.key"); err != nil {
		t.Error(err)
	}
	if err := load("a.crt", "b.key"); err == nil || !strings.Contains(err.Error(), "private key does not match") {
		t.Error(err)
	}
}

func TestUnits(t *testing.T) {
	for in, want := range map[string]time.Duration{"15s": 15 * time.Second, "5d": 120 * time.Hour, "1w": 168 * time.Hour, "1w2d3h": 219 * time.Hour, "0.5d": 12 * time.Hour, "0": 0, "1h30m": 90 * time.Minute} {
		if got, err := ParseDuration(in); got != want || err != nil {
			t.Errorf("%s: %v %v", in, got, err)
		}
	}
	for _, in := range []string{"", "d", "-1d", "1d-1h", "NaNd", "1e300d", "2d1w", "5", "infd"} {
		if got, err := ParseDuration(in); err == nil {
			t.Errorf("%s: %v", in, got)
		}
	}
	for in, want := range map[string]Size{"36MiB": 36 << 20, "25MB": 25e6, "1.5 GiB": 3 << 29, "12": 12, "0": 0, "7 kB": 7000} {
		var z Size
		if err := z.UnmarshalText([]byte(in)); z != want || err != nil {
			t.Errorf("%s: %v %v", in, z, err)
		}
	}
	for _, in := range []string{"", "MB", "-1MB", "36M", "1e30GB", "1 2MB", "0x10", "NaN", "inf"} {
		var z Size
		if err := z.UnmarshalText([]byte(in)); err == nil {
			t.Errorf("%s: %v", in, z)
		}
	}
	if got := fmt.Sprint(Size(36<<20), Size(25e6), Duration(14*24*time.Hour), Duration(90*time.Second)); got != "36MiB 25000000 14d 1m30s" {
		t.Error(got)
	}
}

func TestPaths(t *testing.T) {
	for _, p := range []string{`list[0].codes."127.0.0.2"`, "domain[12].names[0]", "a.b"} {
		if got := showPath(splitPath(p)); got != p {
			t.Errorf("%s became %s", p, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"../../testdata/config/*.toml", "../../cmd/sekimori/examples/*.toml"} {
		files, _ := filepath.Glob(pattern)
		for _, file := range files {
			if b, err := os.ReadFile(file); err == nil {
				f.Add(b)
			}
		}
	}
	o := Options{SkipFiles: true, Env: func(string) string { return "" }, LocalAddrs: func() []netip.Addr { return nil }}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Parse("fuzz.toml", b, o)
		var errs Errors
		if err != nil && (!errors.As(err, &errs) || len(errs) == 0) {
			t.Fatalf("not Errors: %v", err)
		}
		for _, e := range errs {
			if e.Line < 0 || e.Line > strings.Count(string(b), "\n")+1 {
				t.Fatalf("outside of the file: %v", e)
			}
		}
		if err == nil && (len(c.Domains) == 0 || c.Domains[0].Recipients == "") {
			t.Fatalf("accepted: %+v", c)
		}
	})
}
