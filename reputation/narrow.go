package reputation

import (
	"container/list"
	"context"
	"fmt"
	"sync"

	"sekimori/internal/mail"
	"sekimori/internal/store"
)

// mostNarrow is how many tokens of persons' and domains' models stay in memory, about 32 MiB of them. Who was not asked for longest
// goes first and is read again when mail for him comes.
const mostNarrow = 500_000

// narrow holds how much was learned for each person and domain, and the models of those that were asked for last.
type narrow struct {
	mu      sync.Mutex
	learned map[Scope][2]int // mails: ham, spam
	held    map[Scope]*heldModel
	recent  list.List // of *heldModel, the one asked for last in front
	tokens  int       // of all that are held
}

type heldModel struct {
	scope  Scope
	ready  chan struct{} // closed when model or err is there
	model  *Model
	err    error
	tokens int
	at     *list.Element
}

// For returns the models that count for a mailbox. Those of persons and domains for which too little was learned are not looked for;
// the others are read in one round trip each when they are not in memory. On an error the Mix is without what could not be read.
func (l *Learner) For(ctx context.Context, box mail.Address) (Mix, error) {
	x := Mix{all: l.Model()}
	var failed error
	for _, s := range []Scope{DomainScope(box), PersonScope(box)} {
		if !l.narrow.enough(s) {
			continue
		}
		m, err := l.narrow.get(ctx, l, s)
		if err != nil {
			failed = fmt.Errorf("what was learned for %s: %w", s, err)
			continue
		}
		x.narrow = append(x.narrow, layer{s, m})
	}
	return x, failed
}

func (n *narrow) enough(s Scope) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	mails := n.learned[s]
	return mails[0]+mails[1] >= s.confidence().Enough
}

// get returns the model of a scope, which is read when it is not held; several that ask at once wait for the same.
func (n *narrow) get(ctx context.Context, l *Learner, s Scope) (*Model, error) {
	n.mu.Lock()
	h := n.held[s]
	if h != nil {
		n.recent.MoveToFront(h.at)
		n.mu.Unlock()
		select {
		case <-h.ready:
			return h.model, h.err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	h = &heldModel{scope: s, ready: make(chan struct{})}
	if n.held == nil {
		n.held = map[Scope]*heldModel{}
	}
	n.held[s] = h
	h.at = n.recent.PushFront(h)
	n.mu.Unlock()

	h.model, h.err = l.readNarrow(ctx, s)
	close(h.ready)
	tokens := 0
	if h.err == nil {
		ham, spam := h.model.Tokens()
		tokens = ham + spam
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.held[s] != h {
		return h.model, h.err // all were dropped meanwhile
	}
	if h.err != nil {
		n.drop(h)
		return nil, h.err
	}
	h.tokens = tokens
	n.tokens += h.tokens
	for n.tokens > mostNarrow && n.recent.Len() > 1 {
		if last, ok := n.recent.Back().Value.(*heldModel); ok {
			n.drop(last)
		}
	}
	return h.model, nil
}

// drop lets go of a model; the caller holds mu.
func (n *narrow) drop(h *heldModel) {
	n.recent.Remove(h.at)
	n.tokens -= h.tokens
	delete(n.held, h.scope)
}

// readNarrow reads the model of a person or domain.
func (l *Learner) readNarrow(ctx context.Context, s Scope) (*Model, error) {
	m, now := NewModel(), l.now()
	pipe := l.client.Pipeline()
	type answer struct {
		c      Class
		fields *store.MapStringCmd
	}
	var all []answer
	for n := range months {
		for _, c := range []Class{Ham, Spam} {
			all = append(all, answer{c, pipe.HGetAll(ctx, hashKey(s, c, monthBefore(now, n)))})
		}
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, err
	}
	for _, a := range all {
		for token, text := range a.fields.Val() {
			if n := parseCount(text); n > 0 {
				m.put(a.c, token, n)
			}
		}
	}
	return m, nil
}

// put adds a field of a hash; token shares its memory with no other.
func (m *Model) put(c Class, token string, n int) {
	switch token {
	case tokenShown:
		m.addShown(c, n)
	case tokenAuto:
		m.addAuto(c, n)
	default:
		m.observeOwn(c, token, n)
	}
}

// load takes over how much was learned, and lets go of all models: they are read anew when they are needed.
func (n *narrow) load(learned map[Scope][2]int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.learned, n.held, n.tokens = learned, nil, 0
	n.recent.Init()
}

// follow adds what was learned; the models of our own lessons have it already.
func (n *narrow) follow(scoped map[Scope]map[Class]map[string]int, own bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for s, byClass := range scoped {
		mails := n.learned[s]
		for c, tokens := range byClass {
			mails[index(c)] += tokens[tokenMail]
		}
		if n.learned == nil {
			n.learned = map[Scope][2]int{}
		}
		if n.learned[s] = mails; mails == [2]int{} {
			delete(n.learned, s)
		}
		h := n.held[s]
		if own || h == nil {
			continue
		}
		select {
		case <-h.ready:
			if h.err == nil {
				addCounts(h.model, byClass, 1)
			}
		default:
			n.drop(h) // it is being read: nobody knows whether it has this
		}
	}
}
