package measure

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// Peer is another filter that runs beside ours on the same mail, with its own settings. Only what it has learned counts: the other
// checks of SpamAssassin and Rspamd are off. All that it keeps lies in a folder of its own.
type Peer struct {
	Name      string
	Threshold float64 // its own, from which a score means spam
	Training  string  // how it is taught, as its documentation says: a few words
	Packages  string  // of Debian, separated by spaces

	programs []string // all must be there; the first is run
	// begin makes it ready in an empty folder.
	begin func(ctx context.Context, programs []string, home string) (filter, error)
}

// filter is a peer at work.
type filter interface {
	// learn teaches it mails of one class.
	learn(ctx context.Context, files []File) error
	// done is called when all is learned.
	done(ctx context.Context) error
	// score returns a number for each mail, the higher the more like spam.
	score(ctx context.Context, files []File) ([]float64, error)
	// end ends its processes.
	end()
}

// Peers are those that can be run.
func Peers() []Peer { return append(commandPeers(), rspamdPeer()) }

// File is a mail that a peer reads itself.
type File struct {
	Path string // absolute
	Spam bool
}

// ErrMissing says that a peer is not installed; the text says what lacks and how to get it.
var ErrMissing = errors.New("not installed")

// Measured is what came of running a peer.
type Measured struct {
	Outcomes []Outcome     // of the mails of test in their order; Z is the peer's own score
	Learn    time.Duration // the whole learning took
	Score    time.Duration // the whole scoring
}

// What Run tells its progress that is being done.
const (
	Learning = "learning"
	Scoring  = "scoring"
)

// mostTime bounds how long a peer may take for one part of the mails.
const mostTime = time.Hour

// batchFiles is how many mails a command is given at once.
const batchFiles = 200

// Installed returns nil when all that the peer takes is there, else an error of ErrMissing.
func (p *Peer) Installed() error {
	_, err := p.find()
	return err
}

func (p *Peer) find() ([]string, error) {
	var paths, lacking []string
	for _, name := range p.programs {
		path, err := exec.LookPath(name)
		if err != nil {
			lacking = append(lacking, name)
		}
		paths = append(paths, path)
	}
	if len(lacking) > 0 {
		return nil, fmt.Errorf("%w (no %s; on Debian: apt-get install %s)", ErrMissing, strings.Join(lacking, ", "), p.Packages)
	}
	return paths, nil
}

// Run teaches the peer all mails of train, those of each class in their order, ham and spam by turns, and scores those of test, in an
// empty folder below temp that is deleted; the processes are ended. No peer's counts depend on the order of the mails. progress, which
// may be nil, is told what is being done and how many mails of how many are.
func (p *Peer) Run(ctx context.Context, temp string, train, test []File, progress func(doing string, done, of int)) (m Measured, err error) {
	programs, err := p.find()
	if err != nil {
		return m, err
	}
	home, err := os.MkdirTemp(temp, p.Name)
	if err != nil {
		return m, err
	}
	defer os.RemoveAll(home)
	ctx, stop := context.WithTimeout(ctx, mostTime)
	defer stop()
	f, err := p.begin(ctx, programs, home)
	if err != nil {
		return m, fmt.Errorf("%s: %w", p.Name, err)
	}
	defer f.end()
	tell := func(doing string, done, of int) {
		if progress != nil {
			progress(doing, done, of)
		}
	}
	began := time.Now()
	n := 0
	for _, batch := range byClass(train) {
		if err := f.learn(ctx, batch); err != nil {
			return m, fmt.Errorf("%s: %w", p.Name, err)
		}
		n += len(batch)
		tell(Learning, n, len(train))
	}
	if err := f.done(ctx); err != nil {
		return m, fmt.Errorf("%s: %w", p.Name, err)
	}
	m.Learn = time.Since(began)
	began = time.Now()
	for len(m.Outcomes) < len(test) {
		from := len(m.Outcomes)
		batch := test[from:min(from+batchFiles, len(test))]
		scores, err := f.score(ctx, batch)
		if err != nil {
			return m, fmt.Errorf("%s: %w", p.Name, err)
		}
		if len(scores) != len(batch) {
			return m, fmt.Errorf("%s gave %d scores for %d mails", p.Name, len(scores), len(batch))
		}
		for i, z := range scores {
			m.Outcomes = append(m.Outcomes, Outcome{batch[i].Spam, z})
		}
		tell(Scoring, len(m.Outcomes), len(test))
	}
	m.Score = time.Since(began)
	return m, nil
}

// byClass cuts files into batches of one class, of each class in their order, as evenly as they come.
func byClass(files []File) [][]File {
	var list [][]File
	var open [2][]File
	for _, f := range files {
		i := 0
		if f.Spam {
			i = 1
		}
		if open[i] = append(open[i], f); len(open[i]) == batchFiles {
			list, open[i] = append(list, open[i]), nil
		}
	}
	for _, rest := range open {
		if len(rest) > 0 {
			list = append(list, rest)
		}
	}
	return list
}
