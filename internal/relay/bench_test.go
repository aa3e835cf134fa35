package relay

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync/atomic"
	"testing"

	"sekimori/internal/config"
	"sekimori/internal/mail"
	"sekimori/internal/spool"
)

// sink is a backend on loopback that takes everything with as little work as can be.
func sink(b *testing.B, keyword string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go swallow(c, keyword)
		}
	}()
	return l.Addr().String()
}

func swallow(c net.Conn, keyword string) {
	defer c.Close()
	r := bufio.NewReaderSize(c, 64<<10)
	w := bufio.NewWriter(c)
	w.WriteString("220 sink\r\n")
	for {
		if r.Buffered() == 0 {
			w.Flush()
		}
		line, err := r.ReadSlice('\n')
		if err != nil {
			return
		}
		switch {
		case bytes.HasPrefix(line, []byte("EHLO")):
			w.WriteString("250-sink\r\n250-PIPELINING\r\n250 " + keyword + "\r\n")
		case bytes.HasPrefix(line, []byte("BDAT ")):
			size, _, _ := bytes.Cut(bytes.TrimSpace(line[5:]), []byte(" "))
			n, _ := strconv.Atoi(string(size))
			if _, err := r.Discard(n); err != nil {
				return
			}
			w.WriteString("250 ok\r\n")
		case bytes.HasPrefix(line, []byte("DATA")):
			w.WriteString("354 go\r\n")
			w.Flush()
			for !bytes.Equal(line, []byte(".\r\n")) {
				if line, err = r.ReadSlice('\n'); err != nil {
					return
				}
			}
			w.WriteString("250 ok\r\n")
		default:
			w.WriteString("250 ok\r\n")
		}
	}
}

// BenchmarkDeliver compares DATA with BDAT (RFC 3030) for mails of a usual and of a large size.
func BenchmarkDeliver(b *testing.B) {
	for _, size := range []int{4 << 10, 1 << 20} {
		for verb, keyword := range map[string]string{"DATA": "8BITMIME", "BDAT": "CHUNKING"} {
			b.Run(fmt.Sprintf("%dKiB/%s", size>>10, verb), func(b *testing.B) { benchDeliver(b, size, keyword) })
		}
	}
}

func benchDeliver(b *testing.B, size int, keyword string) {
	cfg := &config.Config{Hostname: "mx.test", Domains: []config.Domain{{
		Names:    []string{"example.jp"},
		Backends: []config.Backend{{URL: "smtp://" + sink(b, keyword), Weight: 1, Chunking: true, TLS: config.BackendTLS{Mode: "none"}}},
	}}}
	sp, err := spool.Open(b.TempDir(), spool.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer sp.Close()
	r, err := New(Options{Config: cfg, Spool: sp})
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close(context.Background())
	head, body := []byte("Received: x\r\n"), bytes.Repeat([]byte("0123456789 0123456789 0123456789\r\n"), size/34)
	var n atomic.Int64
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			env := envelope("b"+strconv.FormatInt(n.Add(1), 10), "x@example.jp")
			env.Content = mail.Content{head, body}
			a, err := r.Deliver(context.Background(), env)
			if err != nil || a[0].State != Delivered {
				b.Fatal(a, err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "mails/s")
}

func BenchmarkStuff(b *testing.B) {
	c := mail.Content{bytes.Repeat([]byte("0123456789 0123456789 0123456789\r\n"), 30000)}
	b.SetBytes(c.Len())
	for b.Loop() {
		if err := writeStuffed(io.Discard, c); err != nil {
			b.Fatal(err)
		}
	}
}
