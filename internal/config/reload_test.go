package config

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestRestartKeys: what is opened once is named; what a running server takes over is not; secrets count.
func TestRestartKeys(t *testing.T) {
	a, b := Default(), Default()
	b.Hostname, b.DataDir, b.Redis.URL, b.Redis.Password, b.HTTP.Listen = "other.test", "/x", "redis://192.0.2.1/0", "secret", ""
	b.Policy.Mode, b.Log.Level, b.RulesDir, b.Relay.Budget, b.SMTP.Listeners = "observe", "debug", "/rules", 1, nil
	b.Relay.DiskReserve, b.Log.Format = 1, "text"
	want := []string{"data_dir", "hostname", "http.listen", "log.format", "redis.password", "redis.url", "relay.disk_reserve"}
	if got := RestartKeys(a, b); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := RestartKeys(a, Default()); len(got) > 0 {
		t.Errorf("the same configuration differs in %v", got)
	}
}

// TestLiveAlerts: who is told, and how much the spool holds, changes without a restart.
func TestLiveAlerts(t *testing.T) {
	a, b := Default(), Default()
	b.Alert.Mail, b.Alert.Lang = []string{"admin@elsewhere.test"}, "en"
	b.Relay.SpoolLimit, b.Relay.SpoolLimitMails = 1<<30, 7
	if keys := RestartKeys(a, b); len(keys) != 0 {
		t.Errorf("%q", keys)
	}
	b.Relay.DiskReserve++
	if keys := RestartKeys(a, b); !slices.Equal(keys, []string{"relay.disk_reserve"}) {
		t.Errorf("%q", keys)
	}
}

// TestAlertWay: an alert about a backend must not need that backend.
func TestAlertWay(t *testing.T) {
	for alert, warns := range map[string]bool{
		`["admin@example.jp"]`:                         true,
		`["admin@example.jp", "admin@elsewhere.test"]`: false,
		`["admin@kept.example.jp"]`:                    false,
		`[]`:                                           false,
	} {
		text := "[alert]\nmail = " + alert + "\n[bounce]\nrelay = \"smtp://out.example.net:25\"\n" +
			"[[domain]]\nnames = [\"example.jp\"]\nrecipients = \"any\"\nbackends = [\"smtp://mail1.example.jp:25\"]\n" +
			"[[domain]]\nnames = [\"kept.example.jp\"]\nrecipients = \"any\"\nbackends = [\"maildir:/var/mail/kept\"]\n"
		c, err := Parse("x.toml", []byte(text), Options{SkipFiles: true})
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(c.Warnings.Error(), "is delivered by the backends of example.jp"); got != warns {
			t.Errorf("%s: %v", alert, c.Warnings)
		}
	}
}

// TestLiveKeys: every key that is said to be taken over exists.
func TestLiveKeys(t *testing.T) {
	var known []string
	collect(reflect.TypeFor[Config](), "", &known)
	for _, key := range live {
		if !slices.Contains(known, key) {
			t.Errorf("there is no key %s", key)
		}
	}
}

func collect(t reflect.Type, table string, known *[]string) {
	for i := range t.NumField() {
		f := t.Field(i)
		key, _, _ := strings.Cut(f.Tag.Get("toml"), ",")
		*known = append(*known, table+key)
		if f.Type.Kind() == reflect.Struct {
			collect(f.Type, table+key+".", known)
		}
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"rules/a.toml": "", "rules/lists/deny.txt": "x\n", "rules/.hidden": "", "ca.pem": "", "cert.pem": "",
		"sekimori.toml": "rules_dir = \"rules\"\n[[domain]]\nnames = [\"example.jp\"]\n[[domain.backend]]\nurl = \"smtp://192.0.2.1:25\"\n" +
			"tls = { mode = \"required\", ca_file = \"ca.pem\" }\n[smtp]\ntls_cert_file = \"cert.pem\"\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, _ := Inspect(filepath.Join(dir, "sekimori.toml"), Options{}) // not complete; the files are named all the same
	var got []string
	for _, f := range c.Files() {
		rel, err := filepath.Rel(dir, f)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, rel)
	}
	if want := "ca.pem rules/a.toml rules/lists/deny.txt sekimori.toml"; strings.Join(got, " ") != want {
		t.Errorf("%v, want %s", got, want)
	}
}
