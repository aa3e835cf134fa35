package disk

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestRootLeavesWhatTheOwnerCanOpen(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root makes files for others")
	}
	const uid, gid = 12345, 23456
	dir := t.TempDir()
	if err := os.Chown(dir, uid, gid); err != nil {
		t.Fatal(err)
	}
	sub := filepath.Join(dir, "sub")
	if err := Mkdir(sub); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(sub, "file")
	f, err := OS{}.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	for _, n := range []string{sub, name} {
		st, err := os.Stat(n)
		if err != nil {
			t.Fatal(err)
		}
		if sys := st.Sys().(*syscall.Stat_t); sys.Uid != uid || sys.Gid != gid {
			t.Errorf("%s belongs to %d:%d", n, sys.Uid, sys.Gid)
		}
	}
	if err := Mkdir(sub); err != nil {
		t.Errorf("one that is there: %v", err)
	}
}
