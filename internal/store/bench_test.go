package store

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkDurableSet writes small values, each acknowledged only when it is synced.
func BenchmarkDurableSet(b *testing.B) {
	for _, together := range []int{1, 16, 128} {
		b.Run(fmt.Sprint("clients=", together), func(b *testing.B) {
			s := openTest(b, b.TempDir(), &clock{t: time.Now()})
			var n atomic.Int64
			b.SetParallelism(together)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := s.Client().Set(b.Context(), fmt.Sprint("k", n.Add(1)), "value", time.Hour).Err(); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "writes/s")
		})
	}
}

// BenchmarkHold writes what a held mail of 20 kB is: a piece of the body, then a transaction with the metadata.
func BenchmarkHold(b *testing.B) {
	s := openTest(b, b.TempDir(), &clock{t: time.Now()})
	body := strings.Repeat("x", 20<<10)
	var n atomic.Int64
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		ctx := b.Context()
		for pb.Next() {
			id := fmt.Sprintf("q:{%d}", n.Add(1)%2000)
			err := s.Client().Set(ctx, id+":b:0", body, time.Hour).Err()
			if err == nil {
				_, err = s.Client().TxPipelined(ctx, func(p Pipeliner) error {
					p.HSet(ctx, id+":m", "subject", "test", "from", "a@example.jp")
					p.PExpire(ctx, id+":b:0", 44*24*time.Hour)
					return nil
				})
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "mails/s")
}
