package config

import (
	"path/filepath"
	"slices"
	"strings"
)

// Paths are the places that a server with this configuration reads and writes while it runs. Absolute, sorted; what is not
// there is named all the same. Files that other files name, such as :include: in an alias file, are not among them.
type Paths struct {
	Read  []string // files that may be replaced by a rename
	Trees []string // directories of which everything is read
	Write []string // directories in which everything is read, written and renamed
}

// Paths collects them.
func (c *Config) Paths() Paths {
	var p Paths
	if c.File != "" {
		p.Read = append(p.Read, c.File)
	}
	if c.doc != nil {
		c.doc.everyFile(nil, c.doc.root, &p.Read)
	}
	p.Read = append(p.Read, c.Quarantine.KeyFile)
	for _, d := range c.Domains {
		p.Read = append(p.Read, d.Aliases...)
		if file, ok := strings.CutPrefix(d.Recipients, "file:"); ok {
			p.Read = append(p.Read, file)
		}
		p.Write = append(p.Write, maildirs(d.Backends)...)
		for _, r := range d.Routes {
			p.Write = append(p.Write, maildirs(r.Backends)...)
		}
	}
	p.Trees = append(p.Trees, c.RulesDir)
	p.Trees = append(p.Trees, c.Recipients.ForwardHomes...)
	p.Write = append(p.Write, c.DataDir)
	p.Write = append(p.Write, maildirs([]Backend{{URL: c.Journal.Backend}, c.Bounce.Backend})...)
	p.Read, p.Trees, p.Write = absolute(p.Read), absolute(p.Trees), absolute(p.Write)
	return p
}

func maildirs(backends []Backend) []string {
	var list []string
	for _, b := range backends {
		if t, err := ParseBackend(b.URL); err == nil && t.Scheme == "maildir" {
			list = append(list, t.Path)
		}
	}
	return list
}

// absolute makes paths absolute, sorts them and drops what is empty or there twice.
func absolute(paths []string) []string {
	list := []string{}
	for _, p := range paths {
		if p == "" {
			continue
		}
		if abs, err := filepath.Abs(p); err == nil {
			p = abs
		}
		list = append(list, p)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// everyFile collects the values of all keys that end in _file, and the databases of [filters.geoip].
func (d *document) everyFile(path []string, v any, files *[]string) {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			d.everyFile(append(path[:len(path):len(path)], key), value, files)
		}
	case []any:
		for _, value := range v {
			d.everyFile(path, value, files)
		}
	case string:
		name := strings.Join(path, ".")
		if strings.HasSuffix(name, "_file") || name == "filters.geoip.country" || name == "filters.geoip.asn" {
			*files = append(*files, d.resolve(v))
		}
	}
}
