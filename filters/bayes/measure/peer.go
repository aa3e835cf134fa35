package measure

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// Peer is another filter that runs beside ours on the same mail, as its package installs it and with its own settings. Its
// words are kept in a folder of its own.
type Peer struct {
	Name      string
	Threshold float64 // its own, from which a score means spam
	train     func(spam bool) []string
	score     []string
	read      func(line string) (float64, error)
}

// Peers are those that can be run. SpamAssassin and Rspamd are services with a configuration of their own and are not among them.
func Peers() []Peer {
	return []Peer{
		{
			Name: "bogofilter", Threshold: 0.99,
			train: func(spam bool) []string { return []string{"-d", ".", pick(spam, "-s", "-n"), "-B"} },
			score: []string{"-d", ".", "-TT", "-B"},
			read:  func(line string) (float64, error) { return field(line, -1) },
		},
		{
			Name: "spamprobe", Threshold: 0.6,
			train: func(spam bool) []string { return []string{"-d", ".", pick(spam, "spam", "good")} },
			score: []string{"-d", ".", "score"},
			read:  func(line string) (float64, error) { return field(line, 1) },
		},
	}
}

func pick(spam bool, yes, no string) string {
	if spam {
		return yes
	}
	return no
}

// field reads a field of a line as a number; a negative n counts from the end.
func field(line string, n int) (float64, error) {
	w := strings.Fields(line)
	if n < 0 {
		n += len(w)
	}
	if n < 0 || n >= len(w) {
		return 0, fmt.Errorf("%q has no score", line)
	}
	return strconv.ParseFloat(w[n], 64)
}

// File is a mail that a peer reads itself.
type File struct {
	Path string // absolute
	Spam bool
}

// ErrMissing says that a peer is not installed.
var ErrMissing = errors.New("not installed")

// Run teaches the peer the files of train in their order and scores those of test, in an empty folder below temp that is deleted. An
// Outcome's Z is the peer's own score.
func (p *Peer) Run(ctx context.Context, temp string, train, test []File) ([]Outcome, error) {
	program, err := exec.LookPath(p.Name)
	if err != nil {
		return nil, ErrMissing
	}
	home, err := os.MkdirTemp(temp, p.Name)
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(home)
	for batch := range sameClass(train) {
		if _, err := p.exec(ctx, program, home, p.train(batch[0].Spam), batch); err != nil {
			return nil, err
		}
	}
	var out []Outcome
	for len(test) > 0 {
		batch := test[:min(len(test), batchFiles)]
		test = test[len(batch):]
		said, err := p.exec(ctx, program, home, p.score, batch)
		if err != nil {
			return nil, err
		}
		lines := strings.Split(strings.TrimSpace(said), "\n")
		if len(lines) != len(batch) {
			return nil, fmt.Errorf("%s answered %d lines for %d mails", p.Name, len(lines), len(batch))
		}
		for i, line := range lines {
			z, err := p.read(line)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", p.Name, err)
			}
			out = append(out, Outcome{batch[i].Spam, z})
		}
	}
	return out, nil
}

const batchFiles = 200

// sameClass cuts files into runs of one class, in their order.
func sameClass(files []File) func(yield func([]File) bool) {
	return func(yield func([]File) bool) {
		for len(files) > 0 {
			n := 1
			for n < len(files) && n < batchFiles && files[n].Spam == files[0].Spam {
				n++
			}
			if !yield(files[:n]) {
				return
			}
			files = files[n:]
		}
	}
}

func (p *Peer) exec(ctx context.Context, program, home string, args []string, files []File) (string, error) {
	args = append([]string(nil), args...)
	for _, f := range files {
		args = append(args, f.Path)
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Env = home, append(os.Environ(), "HOME="+home)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() <= 2 && errs.Len() == 0 {
		err = nil // a verdict
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", p.Name, err, strings.TrimSpace(errs.String()))
	}
	return out.String(), nil
}
