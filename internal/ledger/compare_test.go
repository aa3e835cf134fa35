package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
)

type kept = map[string]map[string]Where

func TestCompare(t *testing.T) {
	waits, gone := Where{Waits: true}, Where{State: Delivered}
	base := func() *Sources {
		return &Sources{
			Ledger: func() (Snapshot, error) {
				return Snapshot{Totals: Totals{Accepted: 4, Queued: 2, Held: 1, Ended: map[State]int64{Delivered: 1}}, Open: []Item{
					{ID: "q", Place: Queue, Rcpts: []string{"a@b", "c@b"}}, {ID: "h", Place: Hold, Rcpts: []string{"a@b"}},
				}}, nil
			},
			Queue: func() (kept, map[string]string, error) {
				return kept{"q": {"a@b": waits, "c@b": waits, "done@b": gone}}, nil, nil
			},
			Pending: func() (kept, map[string]string, error) { return kept{}, nil, nil },
			Held:    func(context.Context, map[string][]string) (kept, error) { return kept{"h": {"a@b": waits}}, nil },
			Wait:    func(context.Context, int) {},
		}
	}
	cases := []struct {
		name   string
		change func(s *Sources)
		want   string
	}{
		{"fine", func(*Sources) {}, ""},
		{"gone from the queue", func(s *Sources) {
			s.Queue = func() (kept, map[string]string, error) { return kept{"q": {"c@b": waits}}, nil, nil }
		}, "missing q a@b;"},
		{"ended in the envelope only", func(s *Sources) {
			s.Queue = func() (kept, map[string]string, error) { return kept{"q": {"a@b": gone, "c@b": waits}}, nil, nil }
		}, "unfinished q a@b;"},
		{"without a line", func(s *Sources) {
			s.Pending = func() (kept, map[string]string, error) { return kept{"p": {"a@b": waits}}, nil, nil }
		}, "unknown p a@b;"},
		{"damaged", func(s *Sources) {
			q := s.Queue
			s.Queue = func() (kept, map[string]string, error) {
				k, _, _ := q()
				return k, map[string]string{"q": "other octets"}, nil
			}
		}, "damaged q ;"},
		{"not held", func(s *Sources) {
			s.Held = func(context.Context, map[string][]string) (kept, error) { return kept{}, nil }
		}, "missing h a@b;"},
		{"expired elsewhere", func(s *Sources) {
			s.Held = func(context.Context, map[string][]string) (kept, error) {
				return kept{"h": {"a@b": {State: Expired, By: "x"}}}, nil
			}
		}, "closing h a@b expired x;"},
		{"no store", func(s *Sources) {
			s.Held = func(context.Context, map[string][]string) (kept, error) { return nil, errors.New("refused") }
		}, "not compared: 1 mails that are held: refused;"},
		{"uneven", func(s *Sources) {
			l := s.Ledger
			s.Ledger = func() (Snapshot, error) { x, _ := l(); x.Accepted++; return x, nil }
		}, "uneven  ;"},
		{"moves", func(s *Sources) {
			looks := 0
			q := s.Queue
			s.Queue = func() (kept, map[string]string, error) {
				if looks++; looks < 4 {
					return kept{}, nil, nil
				}
				return q()
			}
		}, ""},
		{"another one each time", func(s *Sources) {
			n := 0
			s.Pending = func() (kept, map[string]string, error) {
				n++
				return kept{fmt.Sprint("p", n): {"a@b": waits}}, nil, nil
			}
		}, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := base()
			c.change(s)
			r, err := Compare(t.Context(), *s)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, m := range r.Mismatches {
				got += fmt.Sprintf("%s %s %s;", m.Kind, m.ID, m.Rcpt)
				if m.Do == "" {
					t.Errorf("%+v names no way out", m)
				}
			}
			for _, x := range r.Closing {
				got += fmt.Sprintf("closing %s %s %s %s;", x.ID, x.Rcpt, x.State, x.By)
			}
			for _, x := range r.NotCompared {
				got += "not compared: " + x + ";"
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if fine := !slices.Contains([]string{"missing", "unfinis", "unknown", "damaged", "not com", "uneven "}, (got + "       ")[:7]); r.Fine() != fine {
				t.Errorf("fine: %v", r.Fine())
			}
		})
	}
}
