package front

import (
	"errors"
	"strings"

	"sekimori/internal/mail"
)

// ErrDown is what Relay.Deliver says when no backend takes the mail and on_backend_down says defer: nobody has it.
var ErrDown = errors.New("front: no backend answers")

// backendDown is said while on_backend_down = "defer" keeps mail with the sender.
var backendDown = mail.Transient(451, 4, 1, "the mail server of this domain does not answer, try again later")

// down reports whether somebody who is to get the mail cannot be reached, so that none of it is taken. It is asked before
// anything is held or spooled.
func (s *Server) down(tx *transaction) bool {
	for i, v := range tx.verdicts {
		if isDelivered(v) && s.opts.Relay.Down(tx.rcpts[i]) {
			s.log.Warn("smtp: mail deferred, the backends of its domain are down", "id", tx.id, "rcpt", tx.rcpts[i].String())
			return true
		}
	}
	return false
}

// client is what a backend can be told of who sent the mail.
func (tx *transaction) client(w *wire) mail.Client {
	t := tx.judging.Transaction()
	s := t.Session
	if s == nil {
		s = w.session
	}
	c := mail.Client{Addr: s.Client, Port: s.Port, Helo: s.Helo, Esmtp: s.Esmtp}
	if v, ok := t.Facts["rdns.name"].(string); ok && mail.IsHostname(strings.TrimSuffix(v, ".")) {
		c.Name = strings.TrimSuffix(v, ".")
	}
	return c
}
