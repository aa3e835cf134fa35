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
	g := startGateway(t, gatewayOptions{zone: partnerZone, extra: "[smtp]\nearly_talker_pause = \"1ms\"\n[filters.ratelimit]\nenabled = false\n"})
	taken, refused := 0, map[string]int{}
	missing := map[string][]byte{} // taken and not delivered: they must be held
	for i, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		msg := onlyCRLF(raw)
		began := time.Now()
		client := "192.0.2.9" // in good order: its mail is relayed
		if i%2 == 0 {
			client = fmt.Sprintf("203.0.113.%d", i%200+1) // nobody knows it: its mail is held
		}
		reply := send(t, g.SMTP, client, "mx.partner.test", "sender@partner.test", "taro@example.test", msg)
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
		if !arrived(g, msg) {
			missing[file] = msg
		}
	}
	heldNow := len(missing)
	releaseAll(t, g, missing)
	rss := residentMemory(t, g.cmd.Process.Pid)
	t.Logf("%d files, %d taken, %d of them held, refused %v, resident %d MiB", len(files), taken, heldNow, refused, rss>>20)
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

// arrived looks for the mail in the Maildir, which it empties.
func arrived(g *gateway, msg []byte) bool {
	ok := false
	for _, b := range takeMails(g) {
		ok = ok || bytes.HasSuffix(b, msg)
	}
	return ok
}

func takeMails(g *gateway) [][]byte {
	var all [][]byte
	_ = filepath.WalkDir(g.maildir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && filepath.Base(filepath.Dir(path)) == "new" {
			if b, err := os.ReadFile(path); err == nil {
				all = append(all, b)
			}
			_ = os.Remove(path)
		}
		return nil
	})
	return all
}

// releaseAll releases everything that is held and waits until what is missing has arrived with the same octets.
func releaseAll(t *testing.T, g *gateway, missing map[string][]byte) {
	t.Helper()
	ids := []string{"quarantine", "release"}
	for _, h := range g.held() {
		ids = append(ids, fmt.Sprint(h["id"]))
	}
	if len(ids)-2 != len(missing) {
		t.Errorf("%d mails are neither delivered with the same octets nor held", len(missing)-len(ids)+2)
	}
	if out, code := g.command(ids...); code != 0 {
		t.Fatalf("release: %s", out)
	}
	for end := time.Now().Add(3 * time.Minute); len(missing) > 0 && time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		for _, b := range takeMails(g) {
			for name, msg := range missing {
				if bytes.HasSuffix(b, msg) {
					delete(missing, name)
				}
			}
		}
	}
	for name := range missing {
		t.Errorf("%s was held and did not arrive with the same octets", name)
	}
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
