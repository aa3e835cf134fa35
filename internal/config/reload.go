package config

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
)

// live are the keys that a running server takes over from a new configuration; a table stands for all of its keys. Every
// other key is of something that is opened once.
var live = []string{
	"smtp", "dns", "policy", "degraded", "domain", "filters", "rules_dir", "log.level", "bounce", "journal", "digest", "ldap", "sql", "recipients", "alert",
	"allow", "quarantine.undo", "quarantine.admin_only", "quarantine.learn", "quarantine.mark", "bayes",
	"relay.budget", "relay.late_answer", "relay.queue_lifetime", "relay.retry", "relay.delay_warning", "relay.domain_concurrency",
	"relay.spool_limit", "relay.spool_limit_mails",
}

// RestartKeys returns the keys, such as redis.url, in which two configurations differ and which only a restart can change,
// sorted.
func RestartKeys(running, next *Config) []string {
	var keys []string
	differ(reflect.ValueOf(running).Elem(), reflect.ValueOf(next).Elem(), "", &keys)
	slices.Sort(keys)
	return keys
}

// differ walks the tables of two configurations. A value that has no key of its own, such as a secret, is named by its field.
func differ(a, b reflect.Value, table string, keys *[]string) {
	for i := range a.NumField() {
		f := a.Type().Field(i)
		key, _, _ := strings.Cut(f.Tag.Get("toml"), ",")
		if !f.IsExported() || table == "" && (key == "" || key == "-") {
			continue
		}
		if key == "-" {
			key = strings.ToLower(f.Name)
		}
		key = table + key
		switch {
		case slices.Contains(live, key) || reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface()):
		case f.Type.Kind() == reflect.Struct:
			differ(a.Field(i), b.Field(i), key+".", keys)
		default:
			*keys = append(*keys, key)
		}
	}
}

// Files returns the files on which the configuration depends beside its own: those of every key that ends in _file, and what
// stands in rules_dir. Files that somebody else looks after while the server runs (the certificate of [smtp], recipients,
// GeoIP) are left out. Sorted; a file that is not there is named all the same.
func (c *Config) Files() []string {
	var files []string
	if c.File != "" {
		files = append(files, c.File)
	}
	if c.doc != nil {
		c.doc.namedFiles(nil, c.doc.root, &files)
	}
	if root, err := filepath.EvalSymlinks(c.RulesDir); c.RulesDir != "" && err == nil {
		_ = filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
			switch {
			case err != nil:
				return filepath.SkipDir
			case d.IsDir() && path != root && strings.HasPrefix(d.Name(), "."):
				return filepath.SkipDir
			case !d.IsDir() && !strings.HasPrefix(d.Name(), "."):
				files = append(files, path)
			}
			return nil
		})
	}
	slices.Sort(files)
	return slices.Compact(files)
}

func (d *document) namedFiles(path []string, v any, files *[]string) {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			d.namedFiles(append(path[:len(path):len(path)], key), value, files)
		}
	case []any:
		for _, value := range v {
			d.namedFiles(path, value, files)
		}
	case string:
		key := path[len(path)-1]
		if strings.HasSuffix(key, "_file") && path[0] != "smtp" && v != "" {
			*files = append(*files, d.resolve(v))
		}
	}
}
