package main

import (
	"time"

	"sekimori/internal/recipients"
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

// openDirectory makes the sign-in with a directory where it is configured. The server starts without the directory.
func (s *server) openDirectory() (*login.LDAP, error) {
	if !s.cfg().Console.LDAP.Enabled() {
		return nil, nil
	}
	return login.NewLDAP(login.LDAPOptions{Config: s.cfg, Deps: recipients.Deps{Log: s.log, Now: time.Now}})
}
