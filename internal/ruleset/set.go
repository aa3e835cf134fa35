package ruleset

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"time"
)

// Settings are what the configuration says of the rules.
type Settings struct {
	Defaults   string             `json:"defaults"` // version of the built-in rules
	Mode       string             `json:"mode"`
	Disable    []string           `json:"disable,omitempty"`
	Thresholds map[string]float64 `json:"thresholds,omitempty"` // nil: those of the rule files
	Protected  []string           `json:"protected,omitempty"`  // classes that what recipients allow does not let through
}

// Set is a set of rules: its settings, and its files by name.
type Set struct {
	Settings Settings
	Files    map[string][]byte
}

// File is a file of a stored set.
type File struct {
	Name string `json:"name"`
	Size int64  `json:"size"`
	Sum  string `json:"sha256"`
	Kept bool   `json:"kept"` // false: it is larger than MaxFile, and only the hash is known
}

// Manifest is a stored set without the contents of its files.
type Manifest struct {
	Version  string   `json:"version"`
	Settings Settings `json:"settings"`
	Files    []File   `json:"files"` // by name
}

// Manifest describes the set; the version follows from it.
func (s Set) Manifest() Manifest {
	m := Manifest{Settings: s.Settings}
	m.Settings.Disable, m.Settings.Protected = sorted(m.Settings.Disable), sorted(m.Settings.Protected)
	for _, name := range slices.Sorted(maps.Keys(s.Files)) {
		sum := sha256.Sum256(s.Files[name])
		m.Files = append(m.Files, File{Name: name, Size: int64(len(s.Files[name])), Sum: hex.EncodeToString(sum[:]), Kept: len(s.Files[name]) <= MaxFile})
	}
	text, err := json.Marshal(m)
	if err != nil {
		panic(err) // numbers that TOML cannot write
	}
	sum := sha256.Sum256(text)
	m.Version = hex.EncodeToString(sum[:])[:12]
	return m
}

func sorted(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return list
}

// State is what became of a set.
type State string

// The states.
const (
	InForce  State = "in force" // it judged from then on
	Refused  State = "refused"  // it did not load
	Kept     State = "kept"     // it was on the disk when `rules rollback` or `rules reload` wrote over it
	Rollback State = "rollback" // `rules rollback` wrote it
	Written  State = "written"  // `rules reload` wrote it
)

// Entry is one line of the history.
type Entry struct {
	Time    time.Time `json:"time"`
	Version string    `json:"version"`
	State   State     `json:"state"`
	Why     string    `json:"why"`              // what made it come: "start", "SIGHUP", "changed: FILE …"
	By      []string  `json:"by,omitempty"`     // to whom the changed files belong, or who gave the command
	Errors  []string  `json:"errors,omitempty"` // why it was refused
}
