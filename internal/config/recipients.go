package config

import "time"

// Recipients is [recipients]: how the places in which recipients are kept are asked while a client waits. Directories and
// databases have their own times, in [ldap.NAME] and [sql.NAME].
type Recipients struct {
	LookupTimeout Duration `toml:"lookup_timeout"` // of one question to unix or callout; default 3s
	Lookups       int      `toml:"lookups"`        // questions at one time, to each place; default 8
	UnknownFor    Duration `toml:"unknown_for"`    // how long an "unknown" is remembered; default 1m
	KnownFor      Duration `toml:"known_for"`      // how long what a backend accepted answers while it is away; default 7d
	// ForwardHomes are directories with homes: the ~/.forward of accounts beneath them is followed. Empty: none is read.
	ForwardHomes []string `toml:"forward_homes"`
	// RuleAttributes are those that recipient and alias files may give an address, for rules: {department = 営業部}.
	RuleAttributes []string `toml:"rule_attributes"`
}

func defaultRecipients() Recipients {
	return Recipients{
		LookupTimeout: Duration(3 * time.Second),
		Lookups:       8,
		UnknownFor:    Duration(time.Minute),
		KnownFor:      Duration(7 * 24 * time.Hour),
	}
}
