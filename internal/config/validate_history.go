package config

import "time"

// History is [history]: what is remembered of every mail, on this host's disk.
type History struct {
	Enabled bool     `toml:"enabled"` // default true
	Keep    Duration `toml:"keep"`    // stories; default 400d
	Facts   Duration `toml:"facts"`   // what the rules saw; default 14d
	Disk    Size     `toml:"disk"`    // of both; default 10GB
}

func defaultHistory() History {
	return History{Enabled: true, Keep: Duration(400 * 24 * time.Hour), Facts: Duration(14 * 24 * time.Hour), Disk: 10_000_000_000}
}

func (v *validator) history() {
	h := v.cfg.History
	const day = 24 * time.Hour
	if h.Keep.D() < day {
		v.fail("history.keep", "must be at least 1d; enabled = false keeps nothing")
	}
	if h.Facts.D() < day {
		v.fail("history.facts", "must be at least 1d: without facts no rule can be replayed")
	}
	if h.Facts > h.Keep {
		v.fail("history.facts", "must not be longer than history.keep (%s): facts belong to a story", h.Keep)
	}
	if h.Disk < 64<<20 {
		v.fail("history.disk", "must be at least 64MiB; a mail takes about 500 octets with its facts")
	}
}
