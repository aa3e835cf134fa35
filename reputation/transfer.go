package reputation

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"time"

	"sekimori/internal/mail"
)

// What was learned is exported as lines of JSON: a header, a line for each mail with what it contributed and its tokens, and a last line
// with their number. All counts follow from the mails, so an import adds up with what is there, and the same mail counts once.
const (
	exportFormat  = "sekimori-bayes"
	exportVersion = 1
	longestLine   = 4 << 20

	// What a mail can have: the tokenizer makes no more and no longer ones, so that they can be unpacked again.
	mostTokens   = 6000
	longestToken = 64
	// mostCounted bounds how many counts one mail changes, since the store does nothing else meanwhile.
	mostCounted = 1_000_000
)

type exportHeader struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
	Scope   string `json:"scope,omitempty"` // only what was learned for it
}

type exportMail struct {
	Fingerprint string   `json:"mail,omitempty"`
	Entries     []entry  `json:"lessons,omitempty"`
	Votes       []vote   `json:"votes,omitempty"`
	Tokens      []string `json:"tokens,omitempty"`
	End         *int     `json:"end,omitempty"` // of the last line: how many mails there are
}

// Members returns the fingerprints of the mails that were shown in a scope in the months that count.
func (l *Learner) Members(ctx context.Context, s Scope) ([]string, error) {
	var all []string
	for n := range months {
		list, err := l.client.SMembers(ctx, membersKey(s, monthBefore(l.now(), n))).Result()
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// allMembers returns those of everybody and of all persons and domains; Load must have been called.
func (l *Learner) allMembers(ctx context.Context, only *Scope) ([]string, error) {
	scopes := []Scope{Everybody}
	for _, s := range l.Scopes() {
		scopes = append(scopes, s.Scope)
	}
	if only != nil {
		scopes = []Scope{*only}
	}
	var all []string
	for _, s := range scopes {
		list, err := l.Members(ctx, s)
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// Taught returns how many mails Reset would take away.
func (l *Learner) Taught(ctx context.Context, only *Scope) (int, error) {
	list, err := l.allMembers(ctx, only)
	return len(list), err
}

// Export writes what was learned, or what was learned for one scope, and returns the number of mails. Mails of which a version before
// kept no tokens are left out and counted. progress may be nil.
func (l *Learner) Export(ctx context.Context, w io.Writer, only *Scope, progress func(done, all int)) (mails, left int, err error) {
	if err := l.Load(ctx); err != nil {
		return 0, 0, err
	}
	list, err := l.allMembers(ctx, only)
	if err != nil {
		return 0, 0, err
	}
	b := bufio.NewWriter(w)
	out := json.NewEncoder(b)
	out.SetEscapeHTML(false)
	head := exportHeader{Format: exportFormat, Version: exportVersion}
	if only != nil {
		head.Scope = only.String()
	}
	if err := out.Encode(head); err != nil {
		return 0, 0, err
	}
	for i, f := range list {
		r, err := l.record(ctx, f)
		if err != nil {
			return mails, left, err
		}
		m := exportMail{Fingerprint: f, Entries: r.Entries, Votes: r.Votes}
		if only != nil {
			m.Entries, m.Votes = slices.DeleteFunc(m.Entries, func(e entry) bool { return e.Scope != *only }), nil
		}
		if len(m.Entries) == 0 {
			continue // taken away meanwhile
		}
		if r.learned() {
			if m.Tokens, err = r.counted(nil); err != nil {
				return mails, left, err
			}
			if m.Tokens == nil {
				left++
				continue
			}
		}
		if err := out.Encode(m); err != nil {
			return mails, left, err
		}
		mails++
		if progress != nil {
			progress(i+1, len(list))
		}
	}
	if err := out.Encode(exportMail{End: &mails}); err != nil {
		return mails, left, err
	}
	return mails, left, b.Flush()
}

var (
	fingerprintForm = regexp.MustCompile(`^[0-9a-f]{32}$`)
	monthForm       = regexp.MustCompile(`^20[0-9]{2}(0[1-9]|1[0-2])$`)
)

// CheckExport reads an export to its end and returns the number of its mails. The error names the line. Nothing in it may be of a month
// after now.
func CheckExport(r io.Reader, now time.Time) (mails int, err error) {
	err = eachExported(r, now, func(exportMail) error { mails++; return nil })
	return mails, err
}

func eachExported(r io.Reader, now time.Time, f func(exportMail) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 64<<10), longestLine)
	var head exportHeader
	if !lines.Scan() || json.Unmarshal(lines.Bytes(), &head) != nil || head.Format != exportFormat {
		if lines.Err() != nil {
			return lines.Err()
		}
		return errors.New("line 1: this is no export of what the Bayesian check has learned")
	}
	if head.Version != exportVersion {
		return fmt.Errorf("line 1: the export is of version %d; known here is %d", head.Version, exportVersion)
	}
	mails := 0
	for line := 2; lines.Scan(); line++ {
		var m exportMail
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			return fmt.Errorf("line %d: %w", line, err)
		}
		if m.End != nil {
			if *m.End != mails {
				return fmt.Errorf("line %d: there are %d mails, not %d: a part is missing", line, mails, *m.End)
			}
			return nil
		}
		if err := m.check(monthOf(now)); err != nil {
			return fmt.Errorf("line %d: %w", line, err)
		}
		if err := f(m); err != nil {
			return err
		}
		mails++
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return errors.New("the export has no last line: a part is missing")
}

// Import adds the mails of an export (see CheckExport) to what is known, each at once or not at all: what a mail contributes to a scope for
// which it is not known yet. So an import that was interrupted is given again. added counts mails of which something was new.
func (l *Learner) Import(ctx context.Context, r io.Reader, progress func(done int)) (added int, err error) {
	done := 0
	err = eachExported(r, l.now(), func(m exportMail) error {
		news := false
		err := l.alter(ctx, m.Tokens, m.Fingerprint, func(r *record) []entry {
			news = false
			next := slices.Clone(r.Entries)
			for _, e := range m.Entries {
				if r.find(e.Scope) == nil && e.Month >= oldest(l.now()) {
					next, news = append(next, e), true
				}
			}
			for _, v := range m.Votes {
				if !slices.ContainsFunc(r.Votes, func(w vote) bool { return w.By == v.By }) {
					r.vote(v.By, v.Class)
				}
			}
			return next
		})
		if err != nil {
			return err
		}
		if done++; news {
			added++
		}
		if progress != nil {
			progress(done)
		}
		return nil
	})
	return added, err
}

// Reset takes away all that was learned for a scope, mail by mail, and then whatever is left of it; what the same mails contributed
// elsewhere stays. A nil scope is everything. When it was interrupted it is given again.
func (l *Learner) Reset(ctx context.Context, only *Scope, progress func(done, all int)) (mails int, err error) {
	if err := l.Load(ctx); err != nil {
		return 0, err
	}
	list, err := l.allMembers(ctx, only)
	if err != nil {
		return 0, err
	}
	var scopes []Scope
	if only != nil {
		scopes = []Scope{*only}
	}
	for i, f := range list {
		if _, err := l.Unlearn(ctx, nil, f, scopes...); err != nil {
			return i, err
		}
		if progress != nil {
			progress(i+1, len(list))
		}
	}
	if only == nil || *only == Everybody {
		err = l.dropRest(ctx, Everybody)
	} else {
		err = l.dropRest(ctx, *only)
	}
	if err != nil {
		return len(list), err
	}
	l.client.Publish(ctx, channel, `{"node":"`+l.node+`","reload":true}`)
	return len(list), l.Load(ctx)
}

// Forget takes away what was learned for a person alone, and that it was this person who taught others. What that taught them stays: it is
// counts of words. It returns the number of mails.
func (l *Learner) Forget(ctx context.Context, box mail.Address) (int, error) {
	if err := l.loaded(ctx); err != nil {
		return 0, err
	}
	own := PersonScope(box)
	list, err := l.Members(ctx, own)
	if err != nil {
		return 0, err
	}
	for i, f := range list {
		err := l.alter(ctx, nil, f, func(r *record) []entry {
			r.Votes = slices.DeleteFunc(r.Votes, func(v vote) bool { return v.By == string(own) })
			var next []entry
			for _, e := range r.Entries {
				if e.By == string(own) {
					e.By, e.Quota = "", false
				}
				if e.Scope != own {
					next = append(next, e)
				}
			}
			return next
		})
		if err != nil {
			return i, err
		}
	}
	return len(list), l.dropRest(ctx, own)
}

// dropRest deletes the hashes of a scope: what a version before learned without a trace of the mails.
func (l *Learner) dropRest(ctx context.Context, s Scope) error {
	pipe := l.client.Pipeline()
	for n := range months {
		month := monthBefore(l.now(), n)
		for _, c := range []Class{Ham, Spam} {
			pipe.Unlink(ctx, hashKey(s, c, month))
		}
		pipe.Unlink(ctx, membersKey(s, month), waysKey(s, month))
	}
	_, err := pipe.Exec(ctx)
	return err
}
