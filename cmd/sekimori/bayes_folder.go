package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sekimori/filters/bayes"
	"sekimori/internal/config"
	"sekimori/reputation"
)

// mailFolder is a Maildir whose mails are learned. Its mails are remembered by name, so that each is read once while the server runs;
// after a restart they are known by what they are.
type mailFolder struct {
	config.BayesFolder
	known map[string]bool // the unique part of the names of those that were learned
	next  time.Time
}

// watchFolders learns what lies in the folders of [[bayes.folder]], and what is moved there.
func (s *server) watchFolders(ctx context.Context) {
	folders := map[string]*mailFolder{}
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		var failed []string
		present := map[string]*mailFolder{}
		for _, c := range s.cfg().Bayes.Folders {
			key := c.Path + "\x00" + c.Class + "\x00" + c.Scope
			f := folders[key]
			if f == nil {
				f = &mailFolder{known: map[string]bool{}}
			}
			f.BayesFolder, present[key] = c, f
			if now := time.Now(); !now.Before(f.next) {
				f.next = now.Add(f.Every.D())
				p, err := f.learn(ctx, s.learner, s.cfg().Hostname)
				if p.Shown+p.Moved > 0 {
					s.log.Info("mails of a folder are learned", "folder", f.Path, "class", f.Class, "scope", f.Scope, "shown", p.Shown, "learned", p.Learned, "moved", p.Moved)
				}
				if err != nil && ctx.Err() == nil {
					failed = append(failed, fmt.Sprintf("%s: %v", f.Path, err))
				}
				s.warn.set("learning."+f.Path, strings.Join(failed, "; "))
				failed = nil
			}
		}
		for key, f := range folders {
			if present[key] == nil {
				s.warn.set("learning."+f.Path, "")
			}
		}
		folders = present
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// learn teaches what is new. What cannot be read is tried again the next time, and keeps nothing else from being known.
func (f *mailFolder) learn(ctx context.Context, l *reputation.Learner, hostname string) (reputation.Progress, error) {
	class, _ := reputation.ParseClass(f.Class)
	scope, _ := reputation.ParseScope(f.Scope)
	reader := &learnReader{sample: reputation.Sample{Class: class, Way: reputation.ByFolder, Scopes: []reputation.Scope{scope}}, tokens: bayes.Tokenizer{Hostname: hostname}}
	var paths, names []string
	there := map[string]bool{}
	for _, part := range []string{"cur", "new"} {
		list, err := os.ReadDir(filepath.Join(f.Path, part))
		if err != nil && (part == "cur" || !errors.Is(err, fs.ErrNotExist)) {
			return reputation.Progress{}, err
		}
		for _, e := range list {
			name, _, _ := strings.Cut(e.Name(), ":") // what follows are flags, which change
			if strings.HasPrefix(name, ".") || !e.Type().IsRegular() {
				continue
			}
			if there[name] = f.known[name]; !f.known[name] {
				paths, names = append(paths, filepath.Join(f.Path, part, e.Name())), append(names, name)
			}
		}
	}
	f.known = there
	var read []string
	var bad []error
	p, err := l.LearnAll(ctx, func(yield func(reputation.Sample) bool) {
		for i, path := range paths {
			b, err := readLearned(path, false)
			if errors.Is(err, fs.ErrNotExist) {
				continue // it was moved meanwhile
			}
			if err != nil {
				bad = append(bad, err)
				continue
			}
			read = append(read, names[i])
			if len(b) > 0 && !yield(reader.of(withoutFromLine(b))) {
				return
			}
		}
	}, nil)
	if err != nil {
		return p, err
	}
	for _, name := range read {
		f.known[name] = true
	}
	if len(bad) > 1 {
		return p, fmt.Errorf("%w, and %d others cannot be learned", bad[0], len(bad)-1)
	}
	return p, errors.Join(bad...)
}
