package config

import (
	"strings"
	"time"
)

// History is [history]: what is remembered of every mail, on this host's disk.
type History struct {
	Enabled bool     `toml:"enabled"` // default true
	Keep    Duration `toml:"keep"`    // stories; default 400d
	Facts   Duration `toml:"facts"`   // what the rules saw; default 14d
	Disk    Size     `toml:"disk"`    // of both; default 10GB

	KeyFile string `toml:"key_file"` // seals what hosts ask each other; first line: the key, further lines: older ones; default: a key in the store
	Key     Secret `toml:"-"`        // read at Load from KeyFile, the credential history.key or SEKIMORI_HISTORY_KEY
}

func defaultHistory() History {
	return History{Enabled: true, Keep: Duration(400 * 24 * time.Hour), Facts: Duration(14 * 24 * time.Hour), Disk: 10_000_000_000}
}

func (v *validator) history() {
	v.historyKey()
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

// historyKey reads the keys by which hosts ask each other.
func (v *validator) historyKey() {
	h := &v.cfg.History
	if v.cfg.File == "" && h.KeyFile == "" {
		return
	}
	h.KeyFile = v.doc.resolve(h.KeyFile)
	h.Key = v.secret("history.key_file", h.KeyFile)
	lines := 0
	for line := range strings.Lines(string(h.Key)) {
		switch n := len(strings.TrimSpace(line)); {
		case n == 0:
		case n < minLinkKey:
			v.fail("history.key_file", "a line of it has %d octets, which can be guessed; a key is made by: openssl rand -hex 32", n)
			return
		default:
			lines++
		}
	}
	if h.KeyFile != "" && lines == 0 && !v.opts.SkipFiles {
		v.fail("history.key_file", "%s is empty; a key is made by: openssl rand -hex 32", h.KeyFile)
	}
	if h.Key != "" && v.cfg.Redis.Embedded() {
		v.warn("history.key_file", "is not used: with the embedded store there is no other host to ask")
	}
}
