package filters

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"sekimori/filters/bayes"
	"sekimori/internal/mail"
	"sekimori/internal/mime"
	"sekimori/internal/store"
	"sekimori/reputation"
)

// remember gives a check that needs one the memory of the scenario: an embedded store without files, with the clock of the
// scenario, and a model of its learn files. A file "memory" with the word "down" makes it a store that does not answer.
func (sc *scenario) remember(t *testing.T, e *Env) {
	t.Helper()
	spec := Specs()[slices.IndexFunc(Specs(), func(s Spec) bool { return s.Name == sc.check })]
	if !slices.Contains(spec.Needs, "redis") {
		return
	}
	if strings.TrimSpace(sc.files["memory"]) == "down" {
		e.Memory = downMemory{}
		return
	}
	s, err := store.Open(t.Context(), store.Options{Now: sc.clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	model := sc.train(t, e.Hostname)
	allows := reputation.NewAllows(s.Client(), sc.clock)
	sc.allow(t, allows)
	sc.past(t, reputation.NewHistory(s.Client(), func() time.Time { return sc.clock().Add(-10 * 24 * time.Hour) }))
	e.Memory = reputation.NewMemory(s.Client(), reputation.Fixed{Everybodys: model}, allows, sc.clock)
}

// allow keeps what the lines of a file "allow" say: RCPT KIND VALUE … with the kinds domain, address, spf, host and days.
func (sc *scenario) allow(t *testing.T, allows *reputation.Allows) {
	t.Helper()
	for line := range strings.Lines(sc.files["allow"]) {
		w := strings.Fields(line)
		a := reputation.Allow{By: w[0], Created: sc.clock().Add(-24 * time.Hour)}
		var err error
		if a.Rcpt, err = mail.ParseAddress(w[0], true); err != nil {
			t.Fatal(err)
		}
		for i := 1; i+1 < len(w); i += 2 {
			switch w[i] {
			case "domain":
				a.Domain = w[i+1]
			case "address":
				a.Address = w[i+1]
			case "spf":
				a.SPF = w[i+1]
			case "host":
				a.Host = w[i+1]
			case "expires":
				if a.Expires, err = time.Parse(time.DateOnly, w[i+1]); err != nil {
					t.Fatal(err)
				}
			default:
				t.Fatalf("allow: %s", w[i])
			}
		}
		if _, err := allows.Add(t.Context(), a); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
	}
}

// past notes, ten days ago, what the lines of a file "past" say: EVENT RCPT SENDER, the event being delivered, released or reported.
func (sc *scenario) past(t *testing.T, h *reputation.History) {
	t.Helper()
	events := map[string]reputation.Event{"delivered": reputation.Delivered, "released": reputation.Released, "reported": reputation.Reported}
	for line := range strings.Lines(sc.files["past"]) {
		w := strings.SplitN(strings.TrimSpace(line), " ", 3)
		if err := h.Note(t.Context(), w[2], []mail.Address{address(t, w[1])}, events[w[0]]); err != nil {
			t.Fatal(err)
		}
	}
}

// train makes a model of the files learn/CLASS/NAME, in the order of the file. A real model has hundreds of mails, so a
// scenario lowers min_ham, min_spam, full_ham and full_spam.
func (sc *scenario) train(t *testing.T, hostname string) *reputation.Model {
	t.Helper()
	model := reputation.NewModel()
	tokens := bayes.Tokenizer{Hostname: hostname}
	for _, name := range slices.Sorted(maps.Keys(sc.files)) {
		rest, ok := strings.CutPrefix(name, "learn/")
		if !ok {
			continue
		}
		class, _, _ := strings.Cut(rest, "/")
		c, ok := reputation.ParseClass(class)
		if !ok {
			t.Fatalf("%s: no class is called %s", name, class)
		}
		model.Show(c, tokens.Tokens(mime.Parse([]byte(strings.ReplaceAll(sc.files[name], "\n", "\r\n")))))
	}
	return model
}

// downMemory is a store that does not answer.
type downMemory struct{}

func (downMemory) Take(context.Context, []reputation.Limit) ([]reputation.Taken, error) {
	return nil, store.ErrDown
}

func (downMemory) Allowed(context.Context, []mail.Address) (map[string][]reputation.Allow, error) {
	return nil, store.ErrDown
}

func (downMemory) Past(context.Context, string, []mail.Address) (reputation.Past, map[string]reputation.Past, error) {
	return reputation.Past{}, nil, store.ErrDown
}

func (downMemory) Try(context.Context, reputation.GreyTry, reputation.GreyRule) (reputation.Grey, time.Duration, error) {
	return 0, 0, store.ErrDown
}

func (downMemory) Bayes() *reputation.Model { return &reputation.Model{} }

func (downMemory) BayesFor(context.Context, mail.Address) (reputation.Mix, error) {
	return reputation.Mix{}, errors.New("the store does not answer")
}

func (downMemory) BayesHalved() bool { return false }
