package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// world is everything that runs.
type world struct {
	dir    string
	binary string
	out    io.Writer
	rand   *rand.Rand // of the chaos alone: the load has its own

	smtp    string // where the server takes mail
	conf    string
	data    string // the server's data_dir
	boxes   string // where the scripted backends put what they took
	mounted bool   // data is a small tmpfs
	durable bool   // Redis keeps what it acknowledged when it is killed

	server   *process
	redis    *process
	postfix  *process // nil: not here
	backends []*process
	honest   sync.Map // name of a backend -> true once it has to behave

	mu    sync.Mutex
	kills []kill
	harms map[string]int // of the other kinds
	early []string       // mismatches that were found under way
}

// kill is one SIGKILL, for the explanation of duplicates.
type kill struct {
	who string
	at  time.Time
}

// places are the domains and how their backends behave (see backendMain). Postfix and the Maildir come on top.
var places = []struct{ domain, backend, manners string }{
	{"stall.test", "stall", "stall=0.15"},
	{"errors.test", "errors", "soft=0.15,hard=0.10"},
	{"drop.test", "drop", "drop=0.08,dropstored=0.08"},
	{"pair.test", "pair1", ""},
	{"pair.test", "pair2", ""},
}

// domains returns the names that mail is sent to.
func (w *world) domains() []string {
	list := []string{"dir.test", "stall.test", "errors.test", "drop.test", "pair.test"}
	if w.postfix != nil {
		list = append(list, "postfix.test")
	}
	return list
}

func (w *world) open() error {
	w.data, w.boxes = filepath.Join(w.dir, "data"), filepath.Join(w.dir, "boxes")
	for _, d := range []string{w.data, w.boxes, filepath.Join(w.dir, "redis")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	if err := w.mount(); err != nil {
		return err
	}
	for _, f := range []func() error{w.openRedis, w.openPostfix, w.openBackends, w.openServer} {
		if err := f(); err != nil {
			return err
		}
	}
	for _, p := range w.all() {
		if err := p.start(); err != nil {
			return err
		}
	}
	return nil
}

// mount gives the server a small disk of its own.
func (w *world) mount() error {
	if err := syscall.Mount("tmpfs", w.data, "tmpfs", 0, "size=160m,mode=0755"); err != nil {
		return w.missing("the full disk: " + err.Error())
	}
	w.mounted = true
	return nil
}

// all returns every process, the server last.
func (w *world) all() []*process {
	list := []*process{w.redis}
	if w.postfix != nil {
		list = append(list, w.postfix)
	}
	return append(append(list, w.backends...), w.server)
}

// close ends everything.
func (w *world) close() {
	for _, p := range w.all() {
		if p != nil {
			p.resume()
			p.kill()
		}
	}
	if w.mounted {
		// The tmpfs goes; what is in it is needed when something is wrong.
		_ = exec.Command("cp", "-a", w.data, w.data+".kept").Run()
		_ = syscall.Unmount(w.data, syscall.MNT_DETACH)
	}
}

// openRedis describes a Redis as Debian sets it up, or one with an append-only file, as the seed says.
func (w *world) openRedis() error {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return w.missing("Redis is needed: " + err.Error())
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	settings := []string{"--save", "60 1", "--appendonly", "no"}
	how := "saves only"
	if w.durable = w.rand.IntN(2) == 0; w.durable {
		settings, how = []string{"--save", "", "--appendonly", "yes", "--appendfsync", "always"}, "append-only file"
	}
	fmt.Fprintln(w.out, "Redis with", how)
	dir := filepath.Join(w.dir, "redis")
	w.redis = &process{
		name: "redis", addr: fmt.Sprintf("127.0.0.1:%d", port), log: filepath.Join(w.dir, "redis.log"),
		cmd: func() *exec.Cmd {
			return exec.Command(path, append([]string{"--port", fmt.Sprint(port), "--bind", "127.0.0.1", "--dir", dir}, settings...)...)
		},
	}
	return nil
}

func (w *world) openBackends() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for _, place := range places {
		port, err := freePort()
		if err != nil {
			return err
		}
		addr, box := fmt.Sprintf("127.0.0.1:%d", port), filepath.Join(w.boxes, place.backend)
		if err := os.MkdirAll(box, 0o755); err != nil {
			return err
		}
		w.backends = append(w.backends, &process{
			name: place.backend, addr: addr, log: filepath.Join(w.dir, place.backend+".log"),
			cmd: func() *exec.Cmd {
				manners := place.manners
				if _, honest := w.honest.Load(place.backend); honest {
					manners = ""
				}
				return exec.Command(self, "backend", addr, box, manners)
			},
		})
	}
	return nil
}

func (w *world) openServer() error {
	port, err := freePort()
	if err != nil {
		return err
	}
	w.smtp, w.conf = fmt.Sprintf("127.0.0.1:%d", port), filepath.Join(w.dir, "sekimori.toml")
	rules := filepath.Join(w.dir, "rules")
	if err := os.MkdirAll(rules, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(rules, "hold.toml"), []byte(holdRule), 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(w.conf, []byte(w.config(rules)), 0o644); err != nil {
		return err
	}
	w.server = &process{
		name: "sekimori", addr: w.smtp, log: filepath.Join(w.dir, "sekimori.log"),
		cmd: func() *exec.Cmd { return exec.Command(w.binary, "serve", "--config", w.conf) },
	}
	return nil
}

const holdRule = `[[rule]]
id = "CRASH_HOLD"
describe = { ja = "試験のため隔離しました。", en = "held by the test" }
when = 'message.subject startsWith "hold "'
action = "hold"
`

func (w *world) config(rules string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `hostname = "mx.crash.test"
data_dir = %q
rules_dir = %q
[log]
format = "json"
[http]
listen = ""
[metrics]
listen = ""
[smtp]
mynetworks = ["127.0.0.0/8"]
drain_timeout = "20s"
max_failed_recipients = 1000
[[smtp.listener]]
listen = [%q]
[redis]
url = "redis://%s/0"
[relay]
budget = "2s"
late_answer = "20s"
disk_reserve = "48MiB"
ledger_check = "10s"
`, w.data, rules, w.smtp, w.redis.addr)
	for _, check := range []string{"rdns", "dnsbl", "geoip", "ratelimit", "spf", "dkim", "dmarc", "bayes"} {
		fmt.Fprintf(&b, "[filters.%s]\nenabled = false\n", check)
	}
	backends := map[string][]string{"dir.test": {"maildir:" + filepath.Join(w.data, "maildir")}}
	for i, p := range places {
		backends[p.domain] = append(backends[p.domain], "smtp://"+w.backends[i].addr)
	}
	if w.postfix != nil {
		backends["postfix.test"] = []string{"smtp://" + w.postfix.addr}
	}
	for _, d := range w.domains() {
		fmt.Fprintf(&b, "[[domain]]\nnames = [%q]\nrecipients = \"any\"\nbackends = [%s]\n", d, `"`+strings.Join(backends[d], `", "`)+`"`)
	}
	return b.String()
}

// command runs one of the server's commands beside it.
func (w *world) command(args ...string) ([]byte, error) {
	cmd := exec.Command(w.binary, append(args, "--config", w.conf)...)
	cmd.WaitDelay = time.Second
	t := time.AfterFunc(2*time.Minute, func() { _ = cmd.Process.Kill() })
	defer t.Stop()
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(errs.String()))
	}
	return out, nil
}
