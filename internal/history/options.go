package history

import (
	"log/slog"
	"time"

	"sekimori/internal/disk"
)

// Limits say how much is kept. Zero: 400 days of stories, 14 days of facts, 10 GB.
type Limits struct {
	Keep, KeepFacts time.Duration
	Disk            int64 // octets of all of it
}

func (l Limits) filled() Limits {
	if l.Keep <= 0 {
		l.Keep = 400 * 24 * time.Hour
	}
	if l.KeepFacts <= 0 {
		l.KeepFacts = 14 * 24 * time.Hour
	}
	if l.Disk <= 0 {
		l.Disk = 10_000_000_000
	}
	return l
}

// Options of Open. Zero values: those of Limits, blocks of 256 KiB (facts: 512 KiB), a queue of 8192 events and 32 MiB of facts, a
// tail that is at most a second late and synced every ten, the system's clock, no log, the real disk.
type Options struct {
	Limits
	Block      int // octets of a block before it is compressed
	Queue      int // events that may wait
	QueueBytes int64
	FlushEvery time.Duration
	SyncEvery  time.Duration
	Now        func() time.Time
	Log        *slog.Logger
	Warn       func(message string) // of a standing trouble; "" when it is over
	FS         disk.FS
}

func (o Options) filled() Options {
	o.Limits = o.Limits.filled()
	if o.Block <= 0 {
		o.Block = 256 << 10
	}
	if o.Queue <= 0 {
		o.Queue = 8192
	}
	if o.QueueBytes <= 0 {
		o.QueueBytes = 32 << 20
	}
	if o.FlushEvery <= 0 {
		o.FlushEvery = time.Second
	}
	if o.SyncEvery <= 0 {
		o.SyncEvery = 10 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Warn == nil {
		o.Warn = func(string) {}
	}
	if o.FS == nil {
		o.FS = disk.OS{}
	}
	return o
}
