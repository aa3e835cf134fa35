package gate

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sekimori/filters"
	"sekimori/internal/mail"
	"sekimori/rules"
)

// scripted is a check that does what a test says.
type scripted func(ctx context.Context, tx *mail.Transaction) (mail.Result, error)

func (s scripted) Check(ctx context.Context, tx *mail.Transaction) (mail.Result, error) {
	return s(ctx, tx)
}

func spec(name string, stage mail.Stage, check scripted) filters.Spec {
	fact := mail.Fact{Name: name + ".bad", Type: mail.Bool, Stage: stage, PerRcpt: stage == mail.Rcpt}
	return filters.Spec{
		Name: name, Stages: []mail.Stage{stage}, Symbols: []mail.Symbol{{Name: strings.ToUpper(name) + "_BAD", Score: 7}},
		Facts: []mail.Fact{fact}, Needs: []string{"dns"},
		New: func(context.Context, filters.Env) (filters.Check, error) { return check, nil },
	}
}

func says(name string, bad bool) scripted {
	return func(context.Context, *mail.Transaction) (mail.Result, error) {
		r := mail.Result{Facts: []mail.FactValue{{Name: name + ".bad", Value: bad}}}
		if bad {
			r.Findings = []mail.Finding{{Symbol: strings.ToUpper(name) + "_BAD"}}
		}
		return r, nil
	}
}

func newGate(t *testing.T, degraded map[string]mail.Action, specs ...filters.Spec) *Gate {
	t.Helper()
	chain, err := filters.NewChain(t.Context(), filters.ChainOptions{
		Specs: specs, Env: func(string) filters.Env { return filters.Env{} }, Deadline: 5 * time.Second,
		Log: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	policy, err := rules.Load(rules.Options{Facts: allFacts(specs), Symbols: allSymbols(specs), States: allNames(specs)})
	if err != nil {
		t.Fatal(err)
	}
	return New(Options{Chain: chain, Policy: policy, Degraded: degraded, Now: time.Now})
}

// The built-in rules speak of the real checks, so the real vocabulary comes along.
func allFacts(specs []filters.Spec) []mail.Fact {
	return append(filters.Facts(filters.Specs()), filters.Facts(specs)[len(mail.BaseFacts):]...)
}

func allSymbols(specs []filters.Spec) []mail.Symbol {
	return append(filters.Symbols(filters.Specs()), filters.Symbols(specs)...)
}

func allNames(specs []filters.Spec) []string {
	return append(filters.Names(filters.Specs()), filters.Names(specs)...)
}

func session() *mail.Session {
	return &mail.Session{ID: "s", Client: netip.MustParseAddr("192.0.2.1"), Helo: "h.test", Start: time.Now()}
}

// judgeOne takes one mail to two recipients through the gate.
func judgeOne(t *testing.T, g *Gate) ([]mail.Verdict, []mail.Verdict) {
	t.Helper()
	v := g.Accept(t.Context(), session())
	defer v.Close()
	v.Helo(session())
	j := v.Begin("id", mail.Address{Local: "a", Domain: "partner.test"}, mail.Params{})
	var at []mail.Verdict
	for _, local := range []string{"x", "y"} {
		rcpt := mail.Address{Local: local, Domain: "example.test"}
		at = append(at, j.Rcpt(t.Context(), rcpt, nil))
		j.Accept(rcpt)
	}
	return at, j.Conclude(t.Context(), &mail.Message{Raw: []byte("Subject: x\r\n\r\n")})
}

func TestFindingsOfEveryStageCount(t *testing.T) {
	g := newGate(t, nil, spec("one", mail.Connect, says("one", false)), spec("two", mail.Data, says("two", true)))
	at, end := judgeOne(t, g)
	if at[0].Action != mail.Deliver || end[0].Action != mail.Hold || end[0].Score != 7 || len(end) != 2 {
		t.Errorf("at RCPT %v, at the end %v with %v points", at[0].Action, end[0].Action, end[0].Score)
	}
}

func TestSuspect(t *testing.T) {
	for _, bad := range []bool{true, false} {
		v := newGate(t, nil, spec("one", mail.Connect, says("one", bad))).Accept(t.Context(), session())
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		if v.Suspect(ctx) != bad {
			t.Errorf("bad %v: Suspect says otherwise", bad)
		}
		cancel()
		v.Close()
	}
}

// TestRcptFactsStayApart has a check that finds something about one of two recipients.
func TestRcptFactsStayApart(t *testing.T) {
	perRcpt := func(_ context.Context, tx *mail.Transaction) (mail.Result, error) {
		r := mail.Result{Facts: []mail.FactValue{{Name: "per.bad", Value: tx.Rcpt.Local == "y"}}}
		if tx.Rcpt.Local == "y" {
			r.Findings = []mail.Finding{{Symbol: "PER_BAD", Rcpt: tx.Rcpt}}
		}
		return r, nil
	}
	_, end := judgeOne(t, newGate(t, nil, spec("per", mail.Rcpt, perRcpt)))
	if end[0].Action != mail.Deliver || end[1].Action != mail.Hold {
		t.Errorf("x: %v, y: %v", end[0].Action, end[1].Action)
	}
}

// TestDegraded shows what happens when a check cannot look: by itself, hung, or panicking, with each of the modes.
func TestDegraded(t *testing.T) {
	ways := map[string]scripted{
		"error": func(context.Context, *mail.Transaction) (mail.Result, error) {
			return mail.Result{}, errors.New("the server says no")
		},
		"hangs": func(ctx context.Context, _ *mail.Transaction) (mail.Result, error) {
			<-ctx.Done()
			return mail.Result{}, ctx.Err()
		},
		"hangs for good": func(_ context.Context, _ *mail.Transaction) (mail.Result, error) {
			time.Sleep(time.Hour)
			return mail.Result{}, nil
		},
		"panics": func(context.Context, *mail.Transaction) (mail.Result, error) { panic("broken") },
	}
	modes := map[string]struct {
		degraded  map[string]mail.Action
		rcpt, end mail.Action
	}{
		"skip":  {nil, mail.Deliver, mail.Deliver},
		"hold":  {map[string]mail.Action{"dns": mail.Hold}, mail.Deliver, mail.Hold},
		"defer": {map[string]mail.Action{"dns": mail.Defer}, mail.Defer, mail.Defer},
		"other": {map[string]mail.Action{"redis": mail.Defer}, mail.Deliver, mail.Deliver},
	}
	for way, check := range ways {
		for mode, want := range modes {
			t.Run(way+"/"+mode, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					at, end := judgeOne(t, newGate(t, want.degraded, spec("one", mail.Connect, check)))
					if at[0].Action != want.rcpt || end[0].Action != want.end {
						t.Errorf("at RCPT %v, want %v; at the end %v, want %v", at[0].Action, want.rcpt, end[0].Action, want.end)
					}
					if !slices.ContainsFunc(end[0].Degraded, func(s string) bool { return strings.HasPrefix(s, "one: ") }) {
						t.Errorf("the verdict does not say what was not looked at: %q", end[0].Degraded)
					}
					if want.rcpt == mail.Defer && at[0].Reply.Code() != 451 {
						t.Errorf("reply %v", at[0].Reply)
					}
					time.Sleep(2 * time.Hour) // by the bubble's clock: the check that hung for good ends
				})
			})
		}
	}
}

// TestTrustedClient has no connection checks made.
func TestTrustedClient(t *testing.T) {
	g := newGate(t, nil, spec("one", mail.Connect, says("one", true)))
	s := session()
	s.Trusted = true
	v := g.Accept(t.Context(), s)
	defer v.Close()
	j := v.Begin("id", mail.Address{}, mail.Params{})
	j.Rcpt(t.Context(), mail.Address{Local: "x", Domain: "example.test"}, nil)
	if o, _ := j.Transaction().Outcome("one"); o.State != mail.StateSkipped {
		t.Errorf("state %v", o.State)
	}
}

// TestRefuse refuses a client before the banner, by a rule that says so, and by no other.
func TestRefuse(t *testing.T) {
	const rule = "[[rule]]\nid = \"EARLY\"\ndescribe = { ja = \"a\", en = \"b\" }\nwhen = 'one.bad'\naction = \"reject\"\n"
	for at, want := range map[string]int{"at = \"connect\"\n": 554, "": 0} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "a.toml"), []byte(rule+at), 0o600); err != nil {
			t.Fatal(err)
		}
		specs := []filters.Spec{spec("one", mail.Connect, says("one", true))}
		g := newGate(t, nil, specs...)
		policy, err := rules.Load(rules.Options{Dir: dir, Facts: allFacts(specs), Symbols: allSymbols(specs), States: allNames(specs)})
		if err != nil {
			t.Fatal(err)
		}
		g.policy = policy
		v := g.Accept(t.Context(), session())
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		if got := v.Refuse(ctx); got.Code() != want {
			t.Errorf("%q: %v, want %d", at, got, want)
		}
		cancel()
		v.Close()
	}
}

// TestDegradedWithinMode: what [degraded] makes of a verdict, and the mode of that, is never milder than the verdict was, nor does it
// take the place of the rule that decided.
func TestDegradedWithinMode(t *testing.T) {
	specs := []filters.Spec{spec("one", mail.Conclude, func(context.Context, *mail.Transaction) (mail.Result, error) {
		return mail.Result{}, errors.New("the server says no")
	})}
	for class, want := range map[string]mail.Action{"malware": mail.Hold, "spam": mail.Tag} {
		rule := "[[rule]]\nid = \"FOUND\"\ndescribe = { ja = \"a\", en = \"b\" }\nwhen = 'not from.null or from.null'\nat = \"data\"\naction = \"hold\"\nclass = \"" + class + "\"\n"
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "a.toml"), []byte(rule), 0o600); err != nil {
			t.Fatal(err)
		}
		g := newGate(t, map[string]mail.Action{"dns": mail.Defer}, specs...)
		policy, err := rules.Load(rules.Options{Dir: dir, Facts: allFacts(specs), Symbols: allSymbols(specs), States: allNames(specs), Mode: "tag"})
		if err != nil {
			t.Fatal(err)
		}
		g.policy = policy
		if _, end := judgeOne(t, g); end[0].Action != want || end[0].RuleID != "FOUND" || end[0].Class != class {
			t.Errorf("%s: %v by %s of class %s", class, end[0].Action, end[0].RuleID, end[0].Class)
		}
	}
}
