package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// dotServer is a mail server whose answer to a final dot the test decides about.
type dotServer struct {
	t    *testing.T
	addr string
	// before and after are called around the 250 to the final dot of the n-th mail, which counts as taken.
	before, after func(n int)
	unknown       string // a recipient that is refused

	mu    sync.Mutex
	mails map[string][]*mail.Message
	n     int
}

func startDotServer(t *testing.T) *dotServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &dotServer{t: t, addr: l.Addr().String(), mails: map[string][]*mail.Message{}}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			go s.serve(nc)
		}
	}()
	return s
}

func (s *dotServer) serve(nc net.Conn) {
	defer nc.Close()
	r := bufio.NewReader(nc)
	say := func(line string) { _, _ = io.WriteString(nc, line+"\r\n") }
	say("220 dot.test ESMTP")
	rcpt := ""
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSpace(line)
		switch verb, _, _ := strings.Cut(line, " "); verb {
		case "EHLO":
			say("250-dot.test\r\n250 PIPELINING")
		case "RCPT":
			rcpt = strings.Trim(strings.TrimPrefix(line, "RCPT TO:"), "<>")
			if rcpt == s.unknown {
				say("550 5.1.1 nobody of that name")
			} else {
				say("250 ok")
			}
		case "DATA":
			say("354 go on")
			if !s.data(r, rcpt, say) {
				return
			}
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

// data takes one mail; false when the connection ended before the final dot.
func (s *dotServer) data(r *bufio.Reader, rcpt string, say func(string)) bool {
	var b bytes.Buffer
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return false
		}
		if line == ".\r\n" {
			break
		}
		b.WriteString(strings.TrimPrefix(line, "."))
	}
	m, err := mail.ReadMessage(&b)
	if err != nil {
		s.t.Error(err)
		return false
	}
	s.mu.Lock()
	s.mails[rcpt] = append(s.mails[rcpt], m)
	s.n++
	n := s.n
	s.mu.Unlock()
	if s.before != nil {
		s.before(n)
	}
	say("250 2.0.0 taken")
	if s.after != nil {
		s.after(n)
	}
	return true
}

func (s *dotServer) got() map[string][]*mail.Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string][]*mail.Message{}
	for k, v := range s.mails {
		all[k] = append(all[k], v...)
	}
	return all
}

// uncertainOf returns whose digests the ledgers of nodes call uncertain.
func uncertainOf(t *testing.T, dirs ...string) map[string]bool {
	t.Helper()
	who := map[string]bool{}
	for _, d := range dirs {
		files, _ := filepath.Glob(filepath.Join(d, "data", "ledger", "*.log"))
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(b)) {
				if c := strings.Split(line, "\t"); len(c) > 4 && c[1] == "end" && c[4] == "uncertain" {
					who[c[3]] = true
				}
			}
		}
	}
	return who
}

// toldOnce asserts that every arrival is a person's only one, and that nobody is without but those whose digest is uncertain.
func toldOnce(t *testing.T, got map[string][]*mail.Message, uncertain map[string]bool, persons int) {
	t.Helper()
	for who, list := range got {
		if len(list) != 1 {
			t.Errorf("%s was told %d times", who, len(list))
		}
	}
	for i := range persons {
		if who := fmt.Sprintf("p%05d@example.test", i); len(got[who]) == 0 && !uncertain[who] {
			t.Errorf("%s was not told, and nothing says that it is uncertain", who)
		}
	}
}

// everybody counts those who were told, or whose digest is uncertain.
func everybody(got map[string][]*mail.Message, uncertain map[string]bool) int {
	n := len(uncertain)
	for who := range got {
		if !uncertain[who] {
			n++
		}
	}
	return n
}

// TestDigestKilledAtDot: two nodes share a Redis; one is killed with -9 after its mail server has taken a digest and before that is
// written down. Nobody is told twice, and what the uncertain digests named comes with the next one, with a note.
func TestDigestKilledAtDot(t *testing.T) {
	for _, answered := range []bool{false, true} {
		t.Run(fmt.Sprintf("answered=%v", answered), func(t *testing.T) { digestKilledAtDot(t, answered) })
	}
}

func digestKilledAtDot(t *testing.T, answered bool) {
	needTool(t, "redis-server")
	root := t.TempDir()
	port := freePort(t)
	startRedis(t, root, port, "--appendonly", "yes", "--save", "")
	const persons, at = 60, 12
	holdFor(t, root, port, persons)
	backend := startDotServer(t)
	redis := fmt.Sprintf("[redis]\nurl = \"redis://127.0.0.1:%d/0\"\ntimeout = \"10s\"\n", port)
	conf := func(dir string) string {
		return strings.Replace(digestConfig(dir, redis, ""), "maildir:"+filepath.Join(dir, "box"), "smtp://"+backend.addr, 1)
	}
	dirs := []string{filepath.Join(root, "a"), filepath.Join(root, "b")}
	for _, d := range dirs {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	// A part is read once only.
	seen := map[*mail.Message]bool{}
	noted := func(m *mail.Message) bool {
		is, known := seen[m]
		if !known {
			is = strings.Contains(textOf(t, m), "前のお知らせにも載せましたが")
			seen[m] = is
		}
		return is
	}
	var a *program
	started, killed := make(chan struct{}), make(chan struct{})
	strike := func(n int) {
		if n == at {
			<-started
			a.kill()
			close(killed)
		}
	}
	if backend.before = strike; answered {
		backend.before, backend.after = nil, strike
	}
	a = startIn(t, dirs[0], conf(dirs[0]))
	close(started)
	<-killed
	b := startIn(t, dirs[1], conf(dirs[1]))
	a.run()
	eventually(t, "everybody was told, or it is uncertain", func() bool {
		return everybody(backend.got(), uncertainOf(t, dirs...)) >= persons
	})
	uncertain := uncertainOf(t, dirs...)
	toldOnce(t, backend.got(), uncertain, persons)
	if !answered && len(uncertain) == 0 {
		t.Error("killed in front of the answer, and nothing is uncertain")
	}
	if out, code := b.command("digest", "run", "--now"); code != 0 {
		t.Fatalf("digest run: %d\n%s", code, out)
	}
	eventually(t, "what was uncertain comes again", func() bool {
		got := backend.got()
		for who := range uncertain {
			if !slices.ContainsFunc(got[who], noted) {
				return false
			}
		}
		return true
	})
	for _, p := range []*program{a, b} {
		if code := p.stop(); code != 0 {
			t.Errorf("exit %d\n%s", code, p.output())
		}
	}
	for who, list := range backend.got() {
		if most := map[bool]int{false: 1, true: 2}[uncertain[who]]; len(list) > most {
			t.Errorf("%s was told %d times", who, len(list))
		}
	}
	t.Logf("uncertain: %d of %d", len(uncertain), persons)
}
