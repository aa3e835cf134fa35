package relay

import (
	"errors"

	"sekimori/internal/mail"
)

// ErrDown is what Deliver returns when no backend takes the mail and on_backend_down says defer: nobody has it.
var ErrDown = errors.New("relay: no backend takes the mail, and on_backend_down is defer")

// Down reports whether mail for the recipient is not to be taken for now: none of its backends lives, and on_backend_down says
// defer.
func (r *Relay) Down(a mail.Address) bool {
	s := r.router().of(a)
	return s.deferring && !s.alive()
}

// why returns what is wrong with the first backend of the set that is dead.
func (s *set) why() error {
	for _, m := range s.members {
		if err := m.b.health().why(); err != nil {
			return err
		}
	}
	return errDead
}
