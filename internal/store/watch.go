package store

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"
)

// watch reads from INFO how Redis keeps what it acknowledges.
type watch struct {
	client   Client
	log      *slog.Logger
	now      func() time.Time
	failover bool // Sentinel or Cluster

	mu   sync.Mutex
	last *durability // nil: not known
	said string      // what was last logged
}

// durability is what INFO says, for the worst node of a Cluster.
type durability struct {
	aof      bool      // on, and its last write succeeded
	policy   string    // maxmemory_policy
	failover bool      // another node may take over without the last writes
	full     bool      // no memory is left that maxmemory allows, and nothing makes room
	saved    time.Time // when the last successful save begun, on our clock; zero: none known
}

func (d durability) durable() bool { return d.aof && d.policy == "noeviction" && !d.failover }

// run looks once a second while Redis answers, and at once when it answers again.
func (w *watch) run(ctx context.Context, bs *breakers) {
	again := make(chan struct{}, 1)
	bs.onClose(func() {
		w.forget()
		select {
		case again <- struct{}{}:
		default:
		}
	})
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		if bs.anyOpen() {
			w.forget()
		} else if _, err := w.look(ctx); err != nil && ctx.Err() == nil {
			w.forget()
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-again:
		}
	}
}

func (w *watch) forget() {
	w.mu.Lock()
	w.last = nil
	w.mu.Unlock()
}

// state returns what is known, and asks when nothing is.
func (w *watch) state(ctx context.Context) (durability, error) {
	w.mu.Lock()
	last := w.last
	w.mu.Unlock()
	if last != nil {
		return *last, nil
	}
	return w.look(ctx)
}

// look asks every node.
func (w *watch) look(ctx context.Context) (durability, error) {
	var mu sync.Mutex
	var all []durability
	err := ForEachMaster(ctx, w.client, func(ctx context.Context, c Client) error {
		text, err := c.Info(ctx).Result()
		if err != nil {
			return err
		}
		d := parseDurability(text, w.now())
		mu.Lock()
		all = append(all, d)
		mu.Unlock()
		return nil
	})
	if err != nil {
		return durability{}, err
	}
	if len(all) == 0 {
		return durability{}, errors.New("redis: no node answered INFO")
	}
	d := worst(all)
	d.failover = w.failover
	w.remember(d)
	return d, nil
}

func (w *watch) remember(d durability) {
	w.mu.Lock()
	w.last = &d
	said := "durable"
	if !d.aof || d.policy != "noeviction" {
		said = "aof " + strconv.FormatBool(d.aof) + ", maxmemory-policy " + d.policy
	}
	changed := said != w.said
	w.said = said
	w.mu.Unlock()
	if changed && said != "durable" {
		w.log.Warn("redis may lose what it acknowledged when it is killed; held mail is also kept on this disk until redis has saved (set appendonly yes and maxmemory-policy noeviction)",
			"aof", d.aof, "maxmemory_policy", d.policy)
	}
}

func worst(all []durability) durability {
	d := all[0]
	for _, n := range all[1:] {
		d.aof = d.aof && n.aof
		d.full = d.full || n.full
		if n.policy != "noeviction" {
			d.policy = n.policy
		}
		if n.saved.Before(d.saved) {
			d.saved = n.saved
		}
	}
	return d
}

// parseDurability reads the answer to INFO.
func parseDurability(text string, now time.Time) durability {
	info := map[string]string{}
	for line := range strings.Lines(text) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			info[k] = v
		}
	}
	d := durability{
		aof:    info["aof_enabled"] == "1" && info["aof_last_write_status"] == "ok",
		policy: info["maxmemory_policy"],
	}
	used, err := strconv.ParseInt(info["used_memory"], 10, 64)
	most, _ := strconv.ParseInt(info["maxmemory"], 10, 64)
	d.full = err == nil && most > 0 && used >= most && (d.policy == "noeviction" || strings.HasPrefix(d.policy, "volatile-"))
	if info["aof_last_rewrite_time_sec"] == "-1" && (info["aof_rewrite_in_progress"] == "1" || info["aof_rewrite_scheduled"] == "1") {
		d.aof = false // maybe switched on just now: it counts once the first file is complete
	}
	if info["loading"] != "0" {
		return d
	}
	if d.aof {
		d.saved = now.Add(-2 * time.Second)
		return d
	}
	last, err1 := strconv.ParseInt(info["rdb_last_save_time"], 10, 64)
	took, err2 := strconv.ParseInt(info["rdb_last_bgsave_time_sec"], 10, 64)
	server, err3 := strconv.ParseInt(info["server_time_usec"], 10, 64)
	// -1: none since the start, when rdb_last_save_time is only the time of the start.
	if errors.Join(err1, err2, err3) != nil || took < 0 || info["rdb_last_bgsave_status"] != "ok" {
		return d
	}
	begun := time.Unix(last-took, 0).Add(-2 * time.Second) // both are rounded to seconds
	d.saved = begun.Add(now.Sub(time.UnixMicro(server)))   // from its clock to ours
	return d
}
