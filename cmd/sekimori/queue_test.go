package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// queued sends mails that no backend takes and returns their IDs in the order of the recipients.
func queued(t *testing.T, g *gateway, rcpts ...string) []string {
	t.Helper()
	c, err := dialRaw(g.SMTP)
	if err != nil {
		t.Fatal(err)
	}
	defer c.conn.Close()
	if !c.ok("", "220") || !c.ok("EHLO load.test", "250") {
		t.Fatal("no session")
	}
	var ids []string
	for _, r := range rcpts {
		msg := "From: s@partner.test\r\nSubject: to " + r + "\r\n\r\ntext\r\n."
		if !c.ok("MAIL FROM:<"+r+"@partner.test>", "250") || !c.ok("RCPT TO:<"+r+"@example.test>", "250") || !c.ok("DATA", "354") || !c.ok(msg, "250") {
			t.Fatalf("%s is not taken", r)
		}
		out, _ := g.command("queue", "list", "--from", r+"@partner.test")
		lines := strings.Split(strings.TrimSpace(out), "\n")
		if len(lines) != 2 {
			t.Fatalf("list: %s", out)
		}
		ids = append(ids, strings.Fields(lines[1])[0])
	}
	return ids
}

func TestQueueCommands(t *testing.T) {
	dead := gatewayOptions{backend: fmt.Sprintf("smtp://127.0.0.1:%d", freePort(t)), on: []string{"ratelimit"}}
	g := startGateway(t, dead)
	ids := queued(t, g, "taro", "jiro", "hana", "yuki")
	step := func(code int, want string, args ...string) string {
		t.Helper()
		out, got := g.command(append([]string{"queue"}, args...)...)
		if got != code || !strings.Contains(out, want) {
			t.Errorf("queue %s: exit code %d, want %d with %q\n%s", strings.Join(args, " "), got, code, want, out)
		}
		return out
	}
	step(0, ids[1], "list", "--rcpt", "JIRO", "--domain", "example.test", "--backend", "127.0.0.1", "--state", "queued", "--reason", "refused")
	step(0, "matches", "list", "--domain", "example.jp")
	step(0, "matches", "list", "--older", "1h")
	if out := step(0, ids[0], "list", "--limit", "2", "--json"); strings.Count(out, `"id"`) != 2 {
		t.Errorf("limit: %s", out)
	}
	step(0, "asked the running", "retry", "--rcpt", "taro")
	step(2, "--yes", "delete", "--rcpt", "taro")
	step(2, "", "delete")
	step(1, "not in the queue", "delete", "nosuchid")

	step(0, "asked the running", "delete", ids[0])
	eventually(t, "the mail is deleted", func() bool { out, _ := g.command("queue", "show", ids[0]); return strings.Contains(out, "deleted") })
	step(0, "command:", "show", ids[0])

	// Selected entries of a running node go to another one.
	file := filepath.Join(g.dir, "out.tar")
	step(1, "stop it first", "export", ids[1], file, "--remove")
	if code := g.stop(); code != 0 {
		t.Errorf("stop: %d", code)
	}
	step(0, "1 mails written", "export", ids[1], file, "--remove")
	step(0, "moved", "show", ids[1])
	g.run()
	other := startGateway(t, dead)
	if out, code := other.command("queue", "import", file); code != 0 || !strings.Contains(out, "1 of 1 mails imported") {
		t.Errorf("import: %d %s", code, out)
	}
	if out, code := other.command("queue", "import", file); code != 1 || !strings.Contains(out, "left alone") {
		t.Errorf("import again: %d %s", code, out)
	}
	eventually(t, "the other has it", func() bool { out, _ := other.command("queue", "list"); return strings.Contains(out, ids[1]) })

	// A dead node's spool is carried to a stopped one, twice.
	g.kill()
	step(0, "2 mails written", "export", "--all", file)
	changed := changeExport(t, file)
	if code := other.stop(); code != 0 {
		t.Errorf("stop: %d", code)
	}
	if out, code := other.command("queue", "import", changed); code != 1 || !strings.Contains(out, "nothing was imported") {
		t.Errorf("changed octets: %d %s", code, out)
	}
	if out, code := other.command("queue", "export", "--dir", filepath.Join(g.dir, "data"), "--all", file); code != 0 {
		t.Errorf("--dir: %d %s", code, out)
	}
	if out, code := other.command("queue", "import", file); code != 0 || !strings.Contains(out, "2 of 2") {
		t.Errorf("import: %d %s", code, out)
	}
	if out, code := other.command("queue", "import", file); code != 1 || !strings.Contains(out, "left alone") {
		t.Errorf("import again: %d %s", code, out)
	}
	if out, code := other.command("queue", "delete", ids[2]); code != 0 || !strings.Contains(out, "1 mails are deleted") {
		t.Errorf("delete without serve: %d %s", code, out)
	}
	if out, code := other.command("queue", "import", file); code != 1 || !strings.Contains(out, "ended for hana@example.test as deleted") {
		t.Errorf("import of what was deleted: %d %s", code, out)
	}
	for _, x := range []*gateway{g, other} {
		if out, code := x.command("queue", "check"); code != 0 {
			t.Errorf("check: %d\n%s", code, out)
		}
	}
	if out, _ := other.command("queue", "list"); !strings.Contains(out, ids[1]) || !strings.Contains(out, ids[3]) || strings.Contains(out, ids[2]) {
		t.Errorf("in the end: %s", out)
	}
}

// changeExport writes a copy of an export in which one mail has other octets.
func changeExport(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	r, w := tar.NewReader(bytes.NewReader(b)), tar.NewWriter(&out)
	for {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		data, _ := io.ReadAll(r)
		if strings.HasSuffix(h.Name, ".eml") {
			data[len(data)-3] ^= 1
		}
		w.WriteHeader(h)
		w.Write(data)
	}
	w.Close()
	name := file + ".changed"
	if err := os.WriteFile(name, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// emptied waits until the queue is empty; when it is not, the test fails with what waits.
func (p *program) emptied() {
	p.t.Helper()
	var out string
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if out, _ = p.command("queue", "list"); strings.Contains(out, "is empty") {
			return
		}
	}
	p.t.Fatalf("the queue is not empty after 30 s:\n%s", out)
}
