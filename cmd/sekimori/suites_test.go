package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// memoryBound is what the server may have resident after any set of hostile mail: the messages of the set are at most
// 26 MB each, and one is under way at a time.
const memoryBound = 900 << 20

// suiteFiles returns the files of the sets that lie beside the project, when SEKIMORI_SUITES names them.
func suiteFiles(t *testing.T) []string {
	t.Helper()
	root := os.Getenv("SEKIMORI_SUITES")
	if root == "" {
		t.Skip("SEKIMORI_SUITES does not name a folder of mail suites; they are not part of the project")
	}
	made := filepath.Join(t.TempDir(), "hostile")
	if err := os.Mkdir(made, 0o755); err != nil {
		t.Fatal(err)
	}
	python, err := exec.LookPath("python3")
	if err != nil {
		need(t, "python3 is not there to make the hostile mails")
	}
	execute(t, python, filepath.Join(root, "hostile", "gen.py"), made)
	var files []string
	for _, dir := range []string{made, filepath.Join(root, "mime")} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() && (strings.HasSuffix(path, ".eml") || strings.HasSuffix(path, ".txt")) {
				files = append(files, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// TestHostileMail sends every file of the suites through the running server: it answers within two seconds (more with the
// race detector, which slows everything down), does not grow, and what it relays or holds are the same octets.
func TestHostileMail(t *testing.T) {
	files := suiteFiles(t)
	limit := 2 * time.Second
	if raceEnabled {
		limit = 20 * time.Second
	}
	g := startGateway(t, gatewayOptions{extra: "[smtp]\nearly_talker_pause = \"1ms\"\n[filters.ratelimit]\nenabled = false\n"})
	taken, refused := 0, map[string]int{}
	for i, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		msg := onlyCRLF(raw)
		began := time.Now()
		reply := send(t, g.SMTP, fmt.Sprintf("192.0.2.%d", i%200+1), "mx.partner.test", "sender@partner.test", "taro@example.test", msg)
		if took := time.Since(began); took > limit {
			t.Errorf("%s (%d octets): the answer took %s", filepath.Base(file), len(msg), took)
		}
		if !strings.HasPrefix(reply, "250") {
			refused[reply[:min(len(reply), 30)]]++
			if !strings.HasPrefix(reply, "5") {
				t.Errorf("%s: %s", filepath.Base(file), reply)
			}
			continue
		}
		taken++
		checkArrived(t, g, filepath.Base(file), msg)
	}
	rss := residentMemory(t, g.cmd.Process.Pid)
	t.Logf("%d files, %d taken, refused %v, resident %d MiB", len(files), taken, refused, rss>>20)
	if rss > memoryBound && !raceEnabled {
		t.Errorf("%d MiB resident", rss>>20)
	}
}

// onlyCRLF makes line ends CRLF: a client that sends anything else is refused, which other tests show.
func onlyCRLF(b []byte) []byte {
	b = bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n"))
	b = bytes.ReplaceAll(b, []byte("\r"), []byte("\n"))
	b = bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n"))
	if !bytes.HasSuffix(b, []byte("\r\n")) {
		b = append(b, "\r\n"...)
	}
	return b
}

// checkArrived finds the mail in the Maildir or releases it from the quarantine, compares it, and removes it.
func checkArrived(t *testing.T, g *gateway, name string, msg []byte) {
	t.Helper()
	found := func() bool {
		ok := false
		_ = filepath.WalkDir(g.maildir, func(path string, d os.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() && filepath.Base(filepath.Dir(path)) == "new" {
				if b, err := os.ReadFile(path); err == nil && bytes.HasSuffix(b, msg) {
					ok = true
				}
				_ = os.Remove(path)
			}
			return nil
		})
		return ok
	}
	if found() {
		return
	}
	held := g.held()
	if len(held) == 0 {
		t.Errorf("%s was taken and is neither delivered with the same octets nor held", name)
		return
	}
	for _, h := range held {
		if out, code := g.command("quarantine", "release", fmt.Sprint(h["id"])); code != 0 {
			t.Errorf("%s: release: %s", name, out)
		}
	}
	eventually(t, name+" is released with the same octets", found)
}

func residentMemory(t *testing.T, pid int) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		t.Skip("there is no /proc")
	}
	pages, err := strconv.Atoi(strings.Fields(string(b))[1])
	if err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}
