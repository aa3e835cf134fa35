package store

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"sekimori/internal/config"
)

// TestCluster speaks to a cluster of one node: the client, its breaker and the watch take other ways than with one server.
func TestCluster(t *testing.T) {
	r := startRedis(t, "--cluster-enabled", "yes", "--appendonly", "yes")
	ctx := t.Context()
	plain := openReal(t, r.config())
	if err := plain.Client().Do(ctx, "CLUSTER", "ADDSLOTSRANGE", 0, 16383).Err(); err != nil {
		t.Fatal(err)
	}
	s := openReal(t, config.Redis{Cluster: []string{fmt.Sprintf("127.0.0.1:%d", r.port)}, Timeout: config.Duration(200 * time.Millisecond)})
	eventually(t, "the cluster is up", func() error { return s.Client().Set(ctx, "a", "1", 0).Err() })
	if !Clustered(s.Client()) || Clustered(plain.Client()) {
		t.Error("Clustered tells them apart wrongly")
	}
	conformScan(t, s.Client(), "scan:")
	conformTx(t, s.Client(), "tx:")
	conformScripts(t, s.Client(), "scripts:")
	if s.Durable(ctx) {
		t.Error("a cluster may fail over: an acknowledged write is not durable at once")
	}
	if _, ok, err := s.Saved(ctx); !ok || err != nil {
		t.Errorf("with AOF, saved: %v, %v", ok, err)
	}
	r.kill()
	eventually(t, "the breaker opens", func() error {
		if err := s.Client().Get(ctx, "a").Err(); err == nil || s.Healthy() {
			return fmt.Errorf("healthy, %w", errors.Join(err))
		}
		return nil
	})
	r.start(t)
	eventually(t, "it answers again", func() error { return s.Client().Get(ctx, "a").Err() })
}

// TestSentinel finds the master through a sentinel, which may start later than we do.
func TestSentinel(t *testing.T) {
	r := startRedis(t, "--appendonly", "yes")
	ctx := t.Context()
	port := freePort(t)
	c := config.Redis{Timeout: config.Duration(500 * time.Millisecond)}
	c.Sentinel = &struct {
		Master    string   `toml:"master"`
		Addresses []string `toml:"addresses"`
	}{"sekimori", []string{fmt.Sprintf("127.0.0.1:%d", port)}}
	s := openReal(t, c)
	if err := s.Ping(ctx); err == nil {
		t.Fatal("there is no sentinel yet")
	}
	conf := filepath.Join(t.TempDir(), "sentinel.conf")
	text := fmt.Sprintf("port %d\nbind 127.0.0.1\nsentinel monitor sekimori 127.0.0.1 %d 1\n", port, r.port)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("redis-server", conf, "--sentinel")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	eventually(t, "the master is found", func() error { return s.Client().Set(ctx, "a", "1", 0).Err() })
	if s.Durable(ctx) {
		t.Error("behind a sentinel a write is not durable at once")
	}
}
