package spool

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"sekimori/internal/mail"
)

const crashEnv = "SEKIMORI_SPOOL_CRASH"

// TestCrashChild is the process that TestKill kills: it says each change that Put, Update or Remove has returned for.
func TestCrashChild(t *testing.T) {
	dir := os.Getenv(crashEnv)
	if dir == "" {
		t.Skip("runs as a child of TestKill")
	}
	s := open(t, dir)
	round := time.Now().UnixNano()
	for w := range 4 {
		go func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("k%d-%d-%d", round, w, i)
				if err := s.Put(entry(id), crashContent(id)); err != nil {
					fmt.Println("error", err)
					return
				}
				fmt.Println("put", id)
				if i%3 == 1 {
					e, _ := s.Get(id)
					e.State = StateInflight
					if s.Update(e) == nil {
						fmt.Println("update", id)
					}
				}
				if i%3 == 2 {
					fmt.Println("begin", id)
					if s.Remove(id) == nil {
						fmt.Println("remove", id)
					}
				}
			}
		}()
	}
	select {}
}

func crashContent(id string) mail.Content {
	return mail.Content{[]byte("id: " + id + "\r\n\r\n"), bytes.Repeat([]byte(id+"\r\n"), 300)}
}

// TestKill kills a writing process with -9 several times: whatever it had acknowledged is there, whole.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	state := map[string]string{}
	for round := range 5 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestCrashChild$")
		cmd.Env = append(os.Environ(), crashEnv+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		n := 0
		for sc := bufio.NewScanner(out); sc.Scan(); {
			verb, id, _ := strings.Cut(sc.Text(), " ")
			if verb == "error" {
				t.Fatal(id)
			}
			state[id] = verb
			if n++; n == 40+round*13 {
				cmd.Process.Kill() // what it had printed before is still read
			}
		}
		cmd.Wait()
		checkAfterKill(t, dir, state)
	}
}

func checkAfterKill(t *testing.T, dir string, state map[string]string) {
	t.Helper()
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for id, verb := range state {
		e, err := s.Get(id)
		switch {
		case verb == "remove" && err == nil:
			t.Errorf("%s was removed and is there", id)
		case verb == "put" && err != nil, verb == "update" && (err != nil || e.State != StateInflight):
			t.Errorf("%s after %s: %+v %v", id, verb, e, err)
		}
		if err != nil {
			continue
		}
		c, release, err := s.Content(id)
		if err != nil || !bytes.Equal(c.Bytes(), crashContent(id).Bytes()) {
			t.Errorf("%s: the octets differ (%v)", id, err)
		}
		if err == nil {
			release()
		}
	}
	for _, p := range s.Problems() {
		if !strings.Contains(p.Path, "/"+dirAside+"/") {
			t.Errorf("after a crash: %s", p)
		}
	}
}
