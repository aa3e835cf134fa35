package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sekimori/internal/ruleset"
)

func (p *program) history() rulesHistory {
	p.t.Helper()
	out, _ := p.command("rules", "history", "--json")
	var h rulesHistory
	if err := json.Unmarshal([]byte(out[strings.Index(out, "{"):]), &h); err != nil {
		p.t.Fatal(err, out)
	}
	return h
}

// TestRulesHistory: a change, a refusal and a rollback on a running server: what was in force is kept, shown, compared and comes
// back; what stood there is not lost.
func TestRulesHistory(t *testing.T) {
	p := startReload(t, "")
	first := p.history()
	if first.InForce == nil || first.Disk.State != "in force" || len(first.History) != 1 || first.History[0].Why != "start" {
		t.Fatalf("%+v", first)
	}
	p.write("rules/50-new.toml", reloadRule)
	p.write("rules/deny_senders.txt", "bad.test\n")
	p.write("rules/NOTES", "not a rule")
	p.hangup("configuration reloaded")
	second := p.history()
	if second.InForce.Version == first.InForce.Version || second.InForce.Why != "SIGHUP" {
		t.Fatalf("%+v", second.InForce)
	}
	out, code := p.command("rules", "diff")
	if code != 0 || !strings.Contains(out, "+ NEW_RULE (50-new.toml:1): action = \"reject\"") || !strings.Contains(out, "list deny_senders: 0 -> 1 entries: +bad.test") {
		t.Errorf("%d\n%s", code, out)
	}
	if out, code = p.command("rules", "show", second.InForce.Version[:6], "--file", "50-new.toml"); code != 0 || !strings.HasPrefix(out, reloadRule) {
		t.Errorf("%d\n%s", code, out)
	}

	p.write("rules/50-new.toml", strings.Replace(reloadRule, "from.domain ==", "from.domian ==", 1))
	p.until("refused", func() bool { return strings.Contains(p.output(), "configuration not reloaded") })
	p.until("in the history", func() bool { return p.history().Disk.State == "refused" })
	if out, code = p.command("rules", "history"); code != 1 || !strings.Contains(out, "which was refused:") || !strings.Contains(out, "from.domian") {
		t.Errorf("%d\n%s", code, out)
	}
	if out, code = p.command("rules", "rollback", "--dry-run"); code != 0 || !strings.Contains(out, "~ NEW_RULE") || !strings.Contains(out, "nothing was written") {
		t.Errorf("%d\n%s", code, out)
	}
	// Without a version, to what is in force.
	if out, code = p.command("rules", "rollback"); code != 0 || !strings.Contains(out, "has "+second.InForce.Version+" in force") {
		t.Errorf("%d\n%s", code, out)
	}
	// Again, to the one before.
	if out, code = p.command("rules", "rollback"); code != 0 || !strings.Contains(out, "has "+first.InForce.Version+" in force") {
		t.Errorf("%d\n%s", code, out)
	}
	for name, there := range map[string]bool{"50-new.toml": false, "deny_senders.txt": false, "NOTES": true, waitFile: false} {
		if _, err := os.Stat(filepath.Join(p.dir, "rules", name)); (err == nil) != there {
			t.Errorf("%s: %v", name, err)
		}
	}
	var states []ruleset.State
	for _, e := range p.history().History {
		states = append(states, e.State)
	}
	want := "[in force rollback kept rollback kept refused in force in force]"
	if got := strings.ReplaceAll(strings.Trim(jsonOf(t, states), "[]"), `"`, ""); "["+strings.ReplaceAll(got, ",", " ")+"]" != want {
		t.Errorf("%s, not %s", got, want)
	}
	if out, code = p.command("rules", "rollback", second.InForce.Version); code != 0 {
		t.Errorf("%d\n%s", code, out)
	}
	next := dial(t, p.SMTP, "")
	next.want("250", "EHLO client.test")
	next.want("250", "MAIL FROM:<b@sender.test>")
	next.want("550 5.7.1 the new rule", "RCPT TO:<x@old.test>")
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestRulesSwapped: a directory that is copied is read when the marker is gone, and one that is replaced by a link as a whole.
func TestRulesSwapped(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{"v1", "v2"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("v1", filepath.Join(dir, "rules")); err != nil {
		t.Fatal(err)
	}
	p := startIn(t, dir, reloadConfig(dir, "old.test", ""))
	first := p.history().InForce.Version
	p.write("v2/"+waitFile, "")
	p.write("v2/50-new.toml", reloadRule)
	if err := os.Symlink("v2", filepath.Join(dir, "next")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "next"), filepath.Join(dir, "rules")); err != nil {
		t.Fatal(err)
	}
	p.hangup("reloaded when rules_dir is complete")
	if got := p.history(); got.InForce.Version != first || got.Disk.State != "not read yet" {
		t.Errorf("read while it is copied: %+v", got)
	}
	if err := os.Remove(filepath.Join(dir, "v2", waitFile)); err != nil {
		t.Fatal(err)
	}
	p.until("read", func() bool { return p.history().InForce.Version != first })
}

// TestCopying: what says that a directory is being written, and what is only left over.
func TestCopying(t *testing.T) {
	dir := t.TempDir()
	var c copying
	now := time.Now()
	look := func(want bool, words string) {
		t.Helper()
		if same, why := c.look(dir, now); same != want || (words == "") != (why == "") || !strings.Contains(why, words) {
			t.Errorf("%v %q", same, why)
		}
	}
	put := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	look(false, "")
	look(true, "")
	temp := put(".list.txt.a1B2c3", "half")
	look(false, "it is being copied")
	put(".list.txt.a1B2c3", "half and more")
	look(false, "it is being copied")
	look(true, "it is being copied")
	now = now.Add(time.Hour)
	look(true, "")
	if err := os.Rename(temp, filepath.Join(dir, "list.txt")); err != nil {
		t.Fatal(err)
	}
	look(false, "")
	put(waitFile, "")
	look(false, waitFile)
	if err := os.Mkdir(filepath.Join(dir, ".git"), 0o700); err != nil {
		t.Fatal(err)
	}
	_ = os.Remove(filepath.Join(dir, waitFile))
	look(false, "")
	put(".git/HEAD", "x")
	look(true, "")
}
