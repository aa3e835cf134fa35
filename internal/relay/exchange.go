package relay

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"sekimori/internal/mail"
)

// job is a mail on its way to one backend.
type job struct {
	id             string
	from           mail.Address
	rcpts          []mail.Address
	content        mail.Content
	size           int64
	eightBit, utf8 bool
	client         mail.Client
	avoid          string // URL of the backend to be asked last
	// beforeData, when not nil, is called when some recipients were accepted and others were not, before the first octet of
	// the mail is sent: it makes the others safe. When it fails nothing is sent.
	beforeData func([]answer) error
	// beforeEnd, when not nil, is called before the last octet of the mail is given to the backend. When it fails the backend does not
	// get it. It may be called again for another backend.
	beforeEnd func() error
}

// answer is what became of one recipient.
type answer struct {
	state answerState
	reply reply
}

type answerState uint8

const (
	unasked   answerState = iota
	accepted              // at RCPT; the final dot decides
	delivered             // the backend has the mail
	deferred              // 4xx about the mail
	refused               // 5xx about the mail
)

func answerOf(p reply) answer {
	switch {
	case p.ok():
		return answer{delivered, p}
	case p.permanent():
		return answer{refused, p}
	}
	return answer{deferred, p}
}

var (
	errNoUTF8  = errors.New("the mail needs SMTPUTF8, which the backend does not offer")
	errAborted = errors.New("not begun")
)

// exchange is one transaction up to the final dot. After run either err is set (and the connection must be closed unless
// intact says otherwise), or nobody was accepted and answers is complete, or sent is true and the final answer is outstanding.
type exchange struct {
	c       *client
	j       *job
	answers []answer
	open    int  // recipients accepted at RCPT
	goAhead bool // 354 was said
	sent    bool // the final dot is out
	half    bool // a part of the mail is out, and the server has refused it: answers is complete
	intact  bool // whatever err says, the connection is as before
	tooBig  bool // err is the refusal of the size: answers is complete all the same
	chunk   bool // the data goes by BDAT
	other   bool // the connection cannot be used for this client
	stale   bool // err is that of a reused connection which the server had given up
	err     error

	pending []pendingReply
}

type pendingReply struct {
	step string
	rcpt int
}

// pipelineMax bounds what is sent before replies are read, so that neither side can block the other (RFC 2920 section 3.1).
const pipelineMax = 4096

func (c *client) transact(j *job, before time.Time) *exchange {
	c.before = before
	x := &exchange{c: c, j: j, answers: make([]answer, len(j.rcpts))}
	if c.pooled {
		if err := c.unasked(); err != nil {
			x.err, x.stale = &stepError{step: "idle", err: err}, true
			return x
		}
	}
	if x.introduce(); x.err != nil {
		return x
	}
	x.chunk = c.caps.chunking && c.b != nil && c.b.chunks()
	if x.precheck(); x.err != nil || x.intact {
		return x
	}
	x.envelope()
	if x.err != nil || x.open == 0 {
		return x
	}
	if j.beforeData != nil && x.open < len(x.answers) {
		if err := j.beforeData(x.answers); err != nil {
			x.err = errors.Join(errAborted, err)
			return x
		}
	}
	x.data()
	return x
}

// introduce tells the server who the client is; see client.introduce.
func (x *exchange) introduce() {
	err := x.c.introduce(x.j.client)
	var step *stepError
	switch {
	case err == nil:
	case errors.Is(err, errOtherClient):
		x.err, x.other = err, true
	case errors.As(err, &step) && !isLogin(err):
		x.fail(step.step, step.reply, step.err)
	default:
		x.err = err
	}
}

// precheck answers without asking what the server has already said in its EHLO.
func (x *exchange) precheck() {
	j, k := x.j, x.c.caps
	if _, ok := path(j.from); !ok {
		x.refuseAll(reply{code: 553, subject: 1, detail: 7, text: "the sender cannot be written in a command"})
		return
	}
	if k.size > 0 && j.size > k.size {
		x.refuseAll(reply{code: 552, subject: 3, detail: 4, text: "the message is larger than the mail server accepts"})
		return
	}
	if j.utf8 && !k.utf8 {
		x.err, x.intact = &stepError{step: "EHLO", err: errNoUTF8}, true
	}
}

func (x *exchange) refuseAll(p reply) {
	for i := range x.answers {
		x.answers[i] = answer{refused, p}
	}
	x.intact = true
}

// envelope says MAIL, RCPT and DATA, all at once when the server pipelines.
func (x *exchange) envelope() {
	if x.c.dirty {
		x.say("RSET", 0, "RSET")
	}
	if b := x.c.b; b != nil && b.tell == tellXforward && !x.j.client.IsZero() {
		if set := x.c.caps.xforward; set != 0 {
			x.say("XFORWARD", 0, attributeLine("XFORWARD", set, x.j.client))
		} else {
			b.lacks("XFORWARD", x.c)
		}
	}
	x.say("MAIL", 0, x.mailLine())
	for i, rcpt := range x.j.rcpts {
		p, ok := path(rcpt)
		if !ok {
			x.answers[i] = answer{refused, reply{code: 553, subject: 1, detail: 3, text: "the address cannot be written in a command"}}
			continue
		}
		x.say("RCPT", i, "RCPT TO:"+p)
	}
	if !x.c.caps.pipelining && x.open == 0 {
		x.c.dirty = x.err == nil
		return
	}
	if !x.chunk { // BDAT waits until the answers to RCPT are known: for nobody there must be none
		x.say("DATA", 0, "DATA")
	}
	x.flush()
	if x.err == nil && x.open == 0 {
		// A 354 for nobody: a dot would end an empty mail, so the connection is given up (see smtpBackend.send).
		x.c.dirty = true
	}
}

func (x *exchange) mailLine() string {
	var b strings.Builder
	p, _ := path(x.j.from)
	b.WriteString("MAIL FROM:")
	b.WriteString(p)
	if x.c.caps.size > 0 {
		b.WriteString(" SIZE=")
		b.WriteString(strconv.FormatInt(x.j.size, 10))
	}
	if x.j.eightBit && x.c.caps.eightBit {
		b.WriteString(" BODY=8BITMIME")
	}
	if x.j.utf8 {
		b.WriteString(" SMTPUTF8")
	}
	return b.String()
}

func (x *exchange) say(step string, rcpt int, line string) {
	if x.err != nil {
		return
	}
	x.c.w.WriteString(line)
	x.c.w.WriteString("\r\n")
	x.pending = append(x.pending, pendingReply{step, rcpt})
	if !x.c.caps.pipelining || x.c.w.Buffered() > pipelineMax {
		x.flush()
	}
}

// flush sends what is buffered and reads the replies to it.
func (x *exchange) flush() {
	if x.err != nil || len(x.pending) == 0 {
		return
	}
	if x.c.r.buffered() { // with one reply too many every answer would be taken for the next one's
		x.fail(x.pending[0].step, reply{}, x.c.r.said())
		return
	}
	if err := x.c.w.Flush(); err != nil {
		x.fail(x.pending[0].step, reply{}, err)
		return
	}
	for _, p := range x.pending {
		step := timeCommand
		if p.step == "DATA" {
			step = timeData
		}
		r, err := x.c.expect(step, nil)
		if err != nil {
			x.fail(p.step, reply{}, err)
			return
		}
		if x.heard(p, r); x.err != nil {
			return
		}
	}
	x.pending = x.pending[:0]
}

// fail ends the exchange: the server is unwell, or it was only a connection that it had given up.
func (x *exchange) fail(step string, p reply, err error) {
	x.err = &stepError{step: step, reply: p, err: err}
	gone := p.code == 421 || (err != nil && !isTimeout(err) && !errors.Is(err, errReplyLong) && !errors.Is(err, errReplySyntax))
	if x.c.pooled && gone && !x.goAhead {
		x.stale = true
	}
}

// heard takes the reply to one command. Only what is said to RCPT, and a size refused at MAIL, is about the mail.
func (x *exchange) heard(p pendingReply, r reply) {
	if r.code == 421 {
		x.fail(p.step, r, nil)
		return
	}
	switch p.step {
	case "RSET":
		if !r.ok() {
			x.fail(p.step, r, nil)
		}
		x.c.dirty = false
	case "XFORWARD": // it is for the server's log only: a refusal changes nothing
	case "MAIL":
		x.heardMail(r)
	case "RCPT":
		x.heardRcpt(p.rcpt, r)
	case "DATA":
		x.goAhead = r.code == 354
		if !x.goAhead && x.open > 0 || r.code/100 < 4 && !x.goAhead {
			x.fail(p.step, r, nil)
		}
	}
}

func (x *exchange) heardMail(r reply) {
	switch {
	case r.ok():
	case r.code == 552 || r.code == 523:
		x.refuseAll(r)
		x.intact, x.tooBig = false, true
		x.err = &stepError{step: "MAIL", reply: r}
	default:
		x.fail("MAIL", r, nil)
	}
}

func (x *exchange) heardRcpt(i int, r reply) {
	switch {
	case r.ok():
		x.answers[i] = answer{accepted, r}
		x.open++
	case r.code == 552 && (!r.enhanced || r.subject == 5 && r.detail == 3):
		// Too many recipients, from before there was 452 (RFC 5321 section 4.5.3.1.10).
		x.answers[i] = answer{deferred, reply{code: 452, subject: 5, detail: 3, text: r.text}}
	case r.transient() || r.permanent():
		x.answers[i] = answerOf(r)
	default:
		x.fail("RCPT", r, errReplySyntax)
	}
}

// path writes an address as a path of MAIL or RCPT. A local part that is no dot-string (a..b@, .a@) is quoted, as RFC 5321
// section 4.1.2 wants it; it is the same mailbox. ok is false for what must never stand in a command.
func path(a mail.Address) (s string, ok bool) {
	for i := 0; i < len(a.Local); i++ {
		if c := a.Local[i]; c < 0x20 || c == 0x7F {
			return "", false
		}
	}
	for i := 0; i < len(a.Domain); i++ {
		if c := a.Domain[i]; c <= ' ' || c >= 0x7F || c == '<' || c == '>' || c == '@' || c == '"' {
			return "", false
		}
	}
	if a.Local == "" && a.Domain != "" {
		return "", false
	}
	local := a.Local
	if !dotString(local) {
		local = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(local) + `"`
	}
	if a.Domain == "" {
		return "<" + local + ">", true
	}
	return "<" + local + "@" + a.Domain + ">", true
}

// dotString reports whether s is a Dot-string (RFC 5321 section 4.1.2, RFC 6531 section 3.3) or empty.
func dotString(s string) bool {
	if s == "" {
		return true
	}
	if s[0] == '.' || s[len(s)-1] == '.' || strings.Contains(s, "..") {
		return false
	}
	return !strings.ContainsAny(s, " \t\"\\(),:;<>@[]")
}
