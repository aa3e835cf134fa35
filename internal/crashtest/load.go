package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// sent is a mail that was acknowledged, or may have been.
type sent struct {
	token string
	id    string // from the reply; empty when there was none
	rcpts []string
	sum   [32]byte
	size  int
	at    time.Time
}

// load sends varied mail until it ends and remembers what was acknowledged.
type load struct {
	w      *world
	ticks  <-chan time.Time
	stop   atomic.Bool
	wg     sync.WaitGroup
	number atomic.Int64

	mu      sync.Mutex
	mails   map[string]*sent // by token; without an id the client had no answer
	refused int
	later   int
}

const workers = 8

func startLoad(w *world, seed uint64, rate int) *load {
	l := &load{w: w, mails: map[string]*sent{}, ticks: time.Tick(time.Second / time.Duration(max(rate, 1)))}
	for i := range workers {
		r := rand.New(rand.NewPCG(seed, uint64(100+i)))
		l.wg.Go(func() {
			for !l.stop.Load() {
				l.connection(r)
			}
		})
	}
	return l
}

func (l *load) end() {
	l.stop.Store(true)
	l.wg.Wait()
}

// connection sends a few mails; whatever goes wrong ends it, since everything is being killed.
func (l *load) connection(r *rand.Rand) {
	<-l.ticks
	c, err := net.DialTimeout("tcp", l.w.smtp, time.Second)
	if err != nil {
		time.Sleep(20 * time.Millisecond)
		return
	}
	defer c.Close()
	t := &talk{c: c, r: bufio.NewReader(c)}
	if !strings.HasPrefix(t.reply(), "220") || !t.ok("250", "EHLO load.test") {
		return
	}
	for range 1 + r.IntN(5) {
		<-l.ticks
		if l.stop.Load() || !l.one(t, r) {
			return
		}
	}
}

// one sends one mail; false ends the connection.
func (l *load) one(t *talk, r *rand.Rand) bool {
	m := &sent{token: fmt.Sprintf("t%d", l.number.Add(1))}
	octets := l.compose(m.token, r)
	m.sum, m.size = sha256.Sum256(octets), len(octets)
	if !t.ok("250", "MAIL FROM:<sender@partner.test> BODY=8BITMIME") {
		return false
	}
	for _, rcpt := range l.pick(r) {
		if t.ok("250", "RCPT TO:<"+rcpt+">") {
			m.rcpts = append(m.rcpts, rcpt)
		}
	}
	if len(m.rcpts) == 0 || !t.ok("354", "DATA") {
		return t.ok("250", "RSET")
	}
	l.mu.Lock()
	l.mails[m.token] = m
	l.mu.Unlock()
	stuffed := bytes.ReplaceAll(octets, []byte("\r\n."), []byte("\r\n.."))
	_ = t.c.SetWriteDeadline(time.Now().Add(40 * time.Second))
	if _, err := t.c.Write(append(stuffed, ".\r\n"...)); err != nil {
		return false
	}
	answer := t.reply()
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case strings.HasPrefix(answer, "250"):
		_, m.id, _ = strings.Cut(answer, "id=")
		m.at = time.Now()
	case strings.HasPrefix(answer, "5"):
		l.refused++
	case strings.HasPrefix(answer, "4"):
		l.later++
	}
	return strings.HasPrefix(answer, "2") || len(answer) > 3 && !strings.HasPrefix(answer, "421")
}

// pick draws one to four recipients of different domains.
func (l *load) pick(r *rand.Rand) []string {
	domains := l.w.domains()
	n := 1
	if r.IntN(3) == 0 {
		n = 2 + r.IntN(3)
	}
	var list []string
	for range n {
		list = append(list, fmt.Sprintf("user%d@%s", r.IntN(5), domains[r.IntN(len(domains))]))
	}
	seen := map[string]bool{}
	var once []string
	for _, a := range list {
		if !seen[a] {
			seen[a] = true
			once = append(once, a)
		}
	}
	return once
}

// compose makes a mail: from 300 octets to 2 MB, with dots, eight-bit text and Japanese; every fifth is one that is held.
func (l *load) compose(token string, r *rand.Rand) []byte {
	word := "mail"
	if r.IntN(5) == 0 {
		word = "hold"
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "From: sender@partner.test\r\nTo: you@crash.test\r\nDate: Fri, 27 Nov 2026 12:00:00 +0900\r\nSubject: %s %s\r\nMessage-ID: <%s@load.test>\r\n", word, token, token)
	b.WriteString("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n")
	lines := 1 + r.IntN(40)
	switch r.IntN(20) {
	case 0:
		lines = 20000 + r.IntN(8000) // beyond what is kept in memory
	case 1, 2:
		lines = 2000
	}
	for i := range lines {
		switch r.IntN(6) {
		case 0:
			b.WriteString(".\r\n")
		case 1:
			b.WriteString("..two dots\r\n")
		case 2:
			b.WriteString("関所を通る手紙です。\r\n")
		default:
			fmt.Fprintf(&b, "line %d of %s %d %d %d\r\n", i, token, r.Int64(), r.Int64(), r.Int64())
		}
	}
	return b.Bytes()
}

// talk is one SMTP connection of the load.
type talk struct {
	c net.Conn
	r *bufio.Reader
}

func (t *talk) reply() string {
	_ = t.c.SetReadDeadline(time.Now().Add(40 * time.Second))
	for {
		line, err := t.r.ReadString('\n')
		if err != nil {
			return ""
		}
		if len(line) < 4 || line[3] != '-' {
			return strings.TrimSpace(line)
		}
	}
}

func (t *talk) ok(prefix, command string) bool {
	_ = t.c.SetWriteDeadline(time.Now().Add(10 * time.Second))
	if _, err := fmt.Fprintf(t.c, "%s\r\n", command); err != nil {
		return false
	}
	return strings.HasPrefix(t.reply(), prefix)
}
