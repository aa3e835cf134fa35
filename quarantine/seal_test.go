package quarantine

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sekimori/internal/config"
)

func testKey(id string) Key {
	return Key{id, []byte(strings.Repeat(id+"................................", 2)[:32])}
}

// encrypted gives a rig keys.
func encrypted(ids ...string) func(*Options) {
	return func(o *Options) {
		for _, id := range ids {
			o.Keys = append(o.Keys, testKey(id))
		}
	}
}

// again opens the rig's store and spool with other options, as a restart does.
func (g *rig) reopen(t *testing.T, change ...func(*Options)) {
	t.Helper()
	o := g.o
	o.Keys = nil
	for _, f := range change {
		f(&o)
	}
	var err error
	if g.Store, err = New(o); err != nil {
		t.Fatal(err)
	}
}

// everything returns all that a store holds, keys and values.
func (g *rig) everything(t *testing.T) []byte {
	t.Helper()
	ctx, c := t.Context(), g.store.Client()
	var b bytes.Buffer
	for at := uint64(0); ; {
		keys, next, err := c.Scan(ctx, at, "*", 100).Result()
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range keys {
			b.WriteString(k + "\n")
			v, err := c.HGetAll(ctx, k).Result()
			if err == nil {
				fmt.Fprintln(&b, v)
				continue
			}
			if s, err := c.Get(ctx, k).Result(); err == nil {
				b.WriteString(s + "\n")
			}
		}
		if at = next; at == 0 {
			return b.Bytes()
		}
	}
}

func TestEncrypted(t *testing.T) {
	everywhere(t, func(t *testing.T, r config.Redis) {
		ctx := t.Context()
		g := newRig(t, r, encrypted("k1"))
		text := "a SECRETWORD that is long enough to be seen\r\n" + big(pieceSize+1000, 3)
		for _, id := range []string{"m1", "m2"} {
			g.hold(t, sample(id, text))
		}
		if n, _ := g.store.Client().ZCard(ctx, usersKey(g.name(t, "m1"))).Result(); n != 2 || g.name(t, "m1") != g.name(t, "m2") {
			t.Error("equal bodies are not stored once")
		}
		plain, _ := newCodec(nil)
		if p, _ := plain.pack("m1", sample("m1", text).Body); p.hash == g.name(t, "m1") {
			t.Error("the name of the body is its hash: what it is can be tried out")
		}
		all := g.everything(t)
		for _, word := range []string{"SECRETWORD", "ご請求書", "経理部", "SPF_FAIL", "Subject:", "bounce@"} {
			if bytes.Contains(all, []byte(word)) {
				t.Errorf("%s stands in the store", word)
			}
		}
		for _, id := range []string{"m1", "m2"} {
			raw, done, err := g.Raw(ctx, id)
			if err != nil || string(raw.Bytes()) != "Subject: "+id+"\r\n\r\n"+text {
				t.Fatalf("%s: %v", id, err)
			}
			done()
			if i, err := g.Show(ctx, id); err != nil || i.Subject != sample(id, "").Subject || string(i.Trace) != "X-Sekimori-ID: "+id+"\r\n" {
				t.Errorf("%+v %v", i, err)
			}
		}
		if got := g.list(t, Query{Subject: "ご請求書", From: "bounce@sender.example"}); len(got) != 2 {
			t.Errorf("%+v", got)
		}

		// A new key encrypts, the old one still decrypts.
		g.reopen(t, encrypted("k2", "k1"))
		g.hold(t, sample("m3", text))
		if g.name(t, "m3") == g.name(t, "m1") {
			t.Error("the new key is not used")
		}
		g.reopen(t, encrypted("k2"))
		wrongKey(t, g)
		g.reopen(t, func(o *Options) { o.Keys = []Key{testKey("k2"), {"k1", testKey("xx").Secret}} })
		wrongKey(t, g)
		g.reopen(t, encrypted("k2", "k1"))
		if _, err := g.Release(ctx, "m1", nil, "admin"); err != nil {
			t.Fatal(err)
		}
		g.Tick(ctx)
		if got := g.out.only(t); !bytes.HasSuffix(got, []byte("Subject: m1\r\n\r\n"+text)) {
			t.Error("released is not what came in")
		}
	})
}

func (g *rig) name(t *testing.T, id string) string {
	t.Helper()
	r, err := g.record(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return r.Hash
}

// wrongKey sees that m1 and m2, whose key is k1, are said to be unreadable by name of the key, and that all stays.
func wrongKey(t *testing.T, g *rig) {
	t.Helper()
	ctx := t.Context()
	var warned string
	g.o.Warn = func(key, message string) {
		if key == "quarantine.key" && message != "" {
			warned = message
		}
	}
	if _, _, err := g.Raw(ctx, "m1"); !errors.Is(err, ErrKey) || !strings.Contains(err.Error(), `"k1"`) {
		t.Errorf("raw: %v", err)
	}
	if _, err := g.Show(ctx, "m2"); !errors.Is(err, ErrKey) || !strings.Contains(err.Error(), "m2") {
		t.Errorf("show: %v", err)
	}
	if _, err := g.Release(ctx, "m1", nil, "admin"); !errors.Is(err, ErrKey) {
		t.Errorf("release: %v", err)
	}
	page, err := g.List(ctx, Query{})
	if err != nil || len(page.Items) != 1 || !strings.Contains(page.Partial, "2 mails cannot be read") || !strings.Contains(page.Partial, `"k1"`) {
		t.Errorf("list: %d, %q, %v", len(page.Items), page.Partial, err)
	}
	before := g.everything(t)
	g.store.Client().Do(ctx, "ZADD", dueIndex, 1, "m1")
	for range 3 {
		g.clock.add(11 * time.Minute)
		g.Tick(ctx)
	}
	if !strings.Contains(warned, `"k1"`) {
		t.Errorf("the administrator is told %q", warned)
	}
	for _, want := range []string{mailKey("m1"), mailKey("m2"), headKey("m1")} {
		if !bytes.Contains(g.everything(t), []byte(want+"\n")) || !bytes.Contains(before, []byte(want+"\n")) {
			t.Errorf("%s is gone", want)
		}
	}
	if n, _ := g.store.Client().ZCard(ctx, timeIndex).Result(); n != 3 {
		t.Errorf("%d mails are in the index", n)
	}
}

// TestEncryptedPending: neither the copy on the disk nor its metadata can be read without the key, which may change meanwhile.
func TestEncryptedPending(t *testing.T) {
	r := startRedis(t, durableRedis...)
	g := newRig(t, r.config())
	ctx := t.Context()
	g.hold(t, sample("m0", "text\r\n")) // the store is known to answer
	r.kill()
	g.hold(t, sample("plain", "PLAINWORD\r\n"))
	g.reopen(t, encrypted("k1"))
	text := "SECRETWORD " + big(2*pieceSize, 7)
	g.hold(t, sample("sealed", text))
	seen := g.disk(t)
	for _, word := range []string{"SECRETWORD", "ご請求書 sealed", "X-Sekimori-ID: sealed"} {
		if bytes.Contains(seen, []byte(word)) {
			t.Errorf("%s stands on the disk", word)
		}
	}
	if !bytes.Contains(seen, []byte("PLAINWORD")) {
		t.Error("the test does not see what is on the disk")
	}
	// Without the key it is there and cannot be read.
	g.reopen(t)
	if _, _, err := g.Raw(ctx, "sealed"); err == nil {
		t.Error("read without the key")
	}
	if n := len(g.Pending(ctx)); n != 2 {
		t.Errorf("%d are pending", n)
	}
	g.reopen(t, encrypted("k2", "k1"))
	if i, err := g.Show(ctx, "sealed"); err != nil || i.Subject != sample("sealed", "").Subject {
		t.Errorf("%+v %v", i, err)
	}
	// Decided on the disk, then stored.
	if _, err := g.Delete(ctx, "sealed", nil, "admin"); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Release(ctx, "plain", nil, "admin"); err != nil {
		t.Fatal(err)
	}
	g.Tick(ctx)
	if got := g.out.only(t); !bytes.HasSuffix(got, []byte("\r\n\r\nPLAINWORD\r\n")) {
		t.Errorf("%q", got)
	}
	r.start(t)
	eventually(t, "they are moved", func() bool {
		g.clock.add(time.Second)
		g.Tick(ctx)
		return len(g.pendings()) == 0
	})
	for id, want := range map[string]string{"sealed": text, "plain": "PLAINWORD\r\n"} {
		raw, done, err := g.Raw(ctx, id)
		if err != nil || string(raw.Bytes()) != "Subject: "+id+"\r\n\r\n"+want {
			t.Fatalf("%s: %v", id, err)
		}
		done()
	}
	if got := g.state(t, "sealed") + g.state(t, "plain"); got != "deleted deleted released released " {
		t.Error(got)
	}
}

// disk returns all that is in the spool's files.
func (g *rig) disk(t *testing.T) []byte {
	t.Helper()
	var all []byte
	err := filepath.WalkDir(g.spool.Dir(), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			var b []byte
			b, err = os.ReadFile(path)
			all = append(all, b...)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// FuzzOpen: what stands in the store or on the disk may be anything.
func FuzzOpen(f *testing.F) {
	c, err := newCodec([]Key{testKey("k1")})
	if err != nil {
		f.Fatal(err)
	}
	good := c.seal([]byte("text"), "place")
	// Each process of the fuzzer has its own nonces: a seed that is genuine, or one bit beside it, would be a false alarm in another.
	other := testKey("k1")
	other.Secret[0] ^= 1
	foreign, err := newCodec([]Key{other})
	if err != nil {
		f.Fatal(err)
	}
	altered := foreign.seal([]byte("text"), "place")
	for _, b := range [][]byte{altered, good[:5], {1}, {1, 255}, {1, 2, 'k', '1'}, {}, []byte("{}")} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := c.open(b, "place")
		if err == nil && len(b) > 0 && b[0] == sealedMark && !bytes.Equal(b, good) {
			t.Errorf("forged: %q", got)
		}
		if _, err := c.open(good, "another place"); !errors.Is(err, ErrKey) {
			t.Error("opened at another place")
		}
	})
}

// TestEncryptedKilledRedis is TestKilledRedis with keys.
func TestEncryptedKilledRedis(t *testing.T) { killedRedis(t, encrypted("k1")) }
