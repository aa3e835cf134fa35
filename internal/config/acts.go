package config

import "time"

// ReleaseMark is [quarantine.mark]: by what the backend knows that a mail was released, and not forged.
type ReleaseMark struct {
	KeyFile string `toml:"key_file"` // of the signature; default: none, and no signature
	Key     Secret `toml:"-"`        // read at Load from KeyFile, the credential quarantine.mark.key or SEKIMORI_QUARANTINE_MARK_KEY
	// TokenFile holds a word that stands in the header of every released mail, for backends that can only compare.
	TokenFile string `toml:"token_file"`
	Token     Secret `toml:"-"` // likewise
}

// Allow is [allow]: senders that people allow for themselves.
type Allow struct {
	Enabled  bool     `toml:"enabled"`  // default true
	Lifetime Duration `toml:"lifetime"` // default 90d
}

// Audit is [audit]: who did what with held mail.
type Audit struct {
	Retention Duration `toml:"retention"` // default 400d
}

func defaultAllow() Allow { return Allow{Enabled: true, Lifetime: Duration(90 * 24 * time.Hour)} }

func defaultAudit() Audit { return Audit{Retention: Duration(400 * 24 * time.Hour)} }

func defaultAdminOnly() []string { return []string{"malware", "macro"} }
