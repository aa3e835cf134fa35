package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sekimori/internal/history"
	"sekimori/internal/mail"
	"sekimori/internal/mime"
	"sekimori/rules"
)

func (p *program) replay(args ...string) (r replayReport, code int) {
	p.t.Helper()
	out, code := p.command(append([]string{"rules", "replay", "--json"}, args...)...)
	at := strings.Index(out, "{")
	if at < 0 || json.Unmarshal([]byte(out[at:]), &r) != nil {
		p.t.Fatalf("exit %d: %s", code, out)
	}
	return r, code
}

const replayRules = `
[[rule]]
id = "LOOK"
describe = { ja = "確認", en = "look" }
when = 'message.text contains "lottery"'
action = "hold"
class = "spam"
`

// TestReplayAndReload: mail that a running server judged is judged again: by the set in force exactly, by another one with a table; a changed
// condition on the text on the held body, elsewhere not. A set that moves too much is refused and not written; forced, it is in force.
func TestReplayAndReload(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"rules/a.toml": replayRules, "new/a.toml": strings.Replace(replayRules, `"lottery"`, `"winner"`, 1),
		"tag/a.toml":    replayRules + strings.NewReplacer("LOOK", "SUBJECT", "message.text", "message.subject", "lottery", "Invoice", `"hold"`, `"tag"`).Replace(replayRules),
		"broken/a.toml": strings.Replace(replayRules, "contains", "containz", 1),
	} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := startIn(t, dir, reloadConfig(dir, "old.test", ""))
	for n, text := range []string{"hello", "a lottery for every winner", "a lottery", "winner"} {
		msg := fmt.Sprintf("From: a@shop.test\r\nTo: x@old.test\r\nSubject: Invoice %d\r\nMessage-ID: <%d@shop.test>\r\n\r\n%s\r\n", n, n, text)
		c := dial(t, p.SMTP, "")
		c.want("250", "EHLO client.test")
		c.want("250", "MAIL FROM:<a@shop.test>")
		c.want("250", "RCPT TO:<x@old.test>")
		c.want("354", "DATA")
		c.want("250", "%s.", msg)
	}
	p.until("the facts", func() bool { r, _ := p.replay("in-force"); return r.Result != nil && r.Mails == 4 })
	if r, code := p.replay("in-force"); code != 0 || r.Moved+r.Mismatch+r.NotJudged.Mails != 0 || r.Against.Version != r.Set.Version || r.Node == "" {
		t.Errorf("exit %d: %+v", code, r)
	}
	newDir, tagDir := filepath.Join(dir, "new"), filepath.Join(dir, "tag")
	// Of the two that are held the text is known: one moves. Of the other two nobody knows what would become of them.
	r, code := p.replay(newDir)
	if code != 0 || r.Mails != 2 || r.Bodies != 2 || r.Moved != 1 || r.NotJudged.Mails != 2 || len(r.Table) != 1 || r.Table[0].From != "hold" || r.Table[0].To != "deliver" {
		t.Errorf("exit %d: %+v", code, r.Result)
	}
	out, code := p.command("rules", "replay", tagDir)
	for _, want := range []string{"2 would be treated otherwise (50.00%)", "deliver  tag  2", "because of SUBJECT", "from a@shop.test to x@old.test: Invoice 0"} {
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("exit %d, no %q in\n%s", code, want, out)
		}
	}
	p.refusals(dir)

	version := p.history().InForce.Version
	for _, args := range [][]string{{tagDir, "--budget", "0.5%"}, {newDir, "--budget", "40%"}} {
		if out, code = p.command(append([]string{"rules", "reload"}, args...)...); code != 1 || !strings.Contains(out, "refused: ") || !strings.Contains(out, "nothing was done") {
			t.Errorf("%v: exit %d\n%s", args, code, out)
		}
	}
	if !strings.Contains(out, "of 2 nobody can say") {
		t.Errorf("no word of what is not known:\n%s", out)
	}
	if h := p.history(); h.Disk.State != "in force" || h.InForce.Version != version {
		t.Errorf("%+v", h)
	}
	out, code = p.command("rules", "reload", tagDir, "--budget", "0.5%", "--force", "--json")
	var report reloadReport
	if err := json.Unmarshal([]byte(out), &report); err != nil || code != 0 || !report.Loaded || !report.Forced || report.Within || report.Share != 0.5 || report.Was != version {
		t.Errorf("exit %d, %v: %s", code, err, out)
	}
	if now := p.history().InForce.Version; now != report.Set || now == version {
		t.Errorf("in force: %s", now)
	}
	// What stands in rules_dir, while the server waits.
	p.write("rules/"+waitFile, "")
	p.write("rules/a.toml", replayRules)
	if out, code = p.command("rules", "reload", "--budget", "50%"); code != 0 || !strings.Contains(out, "within the budget: 50.00% of 50.00%") || p.history().InForce.Version != version {
		t.Errorf("exit %d\n%s", code, out)
	}
	// What was judged by another set is compared with what the set in force says of it.
	p.kill()
	if r, code = p.replay(tagDir); code != 0 || r.Mails != 4 || r.Moved != 2 {
		t.Errorf("exit %d: %+v", code, r.Result)
	}
}

// refusals: what is called wrongly or cannot be loaded.
func (p *program) refusals(dir string) {
	p.t.Helper()
	for _, x := range []struct {
		args string
		code int
		want string
	}{
		{"replay " + dir + "/broken", 1, "a.toml:5:22: in the condition:"},
		{"reload " + dir + "/broken --budget 1%", 1, "broken/a.toml:5:22: in the condition:"},
		{"replay " + dir + "/nowhere", 2, "there is no such directory"},
		{"replay nosuchversion", 1, "nosuchversion is no directory"},
		{"replay", 2, "expected \"<dir>\""},
		{"replay in-force --limit=-1", 2, "--limit is from 0"},
		{"replay in-force --since 1d --until 2d", 2, "is not after"},
		{"replay in-force --since 2020-01-01 --until 2020-02-01", 1, "all of that time is before"},
		{"reload --budget 2", 2, "is not a share of the mail such as 0.5%"},
		{"reload --budget 200%", 2, "is not a share"},
		{"reload " + dir + "/tag --budget 0.5% --since 2999-01-01", 1, "refused: no mail of that time is kept"},
		{"reload " + dir + "/tag --dry-run", 0, "nothing was done (--dry-run)"},
	} {
		out, code := p.command(append([]string{"rules"}, strings.Fields(x.args)...)...)
		if code != x.code || !strings.Contains(out, x.want) {
			p.t.Errorf("%s: exit %d, want %d and %q:\n%s", x.args, code, x.code, x.want, out)
		}
	}
}

// TestReplayFirst: moves of mail that people released, and of known correspondents, come first.
func TestReplayFirst(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "new"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"sekimori.toml": serveConfig(dir, "[[domain]]\nnames = [\"old.test\"]\nrecipients = \"any\"\nbackends = [\"maildir:box\"]\n"),
		"new/a.toml":    "[[rule]]\nid = \"ALL\"\ndescribe = { ja = \"あ\", en = \"a\" }\nwhen = 'message.size > 0'\naction = \"hold\"\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	conf := filepath.Join(dir, "sekimori.toml")
	out, code := runCommand(t, dir, "rules", "replay", filepath.Join(dir, "new"), "--config", conf)
	if code != 1 || !strings.Contains(out, "there is no history in ") {
		t.Errorf("exit %d: %s", code, out)
	}
	cfg, err := (&app{config: conf, ctx: t.Context()}).loadConfig()
	if err != nil {
		t.Fatal(err)
	}
	policy, err := loadPolicy(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w, err := history.Open(historyDir(cfg), history.Options{})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for n, known := range []int{0, 7, 0, 0} {
		rcpt := mail.Address{Local: "x", Domain: "old.test"}
		tx := &mail.Transaction{Session: &mail.Session{}, ID: fmt.Sprintf("mail%d", n), Stage: mail.Conclude, Rcpts: []mail.Address{rcpt}, Start: now, Message: mime.Parse([]byte("Subject: s\r\n\r\nx\r\n"))}
		tx.Facts = map[string]any{"history.mails": known}
		mail.AddBaseFacts(tx.Facts, tx)
		k := &rules.Case{Tx: tx, Rcpts: tx.Rcpts}
		v := policy.JudgeCase(k)
		w.Facts(now.Add(time.Duration(n)*time.Second), tx.ID, func(b []byte) []byte { return policy.AppendCase(b, k, v) })
	}
	for n, kind := range map[int][]history.Kind{2: {history.KindEnded}, 3: {history.KindEnded, history.KindRestored}} {
		for i, k := range kind {
			w.Story(&history.Event{Time: now.Add(time.Duration(i) * time.Second), Kind: k, ID: fmt.Sprintf("mail%d-2", n), Action: "released", By: "x@old.test", Rcpts: []history.Rcpt{{Addr: "x@old.test"}}})
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	out, _ = runCommand(t, dir, "rules", "replay", filepath.Join(dir, "new"), "--config", conf, "--json")
	var r replayReport
	if err := json.Unmarshal([]byte(out[strings.Index(out, "{"):]), &r); err != nil {
		t.Fatal(err, out)
	}
	var order []string
	for _, m := range r.Moves {
		order = append(order, m.ID)
	}
	if strings.Join(order, " ") != "mail2 mail1 mail3 mail0" || r.Released != 1 || r.Known != 1 || !r.Moves[0].Released || !r.Moves[1].Known {
		t.Errorf("%v, released %d, known %d", order, r.Released, r.Known)
	}
	if out, _ = runCommand(t, dir, "rules", "replay", filepath.Join(dir, "new"), "--config", conf, "--only", "mail1", "--limit", "1"); strings.Contains(out, "mail2") || !strings.Contains(out, "[known correspondent]") {
		t.Error(out)
	}
	if out, _ = runCommand(t, dir, "rules", "replay", filepath.Join(dir, "new"), "--config", conf, "--against", "then", "--limit", "0"); !strings.Contains(out, "against what was done then") || strings.Contains(out, "mail2") {
		t.Error(out)
	}
}
