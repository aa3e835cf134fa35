package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestQueueDeleteDamaged follows what `queue check` advises for entries that are damaged, with a running server and without.
func TestQueueDeleteDamaged(t *testing.T) {
	g := startGateway(t, gatewayOptions{backend: fmt.Sprintf("smtp://127.0.0.1:%d", freePort(t)), on: []string{"ratelimit"}})
	ids := queued(t, g, "taro", "jiro", "hana")
	spoil := func(id, ext string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(g.dir, "data", "spool", "queue", id+ext), []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	check := func(code int, want string) {
		t.Helper()
		if out, got := g.command("queue", "check"); got != code || !strings.Contains(out, want) {
			t.Errorf("check: exit code %d, want %d with %q\n%s", got, code, want, out)
		}
	}
	check(0, "nothing is missing")
	spoil(ids[0], ".json")
	spoil(ids[1], ".eml")
	for _, id := range ids[:2] {
		check(1, "sekimori queue delete "+id)
		if out, code := g.command("queue", "delete", id); code != 0 {
			t.Errorf("delete: %d %s", code, out)
		}
		eventually(t, "it is deleted", func() bool { out, _ := g.command("queue", "show", id); return strings.Contains(out, "deleted") })
	}
	check(0, "nothing is missing")
	g.stop()
	spoil(ids[2], ".json")
	check(1, "sekimori queue delete "+ids[2])
	if out, code := g.command("queue", "delete", ids[2]); code != 0 || !strings.Contains(out, "1 mails are deleted") {
		t.Errorf("delete without serve: %d %s", code, out)
	}
	check(0, "nothing is missing")
}
