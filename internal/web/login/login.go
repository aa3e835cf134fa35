package login

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"sekimori/internal/mail"
)

// Account is somebody who has shown who they are.
type Account struct {
	Name   string
	Role   string       // admin | helpdesk | auditor; "" of a person
	Person mail.Address // of a person
	Via    string       // file | ldap | oidc

	Subject string // of oidc: whom the provider means, whatever the name; for the audit log
}

// ErrRefused says that name and password do not belong together, or that the account has no role here. Which of the two is told to nobody.
var ErrRefused = errors.New("login: refused")

// Directory checks a password by a bind; LDAP does.
type Directory interface {
	// Login returns ErrRefused, or another error when it could not look.
	Login(ctx context.Context, name, password string) (Account, error)
	// Still reports whether a name whose session was begun then has the role still.
	Still(ctx context.Context, name, role string, begun time.Time) bool
}

// Service checks passwords. Safe for concurrent use.
type Service struct {
	File      func() string // the administrators' file as it is configured now
	Directory Directory     // nil: none
	SSO       *SSO          // nil: none
	Log       *slog.Logger

	// Pause is after how long at the earliest a refusal is answered, so that the time does not tell whose names the file and the
	// directory know. 0: at once.
	Pause time.Duration

	slots chan struct{}
}

// RefusalPause is the Pause of a Service that asks a directory.
const RefusalPause = 2 * time.Second

// atOnce bounds the memory of passwords that are being checked: 64 MiB each.
const atOnce = 2

// New makes a Service.
func New(file func() string, d Directory, log *slog.Logger) *Service {
	return &Service{File: file, Directory: d, Log: log, slots: make(chan struct{}, atOnce)}
}

// Password returns the account of a name and its password: one of the file, else one of the directory. It takes as long for a name
// that is not in the file as for one that is. ErrRefused; every other error means that it could not look.
func (s *Service) Password(ctx context.Context, name, password string) (Account, error) {
	pause := time.NewTimer(s.Pause)
	defer pause.Stop()
	account, err := s.password(ctx, name, password)
	if errors.Is(err, ErrRefused) && s.Pause > 0 {
		select {
		case <-pause.C:
		case <-ctx.Done():
		}
	}
	return account, err
}

func (s *Service) password(ctx context.Context, name, password string) (Account, error) {
	if len(password) == 0 || len(password) > MaxPassword || len(name) > 256 {
		return Account{}, ErrRefused
	}
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return Account{}, ctx.Err()
	}
	users, err := Read(s.File())
	known, u := false, User{hash: dummy}
	for _, x := range users {
		if strings.EqualFold(x.Name, name) {
			known, u = true, x
		}
	}
	matches := u.hash.matches(password)
	<-s.slots
	switch {
	case known && matches:
		return Account{Name: u.Name, Role: u.Role, Via: "file"}, nil
	case known, s.Directory == nil:
		return Account{}, errOr(err, ErrRefused)
	}
	if err != nil {
		s.Log.Error("console", "err", err)
	}
	return s.Directory.Login(ctx, name, password)
}

func errOr(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

// Still reports whether somebody who signed in that way, then, has the role still. The file is read again each time. The provider of
// single sign-on cannot be asked without the person: its sessions are short, and end when it is taken out of the configuration.
func (s *Service) Still(ctx context.Context, via, name, role string, begun time.Time) bool {
	switch via {
	case "file":
	case "oidc":
		return s.SSO != nil && s.SSO.Still(role, begun)
	default:
		return s.Directory != nil && s.Directory.Still(ctx, name, role, begun)
	}
	users, err := Read(s.File())
	if err != nil {
		s.Log.Error("console", "err", err)
		return false
	}
	for _, u := range users {
		if u.Name == name && u.Role == role {
			return true
		}
	}
	return false
}
