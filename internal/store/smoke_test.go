package store

import (
	"context"
	"testing"
)

func TestSmoke(t *testing.T) {
	dir := t.TempDir()
	ctx := context.Background()
	s, err := Open(ctx, Options{DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Client().Set(ctx, "a", "b", 0).Err(); err != nil {
		t.Fatal(err)
	}
	d, err := Dial(ctx, Options{DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if v, err := d.Client().Get(ctx, "a").Result(); v != "b" || err != nil {
		t.Fatal(v, err)
	}
	d.Close()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, err = Open(ctx, Options{DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if v, err := s.Client().Get(ctx, "a").Result(); v != "b" || err != nil {
		t.Fatal(v, err)
	}
	s.Close()
}
