package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/rs/xid"

	"sekimori/internal/config"
	"sekimori/internal/history"
	"sekimori/internal/history/nodes"
	"sekimori/internal/store"
	"sekimori/internal/text"
)

const (
	sayEvery    = 10 * time.Second
	periodEvery = time.Hour // between two looks at what the history covers
)

// joinHistories says to the other hosts over the store that this one keeps a history, and answers their questions, until ctx ends. With
// the embedded store there is no other host.
func (s *server) joinHistories(ctx context.Context) {
	if s.store.Embedded() {
		return
	}
	id, err := nodeID(s.cfg().DataDir)
	if err != nil {
		s.log.Warn("other hosts cannot ask this one for its history", "err", err)
		return
	}
	keys := &keyring{client: s.store.Client(), cfg: s.cfg}
	answerer := &nodes.Answerer{
		Client: s.store.Client(), ID: id, Keys: keys.get, Now: time.Now, Log: s.log,
		Reader: func() (*history.Reader, error) { return readHistory(s.cfg()) },
	}
	var answering sync.WaitGroup
	answering.Go(func() { answerer.Run(ctx) })
	defer answering.Wait()
	s.sayHistory(ctx, id)
}

// sayHistory says every ten seconds that this host is there, until ctx ends.
func (s *server) sayHistory(ctx context.Context, id string) {
	t := time.NewTicker(sayEvery)
	defer t.Stop()
	var looked time.Time
	host := nodes.Host{Run: xid.New().String()}
	said := false
	for {
		now := time.Now()
		if said { // before it, who ran here a moment ago may have had the word
			host.Twin = s.twin(ctx, id, host)
		}
		if now.Sub(looked) >= periodEvery {
			host.Stories, host.Facts = historyPeriods(ctx, s.cfg())
			looked = now
		}
		host.ID, host.Name, host.At, host.Off = id, s.cfg().Hostname, now, !s.cfg().History.Enabled
		if err := nodes.Say(ctx, s.store.Client(), host); err != nil { // a store that does not answer has its own warning
			s.log.Debug("other hosts cannot be told of this one", "err", err)
		} else {
			said = true
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// twin reports whether another process says that it is this host, and tells the administrator.
func (s *server) twin(ctx context.Context, id string, host nodes.Host) bool {
	run, err := nodes.Other(ctx, s.store.Client(), id)
	if err != nil {
		return host.Twin
	}
	is := run != "" && run != host.Run
	if is && !host.Twin {
		s.log.Error("another host uses a copy of this data_dir: the two hide each other", "node", id, "way_out", twinWayOut)
	}
	message := ""
	if is {
		message = twinMessage(s.cfg())
	}
	s.warn.set("history.twin", message)
	return is
}

const twinWayOut = "stop serve on the host that was copied, remove the file node from its data_dir, and start it again"

func twinMessage(cfg *config.Config) string {
	return "another host says that it is this one: it runs with a copy of " + cfg.DataDir + ", so that the two hide each other from trace, explain and the lists of hosts; " + twinWayOut
}

// historyPeriods returns what the history of this host covers; zero when it cannot be read.
func historyPeriods(ctx context.Context, cfg *config.Config) (stories, facts history.Period) {
	r, err := readHistory(cfg)
	if err != nil {
		return
	}
	defer r.Close()
	within := r.Within(ctx)
	stories, _ = within.Period(history.Stories)
	facts, _ = within.Period(history.Facts)
	return
}

// keyring holds the keys by which hosts ask each other. Safe for concurrent use.
type keyring struct {
	client store.Client
	cfg    func() *config.Config

	mu   sync.Mutex
	file string // the content that keys are made of
	keys *nodes.Keys
}

// get returns the keys of history.key_file, or the one that the store keeps.
func (k *keyring) get(ctx context.Context) (*nodes.Keys, error) {
	file := string(k.cfg().History.Key)
	if file == "" {
		return nodes.SharedKeys(ctx, k.client)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.keys == nil || k.file != file {
		keys, err := nodes.ParseKeys(file)
		if err != nil {
			return nil, err
		}
		k.file, k.keys = file, keys
	}
	return k.keys, nil
}

// ownID reads the id that serve gave this host's data_dir; "" when serve never ran there.
func ownID(cfg *config.Config) string {
	b, err := os.ReadFile(filepath.Join(cfg.DataDir, "node"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// otherNames are the hosts over the store that keep a history, without this one: for commands that read that of this host alone and say whose
// they do not cover. There are none with the embedded store.
func (a *app) otherNames(cfg *config.Config) ([]string, error) {
	names := []string{}
	_, others, err := a.historyNodes(cfg)
	for _, h := range others {
		if !h.Off {
			names = append(names, text.Clean(h.Name, 255))
		}
	}
	return names, err
}

// historyNodes lists the other hosts that have said what history they keep, and says whether another one goes by the id of this host.
func (a *app) historyNodes(cfg *config.Config) (twin bool, others []nodes.Host, err error) {
	if cfg.Redis.Embedded() {
		return false, nil, nil
	}
	st, err := dialStore(a.ctx, cfg)
	if err != nil {
		return false, nil, err
	}
	defer st.Close()
	all, err := nodes.Hosts(a.ctx, st.Client())
	if err != nil {
		return false, nil, err
	}
	own := ownID(cfg)
	for _, h := range all {
		if h.ID == own {
			twin = h.Twin && !h.Silent(time.Now())
		} else {
			others = append(others, h)
		}
	}
	return twin, others, nil
}

func otherHosts(ctx context.Context, c store.Client, cfg *config.Config) ([]nodes.Host, error) {
	all, err := nodes.Hosts(ctx, c)
	if err != nil {
		return nil, err
	}
	own := ownID(cfg)
	others := all[:0]
	for _, h := range all {
		if h.ID != own {
			others = append(others, h)
		}
	}
	return others, nil
}

// forgetHost takes a host that is gone for good out of the list of those that are asked.
func (a *app) forgetHost(cfg *config.Config, name string) error {
	if cfg.Redis.Embedded() {
		return errors.New("with the embedded store there are no other hosts")
	}
	st, err := dialStore(a.ctx, cfg)
	if err != nil {
		return err
	}
	defer st.Close()
	others, err := otherHosts(a.ctx, st.Client(), cfg)
	if err != nil {
		return err
	}
	var names []string
	for _, h := range others {
		switch {
		case h.Name != name && h.ID != name:
			names = append(names, h.Name)
		case !h.Silent(time.Now()):
			return fmt.Errorf("%s is there: it said so at %s; stop it first", name, h.At.Local().Format(historyTime))
		default:
			if err := nodes.Forget(a.ctx, st.Client(), h.ID); err != nil {
				return err
			}
			fmt.Fprintf(a.out, "%s is not asked any more; it was last there at %s\n", name, h.At.Local().Format(historyTime))
			return nil
		}
	}
	if len(names) == 0 {
		return fmt.Errorf("there is no host %s; no other host is known", name)
	}
	return fmt.Errorf("there is no host %s; known: %s", name, strings.Join(names, ", "))
}

// tellHistory says for `check` what the history of this host covers, and which others are asked beside it.
func (a *app) tellHistory(cfg *config.Config) {
	fmt.Fprintln(a.out, historyLine(cfg))
	twin, others, err := a.historyNodes(cfg)
	if twin {
		fmt.Fprintln(a.out, "error:", twinMessage(cfg))
	}
	if err != nil {
		fmt.Fprintln(a.out, "warning: which other hosts keep a history cannot be told:", err)
		return
	}
	for _, h := range others {
		said := "since " + h.Stories.From.Local().Format(historyTime)
		switch {
		case h.Off:
			said = "none is kept"
		case h.Stories.From.IsZero():
			said = "nothing is recorded yet"
		}
		if h.Silent(time.Now()) {
			said += "; silent since " + h.At.Local().Format(historyTime) + " (gone for good: sekimori trace --forget-host " + text.Clean(h.Name, 255) + ")"
		}
		fmt.Fprintf(a.out, "history on %s: %s\n", text.Clean(h.Name, 255), said)
	}
}

// historyLine is what `check` says of it.
func historyLine(cfg *config.Config) string {
	if !cfg.History.Enabled {
		return "history: off; trace and rules replay have nothing to read"
	}
	r, err := history.OpenReader(historyDir(cfg))
	if err != nil {
		return "history: nothing is recorded yet"
	}
	defer r.Close()
	p, err := r.Period(history.Stories)
	if err != nil {
		return "history: " + err.Error()
	}
	f, err := r.Period(history.Facts)
	if err != nil {
		return "history: " + err.Error()
	}
	if p.Records == 0 {
		return "history: nothing is recorded yet"
	}
	const day = "2006-01-02 15:04"
	s := fmt.Sprintf("history: %d events since %s", p.Records, p.From.Local().Format(day))
	if f.Records > 0 {
		s += fmt.Sprintf(", facts of %d mails since %s", f.Records, f.From.Local().Format(day))
	}
	return s
}

// isAbsent reports whether a history was never written.
func isAbsent(err error) bool { return errors.Is(err, fs.ErrNotExist) }
