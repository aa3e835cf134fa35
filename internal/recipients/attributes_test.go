package recipients

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"sekimori/internal/config"
	"sekimori/internal/mail"
)

// TestFileAttributes reads attributes from recipient and alias files.
func TestFileAttributes(t *testing.T) {
	dir := t.TempDir()
	list, aliases := filepath.Join(dir, "recipients"), filepath.Join(dir, "aliases")
	put(t, list, "sato@example.jp {Department = 営業部 | 総務部; title=部長}\nito@example.jp\n@lists.example.jp {department=一覧}\n"+
		"info@example.jp {title = 窓口} sato@example.jp, ito@example.jp\n", 1)
	put(t, aliases, "chief: {title = 代理} sato\nboss: sato\nall: sato, ito\n", 1)
	cfg := &config.Config{Recipients: config.Recipients{RuleAttributes: []string{"department", "title"}}, Domains: []config.Domain{
		{Names: []string{"example.jp", "lists.example.jp"}, Recipients: "file:" + list, Aliases: []string{aliases}},
		{Names: []string{"any.example.jp"}, Recipients: "any"},
	}}
	d := directory(t, Options{Config: cfg}, cfg.Domains...)
	for who, want := range map[string]string{
		"Sato@example.jp":     "map[department:[営業部 総務部] title:[部長]]",
		"ito@example.jp":      "map[department:[] title:[]]",
		"x@lists.example.jp":  "map[department:[一覧] title:[]]",
		"chief@example.jp":    "map[department:[営業部 総務部] title:[代理]]", // what it has itself, else what its mailbox has
		"boss@example.jp":     "map[department:[営業部 総務部] title:[部長]]",
		"all@example.jp":      "map[department:[] title:[]]",
		"info@example.jp":     "map[department:[] title:[窓口]]",
		"nobody@example.jp":   "map[]", // nobody knows
		"x@any.example.jp":    "map[]",
		"x@elsewhere.example": "map[]",
	} {
		if got, err := d.Attributes(addr(t, who)); fmt.Sprint(got) != want || err != nil {
			t.Errorf("%s: %v (%v), not %s", who, got, err, want)
		}
	}
	if r := d.Find(t.Context(), addr(t, "info@example.jp")); len(r.Mailboxes) != 2 {
		t.Errorf("behind attributes stand targets: %v", r.Mailboxes)
	}
}

func TestFileAttributesBad(t *testing.T) {
	text := "a@example.jp {room = 1}\nb@example.jp {department 営業部}\nc@example.jp {department = a; Department = b}\nd@example.jp {department = a\n" +
		"e@example.jp {department = " + strings.Repeat("x", 300) + "}\nf@example.jp {}\n"
	_, err := parseFile("f", []byte(text), []string{"department"}, nil)
	want := "f:1:15: the attribute \"room\" is not named in recipients.rule_attributes, which names department\n" +
		"f:2:15: \"department 営業部\" is no attribute: write {name = value; name = value}\n" +
		"f:3:31: the attribute \"Department\" stands there twice; several values are written as {Department = one | two}\n" +
		"f:4:14: the { has no } on its line\n" +
		"f:5:14: department has a value of more than 256 octets"
	if err == nil || err.Error() != want {
		t.Errorf("%v\nnot\n%s", err, want)
	}
	if _, err = parseFile("f", []byte("a@example.jp {room = 1}\n"), nil, nil); err == nil || !strings.Contains(err.Error(), "which names none") {
		t.Error(err)
	}
}

// TestCopiedAttributes: a copy that was made for other attributes says nothing, one that is too old neither; and what is added to the
// configuration is fetched at once, not at the next full list.
func TestCopiedAttributes(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	cfg := &config.Config{
		SQL:     map[string]*config.SQL{"x": {RuleAttributes: []string{"Department"}}},
		Domains: []config.Domain{{Names: []string{"example.jp"}, Recipients: "sql:x"}},
	}
	taro := addr(t, "taro@example.jp")
	src := &attrSource{Batch{Full: true, Mark: "1", Entries: []Entry{
		{ID: "1", Address: taro, Attrs: [][]string{{"営業部"}}}, {ID: "2", Address: addr(t, "ito@example.jp")},
	}}}
	open := func(*config.Config, string, string) (Source, Timing, error) {
		return src, Timing{StaleAfter: time.Hour}, nil
	}
	o := Options{Config: cfg, Dir: t.TempDir(), Now: func() time.Time { return now }, Open: open}
	d := directory(t, o, cfg.Domains...)
	says := func(d *Directory, who, want string) {
		t.Helper()
		if got, err := d.Attributes(addr(t, who)); fmt.Sprint(got) != want || err != nil {
			t.Errorf("%s: %v (%v), not %s", who, got, err, want)
		}
	}
	says(d, "taro@example.jp", "map[]")
	if err := d.Sync(t.Context(), "", false, func(string) {}); err != nil {
		t.Fatal(err)
	}
	says(d, "taro@example.jp", "map[department:[営業部]]")
	says(d, "ito@example.jp", "map[department:[]]")
	says(directory(t, o, cfg.Domains...), "taro@example.jp", "map[department:[営業部]]") // from the disk
	now = now.Add(2 * time.Hour)
	if got, err := d.Attributes(taro); got != nil || !errors.Is(err, ErrStale) {
		t.Errorf("of an old copy: %v %v", got, err)
	}
	now = now.Add(-2 * time.Hour)
	cfg.SQL["x"].RuleAttributes = []string{"Department", "title"}
	other := directory(t, o, cfg.Domains...)
	says(other, "taro@example.jp", "map[]")
	src.b.Entries[0].Attrs = [][]string{{"営業部"}, {"部長"}}
	if err := other.Sync(t.Context(), "", false, func(string) {}); err != nil {
		t.Fatal(err)
	}
	says(other, "taro@example.jp", "map[department:[営業部] title:[部長]]")
}

// attrSource has one list, and no changes: with a mark it brings nothing.
type attrSource struct{ b Batch }

func (s *attrSource) Fetch(_ context.Context, mark string) (Batch, error) {
	if mark != "" {
		return Batch{Mark: mark}, nil
	}
	return s.b, nil
}

func (s *attrSource) Lookup(context.Context, mail.Address) ([]Entry, error) { return nil, nil }
func (s *attrSource) Close() error                                          { return nil }

func TestLDAPAttributesReal(t *testing.T) {
	base := "dn: dc=example,dc=jp\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: example\n"
	slapd := startSlapd(t, "", "", "", base)
	a := newAdmin(t, slapd.addr, nil)
	a.create("cn=ito,dc=example,dc=jp", "inetOrgPerson", "ito", "ito@example.jp", 1)
	a.create("cn=ueda,dc=example,dc=jp", "inetOrgPerson", "ueda", "ueda@example.jp", 2)
	modify := func(name string, values ...string) {
		t.Helper()
		m := ldap.NewModifyRequest("cn=ito,dc=example,dc=jp", nil)
		m.Replace(name, values)
		if err := a.Modify(m); err != nil {
			t.Fatal(err)
		}
	}
	modify("departmentNumber", "営業部", "総務部")
	modify("preferredLanguage", "ja-JP")
	cfg := ldapConfig("ldap://" + slapd.addr)
	cfg.RuleAttributes = []string{"DepartmentNumber", "preferredlanguage", "roomNumber"}
	s := newLDAP(t, cfg)
	b := fetch(t, s, "")
	of := func(list []Entry, local string) [][]string {
		for _, e := range list {
			if e.Address.Local == local {
				return e.Attrs
			}
		}
		t.Fatalf("%s is not among %v", local, list)
		return nil
	}
	if got := of(b.Entries, "ito"); len(got) != 3 || len(got[0]) != 2 || fmt.Sprint(got[1:]) != "[[ja-JP] []]" {
		t.Errorf("%v", got)
	}
	if got := of(b.Entries, "ueda"); got != nil {
		t.Errorf("%v", got)
	}
	if got := of(lookup(t, s, "ito@example.jp"), "ito"); !reflect.DeepEqual(got, of(b.Entries, "ito")) {
		t.Errorf("asked for at once: %v", got)
	}
	modify("departmentNumber", "人事部")
	b = fetch(t, s, b.Mark)
	if got := of(b.Entries, "ito"); b.Full || fmt.Sprint(got) != "[[人事部] [ja-JP] []]" {
		t.Errorf("changed: %v (full: %v)", got, b.Full)
	}
}

func TestSQLAttributesReal(t *testing.T) {
	for driver, start := range sqlKinds {
		t.Run(driver, func(t *testing.T) {
			cfg := sqlConfig(t, driver, start(t))
			sqlAdmin(t, cfg, "CREATE TABLE people (address varchar(100), room varchar(20), dept varchar(400))",
				"INSERT INTO people VALUES ('ito@example.jp', '1', '営業部'), ('ito@example.jp', '1', '総務部'), ('ueda@example.jp', NULL, NULL), "+
					"('ono@example.jp', '2', '"+strings.Repeat("x", 300)+"')")
			cfg.Query, cfg.ChangedSince = "SELECT address, dept AS department, room FROM people ORDER BY dept", ""
			cfg.RuleAttributes = []string{"Department", "room"}
			b := fetch(t, newSQL(t, cfg), "")
			got := map[string]string{}
			for _, e := range b.Entries {
				got[e.Address.Local] = fmt.Sprint(e.Attrs)
			}
			ok := got["ito"] == "[[営業部 総務部] [1]]" || got["ito"] == "[[総務部 営業部] [1]]"
			if !ok || got["ueda"] != "[]" || got["ono"] != "[[] [2]]" || !strings.Contains(strings.Join(b.Problems, "\n"), "ono@example.jp: department has a value of more than 256 octets") {
				t.Errorf("%v %q", got, b.Problems)
			}
			cfg.RuleAttributes = append(cfg.RuleAttributes, "title")
			if _, err := newSQL(t, cfg).Fetch(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "there is no column title") {
				t.Error(err)
			}
		})
	}
}
