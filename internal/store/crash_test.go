package store

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

const crashEnv = "SEKIMORI_STORE_CRASH_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashEnv); dir != "" {
		crashChild(dir)
	}
	os.Exit(m.Run())
}

// crashChild writes without end and says on standard output what was acknowledged: single keys, and transactions of two
// keys. It compacts all the time.
func crashChild(dir string) {
	c := &clock{t: time.Now()}
	s, err := tryOpen(dir, c, func(o *embeddedOptions) { o.threshold = 20 << 10; o.background = true })
	if err != nil {
		fmt.Println("FAILED", err)
		os.Exit(1)
	}
	out := bufio.NewWriter(os.Stdout)
	var mu sync.Mutex
	run := os.Getenv(crashEnv + "_RUN")
	for w := range 8 {
		go func() {
			for i := 0; ; i++ {
				key := fmt.Sprintf("%s-%d-%d", run, w, i)
				if err := crashWrite(s, key, i); err != nil {
					fmt.Println("FAILED", err)
					os.Exit(1)
				}
				mu.Lock()
				fmt.Fprintln(out, key)
				_ = out.Flush()
				mu.Unlock()
			}
		}()
	}
	for {
		time.Sleep(5 * time.Millisecond)
		_ = s.embedded.compact()
	}
}

func crashWrite(s *Store, key string, i int) error {
	ctx := context.Background()
	value := strings.Repeat(key, 1+i%50)
	if i%3 == 0 {
		_, err := s.Client().TxPipelined(ctx, func(p Pipeliner) error {
			p.Set(ctx, key, value, time.Hour)
			p.HSet(ctx, "h:"+key, "v", value)
			return nil
		})
		return err
	}
	if err := s.Client().Set(ctx, key, value, 0).Err(); err != nil {
		return err
	}
	return s.Client().HSet(ctx, "h:"+key, "v", value).Err()
}

// TestKill9 kills a process that writes and compacts, several times over the same folder: nothing acknowledged may be
// missing, and of no transaction may there be a half.
func TestKill9(t *testing.T) {
	dir := t.TempDir()
	acked := map[string]bool{}
	for run := range 4 {
		for _, key := range killedRun(t, dir, run) {
			acked[key] = true
		}
	}
	if len(acked) < 100 {
		t.Fatalf("only %d writes were acknowledged: the test shows nothing", len(acked))
	}
	s := openTest(t, dir, &clock{t: time.Now()})
	ctx := t.Context()
	for key := range acked {
		var i int
		_, _ = fmt.Sscanf(key[strings.LastIndexByte(key, '-')+1:], "%d", &i)
		want := strings.Repeat(key, 1+i%50)
		if got := s.Client().Get(ctx, key).Val(); got != want {
			t.Fatalf("%s: %d octets, want %d", key, len(got), len(want))
		}
		if got := s.Client().HGet(ctx, "h:"+key, "v").Val(); got != want {
			t.Fatalf("h:%s: %d octets, want %d", key, len(got), len(want))
		}
	}
	t.Logf("%d acknowledged writes, all there", len(acked))
}

// killedRun lets a child write for a while, kills it, and returns the keys that it saw acknowledged.
func killedRun(t *testing.T, dir string, run int) []string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), crashEnv+"="+dir, fmt.Sprintf("%s_RUN=%d", crashEnv, run))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var keys []string
	limit := 200 + rand.IntN(400)
	sc := bufio.NewScanner(out)
	for sc.Scan() {
		if strings.HasPrefix(sc.Text(), "FAILED") {
			t.Fatal(sc.Text())
		}
		keys = append(keys, sc.Text())
		if len(keys) == limit {
			_ = cmd.Process.Kill()
		}
	}
	_ = cmd.Wait()
	return keys
}
