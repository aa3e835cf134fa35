package replay

import (
	"errors"
	"iter"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"sekimori/internal/history"
	"sekimori/rules"
)

// made is the facts of some mails, from memory.
func made(p *rules.Policy, c *corpus, mails int) iter.Seq2[history.Record, error] {
	return func(yield func(history.Record, error) bool) {
		for n := range mails {
			k := c.next(n)
			v := p.JudgeCase(k)
			if !yield(history.Record{Time: k.Tx.Start, ID: k.Tx.ID, Data: p.AppendCase(nil, k, v)}, nil) {
				return
			}
		}
	}
}

// TestMoves: what is counted is what judging each mail by both sets says, whoever of the goroutines was faster.
func TestMoves(t *testing.T) {
	const mails = 1500
	old := load(t, map[string]string{"a.toml": testRules})
	fresh := load(t, map[string]string{"a.toml": strings.NewReplacer("action = \"tag\"", "action = \"hold\"", "score = 1.5", "score = 7.5", `"副業"`, `"先着"`).Replace(testRules)})
	o := Options{New: fresh, Now: old, Limit: 30, Workers: 1, Released: func(id string) bool { return strings.HasSuffix(id, "7") }}
	alone, err := Run(t.Context(), made(old, newCorpus(t, 4), mails), o)
	if err != nil {
		t.Fatal(err)
	}
	o.Workers = 4
	if many, err := Run(t.Context(), made(old, newCorpus(t, 4), mails), o); err != nil || !reflect.DeepEqual(alone, many) {
		t.Errorf("%v: the result depends on the number of goroutines:\n%+v\n%+v", err, alone, many)
	}
	moved, rcpts, cells := 0, 0, 0
	for r := range made(old, newCorpus(t, 4), mails) {
		c, err := rules.DecodeCase(r.Data)
		if err != nil {
			t.Fatal(err)
		}
		is := fresh.JudgeCase(c)
		if len(c.NotJudged) > 0 {
			continue
		}
		n := rcpts
		for i := range is {
			if !same(&is[i], &c.Verdicts[i], c.Tx.Stage) {
				rcpts++
			}
		}
		if rcpts > n {
			moved++
		}
	}
	for _, c := range alone.Table {
		cells += c.Recipients
	}
	// Mails on which the changed condition does not matter are judged beside those.
	if alone.Mails+alone.NotJudged.Mails != mails || alone.Moved < moved || alone.MovedRcpts < rcpts || cells != alone.MovedRcpts || moved < 3 ||
		alone.Certain == 0 || alone.NotJudged.Mails == 0 || alone.Released == 0 || len(alone.Moves) != 30 || !alone.Moves[0].Released || alone.Mismatch != 0 {
		t.Errorf("%d mails and %d recipients move, by hand: %+v", moved, rcpts, alone)
	}
	if why := alone.NotJudged.Why; len(why) == 0 || !strings.Contains(why[0].Text, "T_TEXT") {
		t.Errorf("%v", why)
	}
}

// TestMismatchIsShown: facts whose verdict is another one than the same rules give.
func TestMismatchIsShown(t *testing.T) {
	p := load(t, nil)
	k := newCorpus(t, 5).next(1)
	v := p.JudgeCase(k)
	v[0].Score += 3
	facts := func(yield func(history.Record, error) bool) {
		yield(history.Record{ID: "x", Data: p.AppendCase(nil, k, v)}, nil)
	}
	res, err := Run(t.Context(), facts, Options{New: p, Now: p})
	if err != nil || res.Mismatch != 1 || len(res.Mismatches) != 1 || res.Mismatches[0].Was == res.Mismatches[0].Is {
		t.Errorf("%v: %+v", err, res)
	}
}

// TestDamaged: a segment that is cut off, octets that are no facts, facts of a later version: what is sound is judged, the rest is counted.
func TestDamaged(t *testing.T) {
	p := load(t, nil)
	dir := newCorpus(t, 6).keep(t, p, 2000)
	segments, err := filepath.Glob(filepath.Join(dir, "*", "facts-*.seg"))
	if err != nil || len(segments) == 0 {
		t.Fatal(err, segments)
	}
	b, err := os.ReadFile(segments[0])
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/3] ^= 0xff
	if err := os.WriteFile(segments[0], b[:len(b)*2/3], 0o600); err != nil {
		t.Fatal(err)
	}
	res := run(t, dir, Options{New: p, Now: p})
	if res.Mails == 0 || res.Mails >= 2000 || res.Damaged == 0 || len(res.Errors) == 0 || res.Mismatch+res.Moved != 0 {
		t.Errorf("%+v", res)
	}
	foreign := func(yield func(history.Record, error) bool) {
		for _, data := range []string{"", "\xff\x00", "not facts at all", "\x02\x05"} {
			yield(history.Record{ID: "x", Data: []byte(data)}, nil)
		}
		yield(history.Record{}, errors.New("a block that cannot be read"))
	}
	if res, err = Run(t.Context(), foreign, Options{New: p}); err != nil || res.Damaged != 5 || res.Mails != 0 || len(res.Errors) < 2 {
		t.Errorf("%v: %+v", err, res)
	}
	if res, err = Run(t.Context(), func(func(history.Record, error) bool) {}, Options{New: p}); err != nil || res.Mails != 0 || res.Share != 0 {
		t.Errorf("%v: %+v", err, res)
	}
}
