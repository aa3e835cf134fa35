package imapfolder

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// liar is a server that answers each command by a script: what stands for its name, with TAG put in. "HANG" says nothing more,
// "FLOOD LINE" goes on saying it, "CLOSE" ends.
type liar map[string][]string

func (l liar) serve(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewScanner(conn)
	if !l.say(conn, "*", l["greeting"], "* OK [CAPABILITY IMAP4rev1 MOVE UIDPLUS] hello") {
		return
	}
	for in.Scan() {
		tag, rest, _ := strings.Cut(in.Text(), " ")
		name, _, _ := strings.Cut(rest, " ")
		if name == "UID" {
			name = strings.Join(strings.Fields(rest)[:2], " ")
			if strings.Contains(rest, "BODY") {
				name = "BODY"
			}
		}
		usual := map[string]string{
			"CAPABILITY": "* CAPABILITY IMAP4rev1 MOVE UIDPLUS\r\nTAG OK",
			"LOGIN":      "TAG OK [CAPABILITY IMAP4rev1 MOVE UIDPLUS] in",
			"EXAMINE":    "* 2 EXISTS\r\n* OK [UIDVALIDITY 7] valid\r\nTAG OK open",
			"SELECT":     "* 2 EXISTS\r\n* OK [UIDVALIDITY 7] valid\r\nTAG OK open",
			"UID FETCH":  "* 1 FETCH (UID 1 RFC822.SIZE 10)\r\n* 2 FETCH (UID 2 RFC822.SIZE 10)\r\nTAG OK listed",
			"BODY":       "* 1 FETCH (UID 1 BODY[] {3}\r\none)\r\n* 2 FETCH (UID 2 BODY[] {3}\r\ntwo)\r\nTAG OK fetched",
		}[name]
		if usual == "" {
			usual = "TAG OK done"
		}
		if !l.say(conn, tag, l[name], usual) {
			return
		}
	}
}

func (l liar) say(conn net.Conn, tag string, script []string, usual string) bool {
	if script == nil {
		script = []string{usual}
	}
	for _, s := range script {
		s = strings.ReplaceAll(s, "TAG", tag)
		switch line, flood := strings.CutPrefix(s, "FLOOD "); {
		case s == "CLOSE":
			return false
		case s == "HANG":
			_, _ = conn.Read(make([]byte, 1)) // until the client has had enough
			return false
		case flood:
			many := []byte(strings.Repeat(line+"\r\n", 1000))
			for {
				if _, err := conn.Write(many); err != nil {
					return false
				}
			}
		default:
			if _, err := conn.Write([]byte(s + "\r\n")); err != nil {
				return false
			}
		}
	}
	return true
}

// TestLiars: whatever a server says, reading ends, with an error that says why or with what it really sent.
func TestLiars(t *testing.T) {
	conf, roots := certificate(t)
	deep := strings.Repeat("(", 5000)
	var list, sent []string
	for i := 1; i <= 10; i++ {
		list = append(list, fmt.Sprintf("* %d FETCH (UID %d RFC822.SIZE 10)", i, i))
		sent = append(sent, fmt.Sprintf("* %d FETCH (UID %d BODY[] {900}\r\n%s)", i, i, strings.Repeat("x", 900)))
	}
	manyListed, manySent := strings.Join(list, "\r\n"), strings.Join(sent, "\r\n")
	for name, c := range map[string]struct {
		liar liar
		want string // of the error, in part; "": none
		read string
	}{
		"honest":                    {liar{}, "", "one two"},
		"hangs at once":             {liar{"greeting": {"HANG"}}, "i/o timeout", ""},
		"hangs at login":            {liar{"LOGIN": {"HANG"}}, "i/o timeout", ""},
		"hangs at opening":          {liar{"EXAMINE": {"* 2 EXISTS", "HANG"}}, "i/o timeout", ""},
		"hangs in a list":           {liar{"UID FETCH": {"* 1 FETCH (UID 1 ", "HANG"}}, "", ""},
		"hangs in a mail":           {liar{"BODY": {"* 1 FETCH (UID 1 BODY[] {1000}", "half", "HANG"}}, "fetching", ""},
		"ends in a mail":            {liar{"BODY": {"* 1 FETCH (UID 1 BODY[] {1000}", "half", "CLOSE"}}, "fetching", ""},
		"ends before the answer":    {liar{"UID FETCH": {"CLOSE"}}, "listing", ""},
		"says BYE":                  {liar{"greeting": {"* BYE go away"}}, "greeting: ", ""},
		"lets everybody in":         {liar{"greeting": {"* PREAUTH welcome"}}, "without a password", ""},
		"no login":                  {liar{"greeting": {"* OK [CAPABILITY IMAP4rev1 LOGINDISABLED] hello"}}, "LOGINDISABLED", ""},
		"repeats the password":      {liar{"LOGIN": {"TAG NO wrong: open sesame"}}, "wrong: ***", ""},
		"controls in its words":     {liar{"LOGIN": {"TAG NO a\x1b[2Jb"}}, "", ""},
		"no UIDVALIDITY":            {liar{"EXAMINE": {"* 2 EXISTS", "TAG OK open"}}, "UIDVALIDITY", ""},
		"floods the greeting":       {liar{"greeting": {"FLOOD * OK hello"}}, "more than was asked for", ""},
		"floods a list":             {liar{"UID FETCH": {"FLOOD * 1 FETCH (UID 1 RFC822.SIZE 10)"}}, "more than was asked for", ""},
		"floods other mails":        {liar{"BODY": {"FLOOD * 9 FETCH (UID 9 BODY[] {3}\r\nabc)"}}, "more than was asked for", ""},
		"a line without end":        {liar{"UID FETCH": {"FLOOD * OK " + strings.Repeat("x", 10_000)}}, "more than was asked for", ""},
		"larger than it said":       {liar{"BODY": {"* 1 FETCH (UID 1 BODY[] {2000}", strings.Repeat("x", 1998), ")", "* 2 FETCH (UID 2 BODY[] {3}", "two)", "TAG OK"}}, "", "two"},
		"larger than there is room": {liar{"BODY": {"* 1 FETCH (UID 1 BODY[] {99999999999}", "FLOOD " + strings.Repeat("x", 500)}}, "more than was asked for", ""},
		"more than it listed":       {liar{"UID FETCH": {manyListed, "TAG OK"}, "BODY": {manySent, "TAG OK"}}, "more than was asked for", ""},
		"absurd size":               {liar{"BODY": {"* 1 FETCH (UID 1 BODY[] {99999999999999999999999}", "x", "TAG OK"}}, "fetching", ""},
		"negative size":             {liar{"UID FETCH": {"* 1 FETCH (UID 1 RFC822.SIZE -5)", "TAG OK"}}, "listing", ""},
		"UID 0":                     {liar{"UID FETCH": {"* 1 FETCH (UID 0 RFC822.SIZE 5)", "TAG OK"}}, "", ""},
		"UIDs in disorder, twice":   {liar{"UID FETCH": {"* 2 FETCH (UID 2 RFC822.SIZE 10)", "* 1 FETCH (UID 1 RFC822.SIZE 10)", "* 1 FETCH (UID 1 RFC822.SIZE 10)", "TAG OK"}}, "", "one two"},
		"flags in between":          {liar{"BODY": {"* 1 FETCH (UID 1 FLAGS (\\Seen))", "* 1 FETCH (UID 1 BODY[] {3}", "one)", "* 2 FETCH (UID 2 BODY[] {3}", "two)", "TAG OK"}}, "", "two"},
		"no mail under the number":  {liar{"BODY": {"* 1 FETCH (UID 1 BODY[] NIL)", "* 2 FETCH (UID 2 BODY[] {3}", "two)", "TAG OK"}}, "", "two"},
		"no UIDs":                   {liar{"BODY": {"* 1 FETCH (BODY[] {3}", "one)", "TAG OK"}}, "", ""},
		"an answer to nothing":      {liar{"UID FETCH": {"T999 OK", "TAG OK"}}, "listing", ""},
		"a challenge to nothing":    {liar{"UID FETCH": {"+ go on", "TAG OK"}}, "listing", ""},
		"nested too deep":           {liar{"UID FETCH": {"* 1 FETCH (UID 1 BODYSTRUCTURE " + deep + ")", "TAG OK"}}, "listing", ""},
		"many things of one mail":   {liar{"UID FETCH": {"* 1 FETCH (UID 1 RFC822.SIZE 10" + strings.Repeat(" RFC822.SIZE 10", 500) + ")", "TAG OK"}}, "", "one"},
		"rubbish":                   {liar{"UID FETCH": {"\x00\xff\xfe* * * {}", "TAG OK"}}, "listing", ""},
		"a literal in its words":    {liar{"LOGIN": {"TAG NO {5}\r\nhello"}}, "logging in", ""},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := tls.Listen("tcp", "127.0.0.1:0", conf)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() {
				if conn, err := l.Accept(); err == nil {
					c.liar.serve(conn)
				}
			}()
			o := place{tls: l.Addr().String(), roots: roots}.options("Spam")
			o.Mails, o.Size, o.room, o.stepRoom = 10, 1000, 64<<10, 2000
			if strings.Contains(name, "hangs") {
				o.Idle = 300 * time.Millisecond
			}
			r := &reader{Options: o}
			var all []string
			_, err = Read(t.Context(), o, Place{}, func(_ context.Context, mails [][]byte) error {
				for _, m := range mails {
					all = append(all, string(m))
				}
				return nil
			}, r.keepPlace)
			switch {
			case c.want == "" && err != nil && c.read != "", c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("%v; want %q", err, c.want)
			case err != nil && (strings.Contains(err.Error(), o.Password) || strings.ContainsAny(err.Error(), "\x1b\x00")):
				t.Errorf("the error shows too much: %q", err)
			}
			if got := strings.Join(all, " "); got != c.read {
				t.Errorf("%q was read, not %q", got, c.read)
			}
		})
	}
}

// TestStartTLSLiars: what is said in clear text gets no password out of us.
func TestStartTLSLiars(t *testing.T) {
	_, roots := certificate(t)
	for name, c := range map[string]struct{ greeting, answer, want string }{
		"not offered":       {"* OK hello", "s1 BAD what", "does not offer STARTTLS"},
		"let in":            {"* PREAUTH welcome", "", "the server begins with"},
		"said along":        {"* OK hello", "s1 OK go\r\n* OK [CAPABILITY IMAP4rev1] in clear\r\n", "TLS: "},
		"never gets to it":  {"* OK hello", strings.Repeat("* OK wait\r\n", 50), "more than was asked for"},
		"a line of its own": {"* OK " + strings.Repeat("x", 5000), "", "more than was asked for"},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			heard := make(chan string, 1)
			go func() {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				defer conn.Close()
				fmt.Fprintf(conn, "%s\r\n", c.greeting)
				in := bufio.NewReader(conn)
				line, _ := in.ReadString('\n')
				fmt.Fprintf(conn, "%s\r\n", c.answer)
				rest := make([]byte, 4096)
				n, _ := in.Read(rest)
				heard <- line + string(rest[:n])
			}()
			o := place{startTLS: l.Addr().String(), roots: roots}.options("Spam")
			o.Addr, o.StartTLS = l.Addr().String(), true
			if _, err := Look(t.Context(), o); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v; want %q", err, c.want)
			}
			if text := <-heard; strings.Contains(text, "LOGIN") || strings.Contains(text, o.Password) {
				t.Errorf("the server heard %q", text)
			}
		})
	}
}

// A server that would let nobody go is left.
func TestReadGivesUp(t *testing.T) {
	conf, roots := certificate(t)
	l, err := tls.Listen("tcp", "127.0.0.1:0", conf)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		if conn, err := l.Accept(); err == nil {
			for { // something all the time, and never an answer
				if _, err := conn.Write([]byte("* OK still here\r\n")); err != nil {
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
		}
	}()
	o := place{tls: l.Addr().String(), roots: roots}.options("Spam")
	o.Total = 500 * time.Millisecond
	if _, err := Look(t.Context(), o); err == nil || !strings.Contains(err.Error(), "come to an end within 500ms") {
		t.Errorf("%v", err)
	}
	if errors.Is(err, errFlood) {
		t.Error("it is the time that counts here")
	}
}
