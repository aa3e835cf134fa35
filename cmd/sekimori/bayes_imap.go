package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"sekimori/filters/bayes"
	"sekimori/internal/config"
	"sekimori/internal/imapfolder"
	"sekimori/internal/store"
	"sekimori/reputation"
)

const (
	imapTurn    = 2 * time.Minute // for which one host reads a folder alone, from its last sign of life on
	imapKept    = 400 * 24 * time.Hour
	imapSlowest = 15 * time.Minute // between two attempts at a server that fails
	imapLook    = 10 * time.Second // for what `check` asks
)

// imapReader learns from folders of IMAP servers, one host at a time. Where it ended stands in the store; a mail that is read twice all
// the same is known.
type imapReader struct {
	client   store.Client
	learner  *reputation.Learner
	log      *slog.Logger
	hostname string
	node     string
	dial     func(ctx context.Context, network, addr string) (net.Conn, error) // nil: as usual
}

// imapWatch is when a folder is read next.
type imapWatch struct {
	config.BayesIMAP
	next     time.Time
	failures int
	busy     bool
}

type imapDone struct {
	key  string
	more bool
	err  error
}

// imapKey tells folders apart, with what is learned from them.
func imapKey(c *config.BayesIMAP) string {
	h := sha256.Sum256([]byte(strings.Join([]string{c.URL, c.User, c.Folder, c.Class, c.Scope}, "\x00")))
	return hex.EncodeToString(h[:12])
}

// watchIMAP learns from the folders of [[bayes.imap]] until ctx ends. A host that only takes mail in leaves that to others.
func (s *server) watchIMAP(ctx context.Context) {
	if s.cfg().Role == "mx" {
		return
	}
	watches := map[string]*imapWatch{}
	done := make(chan imapDone)
	var running sync.WaitGroup
	defer running.Wait()
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		s.startIMAP(ctx, watches, &running, done)
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		case d := <-done:
			s.endIMAP(watches[d.key], d)
		}
	}
}

// startIMAP begins what is due, and forgets what is no longer configured.
func (s *server) startIMAP(ctx context.Context, watches map[string]*imapWatch, running *sync.WaitGroup, done chan<- imapDone) {
	present := map[string]bool{}
	for _, c := range s.cfg().Bayes.IMAP {
		key := imapKey(&c)
		present[key] = true
		w := watches[key]
		if w == nil {
			w = &imapWatch{}
			watches[key] = w
		}
		w.BayesIMAP = c
		if w.busy || time.Now().Before(w.next) {
			continue
		}
		w.busy = true
		r := imapReader{client: s.store.Client(), learner: s.learner, log: s.log, hostname: s.cfg().Hostname, node: s.cfg().Hostname}
		running.Go(func() {
			more, err := r.read(ctx, &c)
			select {
			case done <- imapDone{key, more, err}:
			case <-ctx.Done():
			}
		})
	}
	for key, w := range watches {
		if !present[key] && !w.busy {
			s.warn.set("learning."+w.String(), "")
			delete(watches, key)
		}
	}
}

// endIMAP says what came of reading, and when the next time is. A server that fails is asked more and more rarely: some lock an account
// out after a number of wrong passwords.
func (s *server) endIMAP(w *imapWatch, d imapDone) {
	w.busy = false
	wait := w.Every.D()
	switch {
	case d.err != nil:
		s.warn.set("learning."+w.String(), d.err.Error())
		wait = max(wait, min(wait<<min(w.failures, 10), imapSlowest))
		w.failures++
	case d.more:
		wait = 0
		fallthrough
	default:
		s.warn.set("learning."+w.String(), "")
		w.failures = 0
	}
	w.next = time.Now().Add(wait)
}

// read reads a folder once, unless another host does. more says that not all could be read at one time.
func (r *imapReader) read(ctx context.Context, c *config.BayesIMAP) (more bool, err error) {
	key := imapKey(c)
	turn := "bayes:imap:{" + key + "}:turn"
	mine, err := r.client.SetNX(ctx, turn, r.node, imapTurn).Result()
	if err != nil {
		return false, fmt.Errorf("the store does not answer: %w", err)
	}
	if !mine {
		// Ours, when a server of this host was killed at it: there is no other one.
		if v, err := r.client.Get(ctx, turn).Result(); err != nil || v != r.node {
			return false, nil
		}
		if err := r.client.PExpire(ctx, turn, imapTurn).Err(); err != nil {
			return false, fmt.Errorf("the store does not answer: %w", err)
		}
	}
	defer func() {
		free, stop := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer stop()
		if v, err := r.client.Get(free, turn).Result(); err == nil && v == r.node {
			_ = r.client.Del(free, turn).Err() // it expires by itself
		}
	}()
	o, err := imapOptions(c)
	if err != nil {
		return false, err
	}
	o.Dial = r.dial
	placeKey := "bayes:imap:{" + key + "}:place"
	at, err := r.place(ctx, placeKey)
	if err != nil {
		return false, err
	}
	var sum reputation.Progress
	round, err := imapfolder.Read(ctx, o, at, r.take(c, &sum), func(ctx context.Context, at imapfolder.Place) error {
		pipe := r.client.Pipeline()
		pipe.Set(ctx, placeKey, fmt.Sprintf("%d %d", at.Validity, at.Last), imapKept)
		pipe.PExpire(ctx, turn, imapTurn)
		if _, err := pipe.Exec(ctx); err != nil {
			return fmt.Errorf("the store does not answer: %w", err)
		}
		return nil
	})
	if round.Read+round.Large+round.Gone > 0 {
		r.log.Info("mails of a folder are learned", "folder", c.String(), "class", c.Class, "scope", c.Scope, "shown", sum.Shown, "learned", sum.Learned,
			"moved", sum.Moved, "known", sum.Known, "too_large", round.Large, "gone", round.Gone)
	}
	return round.More, err
}

// place is up to where the folder was read.
func (r *imapReader) place(ctx context.Context, key string) (at imapfolder.Place, err error) {
	v, err := r.client.Get(ctx, key).Result()
	if errors.Is(err, store.Nil) {
		return at, nil
	}
	if err != nil {
		return at, fmt.Errorf("the store does not answer: %w", err)
	}
	if _, err := fmt.Sscanf(v, "%d %d", &at.Validity, &at.Last); err != nil {
		return imapfolder.Place{}, nil //nolint:nilerr // what cannot be read is read anew, and known
	}
	return at, nil
}

// take learns mails, all or an error.
func (r *imapReader) take(c *config.BayesIMAP, sum *reputation.Progress) func(context.Context, [][]byte) error {
	class, _ := reputation.ParseClass(c.Class)
	scope, _ := reputation.ParseScope(c.Scope)
	reader := &learnReader{sample: reputation.Sample{Class: class, Way: reputation.ByIMAP, Scopes: []reputation.Scope{scope}}, tokens: bayes.Tokenizer{Hostname: r.hostname}}
	return func(ctx context.Context, mails [][]byte) error {
		p, err := r.learner.LearnAll(ctx, func(yield func(reputation.Sample) bool) {
			for _, raw := range mails {
				if !yield(reader.of(withoutFromLine(raw))) {
					return
				}
			}
		}, nil)
		sum.Shown, sum.Learned, sum.Moved, sum.Known = sum.Shown+p.Shown, sum.Learned+p.Learned, sum.Moved+p.Moved, sum.Known+p.Known
		if err != nil {
			return fmt.Errorf("the store does not answer: %w", err)
		}
		return nil
	}
}

// imapOptions says how a folder is read.
func imapOptions(c *config.BayesIMAP) (imapfolder.Options, error) {
	addr, startTLS, err := c.Place()
	if err != nil {
		return imapfolder.Options{}, err
	}
	host, _, _ := net.SplitHostPort(addr)
	conf := &tls.Config{ServerName: cmp.Or(c.TLSName, host), MinVersion: tls.VersionTLS12, NextProtos: []string{"imap"}}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return imapfolder.Options{}, err
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return imapfolder.Options{}, fmt.Errorf("%s holds no certificate in PEM", c.CAFile)
		}
	}
	return imapfolder.Options{
		Addr: addr, StartTLS: startTLS, TLS: conf, User: c.User, Password: string(c.Password), Folder: c.Folder, After: c.After, MoveTo: c.MoveTo,
		Mails: c.MaxMails, Size: int64(c.MaxSize),
	}, nil
}

// checkIMAP logs in at each server and looks at the folder.
func (a *app) checkIMAP(cfg *config.Config) {
	for i := range cfg.Bayes.IMAP {
		c := &cfg.Bayes.IMAP[i]
		o, err := imapOptions(c)
		n := 0
		if err == nil {
			o.Idle, o.Total = imapLook/2, imapLook
			n, err = imapfolder.Look(a.ctx, o)
		}
		if err != nil {
			fmt.Fprintf(a.out, "warning: the folder %s cannot be learned from: %v\n", c, err)
			continue
		}
		fmt.Fprintf(a.out, "learned as %s for %s: %s: %d mails lie there\n", c.Class, c.Scope, c, n)
	}
}
