package spool

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"sekimori/internal/mail"
)

func open(t testing.TB, dir string) *Spool {
	t.Helper()
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func entry(id string) Entry {
	return Entry{
		ID: id, Kind: KindQueue, State: StateQueued, From: mail.Address{Local: "a..b", Domain: "docomo.ne.jp"},
		Rcpts: []Rcpt{{Addr: mail.Address{Local: "x", Domain: "example.jp"}, Status: Waiting}}, Meta: []byte(`{"k":1}`),
	}
}

func TestRoundTrip(t *testing.T) {
	s := open(t, t.TempDir())
	for name, content := range map[string]mail.Content{
		"small": {[]byte("a: b\r\n"), []byte("\r\n\x00\xff.\r\n")},
		"large": {bytes.Repeat([]byte("0123456789\r\n"), 200000)},
		"empty": {},
	} {
		if err := s.Put(entry(name), content); err != nil {
			t.Fatal(err)
		}
		if err := s.Put(entry(name), content); !errors.Is(err, ErrExists) {
			t.Errorf("twice: %v", err)
		}
		r, err := OpenReadOnly(s.Dir())
		if err != nil {
			t.Fatal(err)
		}
		e, err := r.Get(name)
		if err != nil || e.From.String() != "a..b@docomo.ne.jp" || e.Size != content.Len() || e.Version != 1 {
			t.Errorf("%+v %v", e, err)
		}
		got, release, err := r.Content(name)
		if err != nil || !bytes.Equal(got.Bytes(), content.Bytes()) {
			t.Errorf("%s: the octets differ (%v)", name, err)
		}
		e.State, e.Rcpts[0].Last = StateInflight, "450 4.2.0 <later> & again"
		if err := s.Update(e); err != nil {
			t.Fatal(err)
		}
		if err := s.Remove(name); err != nil {
			t.Fatal(err)
		}
		if name == "large" && !bytes.Equal(got.Bytes(), content.Bytes()) {
			t.Error("a mapping must outlive its entry")
		}
		release()
		if _, err := s.Get(name); !errors.Is(err, ErrNotFound) {
			t.Errorf("removed: %v", err)
		}
		if err := s.Update(e); !errors.Is(err, ErrNotFound) {
			t.Errorf("update of a removed entry: %v", err)
		}
	}
	wantFiles(t, s.Dir(), "VERSION lock")
}

// wantFiles compares the files below dir, without directories.
func wantFiles(t *testing.T, dir, want string) {
	t.Helper()
	var names []string
	filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if !d.IsDir() {
			names = append(names, strings.TrimPrefix(path, dir+"/"))
		}
		return err
	})
	if got := strings.Join(names, " "); got != want {
		t.Errorf("files: got %q, want %q", got, want)
	}
}

func TestIDsAreFileNames(t *testing.T) {
	s := open(t, t.TempDir())
	for _, id := range []string{"", ".", "..", "../x", "a/b", ".hidden", "a b", "a\x00", strings.Repeat("x", 101)} {
		if err := s.Put(entry(id), nil); !errors.Is(err, ErrInvalid) {
			t.Errorf("Put %q: %v", id, err)
		}
		if _, err := s.Get(id); !errors.Is(err, ErrNotFound) {
			t.Errorf("Get %q: %v", id, err)
		}
		if err := s.Remove(id); !errors.Is(err, ErrNotFound) {
			t.Errorf("Remove %q: %v", id, err)
		}
		if _, _, err := s.Content(id); !errors.Is(err, ErrNotFound) {
			t.Errorf("Content %q: %v", id, err)
		}
	}
}

func TestLock(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if _, err := Open(dir, Options{}); !errors.Is(err, ErrLocked) {
		t.Errorf("a second writer: %v", err)
	}
	s.Close()
	open(t, dir)
}

func TestRecovery(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	for _, id := range []string{"good", "orphan", "ended", "short", "bad", "new", "nodata"} {
		if err := s.Put(entry(id), mail.Content{[]byte("octets\r\n")}); err != nil {
			t.Fatal(err)
		}
	}
	s.Close()
	q := func(name string) string { return filepath.Join(dir, KindQueue, name) }
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Remove(q("orphan.json")))
	must(os.Rename(q("ended.json"), q("ended.gone")))
	must(os.WriteFile(q("short.eml"), []byte("oct"), 0o600))
	must(os.WriteFile(q("bad.json"), []byte(`{"version":`), 0o600))
	must(os.Remove(q("nodata.eml")))
	b, err := os.ReadFile(q("new.json"))
	must(err)
	must(os.WriteFile(q("new.json"), bytes.Replace(b, []byte(`"version": 1`), []byte(`"version": 3`), 1), 0o600))
	must(os.WriteFile(filepath.Join(dir, dirTmp, "1-half.eml"), []byte("ha"), 0o600))

	s = open(t, dir)
	list, err := s.List(KindQueue)
	must(err)
	var ids []string
	for _, e := range list {
		ids = append(ids, e.ID)
	}
	if got := strings.Join(ids, " "); got != "good nodata short" {
		t.Errorf("listed: %s", got)
	}
	for _, name := range []string{"bad.json", "new.json", "short.json", "short.eml", "good.eml"} {
		if _, err := os.Stat(q(name)); err != nil {
			t.Errorf("%s must stay: %v", name, err)
		}
	}
	for _, name := range []string{"ended.gone", "ended.eml", "orphan.eml"} {
		if _, err := os.Stat(q(name)); err == nil {
			t.Errorf("%s must not stay", name)
		}
	}
	aside, _ := filepath.Glob(filepath.Join(dir, dirAside, "queue-*-orphan.eml"))
	if len(aside) != 1 {
		t.Error("the orphan is not kept aside")
	}
	if n := len(s.Problems()); n != 5 {
		t.Errorf("%d problems: %v", n, s.Problems())
	}
	tmp, _ := os.ReadDir(filepath.Join(dir, dirTmp))
	if len(tmp) != 0 {
		t.Error("tmp is not empty")
	}
}

func TestLaterFormatIsRefused(t *testing.T) {
	dir := t.TempDir()
	open(t, dir).Close()
	os.WriteFile(filepath.Join(dir, versionFile), []byte("sekimori-spool 2\n"), 0o600)
	if _, err := Open(dir, Options{}); !errors.Is(err, ErrInvalid) {
		t.Error(err)
	}
	if _, err := OpenReadOnly(dir); !errors.Is(err, ErrInvalid) {
		t.Error(err)
	}
}

func TestRoom(t *testing.T) {
	now, free, asked := time.Unix(1, 0), int64(1500), 0
	s, err := Open(t.TempDir(), Options{
		DiskReserve: 1000, Now: func() time.Time { return now },
		FreeDisk: func(string) (int64, error) { asked++; return free, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Room(); err != nil {
		t.Error(err)
	}
	if _, err := s.Temp(600); !errors.Is(err, ErrFull) {
		t.Errorf("a body that does not fit: %v", err)
	}
	free = 900
	if s.Room(); asked != 1 {
		t.Errorf("asked %d times within a second", asked)
	}
	now = now.Add(time.Second)
	if err := s.Room(); !errors.Is(err, ErrFull) {
		t.Error(err)
	}
	if err := s.Put(entry("reserve"), nil); err != nil {
		t.Errorf("mail that was let in may use the reserve: %v", err)
	}
	free, now = 499, now.Add(time.Second)
	if err := s.Put(entry("full"), nil); !errors.Is(err, ErrFull) {
		t.Error(err)
	}
	e, _ := s.Get("reserve")
	if err := s.Update(e); err != nil {
		t.Errorf("an update never asks for room: %v", err)
	}
}

func TestTemp(t *testing.T) {
	s := open(t, t.TempDir())
	tmp, err := s.Temp(0)
	if err != nil {
		t.Fatal(err)
	}
	want := bytes.Repeat([]byte("abcdefg\r\n"), 1<<20)
	for rest := want; len(rest) > 0; rest = rest[min(len(rest), 4097):] {
		if _, err := tmp.Write(rest[:min(len(rest), 4097)]); err != nil {
			t.Fatal(err)
		}
	}
	got, err := tmp.Bytes()
	if err != nil || !bytes.Equal(got, want) || tmp.Len() != int64(len(want)) {
		t.Errorf("%d octets of %d, %v", len(got), len(want), err)
	}
	if _, err := tmp.Write([]byte("x")); err == nil {
		t.Error("written after it was complete")
	}
	if names, _ := os.ReadDir(filepath.Join(s.Dir(), dirTmp)); len(names) != 0 {
		t.Error("the file has a name")
	}
	for range 2 {
		if err := tmp.Close(); err != nil {
			t.Error("Close", err)
		}
	}
	empty, _ := s.Temp(0)
	if b, err := empty.Bytes(); len(b) != 0 || err != nil {
		t.Error(b, err)
	}
	empty.Close()
}

func TestRequests(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	for i, verb := range []string{"queue.retry", "other.x"} {
		if err := Ask(dir, verb, []string{"all"}, time.Unix(int64(i), 0)); err != nil {
			t.Fatal(err)
		}
	}
	os.WriteFile(filepath.Join(dir, dirRequests, "3-bad.json"), []byte("{"), 0o600)
	list, err := s.Requests("queue.")
	if err != nil || len(list) != 1 || list[0].Verb != "queue.retry" || list[0].Args[0] != "all" {
		t.Fatal(list, err)
	}
	if err := s.Answered(list[0]); err != nil {
		t.Error(err)
	}
	if list, _ = s.Requests(""); len(list) != 1 || len(s.Problems()) != 1 {
		t.Error(list, s.Problems())
	}
}

func TestConcurrentPuts(t *testing.T) {
	s := open(t, t.TempDir())
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			e := entry("c" + strconv.Itoa(i))
			if err := s.Put(e, mail.Content{[]byte("x\r\n")}); err != nil {
				t.Error(err)
			}
			if i%2 == 0 {
				if err := s.Remove(e.ID); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if list, err := s.List(KindQueue); err != nil || len(list) != 16 {
		t.Error(len(list), err)
	}
}

func BenchmarkPut(b *testing.B) {
	s := open(b, b.TempDir())
	content := mail.Content{bytes.Repeat([]byte("0123456789abcdef\r\n"), 250)}
	var mu sync.Mutex
	n := 0
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			mu.Lock()
			n++
			e := entry("b" + time.Duration(n).String())
			mu.Unlock()
			e.ID = strings.ReplaceAll(e.ID, "µ", "u")
			if err := s.Put(e, content); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// TestOnceFormat: an envelope that says "once" is of version 2, which an earlier program leaves alone; the others are as they were.
func TestOnceFormat(t *testing.T) {
	s := open(t, t.TempDir())
	once := entry("once")
	once.Once = true
	for _, e := range []Entry{once, entry("usual")} {
		if err := s.Put(e, mail.Content{[]byte("octets\r\n")}); err != nil {
			t.Fatal(err)
		}
	}
	for id, want := range map[string]int{"once": 2, "usual": 1} {
		e, err := s.Get(id)
		if err != nil || e.Version != want || e.Once != (want == 2) {
			t.Errorf("%s: %+v %v", id, e, err)
		}
		if err := s.Update(e); err != nil {
			t.Fatal(err)
		}
		if e, err := s.Get(id); err != nil || e.Version != want {
			t.Errorf("%s after an update: %+v %v", id, e, err)
		}
	}
	b, err := os.ReadFile(filepath.Join(s.Dir(), "VERSION"))
	if err != nil || string(b) != "sekimori-spool 1\n" {
		t.Errorf("%q %v", b, err)
	}
	once.ID = "two"
	once.Rcpts = append(once.Rcpts, once.Rcpts[0])
	if err := s.Put(once, mail.Content{[]byte("octets\r\n")}); !errors.Is(err, ErrInvalid) {
		t.Errorf("once for two: %v", err)
	}
}
