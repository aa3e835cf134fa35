package config

import "time"

// Bayes is [bayes]: how the Bayesian check learns. What it weighs is in [filters.bayes].
type Bayes struct {
	PersonLimit   int           `toml:"person_limit"`   // mails of a class by which one person teaches everybody in a month; default 10
	CampaignLimit int           `toml:"campaign_limit"` // near copies that are counted in a month; 0: no limit; default 20
	Vocabulary    int           `toml:"vocabulary"`     // tokens kept in memory; 0: no limit; default 500000
	Folders       []BayesFolder `toml:"folder"`
	IMAP          []BayesIMAP   `toml:"imap"`
	Drop          BayesDrop     `toml:"drop"`
	Drift         BayesDrift    `toml:"drift"`
	Auto          BayesAuto     `toml:"auto"`
}

// BayesFolder is [[bayes.folder]]: a Maildir of which every mail is learned.
type BayesFolder struct {
	Path  string   `toml:"path"`
	Class string   `toml:"class"` // spam | ham
	Scope string   `toml:"scope"` // all | @DOMAIN | an address; default all
	Every Duration `toml:"every"` // how often it is looked at; default 1m
}

// BayesDrift is [bayes.drift]: when people contradict the check so often that it weighs half.
type BayesDrift struct {
	Enabled  bool     `toml:"enabled"`  // default true
	Window   Duration `toml:"window"`   // default 24h
	Min      int      `toml:"min"`      // contradictions at least; default 10
	Persons  int      `toml:"persons"`  // of at least so many people; default 3
	Released float64  `toml:"released"` // part of the mails held with its points that was released; default 0.05
	Reported float64  `toml:"reported"` // part of the mails that it found good that was reported as spam; default 0.01
}

func defaultBayes() Bayes {
	return Bayes{
		PersonLimit: 10, CampaignLimit: 20, Vocabulary: 500_000, Drop: defaultBayesDrop(),
		Drift: BayesDrift{Enabled: true, Window: Duration(24 * time.Hour), Min: 10, Persons: 3, Released: 0.05, Reported: 0.01},
		Auto:  BayesAuto{Enabled: true, Seeds: 100, SpamScore: 8, Daily: 200, Sender: 5},
	}
}
