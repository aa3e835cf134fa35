package history

import (
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"slices"
)

// walker goes through one day.
type walker struct {
	r    *Reader
	q    *span
	f    func(*batch) bool
	bad  func(error) bool
	last int64           // number of the newest block that was seen
	done map[uint64]bool // tails that were read, and may become blocks while this goes on
	err  error
}

// stopped reports whether the walk is over. It gives way before the next piece is read: who reads within a time reads beside mail.
func (w *walker) stopped() bool {
	if w.r.done != nil {
		runtime.Gosched()
	}
	if w.r.stopped() {
		w.err = ErrStopped
	}
	return w.err != nil
}

func (w *walker) damaged(err error) bool { return w.bad == nil || w.bad(err) }

func (w *walker) tails(list []*batch) bool {
	for _, b := range list {
		if int64(b.seq) <= w.last {
			continue
		}
		w.done[b.seq] = true
		if w.q.wants(&b.header) && !w.f(b) {
			return false
		}
	}
	return true
}

// peek looks up the newest block of a segment.
func (w *walker) peek(name string) {
	g, err := openSegment(name)
	if err != nil {
		return
	}
	defer g.close()
	if g.table() == nil {
		for i := range g.blocks {
			w.last = max(w.last, int64(g.blocks[i].seq))
		}
	}
}

// segment reads one segment; false ends the scan.
func (w *walker) segment(name string) bool {
	if w.stopped() {
		return false
	}
	g, err := openSegment(name)
	switch {
	case errors.Is(err, fs.ErrNotExist): // its time was over
		return true
	case errors.Is(err, ErrVersion):
		w.err = err
		return false
	case err != nil:
		return w.damaged(err)
	}
	defer g.close()
	if g.sealed {
		w.last = max(w.last, int64(g.all.seq)) // at least
		if !w.q.wants(&g.all) {
			return w.number(g)
		}
		if has, err := g.has(g.at, &g.all, w.q.keys); err != nil || !has {
			return (err == nil || w.damaged(err)) && w.number(g)
		}
		if !w.q.unpack {
			return w.number(g) && w.f(&batch{header: g.all})
		}
		if err := g.table(); err != nil {
			return w.damaged(err)
		}
	}
	each := slices.All(g.blocks)
	if !w.q.forward {
		each = slices.Backward(g.blocks)
	}
	for _, p := range each {
		w.last = max(w.last, int64(p.seq))
		if !w.block(g, &p) {
			return false
		}
	}
	return true
}

// number notes the newest block of a sealed segment of which nothing else is wanted. Only a forward scan needs it.
func (w *walker) number(g *segment) bool {
	if w.q.forward && g.table() == nil && len(g.blocks) > 0 {
		w.last = max(w.last, int64(g.blocks[len(g.blocks)-1].seq))
	}
	return true
}

func (w *walker) block(g *segment, p *place) bool {
	if w.stopped() {
		return false
	}
	if !w.q.wants(&p.header) || w.done[p.seq] {
		return true
	}
	has, err := g.has(p.off, &p.header, w.q.keys)
	if err != nil {
		return w.damaged(err)
	}
	if !has {
		return true
	}
	b := &batch{header: p.header}
	if w.q.unpack {
		raw, err := w.r.codec.block(g.f, p.off, &p.header)
		if err == nil {
			b.records, err = records(raw)
		}
		if err != nil && !w.damaged(fmt.Errorf("%s: %w", g.name, err)) {
			return false
		}
	}
	return w.f(b)
}
