package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/store"
	"sekimori/reputation"
)

func TestLearnFolder(t *testing.T) {
	st, err := store.Open(t.Context(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	l := reputation.NewLearner(st.Client(), time.Now, slog.New(slog.NewTextHandler(io.Discard, nil)))
	dir := t.TempDir()
	f := &mailFolder{BayesFolder: config.BayesFolder{Path: dir, Class: "spam", Scope: "@example.jp"}, known: map[string]bool{}}
	learn := func(shown int) {
		t.Helper()
		if p, err := f.learn(t.Context(), l, "mx.example.jp"); err != nil || p.Shown != shown {
			t.Errorf("%+v, %v; %d are new", p, err, shown)
		}
	}
	if _, err := f.learn(t.Context(), l, ""); err == nil {
		t.Error("a folder that is not there is no error")
	}
	for _, d := range []string{"cur", "new", "tmp"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	put := func(name string, n int) {
		t.Helper()
		text := fmt.Sprintf("From: a@partner.test\nMessage-ID: <%d@partner.test>\nSubject: offer %d\n\nSome words %d\n", n, n, n)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("cur/1.host:2,S", 1)
	put("new/2.host", 2)
	put("tmp/3.host", 3)
	put("cur/.hidden", 4)
	learn(2)
	learn(0)
	if err := os.Rename(filepath.Join(dir, "new/2.host"), filepath.Join(dir, "cur/2.host:2,RS")); err != nil {
		t.Fatal(err)
	}
	put("cur/5.host:2,", 5)
	put("cur/6.host:2,", 1) // a copy of the first
	learn(1)
	if n := l.Scopes(); len(n) != 1 || n[0].Scope != "@example.jp" || n[0].SpamLearned != 3 {
		t.Errorf("%+v", n)
	}
	f.known = map[string]bool{} // as after a restart
	learn(0)
}
