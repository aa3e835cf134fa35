package replay

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sekimori/internal/history"
	"sekimori/rules"
)

// testRules ask for all that is special about a kept case: text, long header fields and lists, a list in a file and a group, dates,
// domains, findings that differ between recipients, every action.
const testRules = `
[lists]
partners = ["@example.co.jp", "news@shop.example", "192.0.2.0/25"]
board    = "group:board@example.jp"
[scores]
SPF_FAIL = 2.5
[domain."example.co.jp"]
thresholds = { tag = 2.0, hold = 4.0, reject = 20.0 }
disable = ["T_DOMAIN"]
[[rule]]
id = "T_TEXT"
describe = { ja = "あ", en = "a" }
when = 'message.text contains "副業" and spf.result != "pass"'
score = 2.5
[[rule]]
id = "T_TEXT_RCPT"
describe = { ja = "あ", en = "a" }
when = 'message.text contains rcpt.local or lower(message.text) matches "click +here"'
score = 1.25
[[rule]]
id = "T_HEADER"
describe = { ja = "あ", en = "a" }
when = 'any(headers("X-Long"), # contains "ab ab") and not (header("X-Mailer") startsWith "a")'
action = "hold"
class = "spam"
[[rule]]
id = "T_LINKS"
describe = { ja = "あ", en = "a" }
when = 'any(message.links, # endsWith "/7") or message.subject contains "long long"'
score = 1.5
[[rule]]
id = "T_LOOKS"
describe = { ja = "あ", en = "a" }
when = 'looks_like(message.from_name, "amazon") and registrable(message.from_domain) != "amazon.co.jp"'
action = "tag"
[[rule]]
id = "T_PARTNER"
describe = { ja = "あ", en = "a" }
when = 'from.address in lists.partners and dkim.result == "pass"'
action = "accept"
[[rule]]
id = "T_BOARD"
describe = { ja = "あ", en = "a" }
when = 'rcpt.address in lists.board and client.ip in lists.partners'
score = 3
[[rule]]
id = "T_DATE"
describe = { ja = "あ", en = "a" }
when = 'geoip.country != "JP"'
from = "2026-11-21"
until = "2026-11-22"
action = "reject"
at = "data"
keep = "3d"
[[rule]]
id = "T_DOMAIN"
describe = { ja = "あ", en = "a" }
domains = ["example.jp"]
when = 'symbol("SPF_FAIL") and dnsbl.count > 1'
action = "defer"
[[rule]]
id = "T_REDIRECT"
describe = { ja = "あ", en = "a" }
when = 'rcpt.local == "hanako" and history.rcpt_first'
redirect = "box@example.jp"
[[rule]]
id = "T_COPY"
describe = { ja = "あ", en = "a" }
when = '"sales@example.jp" in rcpt.groups'
bcc = "archive@example.jp"
[[rule]]
id = "T_DEPARTMENT"
describe = { ja = "あ", en = "a" }
when = 'rcpt.attr("department") == "営業部" and "役員会" in rcpt.attrs("department")'
score = 1.5
[[rule]]
id = "T_STRIP"
describe = { ja = "あ", en = "a" }
when = 'message.size >= 0'
strip = { extensions = ["exe", "js", "iso"] }
keep = "2d"
[[rule]]
id = "T_WATCH"
describe = { ja = "あ", en = "a" }
when = 'message.size > 3000 and 10 / dnsbl.count > 2'
action = "reject"
mode = "observe"
[[rule]]
id = "T_DISCARD"
describe = { ja = "あ", en = "a" }
when = 'raw_header("Subject") contains "invoice" and ratelimit.client'
action = "discard"
`

// library are the rule files that are shipped beside the built-in ones.
func library(t testing.TB) map[string]string {
	t.Helper()
	files := map[string]string{"zz-test.toml": testRules}
	ready, err := filepath.Glob("../../rules/ready/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range ready {
		text, err := os.ReadFile(name)
		if ext := filepath.Ext(name); err == nil && (ext == ".toml" || ext == ".txt") {
			files[filepath.Base(name)] = string(text)
		}
	}
	return files
}

func run(t testing.TB, dir string, o Options) *Result {
	t.Helper()
	r, err := history.OpenReader(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	res, err := Run(t.Context(), r.Facts(time.Time{}, time.Now().Add(1000*24*time.Hour)), o)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// TestExact: the set in force reproduces every verdict of a corpus, with all rules that there are. SEKIMORI_REPLAY=N takes so many
// mails, SEKIMORI_REPLAY_MAILS=DIR mails of one's own (*.eml) to make them of.
func TestExact(t *testing.T) {
	mails := 10_000
	if testing.Short() || raced {
		mails = 2000
	}
	if n, err := strconv.Atoi(os.Getenv("SEKIMORI_REPLAY")); err == nil {
		mails = n
	}
	p := load(t, library(t))
	dir := newCorpus(t, 1).keep(t, p, mails)
	heap := &peak{}
	start := time.Now()
	res := run(t, dir, Options{New: p, Now: p, Limit: 10, Progress: heap.look})
	took := time.Since(start)
	t.Logf("%d mails for %d recipients in %v (%.0f a second) with %d rules; the heap had %d MiB at the most, %d MiB before",
		res.Mails, res.Recipients, took.Round(time.Millisecond), float64(res.Mails)/took.Seconds(), len(p.Rules()), heap.most.Load()>>20, heap.first.Load()>>20)
	for _, m := range res.Mismatches {
		t.Errorf("%s for %s:\nwas %s\nis  %s", m.ID, m.Rcpt, m.Was, m.Is)
	}
	if res.Mails != mails || res.Mismatch+res.Moved+res.NotJudged.Mails+res.Damaged+res.Reasons != 0 {
		t.Errorf("%d mails, %d mismatches, %d moved, %v, %v", res.Mails, res.Mismatch, res.Moved, res.NotJudged, res.Errors)
	}
	// The corpus is worth something: nearly every rule of ours decides or hits, and rules are unknown, too.
	for _, r := range res.Rules {
		if mails >= 10_000 && strings.HasPrefix(r.ID, "T_") && (r.Hits+r.Observed+r.Decides == 0 || r.Unknown == 0 && r.ID != "T_STRIP" && r.ID != "T_LOOKS" && r.ID != "T_TEXT_RCPT" && r.ID != "T_LINKS" && r.ID != "T_HEADER") {
			t.Errorf("the corpus does not try %s: %+v", r.ID, r)
		}
	}
}

// peak is how much heap was in use.
type peak struct{ first, most atomic.Uint64 }

func (p *peak) look(mails int, _ time.Time) {
	if mails%(20*batchMails) != 0 && p.first.Load() != 0 {
		return
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	p.first.CompareAndSwap(0, m.HeapInuse)
	for was := p.most.Load(); m.HeapInuse > was && !p.most.CompareAndSwap(was, m.HeapInuse); was = p.most.Load() {
	}
}

func TestCancelled(t *testing.T) {
	p := load(t, nil)
	dir := newCorpus(t, 2).keep(t, p, 500)
	r, err := history.OpenReader(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	ctx, cancel := context.WithCancel(t.Context())
	facts := func(yield func(history.Record, error) bool) {
		n := 0
		for rec, err := range r.Facts(time.Time{}, time.Now()) {
			if n++; n == 300 {
				cancel()
			}
			if !yield(rec, err) {
				return
			}
		}
	}
	if res, err := Run(ctx, facts, Options{New: p}); !errors.Is(err, context.Canceled) || res != nil {
		t.Errorf("%v, %v", res, err)
	}
}

func FuzzForeign(f *testing.F) {
	dir := f.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.toml"), []byte(testRules), 0o600); err != nil {
		f.Fatal(err)
	}
	p, err := rules.Load(options(dir))
	if err != nil {
		f.Fatal(err)
	}
	o := options(dir)
	o.Mode = "observe"
	other, err := rules.Load(o)
	if err != nil {
		f.Fatal(err)
	}
	c := newCorpus(f, 3)
	for n := range 5 {
		k := c.next(n)
		f.Add(p.AppendCase(nil, k, p.JudgeCase(k)))
	}
	f.Add([]byte{1, 5, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		facts := func(yield func(history.Record, error) bool) {
			yield(history.Record{Time: time.Unix(0, 0), ID: "x", Data: bytes.Clone(b)}, nil)
		}
		res, err := Run(t.Context(), facts, Options{New: p, Now: other, Limit: 5, Workers: 1})
		if err != nil || res.Mails+res.NotJudged.Mails+res.Damaged != 1 {
			t.Fatalf("%v: %+v", err, res)
		}
	})
}
