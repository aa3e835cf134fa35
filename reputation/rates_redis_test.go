package reputation

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/store"
)

// startRedis starts a server of its own and returns its address.
func startRedis(t testing.TB) string {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("SEKIMORI_REQUIRE_REAL") == "1" {
			t.Fatal("SEKIMORI_REQUIRE_REAL=1, but there is no redis-server on PATH")
		}
		t.Skip("no redis-server on PATH")
	}
	dir := t.TempDir()
	sock := filepath.Join(dir, "redis.sock")
	cmd := exec.Command("redis-server", "--port", "0", "--unixsocket", sock, "--dir", dir, "--save", "")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.Dial("unix", sock)
		if err == nil {
			_ = c.Close()
			break
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
	return "unix://" + sock
}

// TestTakeOnRedis: Redis's Lua writes large numbers otherwise than the embedded store's; the script must not care.
func TestTakeOnRedis(t *testing.T) {
	url := startRedis(t)
	s, err := store.Open(t.Context(), store.Options{Redis: config.Redis{URL: url}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	for deadline := time.Now().Add(10 * time.Second); s.Ping(t.Context()) != nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("redis-server does not answer")
		}
	}
	c := &clock{t: time.Now()} // Redis expires keys by its own clock
	r := NewRates(s.Client(), c.now)
	// A charge of the second is worth 36 s: less would expire between two charges on a busy machine.
	limits := []Limit{{"a", 7, time.Minute}, {"b", 100_000, 1000 * time.Hour}}
	for i := 1; i <= 7; i++ {
		got := take(t, r, limits...)
		if got[0].Exceeded || got[0].Used != i || got[1].Exceeded || got[1].Used != i {
			t.Fatalf("charge %d: %+v", i, got)
		}
	}
	got := take(t, r, limits[0])[0]
	if want := time.Minute / 7; !got.Exceeded || (got.Retry-want).Abs() > 10*time.Microsecond {
		t.Errorf("the eighth: %+v, want to wait %s", got, want)
	}
}
