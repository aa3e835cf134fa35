package front

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"sekimori/internal/config"
)

// scripted is a mail server that says what its script tells it to, and otherwise takes everything. Lines of the script:
//
//	offers WORD,…         what EHLO lists beside 8BITMIME; AUTH PLAIN LOGIN takes the user gate with the password "open sesame"
//	connect TEXT          the connection is refused
//	VERB [TEXT ]=> ANSWER VERB is banner, a command, or "." for the end of the mail; TEXT must stand in the command (for
//	                      "." with LMTP: in the recipient). The answers !drop, !hang, and "!wait 40s ANSWER"; a 421 ends the
//	                      connection; "VERB *N" says it N times only.
type scripted struct {
	t    *testing.T
	name string
	conf config.Backend
	lmtp bool

	mu      sync.Mutex
	offers  []string
	refuse  string
	rules   []*scriptRule
	got     []string // mails
	said    []string // commands
	dialled int
	peak    int
	open    int
}

type scriptRule struct {
	verb, text, answer string
	left               int // times; -1: always
}

func (s *scripted) script(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for line := range flowLines(text) {
		if line == "clear" {
			s.refuse, s.rules = "", nil
			continue
		}
		if rest, ok := strings.CutPrefix(line, "offers "); ok {
			s.offers = strings.Split(rest, ",")
			continue
		}
		if rest, ok := strings.CutPrefix(line, "connect "); ok {
			s.refuse = rest
			continue
		}
		head, answer, ok := strings.Cut(line, "=> ")
		if !ok {
			s.t.Fatalf("script of %s: %q", s.name, line)
		}
		r := &scriptRule{answer: answer, left: -1}
		for i, f := range strings.Fields(head) {
			switch {
			case i == 0:
				r.verb = f
			case f[0] == '*':
				r.left, _ = strconv.Atoi(f[1:])
			default:
				r.text = f
			}
		}
		s.rules = append(s.rules, r)
	}
}

// answer returns what the script says to a command, "" when nothing.
func (s *scripted) answer(verb, line string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.rules {
		if r.verb == verb && strings.Contains(line, r.text) && r.left != 0 {
			r.left--
			return r.answer
		}
	}
	return ""
}

func (s *scripted) dial(context.Context) (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuse != "" {
		return nil, errors.New(s.refuse)
	}
	s.dialled++
	near, far := net.Pipe()
	go func() {
		c := &scriptedConn{s: s, nc: far, r: bufio.NewReaderSize(far, 64<<10)}
		s.count(1)
		c.serve()
		s.count(-1)
		_ = far.Close()
	}()
	return near, nil
}

func (s *scripted) count(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open += n
	s.peak = max(s.peak, s.open)
}

type scriptedConn struct {
	s     *scripted
	nc    net.Conn
	r     *bufio.Reader
	from  string
	rcpts []string
}

func (c *scriptedConn) say(answer, usual string) bool {
	if answer == "" {
		answer = usual
	}
	if rest, ok := strings.CutPrefix(answer, "!wait "); ok {
		d, text, _ := strings.Cut(rest, " ")
		wait, err := time.ParseDuration(d)
		if err != nil {
			c.s.t.Errorf("script of %s: %v", c.s.name, err)
		}
		time.Sleep(wait)
		answer = text
	}
	switch answer {
	case "!drop":
		return false
	case "!hang":
		_, _ = io.Copy(io.Discard, c.r)
		return false
	}
	_, err := io.WriteString(c.nc, answer+"\r\n")
	return err == nil && !strings.HasPrefix(answer, "421")
}

func (c *scriptedConn) serve() {
	if !c.say(c.s.answer("banner", ""), "220 "+c.s.name+" ESMTP") {
		return
	}
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSuffix(line, "\r\n")
		verb, arg, _ := strings.Cut(line, " ")
		c.s.mu.Lock()
		c.s.said = append(c.s.said, verb)
		c.s.mu.Unlock()
		if !c.command(verb, arg, c.s.answer(verb, line)) {
			return
		}
	}
}

func (c *scriptedConn) command(verb, arg, answer string) bool {
	ok := answer == "" || answer[0] == '2' || strings.Contains(answer, " 250")
	switch verb {
	case "EHLO", "LHLO":
		usual := "250-" + c.s.name
		for _, o := range append(slices.Clone(c.s.offers), "8BITMIME") {
			usual += "\r\n250-" + o
		}
		return c.say(answer, usual+"\r\n250 HELP")
	case "MAIL":
		c.from, c.rcpts = inAngles(arg), nil
		return c.say(answer, "250 2.1.0 ok")
	case "RCPT":
		if ok {
			c.rcpts = append(c.rcpts, inAngles(arg))
		}
		return c.say(answer, "250 2.1.5 ok")
	case "DATA":
		if len(c.rcpts) == 0 {
			return c.say(answer, "554 5.5.1 no valid recipients")
		}
		return c.say(answer, "354 go on") && (answer != "" || c.data())
	case "BDAT":
		if answer == "!drop" || answer == "!hang" {
			return c.say(answer, "")
		}
		n, _ := strconv.Atoi(strings.Fields(arg)[0])
		if _, err := io.CopyN(io.Discard, c.r, int64(n)); err != nil {
			return false
		}
		if answer != "" {
			return c.say(answer, "")
		}
		return c.end()
	case "AUTH":
		if answer != "" {
			return c.say(answer, "")
		}
		return c.login(arg)
	case "RSET":
		return c.say(answer, "250 ok")
	case "QUIT":
		c.say(answer, "221 bye")
		return false
	}
	return c.say(answer, "500 what")
}

// login is AUTH PLAIN and AUTH LOGIN (RFC 4954).
func (c *scriptedConn) login(arg string) bool {
	mechanism, first, _ := strings.Cut(arg, " ")
	said := []string{first}
	if mechanism == "LOGIN" {
		said = nil
		for _, ask := range []string{"VXNlcm5hbWU6", "UGFzc3dvcmQ6"} {
			if !c.say("334 "+ask, "") {
				return false
			}
			line, err := c.r.ReadString('\n')
			if err != nil {
				return false
			}
			said = append(said, strings.TrimSuffix(line, "\r\n"))
		}
	}
	var clear []string
	for _, s := range said {
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			return c.say("501 5.5.2 that is not base64", "")
		}
		clear = append(clear, string(b))
	}
	switch mechanism + " " + strings.Join(clear, "\x00") {
	case "PLAIN \x00gate\x00open sesame", "LOGIN gate\x00open sesame":
		return c.say("235 2.7.0 you are in", "")
	}
	return c.say("535 5.7.8 wrong name or password", "")
}

func inAngles(arg string) string {
	_, rest, _ := strings.Cut(arg, "<")
	address, _, _ := strings.Cut(rest, ">")
	return address
}

func (c *scriptedConn) data() bool {
	for {
		if a := c.s.answer("body", ""); a != "" {
			return c.say(a, "")
		}
		line, err := c.r.ReadString('\n')
		if err != nil {
			return false
		}
		if line == ".\r\n" {
			return c.end()
		}
	}
}

// end answers for a complete mail: once, or for each recipient with LMTP. A mail counts as taken when somebody has it.
func (c *scriptedConn) end() bool {
	answers := []string{strings.Join(c.rcpts, " ")}
	if c.s.lmtp {
		answers = c.rcpts
	}
	var took []string
	alive := true
	for _, rcpts := range answers {
		a := c.s.answer(".", rcpts)
		last := a
		if strings.HasPrefix(a, "!wait ") {
			last = strings.SplitN(a, " ", 3)[2]
		}
		if last == "" || last[0] == '2' || last == "!drop" {
			took = append(took, rcpts)
		}
		if alive = c.say(a, "250 2.0.0 taken"); !alive {
			break
		}
	}
	if len(took) > 0 {
		c.s.mu.Lock()
		c.s.got = append(c.s.got, "<"+c.from+"> -> "+strings.Join(took, " "))
		c.s.mu.Unlock()
	}
	return alive
}
