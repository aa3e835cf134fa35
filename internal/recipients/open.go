package recipients

import (
	"fmt"

	"sekimori/internal/config"
)

// OpenSource opens the directory or database that [KIND.NAME] describes. It does not connect yet.
func OpenSource(_ *config.Config, kind, name string) (Source, Timing, error) {
	return nil, Timing{}, fmt.Errorf("%s:%s: no such source is offered", kind, name)
}
