package relay

import (
	"container/heap"
	"maps"
	"slices"
	"sync"
	"time"
)

// queue says which spool entries are tried when. Each domain on each set of backends has a lane of its own, so that a slow
// backend, or a domain with much mail, holds up nobody else. It knows only IDs; everything else stands in the spool. Safe for concurrent use.
type queue struct {
	wake  chan struct{}           // something may be due
	limit func(domain string) int // deliveries at once for a domain; 0: no limit but that of the set

	mu      sync.Mutex
	items   map[string]*item
	lanes   map[way]*lane
	running map[*set]int
	flying  int
}

// way is where a mail goes: by the first recipient that is not done.
type way struct {
	set    *set
	domain string
}

type item struct {
	id     string
	next   time.Time
	unwell bool   // it waits for a backend to come back to life
	again  bool   // asked for while it was being tried
	avoid  string // the backend that lost it, which the next try asks last
	lane   *lane
	index  int // in the lane's heap; -1 while it is being tried or in flight
}

type lane struct {
	way     way
	waiting itemHeap
	running int
}

func newQueue(limit func(domain string) int) *queue {
	return &queue{wake: make(chan struct{}, 1), limit: limit, items: map[string]*item{}, lanes: map[way]*lane{}, running: map[*set]int{}}
}

// add puts an entry, new or tried, on its lane.
func (q *queue) add(id string, w way, next time.Time, unwell bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.put(id, w, next, unwell)
}

// adopt is add for an entry that may be in the queue already, and is then left alone.
func (q *queue) adopt(id string, w way, next time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.items[id] == nil {
		q.put(id, w, next, true)
	}
}

func (q *queue) put(id string, w way, next time.Time, unwell bool) {
	it := q.item(id)
	if it.index >= 0 {
		heap.Remove(&it.lane.waiting, it.index)
	}
	if it.again {
		it.again, next = false, time.Time{}
	}
	l := q.lanes[w]
	if l == nil {
		l = &lane{way: w}
		q.lanes[w] = l
	}
	it.lane, it.next, it.unwell = l, next, unwell
	heap.Push(&l.waiting, it)
	q.poke()
}

func (q *queue) item(id string) *item {
	it := q.items[id]
	if it == nil {
		it = &item{id: id, index: -1}
		q.items[id] = it
	}
	return it
}

func (q *queue) poke() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// fly notes an entry that is in flight: it is not tried until add.
func (q *queue) fly(id string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	it := q.item(id)
	if it.index >= 0 {
		heap.Remove(&it.lane.waiting, it.index)
	}
	q.flying++
}

// landed ends a flight.
func (q *queue) landed() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.flying--
}

// remove forgets an entry.
func (q *queue) remove(id string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if it := q.items[id]; it != nil {
		if it.index >= 0 {
			heap.Remove(&it.lane.waiting, it.index)
		}
		delete(q.items, id)
	}
}

// due takes the next entry that is to be tried now; ok is false when there is none for now. free must follow.
func (q *queue) due(now time.Time) (id string, l *lane, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for w, l := range q.lanes { // in no order, so that no domain always comes first
		if len(l.waiting) == 0 && l.running == 0 {
			delete(q.lanes, w)
			continue
		}
		if len(l.waiting) == 0 || l.waiting[0].next.After(now) || q.running[w.set] >= w.set.workers() {
			continue
		}
		if most := q.limit(w.domain); most > 0 && l.running >= most {
			continue
		}
		it := heap.Pop(&l.waiting).(*item)
		l.running++
		q.running[w.set]++
		return it.id, l, true
	}
	return "", nil, false
}

// free ends an attempt.
func (q *queue) free(l *lane) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l.running--
	q.running[l.way.set]--
	q.poke()
}

// hurry makes everything due that waits for the backend.
func (q *queue) hurry(b backend, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for w, l := range q.lanes {
		if !w.set.has(b) {
			continue
		}
		for _, it := range l.waiting {
			if it.unwell && it.next.After(now) {
				it.next = now
			}
		}
		heap.Init(&l.waiting)
	}
	q.poke()
}

// retry makes an entry due, or all with id "all"; ok is false when it is not in the queue.
func (q *queue) retry(id string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	defer q.poke()
	if id != "all" {
		it := q.items[id]
		if it == nil {
			return false
		}
		it.now()
		return true
	}
	for _, it := range q.items {
		it.now()
	}
	return true
}

func (it *item) now() {
	if it.index < 0 {
		it.again = true
		return
	}
	it.next = time.Time{}
	heap.Fix(&it.lane.waiting, it.index)
}

// avoid notes the backend that the next try of an entry asks after the others; "" for none.
func (q *queue) avoid(id, backend string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.item(id).avoid = backend
}

// avoided returns what avoid has noted.
func (q *queue) avoided(id string) string {
	q.mu.Lock()
	defer q.mu.Unlock()
	if it := q.items[id]; it != nil {
		return it.avoid
	}
	return ""
}

// counts returns how many mails are in the queue, and how many of them in flight.
func (q *queue) counts() (all, flying int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.items), q.flying
}

// workers is how many entries of a set are tried at once: half of its connections, so that new mail finds the others free.
func (s *set) workers() int {
	n := 0
	for _, m := range s.members {
		if b, ok := m.b.(*smtpBackend); ok {
			n += b.pool.max
		} else {
			n += 8
		}
	}
	return min(max(n/2, 1), 16)
}

func (s *set) has(b backend) bool {
	for _, m := range s.members {
		if m.b == b {
			return true
		}
	}
	return false
}

type itemHeap []*item

func (h itemHeap) Len() int           { return len(h) }
func (h itemHeap) Less(i, j int) bool { return h[i].next.Before(h[j].next) }
func (h itemHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push and Pop are for container/heap.
func (h *itemHeap) Push(x any) {
	it := x.(*item)
	it.index = len(*h)
	*h = append(*h, it)
}

func (h *itemHeap) Pop() any {
	old := *h
	it := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	it.index = -1
	return it
}

// ids returns every entry that is known.
func (q *queue) ids() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Collect(maps.Keys(q.items))
}

// move puts an entry that waits on another lane, and makes it due. One that is being tried finds its lane by itself.
func (q *queue) move(id string, w way, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if it := q.items[id]; it != nil && it.index >= 0 && it.lane.way != w {
		q.put(id, w, now, true)
	}
}

// take takes an entry out of the queue unless it is being tried or in flight.
func (q *queue) take(id string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	it := q.items[id]
	if it == nil {
		return true
	}
	if it.index < 0 {
		return false
	}
	heap.Remove(&it.lane.waiting, it.index)
	delete(q.items, id)
	return true
}
