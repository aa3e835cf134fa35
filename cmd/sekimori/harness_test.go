package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// asProgram makes the test binary be the program itself, so that the tests run what is built, with -race when they are.
const asProgram = "SEKIMORI_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) == "1" {
		main()
		return
	}
	os.Exit(m.Run())
}

// needTool returns the path of a real server or client, or skips; with SEKIMORI_REQUIRE_REAL=1 it fails.
func needTool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		for _, dir := range []string{"/usr/sbin", "/sbin", "/usr/local/sbin"} {
			if p := filepath.Join(dir, name); fileExists(p) {
				return p
			}
		}
		need(t, name+" is not installed")
	}
	return path
}

// need skips with a printed reason, or fails where real parts are required.
func need(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("SEKIMORI_REQUIRE_REAL") == "1" {
		t.Fatalf("%s, and SEKIMORI_REQUIRE_REAL=1", why)
	}
	t.Skip(why)
}

func fileExists(p string) bool {
	_, err := os.Stat(p)
	return err == nil
}

// program is a running `sekimori serve`.
type program struct {
	t    *testing.T
	cmd  *exec.Cmd
	dir  string
	conf string
	SMTP string // address of the first SMTP listener
	HTTP string // address of the status page
	Ops  string // address of /metrics and /healthz

	sockets []*os.File   // given to it as a service manager does
	env     []string     // further variables
	words   bytes.Buffer // what it said on standard output; to be read after its end

	mu   sync.Mutex
	logs []map[string]any
	raw  bytes.Buffer
	done chan struct{}
}

// serveConfig is a configuration for tests; extra goes first and may hold top-level tables, not bare keys. Unless it has servers for the
// DNS itself, nobody answers, and at once: the machine's own are none of a test's business, and slow where there is no way out.
func serveConfig(dir, extra string) string {
	if !strings.Contains(extra, "[dns]") {
		extra += "\n[dns]\nservers = [\"127.0.0.1:1\"]\ntimeout = \"100ms\"\n"
	}
	return fmt.Sprintf(`hostname = "mx.test"
data_dir = %q

[log]
format = "json"
[http]
listen = "127.0.0.1:0"
[metrics]
listen = "127.0.0.1:0"
%s
`, filepath.Join(dir, "data"), extra)
}

// start runs `serve` with a configuration and waits until it listens. The process ends with the test.
func start(t *testing.T, conf string) *program {
	t.Helper()
	dir := t.TempDir()
	return startIn(t, dir, conf)
}

func startIn(t *testing.T, dir, conf string) *program {
	t.Helper()
	p := &program{t: t, dir: dir, conf: filepath.Join(dir, "sekimori.toml")}
	if err := os.WriteFile(p.conf, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	p.run()
	return p
}

// run starts the process; after kill or stop it starts another one with the same data.
func (p *program) run() {
	p.t.Helper()
	p.cmd = exec.Command(os.Args[0], "serve", "--config", p.conf)
	p.cmd.Env = append(append(os.Environ(), asProgram+"=1"), p.env...)
	p.cmd.Dir = p.dir
	if len(p.sockets) > 0 {
		// The shell knows its process number, which is to be that of the server.
		p.cmd = exec.Command("/bin/sh", append([]string{"-c", `LISTEN_PID=$$ exec "$0" "$@"`}, p.cmd.Args...)...)
		p.cmd.Env = append(append(os.Environ(), asProgram+"=1", fmt.Sprintf("LISTEN_FDS=%d", len(p.sockets))), p.env...)
		p.cmd.Dir, p.cmd.ExtraFiles = p.dir, p.sockets
	}
	out, err := p.cmd.StderrPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	p.cmd.Stdout = &p.words
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	done := make(chan struct{})
	p.done = done
	ready := make(chan struct{})
	cmd := p.cmd
	go func() { p.read(out, ready); _ = cmd.Wait(); close(done) }()
	p.t.Cleanup(func() { _ = cmd.Process.Kill(); <-done })
	select {
	case <-ready:
	case <-done:
		p.t.Fatalf("serve ended before it was ready:\n%s", p.output())
	case <-time.After(60 * time.Second):
		p.t.Fatalf("serve is not ready:\n%s", p.output())
	}
}

func (p *program) read(out io.Reader, ready chan struct{}) {
	sc := bufio.NewScanner(out)
	sc.Buffer(make([]byte, 0, 1<<16), 1<<22)
	announced := false
	for sc.Scan() {
		line := sc.Bytes()
		var m map[string]any
		p.mu.Lock()
		p.raw.Write(line)
		p.raw.WriteByte('\n')
		if json.Unmarshal(line, &m) == nil {
			p.logs = append(p.logs, m)
			p.note(m)
		}
		p.mu.Unlock()
		if m["msg"] == "ready" && !announced {
			announced = true
			close(ready)
		}
	}
}

func (p *program) note(m map[string]any) {
	if m["msg"] != "listening" {
		return
	}
	addr, _ := m["addr"].(string)
	switch m["service"] {
	case "smtp":
		p.SMTP = addr
	case "http":
		p.HTTP = addr
	case "metrics":
		p.Ops = addr
	}
}

func (p *program) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.raw.String()
}

// stack returns the lines of the output that are no log lines: the race detector's report, a panic.
func (p *program) stack() string {
	var b strings.Builder
	for line := range strings.Lines(p.output()) {
		if !strings.HasPrefix(line, "{") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// log returns the log lines with that message.
func (p *program) log(msg string) []map[string]any {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []map[string]any
	for _, l := range p.logs {
		if l["msg"] == msg {
			out = append(out, l)
		}
	}
	return out
}

// kill ends the process with SIGKILL and waits for it.
func (p *program) kill() { _ = p.cmd.Process.Kill(); <-p.done }

// stop ends it with SIGTERM and waits; it returns the exit code.
func (p *program) stop() int {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(60 * time.Second):
		p.t.Errorf("serve does not end on SIGTERM:\n%s", p.output())
		_ = p.cmd.Process.Kill()
		<-p.done
	}
	return p.cmd.ProcessState.ExitCode()
}

// command runs another subcommand with the same configuration and returns its output and exit code.
func (p *program) command(args ...string) (string, int) {
	p.t.Helper()
	return runCommand(p.t, p.dir, append(args, "--config", p.conf)...)
}

func runCommand(t *testing.T, dir string, args ...string) (string, int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	cmd.Dir = dir
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

// client is an SMTP client that says exactly what it is told.
type client struct {
	t *testing.T
	c net.Conn
	r *bufio.Reader
}

// dial connects, as from when that is not empty (by a PROXY v1 header), and reads the banner.
func dial(t *testing.T, addr, from string) *client {
	t.Helper()
	c, banner := connect(t, addr, from)
	if !strings.HasPrefix(banner, "220 ") {
		t.Fatalf("banner: %q", banner)
	}
	return c
}

func connect(t *testing.T, addr, from string) (*client, string) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(90 * time.Second))
	c := &client{t, conn, bufio.NewReader(conn)}
	if from != "" {
		family, local := "TCP4", "127.0.0.1"
		if strings.Contains(from, ":") {
			family, local = "TCP6", "::1"
		}
		fmt.Fprintf(conn, "PROXY %s %s %s 40000 25\r\n", family, from, local)
	}
	return c, c.reply()
}

// reply reads one reply, all its lines.
func (c *client) reply() string {
	c.t.Helper()
	var all []string
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			return strings.Join(append(all, line), "\n")
		}
		line = strings.TrimRight(line, "\r\n")
		all = append(all, line)
		if len(line) < 4 || line[3] != '-' {
			return strings.Join(all, "\n")
		}
	}
}

// say sends one command and returns the reply.
func (c *client) say(format string, args ...any) string {
	c.t.Helper()
	if _, err := fmt.Fprintf(c.c, format+"\r\n", args...); err != nil {
		c.t.Fatal(err)
	}
	return c.reply()
}

// want is say with a check of how the reply begins.
func (c *client) want(prefix, format string, args ...any) string {
	c.t.Helper()
	got := c.say(format, args...)
	if !strings.HasPrefix(got, prefix) {
		c.t.Fatalf("%s\n got %q\nwant %q", fmt.Sprintf(format, args...), got, prefix)
	}
	return got
}

// data sends a message (CRLF lines) and returns the reply to the final dot.
func (c *client) data(msg []byte) string {
	c.t.Helper()
	c.want("354", "DATA")
	stuffed := bytes.ReplaceAll(msg, []byte("\r\n."), []byte("\r\n.."))
	if bytes.HasPrefix(stuffed, []byte(".")) {
		stuffed = append([]byte("."), stuffed...)
	}
	if !bytes.HasSuffix(stuffed, []byte("\r\n")) {
		stuffed = append(stuffed, "\r\n"...)
	}
	if _, err := c.c.Write(append(stuffed, ".\r\n"...)); err != nil {
		c.t.Fatal(err)
	}
	return c.reply()
}

// send makes one whole transaction and returns the first reply that refuses it, or that to the final dot.
func send(t *testing.T, addr, clientIP, helo, from, rcpt string, msg []byte) string {
	t.Helper()
	c := dial(t, addr, clientIP)
	defer c.c.Close()
	if r := c.say("EHLO %s", helo); !strings.HasPrefix(r, "250") {
		return r
	}
	for _, cmd := range []string{"MAIL FROM:<" + from + ">", "RCPT TO:<" + rcpt + ">"} {
		if r := c.say("%s", cmd); !strings.HasPrefix(r, "250") {
			return r
		}
	}
	return c.data(msg)
}

// maildir returns the mails of a Maildir tree, waiting until there are at least n.
func maildir(t *testing.T, dir string, n int) [][]byte {
	t.Helper()
	var mails [][]byte
	eventually(t, fmt.Sprintf("%d mails in %s", n, dir), func() bool {
		mails = nil
		_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() && filepath.Base(filepath.Dir(path)) == "new" {
				if b, err := os.ReadFile(path); err == nil {
					mails = append(mails, b)
				}
			}
			return nil
		})
		return len(mails) >= n
	})
	return mails
}

// eventually waits for something that other processes do.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("not so after 30 s: %s", what)
}

// freePort returns a port of loopback that nobody listens on.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// background starts a real server and ends it with the test.
func background(t *testing.T, dir, path string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(path, args...)
	cmd.Dir = dir
	log, err := os.Create(filepath.Join(dir, filepath.Base(path)+".log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { _ = cmd.Wait(); close(done) }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGCONT)
		_ = cmd.Process.Kill()
		<-done
		log.Close()
		if t.Failed() {
			b, _ := os.ReadFile(log.Name())
			t.Logf("%s said:\n%.4000s", path, b)
		}
	})
	return cmd
}

// waitPort waits until somebody listens.
func waitPort(t *testing.T, addr string) {
	t.Helper()
	eventually(t, "somebody listens at "+addr, func() bool {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// startRedis starts a real redis-server with the given settings and returns its URL.
func startRedis(t *testing.T, dir string, port int, settings ...string) *exec.Cmd {
	t.Helper()
	args := append([]string{"--port", fmt.Sprint(port), "--bind", "127.0.0.1", "--dir", dir}, settings...)
	cmd := background(t, dir, needTool(t, "redis-server"), args...)
	waitPort(t, fmt.Sprintf("127.0.0.1:%d", port))
	return cmd
}
