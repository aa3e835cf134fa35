package main

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"sekimori/filters/bayes"
	"sekimori/filters/bayes/labels"
	"sekimori/internal/config"
	"sekimori/internal/front"
	"sekimori/internal/history"
	"sekimori/internal/mail"
	"sekimori/reputation"
)

// Bounds of what waits to be learned.
const (
	autoWaiting = 200
	autoOctets  = 16 << 20
	autoLargest = 1 << 20 // a mail above this is an attachment for the most part
	autoDrain   = 2 * time.Second
	autoRevise  = time.Hour // how often what was learned is looked at again
)

// autoTeacher teaches the Bayesian check what the other checks are sure of, off the path of the mail. A lesson that finds no room, or
// that the store does not take, is lost and counted.
type autoTeacher struct {
	cfg     func() *config.Config
	learner *reputation.Learner
	log     *slog.Logger
	count   func(class, result string)
	stories *stories
	todo    chan autoLesson
	waiting atomic.Int64 // octets
	full    atomic.Pointer[autoDay]
	failing int // lessons in a row that the store did not take; of run
}

type autoLesson struct {
	id    string
	msg   *mail.Message // is not changed any more
	label labels.Label
}

// autoDay is a day on which enough was learned.
type autoDay struct {
	class reputation.Class
	day   string
}

func (s *server) newAutoTeacher() *autoTeacher {
	return &autoTeacher{
		cfg: s.cfg, learner: s.learner, log: s.log, stories: s.stories, todo: make(chan autoLesson, autoWaiting),
		count: s.metrics.AutoLearned,
	}
}

// concluded takes a mail that has ended. It does not wait.
func (a *autoTeacher) concluded(r front.Record) {
	cfg := a.cfg().Bayes.Auto
	if !cfg.Enabled || r.Message == nil {
		return
	}
	delivered := len(r.Ends) == len(r.Rcpts)
	for _, end := range r.Ends {
		delivered = delivered && (end == front.Delivered || end == front.Queued)
	}
	label, why := labels.Of(labels.Case{
		Session: r.Session, Message: r.Message, Rcpts: r.Rcpts, Verdicts: r.Verdicts, Outcomes: r.Outcomes, Delivered: delivered,
	}, cfg.SpamScore)
	if why != "" {
		return
	}
	class := string(label.Class)
	if f := a.full.Load(); f != nil && *f == (autoDay{label.Class, today()}) {
		a.count(class, string(reputation.DailyLimit))
		return
	}
	size := int64(len(r.Message.Raw))
	if size > autoLargest {
		a.count(class, "large")
		return
	}
	if a.waiting.Add(size) > autoOctets {
		a.waiting.Add(-size)
		a.count(class, "dropped")
		return
	}
	select {
	case a.todo <- autoLesson{r.ID, r.Message, label}:
	default:
		a.waiting.Add(-size)
		a.count(class, "dropped")
	}
}

func today() string { return time.Now().UTC().Format(time.DateOnly) }

// run teaches until ctx ends, and then for a moment what still waits.
func (a *autoTeacher) run(ctx context.Context) {
	again := time.NewTicker(autoRevise)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			last, stop := context.WithTimeout(context.WithoutCancel(ctx), autoDrain)
			defer stop()
			a.drain(last)
			return
		case <-again.C:
			a.revise(ctx)
		case l := <-a.todo:
			a.teach(ctx, l)
		}
	}
}

// revise takes back what the model has come to know better.
func (a *autoTeacher) revise(ctx context.Context) {
	if !a.cfg().Bayes.Auto.Enabled {
		return
	}
	ctx, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	taken, err := a.learner.ReviseAuto(ctx, autoRevise-time.Minute)
	for _, t := range taken {
		a.count(string(t.Class), "revised")
	}
	if len(taken) > 0 {
		a.log.Info("mails that were learned because other checks were sure are unlearned, since the model now knows better", "mails", len(taken))
	}
	if err != nil && ctx.Err() == nil {
		a.log.Debug("what was learned of other checks is not looked at again", "err", err)
	}
}

func (a *autoTeacher) drain(ctx context.Context) {
	for {
		select {
		case l := <-a.todo:
			if ctx.Err() != nil {
				a.count(string(l.label.Class), "dropped")
				continue
			}
			a.teach(ctx, l)
		default:
			return
		}
	}
}

func (a *autoTeacher) teach(ctx context.Context, l autoLesson) {
	defer a.waiting.Add(-int64(len(l.msg.Raw)))
	ctx, stop := context.WithTimeout(ctx, 5*time.Second)
	defer stop()
	t, err := a.learner.Teach(ctx, reputation.Sample{
		Class: l.label.Class, Tokens: bayes.Tokenizer{}.Tokens(l.msg), Fingerprint: bayes.Fingerprint(l.msg),
		Source: reputation.Auto, By: l.label.Sender,
	})
	class, result := string(l.label.Class), autoResult(t)
	if err != nil {
		result = "failed"
	}
	a.tellFailing(l.id, err)
	a.count(class, result)
	if t.Refused() == reputation.DailyLimit {
		a.full.Store(&autoDay{l.label.Class, today()})
	}
	if t.Shown == 0 {
		return
	}
	a.log.Info("a mail is learned because other checks are sure", "id", l.id, "class", class, "sender", l.label.Sender, "result", result)
	a.stories.taught(l.id, class)
}

// tellFailing says when the store begins to fail and when that is over, and not of each mail between.
func (a *autoTeacher) tellFailing(id string, err error) {
	switch {
	case err != nil && a.failing == 0:
		a.log.Warn("what other checks are sure of cannot be learned; until it can, such mails are left out", "id", id, "err", err)
	case err != nil:
		a.log.Debug("a mail of which other checks are sure is not learned", "id", id, "err", err)
	case a.failing > 0:
		a.log.Info("what other checks are sure of is learned again", "left_out", a.failing)
	}
	if a.failing++; err == nil {
		a.failing = 0
	}
}

// autoResult says in a word what became of a lesson.
func autoResult(t reputation.Taught) string {
	switch {
	case t.Refused() != "":
		return string(t.Refused())
	case t.Learned > 0:
		return "learned"
	case t.Alike > 0:
		return "alike"
	case t.Shown > 0:
		return "shown" // the model was sure of it already
	}
	return "known"
}

// taught tells that a mail was learned because other checks were sure.
func (h *stories) taught(id, class string) {
	if h != nil {
		h.w.Story(&history.Event{Time: time.Now(), Kind: history.KindTaught, ID: id, Action: class})
	}
}
