package reputation

import (
	"context"
	"hash/maphash"
	"sync"
	"sync/atomic"

	"sekimori/internal/store"
)

// source is a hash of the store, and what is done with each of its fields that counts something.
type source struct {
	key  string
	take func(field string, n int)
}

const (
	// scanPage is how many fields are asked for at once. Redis does nothing else while it gathers them: a millisecond or two.
	scanPage = 2000
	// scanners is how many hashes are read at the same time. With two, Redis gathers a page of one while a page of the other is read.
	scanners = 2
)

// page is what one HSCAN said of a source that was not said before.
type page struct {
	source int
	fields []string // and values, by turns
	err    error
}

// scan reads hashes a page at a time. Pages are fetched ahead of what is done with them, which is done by the caller's goroutine alone,
// in no order. Every field that stands in a hash all the while is taken once. On an error some were taken.
func (l *Learner) scan(ctx context.Context, sources []source) error {
	sizes, err := l.sizes(ctx, sources)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	pages := make(chan page, scanners)
	var running sync.WaitGroup
	var next atomic.Int64
	for range scanners {
		running.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(sources)); i = next.Add(1) - 1 {
				if sizes[i] > 0 && !l.fetch(ctx, page{source: int(i)}, sources[i].key, sizes[i], pages) {
					return
				}
			}
		})
	}
	go func() {
		running.Wait()
		close(pages)
	}()
	defer func() {
		cancel()
		for range pages { // until all have ended
		}
	}()
	for p := range pages {
		if p.err != nil {
			return p.err
		}
		for i := 0; i+1 < len(p.fields); i += 2 {
			if n := parseCount(p.fields[i+1]); n > 0 {
				sources[p.source].take(p.fields[i], n)
			}
		}
	}
	return ctx.Err()
}

// sizes returns how many fields each hash has, in one round trip.
func (l *Learner) sizes(ctx context.Context, sources []source) ([]int64, error) {
	answers := make([]*store.IntCmd, len(sources))
	_, err := l.client.Pipelined(ctx, func(p store.Pipeliner) error {
		for i := range sources {
			answers[i] = p.HLen(ctx, sources[i].key)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	sizes := make([]int64, len(sources))
	for i, a := range answers {
		sizes[i] = a.Val()
	}
	return sizes, nil
}

// fetch sends the pages of a hash of about that many fields, and reports whether it came to the end.
func (l *Learner) fetch(ctx context.Context, p page, key string, size int64, pages chan<- page) bool {
	var taken fieldSet
	for cursor := uint64(0); ; {
		fields, next, err := l.client.HScan(ctx, key, cursor, "", scanPage).Result()
		p.fields, p.err = fields, err
		if cursor != 0 || next != 0 { // one page alone has nothing twice
			p.fields = taken.fresh(fields, size)
		}
		select {
		case pages <- p:
		case <-ctx.Done():
			return false
		}
		if err != nil || next == 0 {
			return err == nil
		}
		cursor = next
	}
}

// fieldSet knows the fields of a hash that were taken: HSCAN returns some again when the hash is given another size meanwhile. It holds
// 64 bits of each, hashed with a seed that nobody knows, in a table with open addressing, and so takes 16 to 32 octets a field. That one
// of 500,000 is lost, until the next load, because another has the same bits, happens once in a hundred million loads.
type fieldSet struct {
	seed  maphash.Seed
	slots []uint64 // 0: free. A power of two of them, at most half of them taken
	taken int
}

// fresh returns those of the fields, each with its value behind it, that are new, in the same memory; size is about how many there will be
// in all. It looks at nothing but the table, so that the processor waits for several of its places at once.
func (s *fieldSet) fresh(fields []string, size int64) []string {
	n := 0
	for i := 0; i+1 < len(fields); i += 2 {
		if s.add(fields[i], size) {
			fields[n], fields[n+1] = fields[i], fields[i+1]
			n += 2
		}
	}
	return fields[:n]
}

// add adds a field and reports whether it was not there.
func (s *fieldSet) add(field string, size int64) bool {
	if 2*s.taken >= len(s.slots) {
		s.grow(size)
	}
	hash := max(1, maphash.String(s.seed, field))
	at := s.find(hash)
	if s.slots[at] != 0 {
		return false
	}
	s.slots[at] = hash
	s.taken++
	return true
}

// find returns the slot of a hash, or the free one where it belongs.
func (s *fieldSet) find(hash uint64) uint64 {
	mask := uint64(len(s.slots) - 1)
	at := hash & mask
	for s.slots[at] != 0 && s.slots[at] != hash {
		at = (at + 1) & mask
	}
	return at
}

func (s *fieldSet) grow(size int64) {
	old, n := s.slots, 2*len(s.slots)
	if old == nil {
		s.seed = maphash.MakeSeed()
		for n = 1; int64(n) <= 2*size; n *= 2 {
		}
	}
	s.slots = make([]uint64, n)
	for _, hash := range old {
		if hash != 0 {
			s.slots[s.find(hash)] = hash
		}
	}
}
