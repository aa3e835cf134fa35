package config

import "time"

// Retreat is [policy.retreat]: when a rule steps back by itself, because people release what it holds.
type Retreat struct {
	Enabled  bool     `toml:"enabled"`  // default true
	Share    float64  `toml:"share"`    // of what a rule held, released; default 0.5
	Releases int      `toml:"releases"` // at least so many; default 10
	Persons  int      `toml:"persons"`  // by at least so many different people; default 5
	Window   Duration `toml:"window"`   // in whole days; default 7d
}

const retreatDay = 24 * time.Hour

func defaultRetreat() Retreat {
	return Retreat{Enabled: true, Share: 0.5, Releases: 10, Persons: 5, Window: Duration(7 * retreatDay)}
}

// Days is the window in days.
func (r Retreat) Days() int { return int(r.Window.D() / retreatDay) }

func (v *validator) retreat() {
	r := v.cfg.Policy.Retreat
	if r.Share <= 0 || r.Share > 1 {
		v.fail("policy.retreat.share", "must be above 0 and at most 1: the share of what a rule held, such as 0.5")
	}
	if r.Persons < 1 || r.Persons > 1000 {
		v.fail("policy.retreat.persons", "must be between 1 and 1000; with 1, one person alone can weaken a rule for all")
	}
	if r.Releases < 1 || r.Releases > 1_000_000 {
		v.fail("policy.retreat.releases", "must be between 1 and 1000000")
	} else if r.Releases < r.Persons {
		v.fail("policy.retreat.releases", "must be at least policy.retreat.persons (%d): each of them has released something", r.Persons)
	}
	if d := r.Window.D(); d < retreatDay || d > 40*retreatDay || d%retreatDay != 0 {
		v.fail("policy.retreat.window", "must be whole days, between 1d and 40d")
	}
}
