package front

import (
	"context"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/mail"
	"sekimori/internal/recipients"
)

// flowSource is the directory of a dialogue: lines "ADDRESS [internal]", and "away" for one that does not answer.
type flowSource struct {
	entries []recipients.Entry
	away    bool
}

func (f *flowSource) Fetch(context.Context, string) (recipients.Batch, error) {
	if f.away {
		return recipients.Batch{}, errTest
	}
	return recipients.Batch{Full: true, Entries: f.entries}, nil
}

func (f *flowSource) Lookup(_ context.Context, a mail.Address) ([]recipients.Entry, error) {
	if f.away {
		return nil, errTest
	}
	for _, e := range f.entries {
		if e.Address.Key() == a.Key() {
			return []recipients.Entry{e}, nil
		}
	}
	return nil, nil
}

func (f *flowSource) Close() error { return nil }

// flowDirectory puts the first domain's recipients into a directory.
func flowDirectory(t *testing.T, w *world, text string) {
	src := &flowSource{}
	for line := range flowLines(text) {
		word, rest, _ := strings.Cut(line, " ")
		if word == "away" {
			src.away = true
			continue
		}
		a, err := mail.ParseAddress(word, true)
		if err != nil {
			t.Fatal(line, err)
		}
		src.entries = append(src.entries, recipients.Entry{ID: word, Address: a, Internal: rest == "internal"})
	}
	w.source = src
	w.cfg.Domains[0].Recipients = "ldap:test"
}

// flowRecipients reads the keys of the config part that are about recipients.
func flowRecipients(t *testing.T, w *world, key, value string) bool {
	switch key {
	case "max_per_network":
		if err := w.cfg.SMTP.MaxFailedPerNetwork.UnmarshalText([]byte(value)); err != nil {
			t.Fatal(err)
		}
	case "subaddress":
		w.cfg.Domains[0].Subaddress = value
	case "internal_only":
		w.cfg.Domains[0].InternalOnly = strings.Fields(value)
	default:
		return false
	}
	return true
}

var _ recipients.Source = (*flowSource)(nil)

// TestHarvestShared: what other hosts have counted holds here, behind the answer that brought it to light; and without the
// store each host counts for itself.
func TestHarvestShared(t *testing.T) {
	h := newHarvest(nil, slog.New(slog.DiscardHandler), func() time.Time { return time.Unix(1e9, 0) })
	net1, net2 := network(netip.MustParseAddr("192.0.2.77")), network(netip.MustParseAddr("2001:db8::1"))
	r := config.Rate{Count: 3, Period: 1e12}
	for i := range 3 {
		if h.over(net1) {
			t.Fatalf("over after %d", i)
		}
		h.failed(net1, r)
	}
	if !h.over(net1) || !h.over(network(netip.MustParseAddr("192.0.2.1"))) || h.over(net2) {
		t.Error("the network is not over, or another is")
	}
	h = newHarvest(func(context.Context, string, config.Rate) (wait time.Duration, err error) { return 5e9, nil }, slog.New(slog.DiscardHandler), func() time.Time { return time.Unix(1e9, 0) })
	h.failed(net1, r)
	h.charge(t.Context(), <-h.ask)
	if !h.over(net1) {
		t.Error("what the hosts share does not hold here")
	}
	h = newHarvest(func(context.Context, string, config.Rate) (time.Duration, error) { return 0, errTest }, slog.New(slog.DiscardHandler), func() time.Time { return time.Unix(1e9, 0) })
	h.failed(net1, r)
	h.charge(t.Context(), <-h.ask)
	if h.over(net1) {
		t.Error("an error of the store counts")
	}
}
