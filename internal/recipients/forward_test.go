package recipients

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/mail"
)

// home makes the home of an account with a ~/.forward; "" makes none.
func home(t *testing.T, homes, name, forward string) *Account {
	t.Helper()
	acc := &Account{Name: name, UID: uint32(os.Getuid()), Home: filepath.Join(homes, name)}
	if err := os.Mkdir(acc.Home, 0o700); err != nil {
		t.Fatal(err)
	}
	if forward != "" {
		if err := os.WriteFile(filepath.Join(acc.Home, forwardFile), []byte(forward), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return acc
}

// withForwards is a directory of the accounts for example.jp, whose aliases are given.
func withForwards(t *testing.T, homes, aliases string, accounts map[string]*Account) *Directory {
	t.Helper()
	cfg := &config.Config{Recipients: config.Recipients{ForwardHomes: []string{homes}, Lookups: 2, LookupTimeout: config.Duration(time.Minute)}}
	d := directory(t, Options{Config: cfg, Accounts: func(_ context.Context, name string) (*Account, error) { return accounts[name], nil }},
		config.Domain{Names: []string{"example.jp"}, Recipients: "unix", Subaddress: "+"})
	u := d.places[0].(*unixPlace)
	u.aliases = &file{path: filepath.Join(homes, "aliases"), log: d.o.Log, now: d.o.Now}
	if err := os.WriteFile(u.aliases.path, []byte(aliases), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := u.aliases.load(); err != nil {
		t.Fatal(err)
	}
	return d
}

// TestForward: a ~/.forward leads to owners as an alias does, and the account stays one.
func TestForward(t *testing.T) {
	homes := t.TempDir()
	accounts := map[string]*Account{}
	for name, text := range map[string]string{
		"plain":   "",
		"jiro":    "",
		"away":    "me@elsewhere.test\n",
		"both":    "\\both, jiro\n",
		"lines":   "# a comment\n\njiro@example.jp\n  plain, someone@elsewhere.test # more\r\n",
		"program": "\"|exec /usr/bin/vacation \\\"jiro, plain\\\" program\"\n",
		"mixed":   "/var/mail/copy\n:include:/etc/passwd\n|touch /tmp/x, jiro\nerror:gone\n@example.jp\nan@@address\n",
		"loop-a":  "loop-b",
		"loop-b":  "loop-a, loop-b",
		"chain":   "both",
		"empty":   "\n",
	} {
		accounts[name] = home(t, homes, name, text)
	}
	d := withForwards(t, homes, "staff: away, both\nroot: chain\n", accounts)
	for to, want := range map[string]string{
		"plain":    "plain",
		"away":     "away",
		"both":     "both jiro",
		"both+x":   "both jiro",
		"lines":    "lines jiro plain",
		"program":  "program",
		"mixed":    "mixed jiro",
		"loop-a":   "loop-a loop-b",
		"chain":    "chain both jiro",
		"empty":    "empty",
		"staff":    "away both jiro",
		"root":     "chain both jiro",
		"no-such":  "",
		"Lines":    "lines jiro plain",
		"jiro+tag": "jiro",
	} {
		r := d.Find(t.Context(), addr(t, to+"@example.jp"))
		var got []string
		for _, b := range r.Mailboxes {
			got = append(got, strings.ToLower(b.Local))
		}
		if want == "" && r.Result == Unknown {
			continue
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%s: %q, want %q", to, s, want)
		}
	}
	r := d.Find(t.Context(), addr(t, "mixed@example.jp"))
	notes := strings.Join(r.Notes, "\n")
	for _, want := range []string{`mixed/.forward:1: "/var/mail/copy" is not an address`, `:2: ":include:/etc/passwd"`, `:3: "|touch /tmp/x"`, `:4: "error:gone"`, `:5: "@example.jp"`} {
		if !strings.Contains(notes, want) {
			t.Errorf("%s is missing in:\n%s", want, notes)
		}
	}
	if owners := d.Owners([]mail.Address{addr(t, "both@example.jp")}); len(owners["both@example.jp"]) != 2 {
		t.Errorf("owners: %v", owners)
	}
}

// TestForwardUnsafe: what somebody else may have written, or what cannot be read, is no forward, and that is said.
func TestForwardUnsafe(t *testing.T) {
	homes := t.TempDir()
	accounts := map[string]*Account{"jiro": home(t, homes, "jiro", "")}
	spoil := map[string]func(path string) error{
		"is a symbolic link":                   func(p string) error { return os.Rename(p, p+"2") },
		"others than its owner can write it":   func(p string) error { return os.Chmod(p, 0o620) },
		"is no regular file":                   func(p string) error { _ = os.Remove(p); return syscall.Mkfifo(p, 0o600) },
		"is larger than 65536 octets":          func(p string) error { return os.WriteFile(p, []byte(strings.Repeat("jiro\n", 20_000)), 0o600) },
		"belongs neither to the account nor":   func(string) error { return nil },
		"no such file or directory":            func(p string) error { return os.RemoveAll(filepath.Dir(p)) },
		"is not beneath recipients.forward_ho": func(string) error { return nil },
	}
	for why, f := range spoil {
		name := strings.Map(func(r rune) rune {
			if r == ' ' || r == '_' || r == '.' {
				return '-'
			}
			return r
		}, why)
		acc := home(t, homes, name, "jiro\n")
		path := filepath.Join(acc.Home, forwardFile)
		if err := f(path); err != nil {
			t.Fatal(err)
		}
		switch {
		case strings.HasPrefix(why, "is a symbolic"):
			if err := os.Symlink(path+"2", path); err != nil {
				t.Fatal(err)
			}
		case strings.HasPrefix(why, "belongs"):
			acc.UID++
			if os.Getuid() == 0 { // what root owns is believed
				if err := os.Chown(path, 12345, -1); err != nil {
					t.Fatal(err)
				}
			}
		case strings.HasPrefix(why, "is not beneath"):
			acc.Home = t.TempDir()
		}
		accounts[name] = acc
		d := withForwards(t, homes, "", accounts)
		r := d.Find(t.Context(), addr(t, name+"@example.jp"))
		if say(r) != "known "+name+"@example.jp" || len(r.Notes) != 1 || !strings.Contains(r.Notes[0], why) {
			t.Errorf("%s: %s %q", why, say(r), r.Notes)
		}
		if s := d.Status()[0]; strings.HasPrefix(why, "is not beneath") != (len(s.Forward) == 0) {
			t.Errorf("%s: status %q", why, s.Forward)
		}
	}
}

// TestForwardChanges: a change is taken over by the tick, without a question to the name service and without a read for each mail.
func TestForwardChanges(t *testing.T) {
	homes := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		accounts := map[string]*Account{"taro": home(t, homes, "taro", ""), "jiro": home(t, homes, "jiro", "")}
		d := withForwards(t, homes, "", accounts)
		find := func(want string) {
			t.Helper()
			if got := say(d.Find(t.Context(), addr(t, "taro@example.jp"))); got != want {
				t.Errorf("%s, want %s", got, want)
			}
		}
		u := d.places[0].(*unixPlace)
		u.tick(t.Context())
		path := filepath.Join(accounts["taro"].Home, forwardFile)
		find("known taro@example.jp")
		if err := os.WriteFile(path, []byte("jiro\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		find("known taro@example.jp")
		u.tick(t.Context())
		find("known taro@example.jp")
		time.Sleep(forwardEvery)
		u.tick(t.Context())
		find("known taro@example.jp jiro@example.jp")
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		time.Sleep(forwardEvery)
		u.tick(t.Context())
		find("known taro@example.jp")
	})
}

// TestForwardHangs: homes that do not answer hold nobody's mail up, however many accounts there are.
func TestForwardHangs(t *testing.T) {
	homes := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		d := withForwards(t, homes, "", map[string]*Account{"taro": home(t, homes, "taro", "jiro\n")})
		u := d.places[0].(*unixPlace)
		for range forwardReads {
			u.forwards.slots <- struct{}{}
		}
		r := d.Find(t.Context(), addr(t, "taro@example.jp"))
		if say(r) != "known taro@example.jp" || !strings.Contains(strings.Join(r.Notes, ""), "does not answer") {
			t.Errorf("%s %q", say(r), r.Notes)
		}
		if u.live.failed != 0 {
			t.Error("the name service is blamed")
		}
	})
}

// TestForwardHomesClosed: a directory of homes that cannot be looked at is said before anybody has mail.
func TestForwardHomesClosed(t *testing.T) {
	homes := t.TempDir()
	d := withForwards(t, homes, "", nil)
	if s := d.Status()[0]; len(s.Forward) != 0 {
		t.Errorf("%q", s.Forward)
	}
	u := d.places[0].(*unixPlace)
	u.forwards.homes = []string{filepath.Join(homes, "gone")}
	u.tick(t.Context())
	if s := d.Status()[0]; !strings.Contains(s.Words(time.Now()), "ProtectHome") {
		t.Error(s.Words(time.Now()))
	}
}

func FuzzForward(f *testing.F) {
	f.Add("\\taro, jiro@example.jp\n\"|cmd \\\"a\\\"\"\n:include:/etc/passwd")
	f.Add("\"\\")
	f.Add("\\@0")
	f.Fuzz(func(t *testing.T, text string) {
		fwd := parseForward("/home/x/.forward", []byte(text))
		for _, a := range fwd.targets {
			if a.Local == "" {
				t.Errorf("%q: a whole domain", text)
			}
		}
		if len(fwd.targets) > maxTargets || len(fwd.notes) > maxForwardNotes+1 {
			t.Errorf("%d targets, %d notes", len(fwd.targets), len(fwd.notes))
		}
	})
}

func TestAccountOf(t *testing.T) {
	for name, line := range map[string]string{"taro": "taro:x:1000:1000:,,,:/home/taro:/bin/sh\n", "short": "short:x\n"} {
		acc := accountOf(name, line)
		if acc == nil || acc.Name != name || name == "taro" && (acc.UID != 1000 || acc.Home != "/home/taro") || name == "short" && acc.Home != "" {
			t.Errorf("%s: %+v", name, acc)
		}
	}
	if acc := accountOf("+0", "root:x:0:0:root:/root:/bin/sh"); acc != nil {
		t.Errorf("%+v", acc)
	}
}
