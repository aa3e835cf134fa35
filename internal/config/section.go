package config

import "os"

// Section is one table of the configuration file that is decoded by its user, such as [filters.dnsbl]. The zero Section
// is an empty table.
type Section struct {
	doc   *document // nil: nothing is known about places
	path  []string
	table map[string]any
}

// ParseSection makes a Section of TOML text, as if it stood under [filters.NAME]; for tests.
func ParseSection(text string) (Section, error) {
	d, err := parseDocument("", []byte(text))
	if err != nil {
		return Section{}, err
	}
	return Section{doc: d, table: d.root}, nil
}

// Section returns [filters.NAME], the zero Section when it is not there.
func (c *Config) Section(name string) Section {
	table, _ := c.Filters[name].(map[string]any)
	return Section{doc: c.doc, path: []string{"filters", name}, table: table}
}

// Enabled reports whether the table does not say enabled = false. Decode knows the key, so that no check has to.
func (s Section) Enabled() bool {
	on, isBool := s.table["enabled"].(bool)
	return on || !isBool
}

// Empty reports whether the table is absent or holds nothing but enabled.
func (s Section) Empty() bool {
	_, has := s.table["enabled"]
	return len(s.table) == 0 || len(s.table) == 1 && has
}

// Decode reads the table into a pointer to a struct (or map): strictly, by the fields' toml tags; what into holds before
// are the defaults. Its error is an Errors with every unknown key and unfit value and where it stands. Duration, Size,
// netip.Prefix (bare addresses allowed), netip.Addr, time.Duration and every encoding.TextUnmarshaler are read from
// strings.
func (s Section) Decode(into any) error {
	d := decoder{doc: s.doc}
	table := s.table
	if v, has := table["enabled"]; has {
		table = make(map[string]any, len(s.table))
		for k, v := range s.table {
			if k != "enabled" {
				table[k] = v
			}
		}
		if _, isBool := v.(bool); !isBool {
			d.fail(append(s.path[:len(s.path):len(s.path)], "enabled"), "must be true or false, not %s", kindOf(v))
		}
	}
	d.decode(s.path, table, into)
	return d.errs.orNil()
}

// Errorf makes an Error at a key of the table, such as "list[2].zone"; "" is the table itself.
func (s Section) Errorf(keyPath, format string, args ...any) error {
	path := append(s.path[:len(s.path):len(s.path)], splitPath(keyPath)...)
	e := s.doc.errorAt(path, false, format, args...)
	if len(path) > 0 {
		e.Message = showPath(path) + ": " + e.Message
	}
	return e
}

// Has reports whether a key such as "list[2].zone" stands in the table.
func (s Section) Has(keyPath string) bool {
	var v any = s.table
	for _, p := range splitPath(keyPath) {
		next, ok := child(v, p)
		if !ok {
			return false
		}
		v = next
	}
	return true
}

// Path resolves a path of the table: relative ones count from the directory of the configuration file.
func (s Section) Path(p string) string {
	if s.doc == nil {
		return p
	}
	return s.doc.resolve(p)
}

// Secret reads what a *_file key names: the content without white space around it. key is the key's place, such as
// "list[0].key_file", file its value. With an empty value the credential filters.NAME.list.0.key and the variable
// SEKIMORI_FILTERS_NAME_LIST_0_KEY are looked for; "" without an error means that there is none. Errors never hold the
// content.
func (s Section) Secret(key, file string) (Secret, error) {
	path := append(s.path[:len(s.path):len(s.path)], splitPath(key)...)
	secret, _, err := s.secrets().read(path, s.Path(file))
	if err != nil {
		return "", s.Errorf(key, "%v", err)
	}
	return secret, nil
}

func (s Section) secrets() secretSource {
	if s.doc == nil {
		return secretSource{env: os.Getenv}
	}
	return secretSource{env: s.doc.env, skip: s.doc.skipFiles}
}
