package config

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const referenceFile = "../../cmd/sekimori/examples/reference.toml"

// required is what the reference says beside defaults.
const required = `
[[domain]]
names = ["example.jp"]
recipients = "any"
backends = ["smtp://mail1.example.jp:25"]
[ldap.ad]
urls = ["ldaps://dc1.example.jp"]
bases = ["DC=example,DC=jp"]
[sql.users]
driver = "postgres"
host = "db.example.jp"
user = "sekimori"
dbname = "mail"
query = "SELECT address FROM mailbox"
`

// TestReferenceDefaults holds the values of the reference against the defaults.
func TestReferenceDefaults(t *testing.T) {
	text, err := os.ReadFile(referenceFile)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Parse("reference.toml", text, Options{})
	if err != nil {
		t.Fatal(err)
	}
	want, err := Parse("required.toml", []byte(required), Options{})
	if err != nil {
		t.Fatal(err)
	}
	got.Relay.Retry = want.Relay.Retry // its default is the relay's, and tested there
	for _, c := range []*Config{got, want} {
		c.File, c.doc, c.Filters, c.Warnings = "", nil, nil, nil
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("a line without # is not the default (-default +reference)\n%s", cmp.Diff(want, got, cmp.Exporter(func(reflect.Type) bool { return true })))
	}
}

// TestReferenceComplete finds keys that the reference does not know, and keys of it that do not exist.
func TestReferenceComplete(t *testing.T) {
	text, err := os.ReadFile(referenceFile)
	if err != nil {
		t.Fatal(err)
	}
	all := regexp.MustCompile(`(?m)^#([a-z_0-9]+ = |\[)`).ReplaceAllString(string(text), "$1")
	doc, err := parseDocument("reference.toml", []byte(all))
	if err != nil {
		t.Fatal(err)
	}
	d := decoder{doc: doc}
	d.decode(nil, doc.root, base())
	if err := d.errs.orNil(); err != nil {
		t.Error(err)
	}
	seen := map[reflect.Type]map[string]bool{}
	keysOf(reflect.TypeFor[Config](), doc.root, seen)
	for typ, keys := range seen {
		for key := range fieldsOf(reflect.New(typ).Elem()) {
			if !keys[key] {
				t.Errorf("%s is not in reference.toml (a key of %s)", key, typ)
			}
		}
	}
	if len(seen) < 15 {
		t.Errorf("only %d kinds of tables were compared", len(seen))
	}
}

// keysOf notes which keys of every kind of table stand in the value.
func keysOf(typ reflect.Type, in any, seen map[reflect.Type]map[string]bool) {
	for typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	switch v := in.(type) {
	case []any:
		if typ.Kind() == reflect.Slice {
			for _, e := range v {
				keysOf(typ.Elem(), e, seen)
			}
		}
	case map[string]any:
		switch typ.Kind() {
		case reflect.Map:
			for _, e := range v {
				keysOf(typ.Elem(), e, seen)
			}
		case reflect.Struct:
			if seen[typ] == nil {
				seen[typ] = map[string]bool{}
			}
			fields := fieldsOf(reflect.New(typ).Elem())
			for key, e := range v {
				seen[typ][strings.ToLower(key)] = true
				if f, known := fields[key]; known {
					keysOf(f.Type(), e, seen)
				}
			}
		}
	}
}
