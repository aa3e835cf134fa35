package main

import (
	"time"

	"sekimori/internal/web/login"
)

// openSSO makes single sign-on where it is configured. The provider is asked in the background: the server starts without it.
func (s *server) openSSO() (*login.SSO, error) {
	cfg := s.cfg()
	if !cfg.Console.OIDC.Enabled() {
		return nil, nil
	}
	sso, err := login.NewSSO(login.SSOOptions{
		Config: cfg.Console.OIDC, Callback: cfg.SSOCallback(), Client: s.store.Client(), Log: s.log, Now: time.Now,
	})
	if err == nil {
		sso.Away()
	}
	return sso, err
}
