package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// ledgerLines is what the server's ledger says in the end (its format is described in internal/ledger): by the id that the client was
// told and the recipient, the last word about each of the mail's entries.
type ledgerLines map[string]map[string]string

const idLength = 20 // of the ids that clients are told; those of parts, holds and releases begin with them

// readLedger reads the files themselves, so that the comparison does not trust the program that it is about.
func (w *world) readLedger() (ledgerLines, error) {
	names, err := filepath.Glob(filepath.Join(w.data, "ledger", "*.log"))
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	lines := ledgerLines{}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(b)) {
			f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
			if len(f) != 7 {
				continue // a line that a kill cut off
			}
			k := key(f[2][:min(len(f[2]), idLength)], f[3])
			if lines[k] == nil {
				lines[k] = map[string]string{}
			}
			switch f[1] {
			case "accept", "open":
				lines[k][f[2]] = map[string]string{"queue": "queued", "hold": "held"}[f[4]]
			case "end", "direct":
				lines[k][f[2]] = f[4]
			}
		}
	}
	return lines, nil
}

// weights say which word stands for a mail that went through several hands: what is still open comes first.
var weights = []string{"queued", "held", "delivered", "bounced", "deleted", "discarded", "redirected", "learned", "expired", "moved", "uncertain"}

// of returns the last word about a mail for a recipient: of the entry itself, its parts, holds and releases, whose ids all begin
// with the id that the client was told. Empty: there is no line, because a backend took it before it was acknowledged.
func (l ledgerLines) of(id, rcpt string) string {
	best := len(weights)
	for _, said := range l[key(id, rcpt)] {
		if i := slices.Index(weights, said); i >= 0 {
			best = min(best, i)
		}
	}
	if best == len(weights) {
		return ""
	}
	return weights[best]
}
