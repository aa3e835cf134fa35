package rules

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestReadSource: exactly what Load reads is in the source: rule files, the lists they name, the standard lists that are there.
func TestReadSource(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"10-a.toml": "[lists]\ninline = [\"x.test\"]\nboard = \"group:board@example.jp\"\npartners = \"p.txt\"\ngone = \"gone.txt\"\n", "p.txt": "a.test\n", "deny_senders.txt": "b.test\n",
		"notes.txt": "nothing", ".hidden.toml": "x", "tests/tests.toml": "x",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name), text)
	}
	s, err := ReadSource(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	all := Versions()
	want := []string{"10-a.toml", BuiltinName(all[len(all)-1]), "deny_senders.txt", "p.txt"}
	if got := keysOf(s); !slices.Equal(got, want) {
		t.Errorf("%q, not %q", got, want)
	}
}

// TestCompare: rules are compared by their ids and keys, whatever file or line they stand in, also when a file is broken.
func TestCompare(t *testing.T) {
	a := Source{
		"10.toml": []byte("[scores]\nSPF_FAIL = 2.0\n[[rule]]\nid = \"A\"\nwhen = 'x == \"1\"'\nscore = 3\n[[rule]]\nid = \"B\"\nwhen = 'y'\naction = \"tag\"\n" +
			"[[rule]]\nid = \"C\"\nwhen = 'z'\naction = \"hold\"\n[[rule]]\nid = \"D\"\nwhen = 'z'\nscore = 1\n"),
		"deny_senders.txt": []byte("a.test\nb.test # why\n"),
	}
	b := Source{
		"20.toml": []byte("disable = [\"Z\"]\n[scores]\nSPF_FAIL = 2.5\n[[rule]]\nid = \"C\"\nwhen = \"z\"\naction = \"hold\"\n\n\n[[rule]]\nid = \"A\"\n" +
			"when = 'x == \"1\"'\nscore = 4.0\nmode = \"observe\"\n[[rule]]\nid = \"D\"\nwhen = 'z'\nscore = 1.0\n[[rule]]\nid = \"E\"\nwhen = 'e'\nscore = 1\n[[rule]\n"),
		"deny_senders.txt": []byte("# other comment\nb.test\nc.test\nd.test\n"),
	}
	b["30.toml"] = []byte("[domain.\"example.jp\"]\nthresholds = { hold = 5 }\n[lists]\ninline = [\"x.test\"]\n")
	was, is := a.Outline(), b.Outline()
	c := Compare(was, is)
	ids := func(list []OutlineRule) (all []string) {
		for _, r := range list {
			all = append(all, r.ID)
		}
		return all
	}
	if got := ids(c.Added); !slices.Equal(got, []string{"E"}) {
		t.Errorf("added %q", got)
	}
	if got := ids(c.Removed); !slices.Equal(got, []string{"B"}) {
		t.Errorf("removed %q", got)
	}
	if len(c.Changed) != 1 || c.Changed[0].ID != "A" || !slices.Equal(c.Changed[0].Keys, []KeyChange{{"mode", "", `"observe"`}, {"score", "3", "4"}}) {
		t.Errorf("changed %+v", c.Changed)
	}
	if !slices.Equal(c.Moved, []string{"C"}) {
		t.Errorf("moved %q", c.Moved)
	}
	if !slices.Equal(c.Scores, []KeyChange{{"SPF_FAIL", "2", "2.5"}}) || !slices.Equal(c.Disabled, []string{"Z"}) {
		t.Errorf("%+v %q", c.Scores, c.Disabled)
	}
	if !slices.Equal(c.Domains, []KeyChange{{"example.jp.thresholds", "", "{ hold = 5 }"}}) {
		t.Errorf("%+v", c.Domains)
	}
	if len(c.Lists) != 2 || c.Lists[1].Name != "inline" || c.Lists[0].Was != 2 || c.Lists[0].Is != 3 || !slices.Equal(c.Lists[0].Added, []string{"c.test", "d.test"}) || !slices.Equal(c.Lists[0].Removed, []string{"a.test"}) {
		t.Errorf("lists %+v", c.Lists)
	}
	if len(was.Broken) != 0 || !slices.Equal(is.Broken, []string{"20.toml"}) {
		t.Errorf("broken: %q %q", was.Broken, is.Broken)
	}
	if same := Compare(was, was); !same.None() {
		t.Errorf("a set differs from itself: %+v", same)
	}
}
