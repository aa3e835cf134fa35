package main

import (
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"time"
)

// progressBar tells how far a long command has come: a bar on a terminal, elsewhere a line now and then.
type progressBar struct {
	w     io.Writer
	bar   bool
	quiet bool
	total int64
	last  time.Time
	shown bool
}

// newProgressBar makes one for so much work; 0: nobody knows. A quiet one shows nothing on a terminal, where its output would be in the
// way of what the command prints.
func newProgressBar(w io.Writer, quiet bool, total int64) *progressBar {
	return &progressBar{w: w, bar: terminal(w), quiet: quiet, total: total, last: time.Now()}
}

// show says that so much is done.
func (p *progressBar) show(done int64, what string) {
	every := 2 * time.Second
	if p.bar {
		every = 100 * time.Millisecond
	}
	if p.quiet || time.Since(p.last) < every {
		return
	}
	p.last, p.shown = time.Now(), true
	const width = 30
	percent := ""
	if p.total > 0 {
		part := min(float64(done)/float64(p.total), 1)
		percent = fmt.Sprintf("%3.0f %% ", 100*part)
		if p.bar {
			full := int(part * width)
			percent = "[" + strings.Repeat("#", full) + strings.Repeat(".", width-full) + "] " + percent
		}
	}
	if p.bar {
		fmt.Fprintf(p.w, "\r\x1b[K%s%s", percent, what)
	} else {
		fmt.Fprintf(p.w, "%s%s …\n", percent, what)
	}
}

// end leaves the line of the bar.
func (p *progressBar) end() {
	if p.bar && p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}

// octetsOf is the size of all files below paths; what cannot be read counts nothing here.
func octetsOf(paths []string) (n int64) {
	for _, path := range paths {
		_ = filepath.WalkDir(path, func(_ string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				if i, err := d.Info(); err == nil {
					n += i.Size()
				}
			}
			return nil
		})
	}
	return n
}
