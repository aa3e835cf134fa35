package mime

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// TestSuite walks every file below the folders named by SEKIMORI_MIME_SUITE (separated like PATH). The files are not ours
// to keep here; what they must show is that nothing crashes, and that the invariants hold.
func TestSuite(t *testing.T) {
	dirs := filepath.SplitList(os.Getenv("SEKIMORI_MIME_SUITE"))
	if len(dirs) == 0 {
		t.Skip("SEKIMORI_MIME_SUITE is not set")
	}
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			raw, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			m := Parse(raw)
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			checkInvariants(t, path, m)
			name := ""
			for _, p := range m.Parts {
				if p.Name != "" {
					name += "[" + p.Name + "]"
				}
			}
			kib := (after.TotalAlloc - before.TotalAlloc) >> 10
			t.Logf("%-28s %9d B %9v %6d KiB parts %4d %v %s", filepath.Base(path), len(raw), took.Round(time.Microsecond), kib, len(m.Parts), m.Anomalies, name)
			if kib > 64<<10 {
				t.Errorf("%s: allocated %d KiB", path, kib)
			}
			if took > 2*time.Second {
				t.Errorf("%s: took %v", path, took)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
