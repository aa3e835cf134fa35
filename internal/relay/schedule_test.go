package relay

import (
	"slices"
	"testing"

	"sekimori/internal/config"
)

// TestUsualInReference holds the waits that the reference of the configuration calls the default against those that are.
func TestUsualInReference(t *testing.T) {
	c, err := config.LoadWith("../../cmd/sekimori/examples/reference.toml", config.Options{SkipFiles: true})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(c.Relay.Retry, usual()) {
		t.Errorf("reference.toml says %v, the default is %v", c.Relay.Retry, usual())
	}
}
