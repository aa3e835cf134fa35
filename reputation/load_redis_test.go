package reputation

import (
	"fmt"
	"io"
	"log/slog"
	"testing"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/store"
)

// BenchmarkLoad reads a model of 230,000 entries from a real Redis, as a host does every hour. Mail is scored by the model before meanwhile.
func BenchmarkLoad(b *testing.B) {
	st, err := store.Open(b.Context(), store.Options{Redis: config.Redis{URL: startRedis(b), Timeout: config.Duration(10 * time.Second)}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = st.Close() })
	l := NewLearner(st.Client(), time.Now, slog.New(slog.NewTextHandler(io.Discard, nil)))
	pipe := st.Client().Pipeline()
	for _, c := range []Class{Ham, Spam} {
		key := hashKey(Everybody, c, monthBefore(time.Now(), 0))
		pipe.HSet(b.Context(), key, tokenMail, 500, tokenShown, 1000)
		for i := range 115 {
			fields := make([]any, 0, 2000)
			for j := range 1000 {
				fields = append(fields, fmt.Sprintf("minutes%d", i*1000+j), 1+j%7)
			}
			pipe.HSet(b.Context(), key, fields...)
		}
	}
	if _, err := pipe.Exec(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := l.Load(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	if ham, spam := l.Model().Tokens(); ham+spam < 230_000 {
		b.Errorf("%d entries", ham+spam)
	}
}
