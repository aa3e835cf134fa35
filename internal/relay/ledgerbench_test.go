package relay

import (
	"bytes"
	"context"
	"strconv"
	"sync/atomic"
	"testing"

	"sekimori/internal/config"
	"sekimori/internal/ledger"
	"sekimori/internal/mail"
	"sekimori/internal/spool"
)

// BenchmarkLedger compares both ways of a mail with and without the ledger.
func BenchmarkLedger(b *testing.B) {
	for _, way := range []string{"now", "spool"} {
		for _, with := range []bool{false, true} {
			b.Run(way+"/ledger="+strconv.FormatBool(with), func(b *testing.B) { benchLedger(b, way, with) })
		}
	}
}

func benchLedger(b *testing.B, way string, with bool) {
	cfg := &config.Config{Hostname: "mx.test", Domains: []config.Domain{{
		Names: []string{"example.jp"}, Backends: []config.Backend{{URL: "smtp://" + sink(b, "8BITMIME"), Weight: 1, TLS: config.BackendTLS{Mode: "none"}}},
	}}}
	sp, err := spool.Open(b.TempDir(), spool.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer sp.Close()
	o := Options{Config: cfg, Spool: sp}
	if with {
		if o.Ledger, err = ledger.Open(b.TempDir(), ledger.Options{}); err != nil {
			b.Fatal(err)
		}
		defer o.Ledger.Close()
	}
	r, err := New(o)
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close(context.Background())
	body := bytes.Repeat([]byte("0123456789 0123456789 0123456789\r\n"), 120)
	var n atomic.Int64
	b.ReportAllocs()
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			env := envelope("b"+strconv.FormatInt(n.Add(1), 10), "x@example.jp")
			env.Content = mail.Content{body}
			var err error
			if way == "spool" {
				err = r.Queue(context.Background(), env)
			} else {
				_, err = r.Deliver(context.Background(), env)
			}
			if err != nil {
				b.Error(err)
			}
		}
	})
}
