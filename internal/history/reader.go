package history

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"slices"
	"time"
)

// Reader reads a history, also while a serve writes it: what was appended is there at most a second later. Safe for concurrent use.
type Reader struct {
	dir   string
	codec codec
	done  <-chan struct{} // see Within
}

// ErrStopped says that the time of a reader was over before everything was looked through.
var ErrStopped = errors.New("history: the time was over before everything was looked through")

// Within returns a reader that reads until ctx ends; then what it does ends with an error that is ErrStopped. The codec is shared: it is
// closed by closing r.
func (r *Reader) Within(ctx context.Context) *Reader {
	return &Reader{dir: r.dir, codec: r.codec, done: ctx.Done()}
}

// stopped reports whether the time is over.
func (r *Reader) stopped() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// OpenReader opens a history for reading. A directory that does not exist is an error that is fs.ErrNotExist.
func OpenReader(dir string) (*Reader, error) {
	st, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	if !st.IsDir() {
		return nil, fmt.Errorf("history: %s is not a directory", dir)
	}
	c, err := newCodec(false)
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	return &Reader{dir: dir, codec: c}, nil
}

// Close gives the reader up.
func (r *Reader) Close() { r.codec.close() }

// Period is what a stream covers. Its zero value: nothing was ever kept.
type Period struct {
	From    time.Time `json:"from,omitzero"` // of the oldest record
	To      time.Time `json:"to,omitzero"`
	Records int64     `json:"records"`
}

// Period returns what a stream covers.
func (r *Reader) Period(s Stream) (Period, error) {
	var p Period
	err := r.scan(&span{stream: s, from: minTime, to: maxTime}, func(b *batch) bool {
		if from := time.UnixMicro(b.oldest); p.From.IsZero() || from.Before(p.From) {
			p.From = from
		}
		if to := time.UnixMicro(b.newest); to.After(p.To) {
			p.To = to
		}
		p.Records += int64(b.count)
		return true
	}, nil)
	return p, err
}

// Facts returns the facts of mails from one time to another, oldest first. Damaged blocks come as errors, after which it goes on. Data
// is valid until the next one is asked for.
func (r *Reader) Facts(from, to time.Time) iter.Seq2[Record, error] {
	return r.facts(&span{stream: Facts, from: from.UnixMicro(), to: to.UnixMicro(), forward: true, unpack: true}, "")
}

// FactsOf returns the facts of one mail, newest first; there may be several: of recipients that were refused, and of the message.
func (r *Reader) FactsOf(id string) iter.Seq2[Record, error] {
	return r.facts(&span{stream: Facts, from: minTime, to: maxTime, keys: []uint64{key('t', Base(id))}, unpack: true}, Base(id))
}

func (r *Reader) facts(q *span, id string) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		more := true
		err := r.scan(q, func(b *batch) bool {
			each := slices.All(b.records)
			if !q.forward {
				each = slices.Backward(b.records)
			}
			for _, raw := range each {
				f, err := parseFacts(raw)
				switch t := f.Time.UnixMicro(); {
				case err != nil:
					more = yield(Record{}, err)
				case t >= q.from && t <= q.to && (id == "" || Base(f.ID) == id):
					more = yield(f, nil)
				}
				if !more {
					return false
				}
			}
			return true
		}, func(err error) bool { more = more && yield(Record{}, err); return more })
		if err != nil && more {
			yield(Record{}, err)
		}
	}
}

const (
	minTime = -1 << 63
	maxTime = 1<<63 - 1
)

// span is what is to be read: records that have all keys, within a time.
type span struct {
	stream   Stream
	from, to int64 // µs
	keys     []uint64
	forward  bool // oldest first; else newest first
	unpack   bool
}

// batch is a block, or what stands in a tail, or without unpack what is known of it, which may be a whole segment.
type batch struct {
	header
	records [][]byte
}

// scan calls f for what may hold records that are wanted until f returns false. A damaged block is told to bad, which says whether to
// go on; nil ignores it.
func (r *Reader) scan(q *span, f func(*batch) bool, bad func(error) bool) error {
	list, err := days(r.dir)
	if err != nil {
		return err
	}
	if !q.forward {
		slices.Reverse(list)
	}
	for _, day := range list {
		if !q.covers(day) {
			continue
		}
		if r.stopped() {
			return ErrStopped
		}
		more, err := r.day(q, day, f, bad)
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// covers reports whether a day may have records of the time. They stand in the day in which they were written, which may be later, for
// mail that was long on its way, or by a clock that was set.
func (q *span) covers(day string) bool {
	t, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return false
	}
	const slack = 24 * time.Hour
	return (q.to == maxTime || !t.Add(-slack).After(time.UnixMicro(q.to))) &&
		(q.from == minTime || !t.Add(24*time.Hour+slack).Before(time.UnixMicro(q.from)))
}

func (q *span) wants(h *header) bool { return h.count > 0 && h.newest >= q.from && h.oldest <= q.to }

// day reads one day. The tail is read before the segments are listed: when it has become a block meanwhile, that is there.
func (r *Reader) day(q *span, day string, f func(*batch) bool, bad func(error) bool) (bool, error) {
	tails, l, err := r.tails(q, day)
	if err != nil {
		return false, err
	}
	w := walker{r: r, q: q, f: f, bad: bad, done: map[uint64]bool{}, last: -1}
	if q.forward {
		for _, name := range l.segments {
			if !w.segment(name) {
				return false, w.err
			}
		}
		return w.tails(tails), w.err
	}
	// Newest first: which tails are over is known when the last segment was looked at.
	for i := len(l.segments) - 1; i >= 0 && w.last < 0; i-- {
		w.peek(l.segments[i])
	}
	slices.Reverse(tails)
	if !w.tails(tails) {
		return false, w.err
	}
	for _, name := range slices.Backward(l.segments) {
		if !w.segment(name) {
			return false, w.err
		}
	}
	return true, w.err
}

// tails reads the tails of a day, and then lists its segments.
func (r *Reader) tails(q *span, day string) ([]*batch, files, error) {
	for range 5 {
		l, err := filesOf(r.dir, day, q.stream)
		if err != nil {
			return nil, l, err
		}
		var list []*batch
		gone := false
		for _, name := range l.tails {
			t, err := readTail(name, q.stream)
			switch {
			case errors.Is(err, fs.ErrNotExist):
				gone = true
			case errors.Is(err, ErrVersion):
				return nil, l, err
			case err != nil: // it has only just been made
			default:
				list = append(list, tailBatch(q.stream, t))
			}
		}
		if !gone {
			again, err := filesOf(r.dir, day, q.stream)
			return list, again, err
		}
	}
	return nil, files{}, fmt.Errorf("history: %s changes faster than it can be read", r.dir)
}

func tailBatch(s Stream, t tailed) *batch {
	b := &batch{header: header{stream: s, seq: t.seq}}
	b.records, _ = records(t.raw)
	b.count = uint32(len(b.records))
	for i, rec := range b.records {
		t := recordTime(s, rec)
		if i == 0 {
			b.oldest, b.newest = t, t
		}
		b.oldest, b.newest = min(b.oldest, t), max(b.newest, t)
	}
	return b
}

func recordTime(s Stream, b []byte) int64 {
	if s == Facts {
		if len(b) < 8 {
			return 0
		}
		return int64(binary.LittleEndian.Uint64(b))
	}
	var e struct {
		Time time.Time `json:"t"`
	}
	if json.Unmarshal(b, &e) != nil {
		return 0
	}
	return e.Time.UnixMicro()
}

// recordKeys adds the keys of a record.
func recordKeys(s Stream, b []byte, keys []uint64) []uint64 {
	if s == Facts {
		if f, err := parseFacts(b); err == nil {
			keys = append(keys, key('t', Base(f.ID)))
		}
		return keys
	}
	var e Event
	if json.Unmarshal(b, &e) == nil {
		e.keys(func(k uint64) { keys = append(keys, k) })
	}
	return keys
}
