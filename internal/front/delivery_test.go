package front

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"sekimori/internal/config"
	"sekimori/internal/ledger"
	"sekimori/internal/mail"
	"sekimori/internal/relay"
	"sekimori/internal/spool"
)

// TestDelivery runs the scenarios of testdata/relay: a client, the front, the relay, the spool and the ledger as they are, and
// backends that follow a script, in one world with a clock of its own. A file has these parts:
//
//	-- backends -- "NAME SCHEME DOMAIN [priority=N] [weight=N] [max=N] [auth=USER]"; several lines may name one domain
//	-- NAME --     the script of a backend; see scripted
//	-- gate --     as in testdata/flow
//	-- config --   "on_backend_down DOMAIN defer", "chunking", "budget 15s"
//	-- run --      in order: "C: " and "S: " as in testdata/flow; "M: RCPTS" is a whole mail, whose answer follows as "S: "; "T: 30m" lets time pass; "Q: LINES" compares the queue
//	               ("ID STATE local=status …", "empty"); "H NAME: VERB N" says how often a backend has
//	               heard a command so far; "B NAME: LINE" changes a script ("clear" ends it); "D: N" sets the
//	               free octets of the disk; "W: 15s" says how long the client has waited since the last W; "N: " begins a
//	               new connection in the place of the last one, "N NAME: " one beside those that stand, "@ NAME: " goes back to it
//	-- want --     in the end: "NAME <FROM> -> RCPTS" for every mail that a backend has, "held:CLASS ID -> RCPTS", "failed RCPT
//	               REPLY" (after the acknowledgement), "queue: …", "duplicates: N", "NAME said VERB: N",
//	               and "NAME peak: N" for its connections at one time
func TestDelivery(t *testing.T) {
	paths, err := filepath.Glob("../../testdata/relay/*.txtar")
	if err != nil || len(paths) < 20 {
		t.Fatal("no scenarios", paths, err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			parts := map[string]string{}
			for _, f := range a.Files {
				parts[f.Name] = string(f.Data)
			}
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) { runDelivery(t, parts, dir) })
		})
	}
}

// delivery is one scenario.
type delivery struct {
	*world
	t        *testing.T
	backends map[string]*scripted
	names    []string
	relay    *relay.Relay
	spool    *spool.Spool
	waited   time.Time
	greeted  map[*client]bool

	guard  sync.Mutex
	free   int64
	failed []string
}

func runDelivery(t *testing.T, parts map[string]string, dir string) {
	d := &delivery{world: newWorld(t), t: t, backends: map[string]*scripted{}, greeted: map[*client]bool{}, free: 1 << 40}
	d.cfg.Domains = nil
	d.configure(parts)
	flowGate(t, d.world, parts["gate"])
	stop := d.open(dir)
	defer func() {
		d.stop()
		stop()
		time.Sleep(2 * time.Hour) // lets the scripted servers end
	}()
	d.start()
	synctest.Wait() // the backends are known
	d.talk(parts["run"])
	d.want(parts["want"])
}

func (d *delivery) configure(parts map[string]string) {
	for line := range flowLines(parts["backends"]) {
		f := strings.Fields(line)
		s := &scripted{t: d.t, name: f[0], lmtp: f[1] == "lmtp", offers: []string{"PIPELINING"}}
		s.conf = config.Backend{URL: f[1] + "://192.0.2." + strconv.Itoa(10+len(d.names)) + ":25", Weight: 1, TLS: config.BackendTLS{Mode: "none"}}
		for _, o := range f[3:] {
			key, value, _ := strings.Cut(o, "=")
			n, _ := strconv.Atoi(value)
			switch key {
			case "priority":
				s.conf.Priority = n
			case "weight":
				s.conf.Weight = n
			case "max":
				s.conf.MaxConnections = n
			case "auth":
				s.conf.Auth = config.BackendAuth{User: value, Password: "open sesame", AllowCleartext: true}
			}
		}
		s.conf.Chunking = strings.Contains(parts["config"], "chunking")
		s.script(parts[f[0]])
		d.backends[f[0]] = s
		d.names = append(d.names, f[0])
		d.domain(f[2]).Backends = append(d.domain(f[2]).Backends, s.conf)
	}
	for line := range flowLines(parts["config"]) {
		f := strings.Fields(line)
		switch f[0] {
		case "on_backend_down":
			d.domain(f[1]).OnBackendDown = f[2]
		case "budget":
			b, err := time.ParseDuration(f[1])
			if err != nil {
				d.t.Fatal(err)
			}
			d.cfg.Relay.Budget = config.Duration(b)
		case "chunking":
		default:
			d.t.Fatalf("config: %q", line)
		}
	}
}

func (d *delivery) domain(name string) *config.Domain {
	for i := range d.cfg.Domains {
		if d.cfg.Domains[i].Names[0] == name {
			return &d.cfg.Domains[i]
		}
	}
	d.cfg.Domains = append(d.cfg.Domains, config.Domain{Names: []string{name}, Recipients: "any"})
	return &d.cfg.Domains[len(d.cfg.Domains)-1]
}

// realRelay fits the relay to the front, as the program does.
type realRelay struct{ *relay.Relay }

func toRelay(e Envelope) relay.Envelope {
	return relay.Envelope{ID: e.ID, From: e.From, Rcpts: e.Rcpts, Content: e.Content, EightBit: e.EightBit, UTF8: e.UTF8, Client: e.Client, Meta: e.Meta, Lane: e.Lane}
}

func (r realRelay) Deliver(ctx context.Context, e Envelope) ([]Answer, error) {
	answers, err := r.Relay.Deliver(ctx, toRelay(e))
	if errors.Is(err, relay.ErrDown) {
		err = fmt.Errorf("%w: %w", ErrDown, err)
	}
	var out []Answer
	for _, a := range answers {
		out = append(out, Answer(a))
	}
	return out, err
}

func (r realRelay) Stage(ctx context.Context, e Envelope) (Staged, error) {
	return r.Relay.Stage(ctx, toRelay(e))
}

func (r realRelay) Queue(ctx context.Context, e Envelope) error {
	return r.Relay.Queue(ctx, toRelay(e))
}

type realSpool struct{ *spool.Spool }

func (s realSpool) Temp(int64) (Temp, error) { return nil, errTest } // the mails of scenarios are small

// open makes the real parts; the function that it returns ends them.
func (d *delivery) open(dir string) func() {
	var err error
	d.spool, err = spool.Open(filepath.Join(dir, "spool"), spool.Options{DiskReserve: 1000, FreeDisk: func(string) (int64, error) {
		d.guard.Lock()
		defer d.guard.Unlock()
		return d.free, nil
	}})
	if err != nil {
		d.t.Fatal(err)
	}
	book, err := ledger.Open(filepath.Join(dir, "ledger"), ledger.Options{})
	if err != nil {
		d.t.Fatal(err)
	}
	d.relay, err = relay.New(relay.Options{
		Config: d.cfg, Spool: d.spool, Ledger: book, Rand: func() float64 { return 0.5 },
		Log: slog.New(slog.NewTextHandler(d.t.Output(), nil)),
		Dial: func(ctx context.Context, _, addr string) (net.Conn, error) {
			for _, s := range d.backends {
				if strings.HasSuffix(s.conf.URL, "//"+addr) {
					return s.dial(ctx)
				}
			}
			return nil, errors.New("no route to " + addr)
		},
	})
	if err != nil {
		d.t.Fatal(err)
	}
	d.relay.OnFailed = func(_ context.Context, f relay.Failure) (relay.Fate, error) {
		d.guard.Lock()
		defer d.guard.Unlock()
		for _, r := range f.Rcpts {
			d.failed = append(d.failed, "failed "+r.Addr.String()+" "+r.Reply.String())
		}
		return relay.Fate{State: ledger.Moved, Detail: "a hold of the test"}, nil
	}
	d.ways = func(o *Options) { o.Relay, o.Spool = realRelay{d.relay}, realSpool{d.spool} }
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { d.relay.Run(ctx); close(done) }()
	return func() {
		cancel()
		<-done
		now, end := context.WithCancel(context.Background())
		end()
		_ = d.relay.Close(now)
		d.spool.Close()
		book.Close()
	}
}

func (d *delivery) talk(text string) {
	c := d.dial("192.0.2.1")
	at, all := "", map[string]*client{"": c}
	defer func() {
		for _, c := range all {
			_ = c.conn.Close()
		}
		synctest.Wait()
	}()
	d.waited = time.Now()
	for line := range flowLines(text) {
		key, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line[0] == '#':
		case key == "M":
			d.mail(c, strings.Fields(value))
		case key == "C":
			c.send(value + "\r\n")
		case key == "S":
			if got := c.line(); !glob(value, got) {
				d.t.Fatalf("the server says\n\t%q, want\n\t%q", got, value)
			}
		case key == "N":
			_ = c.conn.Close()
			c = d.dial("192.0.2.1")
			all[at] = c
		case strings.HasPrefix(key, "N "):
			at, c = key[2:], d.dial("192.0.2.1")
			all[at] = c
		case strings.HasPrefix(key, "@ "):
			at = key[2:]
			if c = all[at]; c == nil {
				d.t.Fatalf("run: %q is no connection", at)
			}
		case key == "T":
			wait, err := time.ParseDuration(value)
			if err != nil {
				d.t.Fatal(err)
			}
			time.Sleep(wait)
			synctest.Wait()
			d.waited = time.Now()
		case key == "W":
			if got := time.Since(d.waited).Round(time.Second).String(); got != value {
				d.t.Errorf("the client has waited %s, want %s", got, value)
			}
			d.waited = time.Now()
		case key == "Q":
			synctest.Wait()
			if got := d.queue(); got != value {
				d.t.Errorf("in the queue\n\t%s, want\n\t%s", got, value)
			}
		case key == "D":
			d.guard.Lock()
			d.free, _ = strconv.ParseInt(value, 10, 64)
			d.guard.Unlock()
		case strings.HasPrefix(key, "H "):
			verb, n, _ := strings.Cut(value, " ")
			synctest.Wait()
			if got := d.saidBy(key[2:], verb); fmt.Sprint(got) != n {
				d.t.Errorf("%s has heard %s %d times, want %s", key[2:], verb, got, n)
			}
		case strings.HasPrefix(key, "B "):
			d.backends[key[2:]].script(value)
		default:
			d.t.Fatalf("run: %q", line)
		}
	}
}

// mail says everything up to the final dot; the banner is read when it has not been.
func (d *delivery) mail(c *client, rcpts []string) {
	d.t.Helper()
	say := func(line, want string) {
		if line != "" {
			c.send(line + "\r\n")
		}
		if got := c.line(); !strings.HasPrefix(got, want) {
			d.t.Fatalf("%s: the server says %q, want %s", line, got, want)
		}
	}
	if !d.greeted[c] {
		say("", "220")
		say("HELO client.example", "250")
		d.greeted[c] = true
	}
	say("MAIL FROM:<a@sender.example>", "250")
	for _, r := range rcpts {
		say("RCPT TO:<"+r+">", "250")
	}
	say("DATA", "354")
	c.send("Subject: hello\r\n\r\n..dot\r\nbody\r\n.\r\n")
}

// queue says what waits, in one line.
func (d *delivery) queue() string {
	list, err := d.spool.List(spool.KindQueue)
	if err != nil {
		d.t.Error(err)
	}
	var all []string
	for _, e := range list {
		words := []string{e.ID, e.State}
		for _, r := range e.Rcpts {
			words = append(words, r.Addr.Local+"="+r.Status)
		}
		all = append(all, strings.Join(words, " "))
	}
	if len(all) == 0 {
		return "empty"
	}
	slices.Sort(all)
	return strings.Join(all, "; ")
}

func (d *delivery) want(text string) {
	var got []string
	for _, name := range d.names {
		s := d.backends[name]
		s.mu.Lock()
		mails := slices.Clone(s.got)
		s.mu.Unlock()
		slices.Sort(mails)
		for _, m := range mails {
			got = append(got, name+" "+m)
		}
	}
	for _, h := range d.held {
		got = append(got, "held:"+h.Class+" "+h.ID+" -> "+rcptList(h.Rcpts))
	}
	d.guard.Lock()
	got = append(got, d.failed...)
	d.guard.Unlock()
	got = append(got, "queue: "+d.queue(), fmt.Sprintf("duplicates: %d", d.relay.Counters.Duplicates.Load()))
	var want []string
	for line := range flowLines(text) {
		if name, rest, ok := strings.Cut(line, " said "); ok {
			verb, n, _ := strings.Cut(rest, ": ")
			if have := d.saidBy(name, verb); fmt.Sprint(have) != n {
				d.t.Errorf("%s has heard %s %d times, want %s", name, verb, have, n)
			}
			continue
		}
		if name, n, ok := strings.Cut(line, " peak: "); ok {
			s := d.backends[name]
			s.mu.Lock()
			if fmt.Sprint(s.peak) != n {
				d.t.Errorf("%s had %d connections at one time, want %s", name, s.peak, n)
			}
			s.mu.Unlock()
			continue
		}
		want = append(want, line)
	}
	if !slices.Equal(got, want) {
		d.t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func (d *delivery) saidBy(name, verb string) int {
	s := d.backends[name]
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, v := range s.said {
		if v == verb {
			n++
		}
	}
	return n
}

func rcptList(list []mail.Address) string {
	var all []string
	for _, a := range list {
		all = append(all, a.String())
	}
	return strings.Join(all, " ")
}
