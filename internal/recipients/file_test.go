package recipients

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/mail"
)

func addr(t testing.TB, s string) mail.Address {
	t.Helper()
	a, err := mail.ParseAddress(s, true)
	if err != nil {
		t.Fatal(s, err)
	}
	return a
}

// put writes a file with a time of its own, so that a change of the same length is seen.
func put(t testing.TB, path, text string, stamp int64) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, time.Unix(stamp, 0), time.Unix(stamp, 0)); err != nil {
		t.Fatal(err)
	}
}

// directory makes one of domains, each "names|recipients", with what change says.
func directory(t testing.TB, o Options, domains ...config.Domain) *Directory {
	t.Helper()
	if o.Config == nil {
		o.Config = &config.Config{}
	}
	o.Config.Domains = domains
	d, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// say gives a resolution in a word and the mailboxes.
func say(r Resolution) string {
	var boxes []string
	for _, b := range r.Mailboxes {
		boxes = append(boxes, b.String())
	}
	return r.Result.String() + " " + strings.Join(boxes, " ")
}

func TestFileReload(t *testing.T) {
	path := filepath.Join(t.TempDir(), "recipients")
	put(t, path, "\ufeffA@example.jp\r\n", 1)
	d := directory(t, Options{}, config.Domain{Names: []string{"example.jp"}, Recipients: "file:" + path})
	known := func(s string) bool { return d.Find(t.Context(), addr(t, s)).Result == Known }
	if !known("a@EXAMPLE.jp") || known("b@example.jp") {
		t.Error("first list")
	}
	f := d.files[0]
	put(t, path, "b@example.jp\n", 2)
	f.reload()
	if known("a@example.jp") || !known("b@example.jp") {
		t.Error("second list")
	}
	put(t, path, "b@example.jp\nnot an address\n", 3)
	f.reload()
	if !known("b@example.jp") || f.lastError() == nil {
		t.Error("a broken file has replaced the list")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	f.reload()
	if !known("b@example.jp") {
		t.Error("a file that is gone has emptied the list")
	}
	put(t, path, "c@example.jp\n", 4)
	f.reload()
	if known("b@example.jp") || !known("c@example.jp") || f.lastError() != nil {
		t.Error("the file came back and was not read")
	}
}

func TestAliases(t *testing.T) {
	dir := t.TempDir()
	list, virtual, aliases := filepath.Join(dir, "list"), filepath.Join(dir, "virtual"), filepath.Join(dir, "aliases")
	put(t, list, "yamada@example.jp\nsuzuki@example.jp # joined in May\n\n  sato@example.jp\n#old@example.jp\nc#@example.jp\n例え@例え.jp\n", 1)
	put(t, virtual, `
@old.example.jp     @example.jp
ceo@example.jp      yamada@example.jp
gone@example.jp     error:5.1.1 no longer here
example.jp          anything
away@example.jp     somebody@elsewhere.example
`, 1)
	put(t, filepath.Join(dir, "staff"), "suzuki, sato # both\nyamada@example.jp\n", 1)
	put(t, aliases, `
# /etc/aliases
postmaster: root
root:       yamada,
            suzuki
staff:      :include:staff
"all":      staff, ceo@example.jp, nobody@else.example
printer:    "|/usr/bin/print -a, -b", /var/spool/x
loop1:      loop2
loop2:      loop1
me:         \me, elsewhere@else.example
`, 1)
	d := directory(t, Options{},
		config.Domain{Names: []string{"example.jp", "old.example.jp", "xn--r8jz45g.jp"}, Recipients: "file:" + list, Aliases: []string{virtual, aliases}, Subaddress: "+", InternalOnly: []string{"staff@example.jp"}})
	for to, want := range map[string]string{
		"yamada@example.jp":         "known yamada@example.jp",
		"YAMADA@EXAMPLE.JP":         "known YAMADA@example.jp",
		"sato@example.jp":           "known sato@example.jp",
		"old@example.jp":            "unknown old@example.jp",
		"c#@example.jp":             "known c#@example.jp",
		"例え@例え.jp":                  "known 例え@xn--r8jz45g.jp",
		"例え@xn--r8jz45g.jp":         "known 例え@xn--r8jz45g.jp",
		"ceo@example.jp":            "known yamada@example.jp",
		"ceo+news@example.jp":       "known yamada@example.jp",
		"yamada+a+b@example.jp":     "known yamada@example.jp",
		"nobody+a@example.jp":       "unknown nobody+a@example.jp",
		"gone@example.jp":           "unknown gone@example.jp",
		"away@example.jp":           "known away@example.jp",
		"suzuki@old.example.jp":     "known suzuki@example.jp",
		"postmaster@example.jp":     "known yamada@example.jp suzuki@example.jp",
		"root@example.jp":           "known yamada@example.jp suzuki@example.jp",
		"staff@example.jp":          "internal suzuki@example.jp sato@example.jp yamada@example.jp",
		"all@example.jp":            "known suzuki@example.jp sato@example.jp yamada@example.jp",
		"printer@example.jp":        "known printer@example.jp",
		"loop1@example.jp":          "known loop1@example.jp",
		"me@example.jp":             "known me@example.jp",
		"abuse@example.jp":          "known abuse@example.jp",
		"yamada@elsewhere.example":  "foreign ",
		"yamada@sub.example.jp":     "foreign ",
		"abuse@xn--r8jz45g.jp":      "known abuse@xn--r8jz45g.jp",
		"gone+x@example.jp":         "unknown gone+x@example.jp",
		"nobody@old.example.jp":     "known nobody@example.jp",
		"staff+x@example.jp":        "internal suzuki@example.jp sato@example.jp yamada@example.jp",
		"yamada@old.example.jp":     "known yamada@example.jp",
		"ceo@old.example.jp":        "known yamada@example.jp",
		"postmaster@old.example.jp": "known yamada@example.jp suzuki@example.jp",
	} {
		if got := say(d.Find(t.Context(), addr(t, to))); strings.TrimSpace(got) != strings.TrimSpace(want) {
			t.Errorf("%s: %s, want %s", to, got, want)
		}
	}
	owners := d.Owners([]mail.Address{addr(t, "root@example.jp"), addr(t, "Yamada@example.jp"), addr(t, "x@else.example")})
	if len(owners) != 1 || len(owners["root@example.jp"]) != 2 {
		t.Error(owners)
	}
}

func TestParseErrors(t *testing.T) {
	text := "a@example.jp\nnot an address\nb@@example.jp\nname: x@example.jp, y@@example.jp\nname: z\nword\n@bad..domain\nz: :include:missing\n"
	_, err := parseFile("/etc/list", []byte(text), nil, func(string) ([]byte, error) { return nil, os.ErrNotExist })
	var got []string
	for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
		var fe FileError
		if !errors.As(e, &fe) {
			t.Errorf("%v has no place", e)
		}
		got = append(got, fmt.Sprintf("%d:%d", fe.Line, fe.Column))
	}
	if want := "2:1 3:1 4:21 5:1 6:1 7:1 8:4"; strings.Join(got, " ") != want {
		t.Errorf("%v\nat %s, want %s", err, strings.Join(got, " "), want)
	}
}

func TestFollowIsBounded(t *testing.T) {
	var b strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&b, "a%d: a%d, a%d, user%d\n", i, i+1, i+2, i)
	}
	b.WriteString("a3000: x\na3001: x\nbig: ")
	for i := range 200 {
		fmt.Fprintf(&b, "user%d, ", i)
	}
	path := filepath.Join(t.TempDir(), "aliases")
	put(t, path, b.String()+"\n", 1)
	d := directory(t, Options{}, config.Domain{Names: []string{"example.jp"}, Recipients: "any", Aliases: []string{path}})
	for _, to := range []string{"a0@example.jp", "big@example.jp"} {
		if got := say(d.Find(t.Context(), addr(t, to))); got != "known "+to {
			t.Errorf("%s: %s", to, got)
		}
	}
}

// TestIncludesAreBounded has a file that includes itself twice.
func TestIncludesAreBounded(t *testing.T) {
	reads := 0
	_, err := parseFile("/a", []byte("x: :include:/a\n"), nil, func(string) ([]byte, error) {
		reads++
		return []byte(":include:/a\n:include:/a\n"), nil
	})
	if err == nil || reads > mostIncludes {
		t.Errorf("%d reads, %v", reads, err)
	}
}

func FuzzParseFile(f *testing.F) {
	f.Add("a@example.jp\n@b.example.jp\nname: \"|x, y\", z\n  w\n:include:/x\nq: :include:/x\n")
	f.Add("\ufeffa: error:x\r\n@a @b\n\\x: \\y\n\"\n")
	f.Fuzz(func(t *testing.T, text string) {
		names, err := parseFile("f", []byte(text), nil, func(string) ([]byte, error) { return []byte("x, y\n"), nil })
		for key, r := range names {
			if key != strings.ToLower(key) || strings.ContainsAny(key, " \t\r\n\"<>") {
				t.Errorf("key %q", key)
			}
			if r != nil && len(r.targets) > maxTargets {
				t.Error("too many targets")
			}
		}
		if err != nil && !strings.Contains(err.Error(), "f:") {
			t.Errorf("%v does not name the file", err)
		}
	})
}

func TestAlwaysOpen(t *testing.T) {
	for s, want := range map[string]bool{"Postmaster": true, "ABUSE": true, "po\u017ftmaster": false, "postmaster2": false} {
		if AlwaysOpen(mail.Address{Local: s, Domain: "example.jp"}) != want {
			t.Error(s)
		}
	}
}
