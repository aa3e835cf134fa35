package replay

import (
	"context"
	"iter"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"sekimori/internal/history"
	"sekimori/internal/mail"
	"sekimori/rules"
)

// Options say what is judged with what.
type Options struct {
	New *rules.Policy // the set that is tried
	// Now is the set with which it is compared, usually the one in force: where a mail was judged by it, with what it said then, where
	// another was in force, with what it says now. nil: with what was said then, by whatever set.
	Now *rules.Policy
	// Released says whether a person released a mail; nil: nobody knows.
	Released func(id string) bool
	// Body is the mail as it is in the quarantine, nil when it is not there. It is called by several goroutines. nil: nothing is held.
	Body  func(ctx context.Context, id string) *mail.Message
	Limit int              // how many moves the result lists; of all that Wants wants
	Wants func(*Move) bool // nil: all
	// Progress is told now and then how many mails were judged and of what time. It does not block. nil: nobody is.
	Progress func(mails int, at time.Time)
	Workers  int // goroutines that judge; 0: one for each processor
}

const batchMails = 128

// batch is what one goroutine judges at a time.
type batch struct {
	records []history.Record
	data    []byte
}

func (b *batch) add(r history.Record) {
	n := len(b.data)
	b.data = append(b.data, r.Data...)
	r.Data = b.data[n:len(b.data):len(b.data)] // a batch that has grown leaves the ones before where they are
	b.records = append(b.records, r)
}

// Run judges the facts of one host, which come as history.Reader.Facts gives them. It ends early, with an error, when ctx does.
func Run(ctx context.Context, facts iter.Seq2[history.Record, error], o Options) (*Result, error) {
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	full, free := make(chan *batch, o.Workers), make(chan *batch, 3*o.Workers)
	for range cap(free) {
		free <- &batch{}
	}
	var group sync.WaitGroup
	var done atomic.Int64
	tallies := make([]*tally, o.Workers)
	for i := range tallies {
		w := newWorker(&o)
		tallies[i] = w.t
		group.Go(func() {
			for b := range full {
				for k := range b.records {
					w.judge(ctx, &b.records[k])
				}
				if n := done.Add(int64(len(b.records))); o.Progress != nil && len(b.records) > 0 {
					o.Progress(int(n), b.records[0].Time)
				}
				b.records, b.data = b.records[:0], b.data[:0]
				free <- b
			}
		})
	}
	reading := newTally(&o)
	b := <-free
	for r, err := range facts {
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			reading.damaged(err)
			continue
		}
		if b.add(r); len(b.records) == batchMails {
			full <- b
			b = <-free
		}
	}
	full <- b
	close(full)
	group.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	for _, t := range tallies {
		reading.add(t)
	}
	return reading.result(o.New), nil
}
