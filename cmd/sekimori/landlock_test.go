package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"sekimori/internal/config"
)

// needLandlock skips where the kernel has none: a kernel cannot be installed for a test, so SEKIMORI_REQUIRE_REAL does not
// make this a failure.
func needLandlock(t *testing.T) {
	t.Helper()
	if landlockState() != fenceFull {
		t.Skip("this kernel has no Landlock, or one before Linux 6.2; what depends on it is not tested here")
	}
}

// fenceHelper names the directory in which TestFenceHelper, in a process of its own, looks at what it may do.
const fenceHelper = "SEKIMORI_TEST_FENCE"

// TestFenceHelper is the process that is restricted. Without a directory there is nothing to do.
func TestFenceHelper(t *testing.T) {
	dir := os.Getenv(fenceHelper)
	if dir == "" {
		t.Skip("only as a process of TestFence")
	}
	f := &fence{Mode: "required", State: landlockState(), Read: []string{filepath.Join(dir, "read")}, Write: []string{filepath.Join(dir, "write", "new")}}
	if err := f.enforce(); err != nil {
		t.Fatal(err)
	}
	may := map[string]error{}
	_, may["read inside"] = os.ReadFile(filepath.Join(dir, "read", "a"))
	_, may["read outside"] = os.ReadFile(filepath.Join(dir, "secret"))
	may["write inside"] = os.WriteFile(filepath.Join(dir, "write/new/a"), nil, 0o600)
	may["write outside"] = os.WriteFile(filepath.Join(dir, "write/b"), nil, 0o600)
	may["write where it reads"] = os.WriteFile(filepath.Join(dir, "read/a"), nil, 0o600)
	may["truncate outside"] = os.Truncate(filepath.Join(dir, "secret"), 0)
	may["make a directory"] = os.Mkdir(filepath.Join(dir, "write/new/d"), 0o700)
	may["rename between directories"] = os.Rename(filepath.Join(dir, "write/new/a"), filepath.Join(dir, "write/new/d/a"))
	may["run a program"] = exec.Command("/bin/true").Run()
	done := make(chan error)
	for range 20 { // every thread
		go func() { _, err := os.ReadFile(filepath.Join(dir, "secret")); done <- err }()
	}
	for range 20 {
		if err := <-done; !errors.Is(err, syscall.EACCES) {
			t.Errorf("another thread reads outside: %v", err)
		}
	}
	for what, err := range may {
		switch what {
		case "read inside", "write inside", "make a directory", "rename between directories":
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
		default:
			if !errors.Is(err, syscall.EACCES) {
				t.Errorf("%s: %v, want EACCES", what, err)
			}
		}
	}
}

func TestFence(t *testing.T) {
	needLandlock(t)
	dir := t.TempDir()
	for _, d := range []string{"read", "write"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []string{"read/a", "secret"} {
		if err := os.WriteFile(filepath.Join(dir, f), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestFenceHelper$", "-test.v")
	cmd.Env = append(os.Environ(), fenceHelper+"="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestFenceHelper") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestFenceServe: a whole server that has restricted itself relays, holds, and takes over a certificate that was renewed by a
// rename through a symbolic link; a reload that leads outside is refused by name; it ends well.
func TestFenceServe(t *testing.T) {
	needLandlock(t)
	dir := t.TempDir()
	outside := t.TempDir()
	p := &program{t: t, dir: dir}
	archive := func(n, name string) {
		cert, key := selfSigned(t, name)
		p.write("tls/archive/key"+n+".pem", key)
		p.write("tls/archive/cert"+n+".pem", cert)
		for _, f := range []string{"key", "cert"} {
			link := filepath.Join(dir, "tls/live", f+".pem")
			_ = os.MkdirAll(filepath.Dir(link), 0o700)
			if err := errors.Join(os.Symlink("../archive/"+f+n+".pem", link+".new"), os.Rename(link+".new", link)); err != nil {
				t.Fatal(err)
			}
		}
	}
	archive("1", "first.test")
	p.write("rules/50-hold.toml", strings.NewReplacer(`action = "reject"`, `action = "hold"`, `reply = "the new rule"`+"\n", "", "sender.test", "held.test").Replace(reloadRule))
	conf := `landlock = "required"` + "\n" + strings.Replace(reloadConfig(dir, "old.test", ""), "[smtp]", "[smtp]\ntls_cert_file = \"tls/live/cert.pem\"\ntls_key_file = \"tls/live/key.pem\"", 1)
	p = startIn(t, dir, conf)
	if !strings.Contains(p.output(), "enforced (full)") {
		t.Error(p.output())
	}
	state, err := os.ReadFile(filepath.Join(dir, "data", stateName))
	if err != nil || !strings.Contains(string(state), `"landlock": "enforced (full)"`) {
		t.Errorf("%v %s", err, state)
	}
	c := dial(t, p.SMTP, "")
	c.toData("x@old.test")
	c.want("250 2.0.0", "second half\r\n.")
	maildir(t, dir+"/maildir", 1)
	c.want("250", "MAIL FROM:<a@held.test>")
	c.want("250", "RCPT TO:<x@old.test>")
	if got := c.data([]byte("From: a@held.test\r\nTo: x@old.test\r\nSubject: held\r\n\r\nhello\r\n")); !strings.HasPrefix(got, "250") {
		t.Error(got)
	}
	eventually(t, "the mail is held", func() bool { out, _ := p.command("quarantine", "list"); return strings.Contains(out, "held.test") })
	archive("2", "second.test")
	p.until("the new certificate", func() bool {
		c, name := startTLS(t, p.SMTP)
		c.c.Close()
		return name == "second.test"
	})

	p.write("sekimori.toml", strings.ReplaceAll(conf, "maildir:"+dir, "maildir:"+outside))
	p.hangup("configuration not reloaded: ")
	if want := outside + "/maildir is outside of what the server restricted itself to"; !strings.Contains(p.output(), want) {
		t.Errorf("no %q in\n%s", want, p.output())
	}
	if code := p.stop(); code != 0 || fileExists(filepath.Join(dir, "data", stateName)) {
		t.Errorf("exit %d\n%s", code, p.output())
	}
}

// TestFenceSpool: what a backend does not take is spooled, and delivered after a restart, under the restriction.
func TestFenceSpool(t *testing.T) {
	needLandlock(t)
	dir := t.TempDir()
	conf := func(backend string) string {
		return `landlock = "required"` + "\n" + serveConfig(dir, fmt.Sprintf("[smtp]\nearly_talker_pause = \"0s\"\n[[smtp.listener]]\nlisten = [\"127.0.0.1:0\"]\n"+
			"[[domain]]\nnames = [\"old.test\"]\nrecipients = \"any\"\nbackends = [%q]\n", backend))
	}
	p := startIn(t, dir, conf(fmt.Sprintf("smtp://127.0.0.1:%d", freePort(t))))
	c := dial(t, p.SMTP, "")
	c.toData("x@old.test")
	c.want("250 2.0.0", "second half\r\n.")
	eventually(t, "the mail is queued", func() bool { out, _ := p.command("queue", "list"); return strings.Contains(out, "old.test") })
	if code := p.stop(); code != 0 {
		t.Fatal(p.output())
	}
	p.write("sekimori.toml", conf("maildir:"+dir+"/box"))
	p.run()
	maildir(t, dir+"/box", 1)
}

// TestFencePlaces: what a configuration asks for, and what of another one is outside of it.
func TestFencePlaces(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "sekimori.toml"), []byte(strings.Replace(reloadConfig(dir, "old.test", ""), "rules_dir = \"rules\"", "", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	out, code := runCommand(t, dir, "check", "--json", "--config", filepath.Join(dir, "sekimori.toml"))
	var r checkReport
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != 0 {
		t.Fatal(err, out)
	}
	if r.Landlock.Mode != "auto" || strings.Join(r.Landlock.Write, " ") != dir+"/data "+dir+"/maildir" || len(r.Landlock.Run) != 0 ||
		!strings.Contains(strings.Join(r.Landlock.Read, " ")+" ", dir+" ") {
		t.Errorf("%+v", r.Landlock)
	}
	if fileExists(dir+"/data") || fileExists(dir+"/maildir") {
		t.Error("check made a directory")
	}
	next := &config.Config{
		DataDir: dir + "/data", RulesDir: "/elsewhere/rules",
		Domains: []config.Domain{{Recipients: "unix", Aliases: []string{dir + "/aliases", "/elsewhere/aliases"}, Backends: []config.Backend{{URL: "maildir:" + dir + "/maildir/of"}}}},
	}
	got := strings.Join(r.Landlock.outside(newFence(next, nil)), "\n")
	if want := "/elsewhere\n/elsewhere/rules\ngetent (recipients = \"unix\")"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestFenceRequired: a kernel without it is an error only where it is required, and off asks for nothing.
func TestFenceRequired(t *testing.T) {
	for mode, fails := range map[string]bool{"auto": false, "off": false, "required": true} {
		if err := (&fence{Mode: mode, State: fenceNone}).enforce(); (err != nil) != fails {
			t.Errorf("%s: %v", mode, err)
		}
	}
	if (&fence{Mode: "off", State: fenceFull}).enforced() || (&fence{Mode: "auto", State: fenceNone}).enforced() {
		t.Error("enforced")
	}
}
