package digest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sekimori/internal/config"
	sm "sekimori/internal/mail"
	"sekimori/internal/people"
	"sekimori/internal/spool"
	"sekimori/internal/store"
	"sekimori/internal/text"
	"sekimori/quarantine"
)

// outbox is a Sender that keeps what it was given; fail and die come before and after the mail is safe.
type outbox struct {
	mu        sync.Mutex
	mail      map[string]Mail
	fail, die error
}

func (o *outbox) Queue(_ context.Context, m Mail) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.fail != nil {
		return o.fail
	}
	if _, twice := o.mail[m.ID]; !twice {
		o.mail[m.ID] = m
	}
	return o.die
}

func (o *outbox) Known(_ context.Context, ids []string) (map[string]bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	known := map[string]bool{}
	for _, id := range ids {
		_, known[id] = o.mail[id]
	}
	return known, nil
}

// texts returns the text of what a person got, oldest first.
func (o *outbox) texts(t testing.TB, who string) []string {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	var ids []string
	for id, m := range o.mail {
		if m.To.Key() == who {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	var list []string
	for _, id := range ids {
		_, plain, _ := parts(t, o.mail[id].Content)
		list = append(list, plain)
	}
	return list
}

// direct is a Recipients for which every address of example.jp is a mailbox, but for a few aliases.
type direct map[string][]sm.Address

func (d direct) Whose(a sm.Address) ([]sm.Address, string, bool) {
	if to := d[a.Key()]; to != nil {
		return to, "", true
	}
	return []sm.Address{a}, "", a.Domain == "example.jp"
}

// world is a store with a quarantine, and as many runners as are asked for.
type world struct {
	now    atomic.Pointer[time.Time]
	keeper *quarantine.Store
	people *people.Store
	dir    *people.Directory
	cfg    *config.Config
	n      int
}

const worldConfig = `
[http]
public_url = "https://guard.example.jp"
[digest]
enabled = true
schedule = "daily 08:00"
time_zone = "Asia/Tokyo"
%s
[[domain]]
names = ["example.jp"]
recipients = "any"
backends = ["smtp://192.0.2.1:25"]
`

func newWorld(t testing.TB, r config.Redis, more string) *world {
	t.Helper()
	cfg, err := config.Parse("test.toml", fmt.Appendf(nil, worldConfig, more), config.Options{SkipFiles: true})
	if err != nil {
		t.Fatal(err)
	}
	// A real Redis expires keys by its own clock: the test begins now, at 07:00 of a day in Tokyo that is near.
	day := time.Now().UTC().Truncate(24 * time.Hour)
	w := &world{cfg: cfg}
	w.set(day.Add(22 * time.Hour))
	st, err := store.Open(t.Context(), store.Options{Redis: r, Now: w.clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	sp, err := spool.Open(filepath.Join(t.TempDir(), "spool"), spool.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sp.Close() })
	if w.keeper, err = quarantine.New(quarantine.Options{Store: st, Spool: sp, Node: "mx1", Now: w.clock}); err != nil {
		t.Fatal(err)
	}
	w.people = people.NewStore(st.Client(), w.clock, nil)
	w.dir = people.NewDirectory(func() *config.Config { return w.cfg }, func() people.Recipients { return direct{"alias@example.jp": {addr("taro@example.jp")}} }, w.people)
	return w
}

// clock and set guard the time, since the embedded store looks at it by itself once a second.
func (w *world) clock() time.Time { return *w.now.Load() }

func (w *world) set(t time.Time) { w.now.Store(&t) }

func (w *world) runner(node string, out *outbox) *Runner {
	return New(Options{
		Keeper: w.keeper, People: w.people, Directory: w.dir, Config: func() *config.Config { return w.cfg }, Sender: out, Links: plainLinks{},
		Dangerous: func(string) bool { return false }, Node: node, Now: w.clock,
	})
}

func newOutbox() *outbox { return &outbox{mail: map[string]Mail{}} }

// hold puts a mail into the quarantine and returns its id.
func (w *world) hold(t testing.TB, subject string, to ...string) string {
	t.Helper()
	w.n++
	h := quarantine.Held{
		ID: fmt.Sprintf("m%05d", w.n), Class: "spam", From: addr("a@sender.example"), HeaderFrom: "a@sender.example", Subject: subject, Score: 7, Limit: 6,
		Body: sm.Content{[]byte("Subject: x\r\n\r\nx\r\n")},
	}
	for _, s := range to {
		h.Rcpts = append(h.Rcpts, addr(s))
	}
	if err := w.keeper.Hold(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	return h.ID
}

func (w *world) tick(t testing.TB, r *Runner) {
	t.Helper()
	if err := r.Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func has(s string, all ...string) bool {
	return !slices.ContainsFunc(all, func(x string) bool { return !strings.Contains(s, x) })
}

// TestRun: at the due time one digest of what is new, nothing when nothing is, and each mail once.
func TestRun(t *testing.T) {
	w, out := newWorld(t, config.Redis{}, ""), newOutbox()
	r := w.runner("a", out)
	w.hold(t, "first mail", "taro@example.jp", "hanako@example.jp")
	w.tick(t, r)
	if len(out.mail) != 0 {
		t.Fatal("told before it was due")
	}
	w.set(w.clock().Add(61 * time.Minute))
	w.tick(t, r)
	w.tick(t, r)
	if got := out.texts(t, "taro@example.jp"); len(got) != 1 || !has(got[0], "first mail", "メールを、お届けせずに") {
		t.Fatalf("%q", got)
	}
	if len(out.texts(t, "hanako@example.jp")) != 1 {
		t.Fatal("hanako was not told")
	}
	// What comes after the due time waits for the next.
	second := w.hold(t, "second mail", "alias@example.jp")
	w.hold(t, "gone mail", "hanako@example.jp")
	w.set(w.clock().Add(2 * time.Hour))
	w.tick(t, r)
	if len(out.mail) != 2 {
		t.Fatal("told of a mail before the next due time")
	}
	if _, err := w.keeper.Delete(t.Context(), "m00003", nil, "x"); err != nil {
		t.Fatal(err)
	}
	w.set(w.clock().Add(23 * time.Hour))
	w.tick(t, r)
	got := out.texts(t, "taro@example.jp")
	if len(got) != 2 || !has(got[1], "second mail", "alias@example.jp") || strings.Contains(got[1], "first mail") {
		t.Fatalf("%q", got)
	}
	if len(out.texts(t, "hanako@example.jp")) != 1 {
		t.Error("a digest of nothing, or of a mail that was deleted")
	}
	w.set(w.clock().Add(24 * time.Hour))
	w.tick(t, r)
	if len(out.mail) != 3 {
		t.Error("a digest although nothing is new")
	}
	a := Announcer{Keeper: func() *quarantine.Store { return w.keeper }, People: w.people, Directory: w.dir}
	if !a.Announced(t.Context(), second, addr("alias@example.jp")) {
		t.Error("taro was told, and it does not count")
	}
	untold := w.hold(t, "third", "taro@example.jp")
	if a.Announced(t.Context(), untold, addr("taro@example.jp")) {
		t.Error("nobody was told, and it counts")
	}
	if err := w.people.SetSchedule(t.Context(), addr("taro@example.jp"), config.Schedule{Kind: "off"}); err != nil {
		t.Fatal(err)
	}
	if !a.Announced(t.Context(), untold, addr("taro@example.jp")) {
		t.Error("who wants no digests keeps mail from expiring")
	}
	w.set(w.clock().Add(48 * time.Hour))
	w.tick(t, r)
	if len(out.mail) != 3 {
		t.Error("a digest for somebody who wants none")
	}
}

// TestChoices: language and schedule of the person hold from the next look on.
func TestChoices(t *testing.T) {
	w, out := newWorld(t, config.Redis{}, ""), newOutbox()
	r := w.runner("a", out)
	taro := addr("taro@example.jp")
	w.hold(t, "first mail", "taro@example.jp")
	w.tick(t, r)
	hourly := config.Schedule{Kind: "hourly"}
	if err := errors.Join(w.people.SetLang(t.Context(), taro, text.En), w.people.SetSchedule(t.Context(), taro, hourly)); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		w.set(w.clock().Add(20*time.Minute + time.Second))
		w.tick(t, r)
	}
	marks, _ := w.people.Marks(t.Context(), []sm.Address{taro})
	if got := out.texts(t, "taro@example.jp"); len(got) != 1 || !has(got[0], "One mail to taro@example.jp", marks[0].Words(text.En)) {
		t.Fatalf("%q", got)
	}
}

// TestShared: owners of a shared mailbox are told, delegates are not, and each owner at his own time.
func TestShared(t *testing.T) {
	w, out := newWorld(t, config.Redis{}, `[[digest.shared]]
mailbox = "info@example.jp"
owners = ["taro@example.jp", "ken@example.jp"]
delegates = ["hanako@example.jp"]`), newOutbox()
	r := w.runner("a", out)
	if err := w.people.SetSchedule(t.Context(), addr("ken@example.jp"), config.Schedule{Kind: "daily", Times: []int{20 * 60}}); err != nil {
		t.Fatal(err)
	}
	w.hold(t, "question", "info@example.jp")
	w.hold(t, "private", "taro@example.jp", "info@example.jp")
	w.set(w.clock().Add(61 * time.Minute))
	w.tick(t, r)
	if got := out.texts(t, "taro@example.jp"); len(got) != 1 || strings.Count(got[0], "private") != 1 || !has(got[0], "question", "2件", "info@example.jp, taro@example.jp") {
		t.Fatalf("%q", got)
	}
	if len(out.mail) != 1 {
		t.Fatalf("%d digests", len(out.mail))
	}
	w.set(w.clock().Add(12 * time.Hour))
	w.tick(t, r)
	if got := out.texts(t, "ken@example.jp"); len(got) != 1 || !has(got[0], "question", "private") {
		t.Fatalf("%q", got)
	}
	if news, _ := w.keeper.News(t.Context()); len(news) != 0 {
		t.Errorf("still new: %v", news)
	}
	if len(out.mail) != 2 {
		t.Errorf("%d digests", len(out.mail))
	}
}

// TestDeath goes through the moments at which a host may die, and who may send then.
func TestDeath(t *testing.T) {
	boom := errors.New("the host is gone")
	start := func(t *testing.T) (*world, *outbox, *outbox, *Runner, *Runner) {
		w := newWorld(t, config.Redis{}, "")
		w.hold(t, "first mail", "taro@example.jp")
		w.set(w.clock().Add(61 * time.Minute))
		a, b := newOutbox(), newOutbox()
		return w, a, b, w.runner("a", a), w.runner("b", b)
	}
	t.Run("claimed", func(t *testing.T) {
		w, _, b, _, rb := start(t)
		due := w.clock().Add(-time.Minute).Unix()
		if got, err := w.people.Take(t.Context(), []people.Claim{{Person: addr("taro@example.jp"), Due: due, Node: "a", Lapse: lapse}}); err != nil || !got[0].Mine {
			t.Fatalf("%+v %v", got, err)
		}
		w.tick(t, rb)
		if len(b.mail) != 0 {
			t.Fatal("sent although another host had claimed it")
		}
		w.set(w.clock().Add(lapse + time.Second))
		w.tick(t, rb)
		if len(b.mail) != 1 {
			t.Fatal("a claim that lapsed was not taken")
		}
	})
	t.Run("handed over", func(t *testing.T) {
		w, a, b, ra, rb := start(t)
		a.die = boom // safe in the queue, and then dead
		a.fail = nil
		// Back is what a living host would do after an error; a dead one does not.
		dead := &dying{Sender: a, people: w.people}
		ra.o.Sender = dead
		_ = ra.Tick(dead.context(t))
		if len(a.mail) != 1 {
			t.Fatal("not handed over")
		}
		for range 3 {
			w.set(w.clock().Add(time.Hour))
			w.tick(t, rb)
		}
		if len(b.mail) != 0 {
			t.Fatal("sent twice: by another host")
		}
		a.die = nil
		again := w.runner("a", a)
		w.tick(t, again)
		w.tick(t, rb)
		if len(a.mail) != 1 || len(b.mail) != 0 {
			t.Fatalf("sent again: %d and %d", len(a.mail), len(b.mail))
		}
		w.set(w.clock().Add(24 * time.Hour))
		w.tick(t, again)
		w.tick(t, rb)
		if len(a.mail)+len(b.mail) != 1 {
			t.Error("what was told came again although its host is back")
		}
	})
	t.Run("about to hand over", func(t *testing.T) {
		w, a, b, ra, rb := start(t)
		a.fail = boom
		dead := &dying{Sender: a, people: w.people}
		ra.o.Sender = dead
		_ = ra.Tick(dead.context(t))
		w.set(w.clock().Add(time.Hour))
		w.tick(t, rb)
		if len(a.mail)+len(b.mail) != 0 {
			t.Fatal("sent although nobody can know whether it was")
		}
		a.fail = nil
		w.tick(t, w.runner("a", a))
		if len(a.mail) != 1 {
			t.Fatal("its host is back, knows that it was not sent, and does not send")
		}
	})
	t.Run("never back", func(t *testing.T) {
		w, a, b, ra, rb := start(t)
		a.fail = boom
		dead := &dying{Sender: a, people: w.people}
		ra.o.Sender = dead
		_ = ra.Tick(dead.context(t))
		w.set(w.clock().Add(24 * time.Hour))
		w.tick(t, rb)
		if got := b.texts(t, "taro@example.jp"); len(got) != 1 || !has(got[0], "first mail") {
			t.Fatalf("what was not told does not come with the next: %q", got)
		}
	})
	t.Run("queue full", func(t *testing.T) {
		w, a, _, ra, _ := start(t)
		a.fail = errors.New("no space")
		w.tick(t, ra)
		a.fail = nil
		w.set(w.clock().Add(lapse + time.Second))
		w.tick(t, ra)
		if len(a.mail) != 1 {
			t.Fatal("not tried again")
		}
	})
}

// dying is a host that dies when it hands over: from then on nothing it does reaches the store.
type dying struct {
	Sender
	people *people.Store
	cancel context.CancelFunc
}

func (d *dying) context(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	d.cancel = cancel
	return ctx
}

func (d *dying) Queue(ctx context.Context, m Mail) error {
	err := d.Sender.Queue(ctx, m)
	d.cancel()
	return err
}

// TestTwo: several hosts look at the same time; everybody gets one.
func TestTwo(t *testing.T) {
	everywhere(t, func(t *testing.T, r config.Redis) {
		w := newWorld(t, r, "")
		const persons = 150
		for i := range persons {
			w.hold(t, "first mail", fmt.Sprintf("p%d@example.jp", i))
		}
		w.set(w.clock().Add(61 * time.Minute))
		outs := []*outbox{newOutbox(), newOutbox(), newOutbox()}
		var wg sync.WaitGroup
		for i, out := range outs {
			wg.Go(func() {
				if err := w.runner(fmt.Sprint("node", i), out).Tick(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		got := map[string]int{}
		for _, out := range outs {
			for _, m := range out.mail {
				got[m.To.Key()]++
			}
		}
		if len(got) != persons {
			t.Errorf("%d of %d persons were told", len(got), persons)
		}
		for who, n := range got {
			if n != 1 {
				t.Errorf("%s was told %d times", who, n)
			}
		}
		if news, _ := w.keeper.News(t.Context()); len(news) != 0 {
			t.Errorf("%d addresses still have news", len(news))
		}
	})
}

// TestListNow: everything that is held, at any time, and counted as told.
func TestListNow(t *testing.T) {
	w, out := newWorld(t, config.Redis{}, ""), newOutbox()
	r := w.runner("a", out)
	taro := addr("taro@example.jp")
	if err := r.SendListNow(t.Context(), taro); err != nil {
		t.Fatal(err)
	}
	w.hold(t, "first mail", "taro@example.jp")
	w.set(w.clock().Add(2 * time.Minute))
	for range 2 { // the second within a minute is the same
		if err := r.SendListNow(t.Context(), addr("alias@example.jp")); err != nil {
			t.Fatal(err)
		}
	}
	got := out.texts(t, "taro@example.jp")
	if len(got) != 2 || !has(got[0], "1件もありません") || !has(got[1], "first mail", "ご依頼により") {
		t.Fatalf("%q", got)
	}
	w.set(w.clock().Add(time.Hour))
	w.tick(t, r)
	if len(out.mail) != 2 {
		t.Error("told again of what stood in the list")
	}
	if err := r.SendListNow(t.Context(), addr("x@elsewhere.example")); !errors.Is(err, ErrNobody) {
		t.Errorf("%v", err)
	}
}

func everywhere(t *testing.T, f func(t *testing.T, r config.Redis)) {
	t.Run("embedded", func(t *testing.T) { f(t, config.Redis{}) })
	t.Run("redis", func(t *testing.T) { f(t, startRedis(t)) })
}

// startRedis starts a real redis-server on a socket in a private folder.
func startRedis(t testing.TB) config.Redis {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("SEKIMORI_REQUIRE_REAL") == "1" {
			t.Fatal("SEKIMORI_REQUIRE_REAL=1, but there is no redis-server on PATH")
		}
		t.Skip("no redis-server on PATH")
	}
	dir, err := os.MkdirTemp("", "digest") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "redis.sock")
	cmd := exec.Command("redis-server", "--port", "0", "--unixsocket", socket, "--dir", dir, "--save", "", "--appendonly", "yes", "--appendfsync", "no")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait(); _ = os.RemoveAll(dir) })
	for range 500 {
		if _, err := os.Stat(socket); err == nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	return config.Redis{URL: "unix://" + socket, Timeout: config.Duration(10 * time.Second)}
}
