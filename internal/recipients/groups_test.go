package recipients

import (
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"sekimori/internal/config"
)

func TestGroups(t *testing.T) {
	dir := t.TempDir()
	list, aliases := filepath.Join(dir, "recipients"), filepath.Join(dir, "aliases")
	put(t, list, "ceo@example.jp\nsato@example.jp\ninfo@example.jp\n", 1)
	put(t, aliases, "board: ceo, kanbu\nkanbu: sato\nboss: ceo\nloop: loop2\nloop2: loop\n", 1)
	now := time.Unix(1000, 0)
	d := directory(t, Options{Now: func() time.Time { return now }}, config.Domain{Names: []string{"example.jp"}, Recipients: "file:" + list, Aliases: []string{aliases}})
	groups := func(s string) []string {
		g, err := d.Groups(addr(t, s))
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	for who, want := range map[string][]string{
		"sato@example.jp": {"board@example.jp", "kanbu@example.jp"},
		"CEO@example.jp":  {"board@example.jp", "boss@example.jp"},
		"boss@example.jp": {"board@example.jp", "boss@example.jp"}, // of the mailbox that it stands for
		"info@example.jp": {}, "x@elsewhere.example": {},
	} {
		if got := groups(who); !slices.Equal(got, want) {
			t.Errorf("%s is in %v, want %v", who, got, want)
		}
	}
	for who, want := range map[string]bool{"sato@example.jp": true, "Boss@example.jp": true, "info@example.jp": false, "ceo@elsewhere.example": false} {
		if in, err := d.Member(addr(t, "board@example.jp"), addr(t, who)); in != want || err != nil {
			t.Errorf("%s: %v %v", who, in, err)
		}
	}
	for _, g := range []string{"nobody@example.jp", "ceo@example.jp", "board@elsewhere.example"} {
		if _, err := d.Member(addr(t, g), addr(t, "ceo@example.jp")); !errors.Is(err, ErrNoGroup) {
			t.Errorf("%s: %v", g, err)
		}
	}
	// A change is seen when what was kept is no longer fresh.
	put(t, aliases, "board: ceo\nnew: info\n", 2)
	for _, f := range d.files {
		f.reload()
	}
	now = now.Add(2 * time.Minute)
	if in, _ := d.Member(addr(t, "board@example.jp"), addr(t, "sato@example.jp")); in {
		t.Error("sato is still in the board")
	}
	if got := groups("info@example.jp"); !slices.Equal(got, []string{"new@example.jp"}) {
		t.Errorf("info is in %v", got)
	}
}
