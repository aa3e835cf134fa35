package front

import (
	"context"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"sekimori/internal/mail"
	"sekimori/internal/text"
)

const maxLogged = 256 // octets of one value that a client sent

// Record is one ended transaction, for the log, metrics and history.
type Record struct {
	ID       string
	Session  *mail.Session
	From     mail.Address
	Rcpts    []mail.Address
	Verdicts []mail.Verdict // of Rcpts, in order; empty when the message was not judged
	Ends     []string       // delivered | queued | refused | held | rejected | deferred, of Rcpts in order; may be empty
	Outcomes []mail.Outcome
	Message  *mail.Message // nil when none came
	// Mailboxes are whose mail it is for those of Rcpts that stand for others.
	Mailboxes map[mail.Address][]mail.Address
	Action    string    // the strictest action, or accepted, rejected, deferred without a verdict; learned; aborted: no message came
	Lang      text.Lang // in which the log line says why
	Why       string    // what refused or aborted it before the verdict
	Size      int64
	Reply     string // as spoken; empty when aborted
	Start     time.Time
	Receive   time.Duration // from DATA to the final dot
	Rcpt      time.Duration // waiting for the gate at RCPT
	Judge     time.Duration // waiting for the gate after the message
	Dispose   time.Duration // holding, spooling, delivering
	Total     time.Duration // from MAIL to the answer
}

// record tells the log and the observer.
func (s *Server) record(w *wire, tx *transaction, action, why string) {
	r := Record{
		ID: tx.id, Lang: langOf(w.set.cfg, tx.rcpts), Session: tx.who(w), From: tx.from, Rcpts: tx.rcpts, Verdicts: tx.verdicts, Ends: tx.ends,
		Why: why, Start: s.now().Add(-time.Since(tx.start)),
		Rcpt: tx.rcptTime, Judge: tx.judgeTime, Dispose: tx.disposeTime, Total: time.Since(tx.start),
	}
	if tx.judging != nil {
		r.Outcomes, r.Mailboxes = tx.judging.Transaction().Outcomes, tx.judging.Transaction().Mailboxes
	}
	if tx.message != nil {
		r.Size, r.Message = int64(len(tx.message.Raw)), tx.message
	}
	if !tx.received.IsZero() && !tx.dataStart.IsZero() {
		r.Receive = tx.received.Sub(tx.dataStart)
	}
	r.Action = action
	if action == "" {
		r.Action = outcome(tx)
		r.Reply = "250 2.0.0 " + tx.accepted()
		if !tx.reply.IsZero() {
			r.Reply = tx.reply.WithText(ascii(tx.reply.Text())).String()
		}
	}
	s.watch.Concluded(r)
	s.logRecord(r)
}

// outcome is the word for the whole mail: what the reply says, and for an accepted one the strictest verdict.
func outcome(tx *transaction) string {
	switch {
	case tx.reply.IsPermanent():
		return mail.Reject.String()
	case !tx.reply.IsZero():
		return mail.Defer.String()
	case tx.drop != "":
		return endLearned
	}
	var worst mail.Action
	word := ""
	for i := range tx.verdicts {
		v := &tx.verdicts[i]
		worst = max(worst, min(v.Action, mail.Hold))
		if w := v.Word(); i == 0 {
			word = w
		} else if w != word {
			word = ""
		}
	}
	if worst < mail.Hold && word != "" { // discarded or sent elsewhere for all
		return word
	}
	return worst.String()
}

func (s *Server) logRecord(r Record) {
	if !s.log.Enabled(context.Background(), slog.LevelInfo) {
		return
	}
	attrs := []slog.Attr{
		slog.String("id", r.ID), slog.String("conn", r.Session.ID), slog.String("client", r.Session.Client.String()),
		slog.String("helo", clean(r.Session.Helo)), slog.Bool("tls", r.Session.TLS != nil),
		slog.String("from", clean(r.From.String())), slog.Any("rcpts", addressTexts(r.Rcpts)),
		slog.String("action", r.Action),
	}
	attrs = append(attrs, relayAttrs(r.Session)...)
	if r.Why != "" {
		attrs = append(attrs, slog.String("why", r.Why))
	}
	if len(r.Verdicts) > 0 {
		attrs = append(attrs, verdictAttrs(r)...)
	}
	attrs = append(attrs, slog.Any("findings", findingTexts(r.Outcomes)))
	if r.Size > 0 {
		attrs = append(attrs, slog.Int64("size", r.Size))
	}
	attrs = append(attrs, slog.Group("ms", slog.Float64("rcpt", ms(r.Rcpt)), slog.Float64("receive", ms(r.Receive)),
		slog.Float64("judge", ms(r.Judge)), slog.Float64("dispose", ms(r.Dispose)), slog.Float64("total", ms(r.Total)),
		slog.Any("checks", checkTimes(r.Outcomes))))
	if r.Reply != "" {
		attrs = append(attrs, slog.String("reply", r.Reply))
	}
	s.log.LogAttrs(context.Background(), slog.LevelInfo, "mail", attrs...)
}

// verdictAttrs speak of the strictest verdict; where recipients differ, each is listed.
func verdictAttrs(r Record) []slog.Attr {
	worst := 0
	same := true
	for i, v := range r.Verdicts {
		if w := r.Verdicts[worst]; v.Action > w.Action || v.Action == w.Action && v.Would != "" && w.Would == "" {
			worst = i
		}
		same = same && v.Action == r.Verdicts[0].Action && v.Would == r.Verdicts[0].Would && v.Rule == r.Verdicts[0].Rule
	}
	v := r.Verdicts[worst]
	attrs := []slog.Attr{slog.Float64("score", v.Score)}
	if t := v.Threshold(); t > 0 {
		attrs = append(attrs, slog.Float64("threshold", t))
	}
	if v.Rules != "" {
		attrs = append(attrs, slog.String("rules", v.Rules))
	}
	if v.RuleID != "" {
		attrs = append(attrs, slog.String("rule", v.RuleID), slog.String("rule_at", v.Rule))
	}
	if v.Would != "" {
		attrs = append(attrs, slog.String("would", v.Would))
	}
	if why := sentences(&v, r.Lang); why != "" {
		attrs = append(attrs, slog.String("reason", why))
	}
	if len(v.Degraded) > 0 {
		attrs = append(attrs, slog.Any("not_looked_at", cleanAll(v.Degraded)))
	}
	if len(r.Ends) == len(r.Rcpts) && len(r.Ends) > 0 {
		attrs = append(attrs, slog.Any("ends", r.Ends))
	}
	if !same {
		var each []string
		for i, v := range r.Verdicts {
			each = append(each, clean(r.Rcpts[i].String())+" "+strings.TrimSpace(v.Action.String()+" "+v.RuleID+" "+wouldBe(v)))
		}
		attrs = append(attrs, slog.Any("verdicts", each))
	}
	return attrs
}

func wouldBe(v mail.Verdict) string {
	if v.Would == "" {
		return ""
	}
	return "would=" + v.Would
}

// logRcpt says why a recipient was refused.
func (w *wire) logRcpt(to string, r mail.Reply, why string, v mail.Verdict) {
	w.srv.watch.Refusal("rcpt", why)
	w.srv.watch.Refused(Refusal{
		Where: "rcpt", Why: why, ID: w.tx.id, Session: w.session, From: w.tx.from.String(), Rcpt: to, Reply: r.String(), Verdict: v,
		Outcomes: w.tx.judging.Transaction().Outcomes,
	})
	attrs := []slog.Attr{
		slog.String("id", w.tx.id), slog.String("conn", w.id), slog.String("client", w.session.Client.String()),
		slog.String("helo", clean(w.session.Helo)), slog.String("from", clean(w.tx.from.String())),
		slog.String("rcpt", clean(to)), slog.String("why", why),
	}
	if why == "policy" {
		attrs = append(attrs, slog.String("reason", sentences(&v, langOf(w.set.cfg, []mail.Address{v.Rcpt}))))
		attrs = append(attrs, slog.Any("findings", findingTexts(w.tx.judging.Transaction().Outcomes)),
			slog.Float64("score", v.Score), slog.String("action", v.Action.String()), slog.String("rule", v.RuleID),
			slog.String("rule_at", v.Rule), slog.String("rules", v.Rules), slog.Any("not_looked_at", cleanAll(v.Degraded)))
	}
	attrs = append(attrs, slog.String("reply", r.String()))
	w.srv.log.LogAttrs(context.Background(), slog.LevelInfo, "recipient refused", attrs...)
}

func findingTexts(outcomes []mail.Outcome) []string {
	list := []string{}
	for _, o := range outcomes {
		for _, f := range o.Findings {
			list = append(list, clean(f.String()))
		}
	}
	return list
}

func checkTimes(outcomes []mail.Outcome) map[string]string {
	times := map[string]string{}
	for _, o := range outcomes {
		if o.State != mail.StateSkipped {
			times[o.Check+"."+o.Stage.String()] = strconv.FormatFloat(ms(o.Took), 'f', -1, 64)
		}
	}
	return times
}

func addressTexts(list []mail.Address) []string {
	texts := make([]string, len(list))
	for i, a := range list {
		texts[i] = clean(a.String())
	}
	return texts
}

func cleanAll(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = clean(s)
	}
	return out
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// clean makes what a client sent fit for the log: no control characters, bounded, valid UTF-8.
func clean(s string) string {
	if len(s) > maxLogged {
		s = s[:maxLogged] + "..."
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || (r >= 0x7F && r < 0xA0) || r == 0xFFFD || r == 0x2028 || r == 0x2029 || (r >= 0x202A && r <= 0x202E) {
			return '?'
		}
		return r
	}, s)
}
