package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"sekimori/filters/bayes"
	"sekimori/internal/config"
	"sekimori/internal/mime"
	"sekimori/internal/store"
	"sekimori/reputation"
)

type learnCmd struct {
	Class string   `arg:"" enum:"spam,ham" help:"spam or ham."`
	Paths []string `arg:"" name:"path" help:"Files with one message each, mbox files, and directories of such (Maildirs too)."`
	Scope string   `help:"For whom: all, @DOMAIN or an address." default:"all"`
	JSON  bool     `help:"Print JSON."`
}

// Help is the long help.
func (learnCmd) Help() string {
	return "Only mails that the check is not sure of already teach it anything; the rest is counted as shown. A mail that was shown " +
		"before as the other class is moved; one that was shown as the same class changes nothing, so a command that was interrupted is " +
		"simply given again. The running servers take over what was learned within seconds."
}

// maxLearn is the largest file that is read as a message; an mbox may be larger.
const maxLearn = 64 << 20

// parseScope reads --scope.
func parseScope(s string) (reputation.Scope, error) {
	scope, ok := reputation.ParseScope(s)
	if !ok {
		return "", usage("--scope %s: all, @DOMAIN or an address, such as @example.jp or sato@example.jp", s)
	}
	return scope, nil
}

// Run shows every message to the learner and says how far it has come.
func (c learnCmd) Run(a *app) error {
	scope, err := parseScope(c.Scope)
	if err != nil {
		return err
	}
	l, err := a.openLearner()
	if err != nil {
		return err
	}
	defer l.store.Close()
	class, _ := reputation.ParseClass(c.Class)
	reader := &learnReader{sample: reputation.Sample{Class: class, Scopes: []reputation.Scope{scope}}, tokens: bayes.Tokenizer{Hostname: l.cfg.Hostname}}
	bar := newProgressBar(a.err, c.JSON, octetsOf(c.Paths))
	progress, err := l.LearnAll(a.ctx, reader.samples(c.Paths), func(p reputation.Progress, _ int) {
		bar.show(reader.octets, fmt.Sprintf("%d mails shown, %d learned", p.Shown, p.Learned))
	})
	bar.end()
	for _, e := range reader.errs {
		fmt.Fprintln(a.err, "sekimori:", e)
	}
	if err != nil {
		return fmt.Errorf("%w; what was learned before is kept, and the same command can simply be given again", err)
	}
	if c.JSON {
		if err := a.json(progress); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(a.out, "%s: %d mails shown, %d of them taught something, %d were known, %d were moved from the other class\n",
			c.Class, progress.Shown, progress.Learned, progress.Known, progress.Moved)
		if progress.Alike > 0 {
			fmt.Fprintf(a.out, "%d are near copies of so many others that their words were not counted\n", progress.Alike)
		}
	}
	return reader.result(a, c.Paths)
}

// result is the exit code for what was read.
func (r *learnReader) result(a *app, paths []string) error {
	if len(r.errs) == 0 && r.files > 0 {
		return nil
	}
	if r.files == 0 && len(r.errs) == 0 {
		fmt.Fprintln(a.err, "sekimori: there is no message in", strings.Join(paths, ", "))
	}
	return found
}

// learner is what was learned, with the store that it is kept in.
type learner struct {
	*reputation.Learner
	watch *reputation.BayesWatch
	cfg   *config.Config
	store *store.Store
}

// openLearner opens the store and loads what was learned.
func (a *app) openLearner() (*learner, error) {
	cfg, err := a.loadConfig()
	if err != nil {
		printErrors(a.err, err)
		return nil, found
	}
	st, err := store.Dial(a.ctx, store.Options{Redis: cfg.Redis, DataDir: cfg.DataDir})
	if err != nil {
		return nil, err
	}
	l, watch := newLearner(st.Client(), func() *config.Config { return cfg }, slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err := l.Load(a.ctx); err != nil {
		_ = st.Close()
		return nil, fmt.Errorf("what was learned cannot be read from the store: %w", err)
	}
	return &learner{l, watch, cfg, st}, nil
}

// learnReader finds the messages.
type learnReader struct {
	sample reputation.Sample // what all have in common
	tokens bayes.Tokenizer
	files  int
	octets int64 // of the files that were read
	errs   []error
	each   func(path string, n int, msg []byte) // is given each message before its sample is, with its number in an mbox or 0; may be nil
}

var errEnough = errors.New("no more wanted")

// samples walks the paths in order. What cannot be read is noted and passed over.
func (r *learnReader) samples(paths []string) iter.Seq[reputation.Sample] {
	return func(yield func(reputation.Sample) bool) {
		for _, path := range paths {
			err := filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
				switch {
				case err != nil:
					r.errs = append(r.errs, err)
					return nil
				case d.IsDir() && p != path && strings.HasPrefix(d.Name(), "."):
					// Maildir++ folders begin with a dot; other hidden directories hold no mail.
					if _, err := os.Stat(filepath.Join(p, "cur")); err != nil {
						return fs.SkipDir
					}
					return nil
				case !d.Type().IsRegular():
					return nil
				}
				return r.file(p, yield)
			})
			if errors.Is(err, errEnough) {
				return
			}
		}
	}
}

func (r *learnReader) file(path string, yield func(reputation.Sample) bool) error {
	b, err := readLearned(path, !inMaildir(path))
	if err != nil {
		r.errs = append(r.errs, err)
		return nil
	}
	if len(b) == 0 {
		return nil
	}
	r.files++
	r.octets += int64(len(b))
	list := messages(b)
	if inMaildir(path) {
		list = slices.Values([][]byte{withoutFromLine(b)})
	}
	n := 0
	for msg := range list {
		if bytes.HasPrefix(b, []byte(fromLine)) && !inMaildir(path) {
			n++
		}
		if len(msg) > maxLearn {
			r.errs = append(r.errs, fmt.Errorf("%s: a message of %d octets is passed over", path, len(msg)))
			continue
		}
		if r.each != nil {
			r.each(path, n, msg)
		}
		if !yield(r.of(msg)) {
			return errEnough
		}
	}
	return nil
}

// of makes the sample of a message.
func (r *learnReader) of(msg []byte) reputation.Sample {
	m := mime.Parse(withCRLF(msg))
	s := r.sample
	s.Tokens, s.Fingerprint = r.tokens.Tokens(m), bayes.Fingerprint(m)
	return s
}

// readLearned reads a regular file, and follows no link to it. One that is larger than maxLearn is an error before it is read, except
// an mbox where one may be.
func readLearned(path string, mbox bool) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", path)
	}
	if info.Size() <= maxLearn {
		return io.ReadAll(io.LimitReader(f, maxLearn+1))
	}
	var start [len(fromLine)]byte
	if n, err := f.ReadAt(start[:], 0); !mbox || err != nil || string(start[:n]) != fromLine {
		return nil, fmt.Errorf("%s: a message of %d octets is passed over", path, info.Size())
	}
	return io.ReadAll(f)
}

// inMaildir reports whether a file lies in a Maildir, where each is one message.
func inMaildir(path string) bool {
	dir := filepath.Dir(path)
	if base := filepath.Base(dir); base != "cur" && base != "new" {
		return false
	}
	info, err := os.Stat(filepath.Join(filepath.Dir(dir), "cur"))
	return err == nil && info.IsDir()
}

// fromLine begins each message of an mbox file (RFC 4155).
const fromLine = "From "

// withoutFromLine leaves out a line that an mbox had before the message.
func withoutFromLine(b []byte) []byte {
	if bytes.HasPrefix(b, []byte(fromLine)) {
		_, b, _ = bytes.Cut(b, []byte("\n"))
	}
	return b
}

// messages splits an mbox file (RFC 4155); any other file is one message.
func messages(b []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		if !bytes.HasPrefix(b, []byte(fromLine)) {
			yield(b)
			return
		}
		for len(b) > 0 {
			_, rest, _ := bytes.Cut(b, []byte("\n")) // the "From " line
			end := bytes.Index(rest, []byte("\nFrom "))
			msg := rest
			b = nil
			if end >= 0 {
				msg, b = rest[:end+1], rest[end+1:]
			}
			if len(msg) > 0 && !yield(msg) {
				return
			}
		}
	}
}
