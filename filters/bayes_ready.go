package filters

import "fmt"

// NotReady implements Readier: until enough was shown the check says nothing.
func (b *bayesCheck) NotReady() string {
	m := b.memory.Bayes()
	if !m.Loaded() {
		return "what was learned is not loaded yet"
	}
	n := m.Counts()
	if n.HamShown >= b.config.MinHam && n.SpamShown >= b.config.MinSpam {
		return ""
	}
	return fmt.Sprintf("not trained: %d of %d ham, %d of %d spam; teach it with: sekimori learn ham PATH, sekimori learn spam PATH",
		n.HamShown, b.config.MinHam, n.SpamShown, b.config.MinSpam)
}
