package recipients

import (
	"fmt"

	"sekimori/internal/config"
)

// OpenSource returns what opens the directory or database that [KIND.NAME] describes. It does not connect yet.
func OpenSource(deps Deps) func(cfg *config.Config, kind, name string) (Source, Timing, error) {
	return func(cfg *config.Config, kind, name string) (Source, Timing, error) {
		l, s := cfg.LDAP[name], cfg.SQL[name]
		switch {
		case kind == "ldap" && l != nil:
			src, err := NewLDAP(*l, deps)
			return src, Timing{l.SyncEvery.D(), l.FullEvery.D(), l.StaleAfter.D(), l.LookupTimeout.D()}, err
		case kind == "sql" && s != nil:
			src, err := NewSQL(*s, deps)
			return src, Timing{s.SyncEvery.D(), s.FullEvery.D(), s.StaleAfter.D(), s.LookupTimeout.D()}, err
		}
		return nil, Timing{}, fmt.Errorf("there is no [%s.%s]", kind, name)
	}
}
