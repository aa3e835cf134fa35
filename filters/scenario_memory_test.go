package filters

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"sekimori/internal/store"
	"sekimori/reputation"
)

// remember gives a check that needs one the memory of the scenario: an embedded store without files, with the clock of the
// scenario, and an empty model. A file "memory" with the word "down" makes it a store that does not answer.
func (sc *scenario) remember(t *testing.T, e *Env) {
	t.Helper()
	spec := Specs()[slices.IndexFunc(Specs(), func(s Spec) bool { return s.Name == sc.check })]
	if !slices.Contains(spec.Needs, "redis") {
		return
	}
	if strings.TrimSpace(sc.files["memory"]) == "down" {
		e.Memory = downMemory{}
		return
	}
	now := func() time.Time { return sc.now }
	s, err := store.Open(t.Context(), store.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	e.Memory = reputation.NewMemory(s.Client(), func() *reputation.Model { return &reputation.Model{} }, now)
}

// downMemory is a store that does not answer.
type downMemory struct{}

func (downMemory) Take(context.Context, []reputation.Limit) ([]reputation.Taken, error) {
	return nil, store.ErrDown
}

func (downMemory) Bayes() *reputation.Model { return &reputation.Model{} }
