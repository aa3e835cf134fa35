package relay

import (
	"crypto/sha256"
	"fmt"
	"os"
	"reflect"
	"slices"

	"sekimori/internal/config"
	"sekimori/internal/spool"
)

// routes is everything in the relay that a configuration decides. It is not changed once it is made; a reload makes the next.
type routes struct {
	cfg      *config.Config
	router   *router
	backends []backend
	made     []making                // what each of them was made of
	limit    func(domain string) int // deliveries at once for a domain
}

// making is what a backend is made of. Two makings that are equal make the same backend.
type making struct {
	conf  config.Backend // without what a domain says of it: priority and weight
	hello string
	late  config.Duration
	files [sha256.Size]byte // the content of the files of its TLS
}

func makingOf(c *config.Config, b config.Backend) (making, error) {
	b.Priority, b.Weight = 0, 0
	m := making{conf: b, hello: c.Hostname, late: c.Relay.LateAnswer}
	sum := sha256.New()
	for _, name := range []string{b.TLS.CAFile, b.TLS.CertFile, b.TLS.KeyFile} {
		if name == "" {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return m, fmt.Errorf("backend %s: %w", b.URL, err)
		}
		fmt.Fprintf(sum, "%d ", len(text))
		sum.Write(text)
	}
	sum.Sum(m.files[:0])
	return m, nil
}

// find returns the backend that was made of the same, nil when there is none.
func (t *routes) find(m making) backend {
	if t == nil {
		return nil
	}
	i := slices.IndexFunc(t.made, func(old making) bool { return reflect.DeepEqual(old, m) })
	if i < 0 {
		return nil
	}
	return t.backends[i]
}

// sameWays reports whether mail goes where it went: then the sets stay, and with them the lanes of the queue.
func (t *routes) sameWays(old *routes) bool {
	return old != nil && slices.Equal(t.backends, old.backends) &&
		reflect.DeepEqual(t.cfg.Domains, old.cfg.Domains) && reflect.DeepEqual(t.cfg.Relay, old.cfg.Relay) &&
		reflect.DeepEqual(t.cfg.Bounce, old.cfg.Bounce) && reflect.DeepEqual(t.cfg.Journal, old.cfg.Journal)
}

func (r *Relay) router() *router          { return r.routes.Load().router }
func (r *Relay) backends() []backend      { return r.routes.Load().backends }
func (r *Relay) config() *config.Config   { return r.routes.Load().cfg }
func (r *Relay) isPresent(b backend) bool { return slices.Contains(r.backends(), b) }

// Next is a change made ready: every file that it names is read. It is either applied or forgotten.
type Next struct {
	r   *Relay
	new *routes
}

// Prepare makes the backends and routes of a new configuration; nothing changes until Apply. Backends that are described as
// before keep their connections and what is known of their health. The error names a file that does not load.
func (r *Relay) Prepare(c *config.Config) (*Next, error) {
	t, err := r.buildRouter(c)
	if err != nil {
		return nil, fmt.Errorf("relay: %w", err)
	}
	return &Next{r, t}, nil
}

// Apply puts the change in force; it cannot fail. What a backend that is gone has been given is brought to its end, and what
// waits for it goes the new way.
func (n *Next) Apply() {
	r := n.r
	r.mu.Lock()
	old := r.routes.Load()
	r.routes.Store(n.new)
	for _, b := range old.backends {
		if !slices.Contains(n.new.backends, b) {
			r.leaving = append(r.leaving, b)
		}
	}
	leaving := slices.Clone(r.leaving)
	r.mu.Unlock()
	for _, b := range leaving {
		b.shut(false)
		r.quiet(b)
	}
	for _, b := range n.new.backends {
		if !slices.Contains(old.backends, b) {
			r.spawn(func() { r.firstProbe(b) })
		}
	}
	if n.new.router != old.router {
		r.spawn(r.relane)
	}
}

// Reconfigure is Prepare and Apply.
func (r *Relay) Reconfigure(c *config.Config) error {
	n, err := r.Prepare(c)
	if err != nil {
		return err
	}
	n.Apply()
	return nil
}

func (r *Relay) firstProbe(b backend) {
	if err := b.probe(r.base); err != nil {
		r.blame(b, result{blame: true, hard: true, err: err})
	}
}

// relane puts every queued mail on the lane of its present way. What changes lanes is due at once: a new way is a reason to try.
func (r *Relay) relane() {
	for _, id := range r.queue.ids() {
		if r.base.Err() != nil {
			return
		}
		if e, err := r.o.Spool.Get(id); err == nil && e.Kind == spool.KindQueue {
			r.queue.move(id, r.way(&e), r.o.Now())
		}
	}
}

// settle forgets backends that are gone once nothing is on its way to them.
func (r *Relay) settle() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.leaving = slices.DeleteFunc(r.leaving, func(b backend) bool {
		busy, _, _ := b.counts()
		if busy == 0 {
			b.shut(true)
		}
		return busy == 0
	})
}

// everyBackend returns those of the configuration and those that are leaving.
func (r *Relay) everyBackend() []backend {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Concat(r.backends(), r.leaving)
}
