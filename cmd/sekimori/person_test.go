package main

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestPersonsData exports all that is kept of a person beside a running server, forgets it, and sees that others lose nothing and
// the ledger closes.
func TestPersonsData(t *testing.T) {
	g := actsGateway(t, newsRule, "1m")
	for _, to := range []string{"taro@example.test", "jiro@example.test"} {
		mail := newsMail(t, "news-"+to[:4], true)
		if r := send(t, g.SMTP, "192.0.2.9", "mx.partner.test", "sender@partner.test", to, mail); !strings.HasPrefix(r, "250") {
			t.Fatal(r)
		}
	}
	var id string
	for _, h := range g.held() {
		if strings.Contains(fmt.Sprint(h["rcpt"]), "taro") {
			id = fmt.Sprint(h["id"])
		}
	}
	g.mustRun("digest", "set", "taro@example.test", "--lang", "ja")
	target := filepath.Join(t.TempDir(), "taro.tar.gz")
	var sum exportSummary
	if err := json.Unmarshal([]byte(g.mustRun("quarantine", "export", "--person", "Taro@example.test", "-o", target, "--json")), &sum); err != nil {
		t.Fatal(err)
	}
	if sum.Held != 1 || !sum.Settings || len(sum.Unreadable) != 0 || sum.Audit == 0 || len(sum.NotIn) == 0 {
		t.Errorf("%+v", sum)
	}
	files := untar(t, target)
	if raw := files["mails/"+id+".eml"]; !strings.Contains(raw, "Subject: news-taro") {
		t.Errorf("%q", raw)
	}
	for name, want := range map[string]string{"mails/" + id + ".json": "news-taro", "settings.json": `"ja"`, "audit.json": `"export"`, "summary.json": "command:", "sessions.json": "[]", "acts.json": "allows"} {
		if !strings.Contains(files[name], want) || strings.Contains(files[name], "jiro") {
			t.Errorf("%s: %s", name, files[name])
		}
	}
	if out, code := g.command("quarantine", "export", "--person", "taro@example.test", "-o", target); code != 1 || !strings.Contains(out, "--force") {
		t.Errorf("written over: %d\n%s", code, out)
	}
	g.mustRun("quarantine", "export", "--person", "taro@example.test", "-o", target, "--force")

	if out := g.mustRun("quarantine", "forget", "--person", "taro@example.test"); !strings.Contains(out, "1 mail held") || !strings.Contains(out, "--yes") {
		t.Errorf("the preview:\n%s", out)
	}
	if len(g.held()) != 2 {
		t.Fatal("the preview did it")
	}
	for _, want := range []int{1, 0} { // the second time nothing is left
		var r forgetReport
		if err := json.Unmarshal([]byte(g.mustRun("quarantine", "forget", "--person", "taro@example.test", "--yes", "--json")), &r); err != nil {
			t.Fatal(err)
		}
		if !r.Done || r.Held != want || r.Settings != (want == 1) || len(r.Left) != 0 || len(r.Stays) == 0 {
			t.Errorf("%+v", r)
		}
	}
	if held := g.held(); len(held) != 1 || !strings.Contains(fmt.Sprint(held[0]["rcpt"]), "jiro") {
		t.Errorf("%v", held)
	}
	if out := g.mustRun("quarantine", "show", id); strings.Contains(out, "news-taro") || strings.Contains(out, "sender@") || !strings.Contains(out, "deleted (forget command:") {
		t.Errorf("what is known of it:\n%s", out)
	}
	if out := g.mustRun("quarantine", "audit"); !strings.Contains(out, "forgotten") || strings.Contains(out, "news-taro") {
		t.Errorf("the audit log:\n%s", out)
	}
	g.mustRun("queue", "check")
}

func untar(t *testing.T, path string) map[string]string {
	t.Helper()
	if i, err := os.Stat(path); err != nil || i.Mode().Perm() != 0o600 {
		t.Fatalf("%v %v", i, err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[h.Name] = string(b)
	}
}

// TestExportFolder: an export into a directory is for its owner's eyes, and writes over nothing but an earlier export.
func TestExportFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	write := func(force bool, mail string) error {
		s, err := openSink(dir, force, time.Now())
		if err != nil {
			return err
		}
		defer s.drop()
		return errors.Join(s.put("mails/"+mail+".eml", []byte("a"), []byte("b")), s.put(summaryFile, []byte("{}")), s.done())
	}
	if err := write(false, "m1"); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "mails", "m1.eml")); err != nil || string(b) != "ab" {
		t.Errorf("%q %v", b, err)
	}
	for path, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, "mails", "m1.eml"): 0o600, filepath.Join(dir, summaryFile): 0o600} {
		if i, err := os.Stat(path); err != nil || i.Mode().Perm() != want {
			t.Errorf("%s: %v %v", path, i.Mode(), err)
		}
	}
	if err := write(false, "m2"); err == nil || !strings.Contains(err.Error(), "--force") {
		t.Errorf("written over: %v", err)
	}
	if err := write(true, "m2"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "mails", "m1.eml")); err == nil {
		t.Error("a mail of the earlier export is still there")
	}
	if err := errors.Join(os.Remove(filepath.Join(dir, summaryFile)), os.WriteFile(filepath.Join(dir, "mine"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := write(true, "m3"); err == nil || !strings.Contains(err.Error(), "something else") {
		t.Errorf("somebody's files: %v", err)
	}
}
