package recipients

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// heap returns what lives after a collection.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkLoadFile reads 100,000 addresses and says what each costs in memory.
func BenchmarkLoadFile(b *testing.B) {
	var text strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&text, "user%d.family%d@example.jp\n", i, i)
	}
	for b.Loop() {
		before := heap()
		names, err := parseFile("list", []byte(text.String()), nil, nil)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(heap()-before)/100_000, "B/entry")
		runtime.KeepAlive(names)
	}
}

// BenchmarkLoadSnapshot reads a copy of 100,000 entries from the disk.
func BenchmarkLoadSnapshot(b *testing.B) {
	path := filepath.Join(b.TempDir(), "x.jsonl")
	s := newSnapshot(people(b, 100_000))
	s.head.Source = "ldap:x"
	if err := s.save(path, nil); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		before := heap()
		got, err := loadSnapshot(path, "ldap:x")
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(heap()-before)/100_000, "B/entry")
		runtime.KeepAlive(got)
	}
}
