package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// taken is a mail that a scripted backend took: NAME.json beside NAME.eml, which holds its octets.
type taken struct {
	Rcpts  []string  `json:"rcpts"`
	Time   time.Time `json:"time"`
	Answer string    `json:"answer"` // "250", or "none" when it hung up instead
}

// backend is an SMTP server that misbehaves now and then. It has a mail from the moment when its .json has its name, which is
// before the answer; what it answers with 4xx or 5xx it does not have.
type backend struct {
	box     string
	manners map[string]float64 // stall, soft, hard, drop, dropstored -> how often
	seq     atomic.Int64
}

// backendMain runs a backend: ADDRESS BOX MANNERS.
func backendMain(args []string) int {
	if len(args) != 3 {
		fmt.Fprintln(os.Stderr, "backend ADDRESS BOX MANNERS")
		return 2
	}
	b := &backend{box: args[1], manners: map[string]float64{}}
	for m := range strings.SplitSeq(args[2], ",") {
		if name, value, ok := strings.Cut(m, "="); ok {
			b.manners[name], _ = strconv.ParseFloat(value, 64)
		}
	}
	l, err := net.Listen("tcp", args[0])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for {
		c, err := l.Accept()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		go b.serve(c)
	}
}

func (b *backend) now(what string) bool { return rand.Float64() < b.manners[what] }

// stall waits so long that the server's patience ends, or only its client's.
func (b *backend) stall() {
	if b.now("stall") {
		time.Sleep(time.Duration(rand.IntN(8000)) * time.Millisecond)
	}
}

func (b *backend) serve(c net.Conn) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Minute))
	r := bufio.NewReaderSize(c, 64<<10)
	say := func(line string) { _, _ = io.WriteString(c, line+"\r\n") }
	b.stall()
	if b.now("soft") {
		say("421 4.3.2 too busy")
		return
	}
	say("220 backend ESMTP")
	var rcpts []string
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		verb, arg, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch strings.ToUpper(verb) {
		case "EHLO":
			say("250-backend\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES")
		case "MAIL", "RSET":
			rcpts = nil
			say("250 2.1.0 ok")
		case "RCPT":
			rcpts = b.rcpt(arg, rcpts, say)
		case "DATA":
			if len(rcpts) == 0 {
				say("554 5.5.1 no recipients")
				continue
			}
			say("354 go on")
			if !b.data(r, rcpts, say) {
				return
			}
			rcpts = nil
		case "QUIT":
			say("221 2.0.0 bye")
			return
		default:
			say("250 2.0.0 ok")
		}
	}
}

func (b *backend) rcpt(arg string, rcpts []string, say func(string)) []string {
	switch {
	case b.now("soft"):
		say("450 4.2.0 not now")
	case b.now("hard"):
		say("550 5.1.1 nobody of that name")
	default:
		say("250 2.1.5 ok")
		_, path, _ := strings.Cut(arg, "<")
		path, _, _ = strings.Cut(path, ">")
		return append(rcpts, path)
	}
	return rcpts
}

// data reads a mail and answers; false ends the connection.
func (b *backend) data(r *bufio.Reader, rcpts []string, say func(string)) bool {
	var mail strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return false
		}
		if line == ".\r\n" {
			break
		}
		mail.WriteString(strings.TrimPrefix(line, "."))
	}
	b.stall()
	switch {
	case b.now("drop"):
		return false
	case b.now("soft"):
		say("451 4.3.0 not now")
		return true
	case b.now("hard"):
		say("554 5.7.1 not this one")
		return true
	case b.now("dropstored"):
		_ = b.store(mail.String(), taken{rcpts, time.Now(), "none"})
		return false
	}
	if err := b.store(mail.String(), taken{rcpts, time.Now(), "250"}); err != nil {
		say("452 4.3.1 " + err.Error())
		return true
	}
	b.stall()
	say("250 2.0.0 taken")
	return true
}

func (b *backend) store(octets string, t taken) error {
	name := filepath.Join(b.box, fmt.Sprintf("%d-%d-%d", time.Now().UnixNano(), os.Getpid(), b.seq.Add(1)))
	meta, err := json.Marshal(t)
	if err != nil {
		return err
	}
	if err := os.WriteFile(name+".eml", []byte(octets), 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(name+".tmp", meta, 0o644); err != nil {
		return err
	}
	return os.Rename(name+".tmp", name+".json")
}
