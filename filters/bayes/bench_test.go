package bayes_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"sekimori/filters/bayes"
	"sekimori/internal/mime"
	"sekimori/reputation"
)

// benchModel has about 230,000 entries.
func benchModel() *reputation.Model {
	m := reputation.NewModel()
	list := make([]string, 0, 1000)
	for i := range 230 {
		list = list[:0]
		for j := range 1000 {
			list = append(list, fmt.Sprintf("minutes%d", i*1000+j))
		}
		c := reputation.Ham
		if i%2 == 0 {
			c = reputation.Spam
		}
		m.Show(c, list)
	}
	return m
}

// benchMail has about that many words in its text; 150 are the median.
func benchMail(words int) string {
	var b strings.Builder
	for i := range words {
		switch i % 10 {
		case 8:
			b.WriteString("会議の件について確認をお願いします。")
		case 9:
			b.WriteString("<a href=\"http://www.sender.example/path/to?id=7\">here</a><br>\r\n")
		default:
			fmt.Fprintf(&b, "minutes%d ", i*37%230000)
		}
	}
	return poisonMail("sender.example", "Minutes of the meeting", "", b.String(), "", "", "")
}

// BenchmarkMail is what a mail costs: to be parsed, which other checks share, and from there to its score.
func BenchmarkMail(b *testing.B) {
	m := benchModel()
	for _, size := range []struct {
		name  string
		words int
	}{{"median", 150}, {"largest", 60000}} {
		raw := []byte(benchMail(size.words))
		parsed := mime.Parse(raw)
		b.Run(size.name+"/parse", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				mime.Parse(raw)
			}
		})
		b.Run(size.name+"/tokenise", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				bayes.Tokenizer{}.Tokens(parsed)
			}
		})
		b.Run(size.name+"/tokenise+score", func(b *testing.B) {
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				toks := bayes.Tokenizer{}.Tokens(parsed)
				n = len(toks)
				m.Score(toks)
			}
			b.ReportMetric(float64(n), "tokens/op")
		})
	}
}

// TestMemory measures the heap of a model of 230,000 entries.
func TestMemory(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	m := benchModel()
	runtime.GC()
	runtime.ReadMemStats(&after)
	ham, spam := m.Tokens()
	each := float64(after.HeapAlloc-before.HeapAlloc) / float64(ham+spam)
	t.Logf("%d entries, %.1f octets each", ham+spam, each)
	if each > 70 {
		t.Errorf("%.1f octets an entry", each)
	}
	runtime.KeepAlive(m)
}
