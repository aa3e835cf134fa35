package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/ledger"
	"sekimori/internal/link"
	"sekimori/internal/mail"
	"sekimori/internal/people"
	"sekimori/internal/relay"
	"sekimori/internal/spool"
	"sekimori/quarantine"
	"sekimori/quarantine/digest"
)

// digests are the parts that tell people of held mail.
type digests struct {
	people  *people.Store
	persons *people.Directory
	links   *link.Keys
	runner  *digest.Runner // nil where role is mx
	unsure  atomic.Int64   // digests of which nobody knows whether they arrived
}

// openPeople makes what every host needs to know of people, and returns what expiry asks.
func (s *server) openPeople() quarantine.Announcer {
	s.digests.people = people.NewStore(s.store.Client(), time.Now, nil)
	s.digests.persons = people.NewDirectory(s.cfg, func() people.Recipients { return s.rcpts() }, s.digests.people)
	return s.announcer()
}

func (s *server) announcer() digest.Announcer {
	return digest.Announcer{Keeper: func() *quarantine.Store { return s.keeper }, People: s.digests.people, Directory: s.digests.persons}
}

// openDigests makes what sends digests, where role is all or console.
func (s *server) openDigests() error {
	cfg := s.cfg()
	if cfg.Role == "mx" {
		return nil
	}
	var err error
	if s.digests.links, err = openLinks(cfg, s.store.Client()); err != nil {
		return err
	}
	node, err := nodeID(cfg.DataDir)
	if err != nil {
		return err
	}
	s.digests.runner = digest.New(digest.Options{
		Keeper: s.keeper, People: s.digests.people, Directory: s.digests.persons, Config: s.cfg, Node: node, Now: time.Now, Log: s.log,
		Sender: digestPort{s.relay, s.spool, s.ledger, s.stories}, Links: linkPort{s.digests.links, s.cfg}, Dangerous: dangerous(s.cfg),
	})
	c := &s.digests.runner.Counters
	s.metrics.Counter("sekimori_digests_total", "Digests handed to the queue.", func() float64 { return float64(c.Sent.Load()) })
	s.metrics.Counter("sekimori_digest_mails_total", "Held mails that they named.", func() float64 { return float64(c.Mails.Load()) })
	s.metrics.Counter("sekimori_digest_failures_total", "Digests that could not be made or handed over, and are tried again.", func() float64 { return float64(c.Failed.Load()) })
	s.metrics.Counter("sekimori_digests_uncertain_total", "Digests of which it is not known whether they arrived; what they told comes again with the next.",
		func() float64 { return float64(s.digests.unsure.Load()) })
	return nil
}

// runDigests sends what is due until ctx ends.
func (s *server) runDigests(ctx context.Context) {
	if s.digests.runner == nil {
		return
	}
	var keys sync.WaitGroup
	keys.Go(func() { s.digests.links.Run(ctx) })
	s.digests.runner.Run(ctx)
	keys.Wait()
}

// dangerous says which classes a person cannot release.
func dangerous(cfg func() *config.Config) func(class string) bool {
	return func(class string) bool { return slices.Contains(cfg().Quarantine.AdminOnly, class) }
}

// nodeID names the queue and the ledger of this data_dir, which alone can tell whether a digest was handed over here: two hosts may
// go by the same name, but not by the same directory.
func nodeID(dataDir string) (string, error) {
	file := filepath.Join(dataDir, "node")
	b, err := os.ReadFile(file)
	if id := strings.TrimSpace(string(b)); err == nil && len(id) == 16 {
		return id, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("data_dir: %w", err)
	}
	var id [8]byte
	if _, err := rand.Read(id[:]); err != nil {
		return "", err
	}
	name := hex.EncodeToString(id[:])
	if err := os.WriteFile(file+".new", []byte(name+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("data_dir: %w", err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		return "", fmt.Errorf("data_dir: %w", err)
	}
	return name, nil
}

// digestPort hands digests to the relay's queue.
type digestPort struct {
	relay  *relay.Relay
	spool  *spool.Spool
	ledger *ledger.Ledger
	told   *stories
}

func (p digestPort) Queue(ctx context.Context, m digest.Mail) error {
	err := p.relay.Queue(ctx, relay.Envelope{
		ID: m.ID, Rcpts: []mail.Address{m.To}, Content: mail.Content{m.Content}, Lane: relay.LaneOutbound, Once: true,
		UTF8: strings.ContainsFunc(m.To.Local, func(r rune) bool { return r >= 0x80 }),
		Meta: mail.Origin{Kind: mail.KindDigest, ID: m.ID, Names: m.Names}.Encode,
	})
	if errors.Is(err, spool.ErrExists) {
		return nil
	}
	if err == nil {
		p.told.announced(m)
	}
	return err
}

// Known looks into the spool, and for those that have left it into the ledger.
func (p digestPort) Known(_ context.Context, ids []string) (map[string]bool, error) {
	known := map[string]bool{}
	for _, id := range ids {
		_, err := p.spool.Get(id)
		switch {
		case err == nil:
			known[id] = true
		case !errors.Is(err, spool.ErrNotFound):
			return nil, err
		}
	}
	events, err := p.ledger.History(func(id string) bool { return slices.Contains(ids, id) && !known[id] })
	if err != nil {
		return nil, err
	}
	for _, e := range events {
		known[e.ID] = e.Word != string(ledger.Withdrawn) // the last one counts
	}
	return known, nil
}

// linkPort signs the links of digests.
type linkPort struct {
	keys *link.Keys
	cfg  func() *config.Config
}

func (l linkPort) Link(person mail.Address, id, action string) (string, error) {
	token, err := l.keys.Sign(context.Background(), link.Claim{Person: person, ID: id, Action: action})
	if err != nil {
		return "", err
	}
	return strings.TrimSuffix(l.cfg().HTTP.PublicURL, "/") + "/q/" + token, nil
}

// lostDigest notes that a mail server did not take a digest, or that nobody knows whether it did. It is dropped: to hold it would be to
// tell of it in the next one. What it told does not count as told.
func (s *server) lostDigest(ctx context.Context, f relay.Failure) (fate relay.Fate, is bool, err error) {
	origin, err := mail.ParseOrigin(f.Entry.Meta)
	if err != nil || origin.Kind != mail.KindDigest {
		return relay.Fate{}, false, nil
	}
	for _, r := range f.Rcpts {
		s.log.Warn("a digest was not taken", "id", f.Entry.ID, "person", r.Addr.String(), "reply", r.Reply.String())
		if err := s.digests.people.Failed(ctx, r.Addr, r.Reply.String()); err != nil {
			s.log.Warn("that a digest was not taken cannot be noted", "person", r.Addr.String(), "err", err)
		}
	}
	unsure := f.Rcpts[0].Unknown
	retract := s.announcer().Retract
	if s.digests.runner != nil {
		retract = s.digests.runner.Retract
	}
	if err := retract(ctx, digest.Mail{ID: f.Entry.ID, To: f.Rcpts[0].Addr, Names: origin.Names}, unsure); err != nil {
		return relay.Fate{}, true, fmt.Errorf("what the digest told cannot be taken back yet: %w", err)
	}
	if unsure {
		s.digests.unsure.Add(1)
		return relay.Fate{State: ledger.Uncertain, Detail: "a digest; what it told comes again with the next"}, true, nil
	}
	return relay.Fate{State: ledger.Discarded, Detail: "a digest that was not taken"}, true, nil
}
