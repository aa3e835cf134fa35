// Package front is port 25: the listener, the SMTP dialogue, and what is done with a mail once it is judged.
//
// A connection passes three layers. The listener (listen.go) counts it, reads a balancer's PROXY header and runs the
// connect stage before the banner. The wire (wire.go, command.go, receive.go) is the net.Conn that go-smtp is given: it
// hands over one checked command line at a time, so that every reply stands in the order of its command and can be
// completed with an identifier; it serves STARTTLS, BDAT and the message itself, because go-smtp has no bounds there that
// an internet-facing server needs. The session (session.go) answers MAIL, RCPT and DATA with the gate's verdicts, and
// dispose.go acts on them: what can be undone first (holds, the spool), the backend last.
//
// What a configuration decides is one value, the setup (setup.go), which a connection takes when it is accepted and keeps: a
// reload changes nothing for those who are connected.
//
// All of one connection happens in one goroutine, so its state has no locks; only the drain touches it from outside.
package front
