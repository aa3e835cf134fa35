package reputation

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"

	"sekimori/internal/mail"
	"sekimori/internal/store"
)

// What the check found good and was delivered is remembered for some days by its fingerprint, so that a mail that comes back as spam,
// by whatever way it is taught, counts as a report of a mail that the check passed. There is one hash for each day (UTC): a field a
// mail, its value the persons it was delivered to.

const (
	passedDays    = 3  // beyond the window: a mail of Friday evening may be reported on Monday
	mostPassedFor = 20 // persons of a mail
)

func passedKey(t time.Time) string { return keyPrefix + "passed:" + tallyDay(t) }

// passedField is a part of the fingerprint: enough to tell the mails of some days apart.
func passedField(fingerprint string) string { return fingerprint[:min(len(fingerprint), 16)] }

// personID stands for a person in what is counted.
func personID(by string) string {
	sum := sha256.Sum256([]byte(person(by)))
	return hex.EncodeToString(sum[:6])
}

// asPerson is how the quarantine names a person who acts, so that he is the same one whatever way he reports by.
func asPerson(name string) string { return "person " + strings.ToLower(name) }

// Passed remembers a mail for those of whom Ended said that it was delivered to them as good. It does not block.
func (w *BayesWatch) Passed(to []mail.Address, fingerprint string) {
	var ids []string
	for _, a := range to {
		if id := personID(asPerson(a.String())); !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	k := watched{passedKey(w.now()), passedField(fingerprint)}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.remember(k, strings.Join(ids, " "))
}

// remember keeps a mail until it is written, or counts it as lost. The mutex is held.
func (w *BayesWatch) remember(k watched, to string) {
	if _, ok := w.delivered[k]; ok || len(w.delivered) < mostWaiting {
		w.delivered[k] = to
		return
	}
	w.lost.Add(1)
}

// Lost counts the mails that found no room to be remembered by Passed.
func (w *BayesWatch) Lost() int64 { return w.lost.Load() }

// passedLife is how long a day's mails are remembered.
func (w *BayesWatch) passedLife() time.Duration {
	return w.limits().Window + (passedDays+1)*24*time.Hour
}

// passed returns, of some mails, the persons to whom each was delivered as good; those of which nothing is known are not in the map.
// One round trip.
func (w *BayesWatch) passed(ctx context.Context, fingerprints []string) (map[string][]string, error) {
	fields := make([]string, len(fingerprints))
	for i, f := range fingerprints {
		fields[i] = passedField(f)
	}
	pipe := w.client.Pipeline()
	var days []*store.SliceCmd
	for at := time.Duration(0); at <= w.passedLife(); at += 24 * time.Hour {
		days = append(days, pipe.HMGet(ctx, passedKey(w.now().Add(-at)), fields...))
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, store.Nil) {
		return nil, err
	}
	known := map[string][]string{}
	for _, d := range days {
		for i, v := range d.Val() {
			if s, ok := v.(string); ok && s != "" && known[fingerprints[i]] == nil {
				known[fingerprints[i]] = strings.Fields(s)
			}
		}
	}
	return known, nil
}

// note counts what somebody says, by his ID.
func (w *BayesWatch) note(ctx context.Context, c Contradiction, id string, sign int) error {
	key := hourKey(w.now())
	pipe := w.client.Pipeline()
	pipe.HIncrBy(ctx, key, string(c), int64(sign))
	pipe.HIncrBy(ctx, key, string(c)+" "+id, int64(sign))
	pipe.PExpire(ctx, key, hoursLife)
	_, err := pipe.Exec(ctx)
	return err
}

// reports says which mails of a batch the check had passed; the watch may be missing, and not knowing keeps nobody from learning.
func (l *Learner) reports(ctx context.Context, list []Sample) map[string][]string {
	var ask []string
	for i := range list {
		if s := &list[i]; s.Class == Spam && s.Source != Auto && !s.Held {
			ask = append(ask, s.Fingerprint)
		}
	}
	if l.watch == nil || len(ask) == 0 || !l.watch.limits().Enabled {
		return nil
	}
	passed, err := l.watch.passed(ctx, ask)
	if err != nil {
		l.log.Debug("whether the Bayesian check had found mails good is not known", "err", err)
	}
	return passed
}

// report notes in the record that a lesson is a report of a mail that was delivered to some persons as good, or that it takes reports
// back. Who teaches is the one who reports; of a command, a folder or a name that anybody could give it is the one the mail was
// delivered to, once: nobody halves the weight of the check by speaking for many.
func (r *record) report(s *Sample, passedTo []string) {
	if s.Source == Auto {
		return
	}
	by := ""
	if s.named() {
		by = personID(asPerson(s.By))
	}
	switch {
	case s.Class == Ham && by == "":
		r.Reports = nil
	case s.Class == Ham:
		r.Reports = slices.DeleteFunc(slices.Clone(r.Reports), func(id string) bool { return id == by })
	case len(passedTo) == 0 || len(r.Reports) >= mostVotes:
	case by != "" && !slices.Contains(r.Reports, by):
		r.Reports = append(slices.Clone(r.Reports), by)
	case by == "" && len(r.Reports) == 0:
		r.Reports = []string{passedTo[0]}
	}
}

// noteReports tells the watch which reports a change has added to records, and which it has taken back.
func (l *Learner) noteReports(ctx context.Context, ch *change) {
	if l.watch == nil {
		return
	}
	for _, r := range ch.records {
		for _, id := range r.Reports {
			if !slices.Contains(r.reported, id) {
				l.noteReport(ctx, id, 1)
			}
		}
		for _, id := range r.reported {
			if !slices.Contains(r.Reports, id) {
				l.noteReport(ctx, id, -1)
			}
		}
	}
}

func (l *Learner) noteReport(ctx context.Context, id string, sign int) {
	if err := l.watch.note(ctx, PassedWrongly, id, sign); err != nil {
		l.log.Debug("what is said against the Bayesian check is not counted", "err", err)
	}
}

// named reports whether it is known which person teaches a lesson.
func (s *Sample) named() bool { return s.Source == Person && !s.Unproven }

// reportedBy tells whether an ID is that of who teaches a lesson; where that is not known, anybody's.
func (s *Sample) reportedBy(id string) bool {
	return s.Class == Spam && (!s.named() || id == personID(asPerson(s.By)))
}
