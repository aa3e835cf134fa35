package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sekimori/filters/bayes/measure"
)

type bayesEvalCmd struct {
	Dir      string   `arg:"" help:"Directory with ham/ and spam/: files with one message each, mbox files, Maildirs, nested as they like. With --manifest, where its mails are."`
	Folds    int      `default:"10" help:"Into how many parts the mail is cut; each is scored after learning the others."`
	Seed     uint64   `default:"1" help:"The same seed gives the same figures."`
	Manifest string   `help:"File with lines NAME ham|spam [train|test] [TIME ORDER]: learn the first mails of it and score the rest, by time and at random." placeholder:"FILE"`
	Train    int      `default:"3000" help:"With --manifest, how many mails are learned."`
	Split    string   `enum:"all,random,time" default:"all" help:"With --manifest, only this way to part the mails: random, time or all."`
	Auto     bool     `help:"Also measure what becomes of it when 200 mails are labelled by people and the rest by other checks, 5 % of them wrongly."`
	Peers    []string `help:"Other filters to run beside it on the same mail: bogofilter, spamprobe, bsfilter, spamassassin, rspamd, or all. Those that are not installed are named. They take their time: Rspamd a minute before it begins, SpamAssassin some 0.1 s a mail."`
	SVG      string   `name:"svg" help:"Write a picture of how the scores are spread to this file." placeholder:"FILE"`
	PNG      string   `name:"png" help:"The same in pixels." placeholder:"FILE"`
	Mistakes int      `default:"10" help:"How many of the worst mistakes of each class to name."`
	JSON     bool     `help:"Print JSON."`
}

// Help is the long help.
func (bayesEvalCmd) Help() string {
	return "Says how well the Bayesian check would do on your own mail, and names the mails that it gets wrong: some of them may lie in the " +
		"wrong folder. Nothing that was learned is read or changed. " +
		"FPR is the good mail that would be called spam, FNR the spam that would not; 1-ROCA is how often a good mail scores above a spam; " +
		"FNR@0.1 is the spam missed when 0.1 % of the good mail may be lost. " +
		"With fewer than some hundred mails of each class the figures say little. " +
		"The exit code is 1 when a file cannot be read or another filter fails."
}

const (
	evalSeeds = 200
	evalWrong = 0.05
)

// evalRow is one line of the table.
type evalRow struct {
	Filter string `json:"filter"`
	Split  string `json:"split"`
	measure.Result
	Learn    float64 `json:"learn_ms"` // a mail; 0: not known
	Score    float64 `json:"score_ms"`
	Training string  `json:"training,omitempty"` // how another filter was taught
	Error    string  `json:"error,omitempty"`
}

// evalPart is one way to part the mails.
type evalPart struct {
	name        string
	train, test []*evalMail
}

// evalMail is a mail with the file that peers read.
type evalMail struct {
	measure.Mail
	path    string        // of the copy
	file    string        // as it was found, with the number of the message in an mbox
	subject string        // cleaned
	took    time.Duration // to make its tokens
}

// scored is a mail with what was said of it.
type scored struct {
	*evalMail
	z float64
}

// evalReport is all that the command says.
type evalReport struct {
	Ham      int              `json:"ham"`
	Spam     int              `json:"spam"`
	Rows     []evalRow        `json:"rows"`
	Before   []measure.Before `json:"measured_before,omitempty"` // of filters that did not run
	Spread   []measure.Bin    `json:"spread"`
	Mistakes []evalMistake    `json:"mistakes"`
	InBoth   []string         `json:"in_both"` // lie in ham and in spam, and are left out
	Unread   []string         `json:"unread"`
	Advice   []string         `json:"advice"`

	scores []scored
	failed bool
}

func (r *evalReport) outcomes() []measure.Outcome {
	out := make([]measure.Outcome, len(r.scores))
	for i, s := range r.scores {
		out[i] = measure.Outcome{Spam: s.Spam, Z: s.z}
	}
	return out
}

// Run measures and prints.
func (c bayesEvalCmd) Run(a *app) error {
	if c.Folds < 2 || c.Train < 1 || c.Mistakes < 0 {
		return usage("--folds must be 2 or more, --train 1 or more, --mistakes 0 or more")
	}
	if c.Split != "all" && c.Manifest == "" {
		return usage("--split %s: only the mails of a --manifest are parted so; without it they are cut into folds", c.Split)
	}
	peers, err := c.peers()
	if err != nil {
		return err
	}
	temp, err := os.MkdirTemp("", "sekimori-eval")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	r := &evalReport{Mistakes: []evalMistake{}, InBoth: []string{}, Unread: []string{}, Advice: []string{}}
	parts, err := c.parts(a, temp, r)
	if err != nil {
		return err
	}
	if err := c.measure(a, r, parts, peers, temp); err != nil {
		return err
	}
	for path, draw := range map[string]func(io.Writer, string, []measure.Outcome) error{c.SVG: measure.SVG, c.PNG: measure.PNG} {
		if path != "" {
			if err := c.picture(path, draw, r.outcomes()); err != nil {
				return err
			}
		}
	}
	if c.JSON {
		err = a.json(r)
	} else {
		err = r.print(a)
	}
	if err == nil && (r.failed || len(r.Unread) > 0) {
		return found
	}
	return err
}

// measure runs every filter on every part.
func (c bayesEvalCmd) measure(a *app, r *evalReport, parts []evalPart, peers []measure.Peer, temp string) error {
	var rows []evalRow
	for i := range parts {
		p := &parts[i]
		if a.ctx.Err() != nil {
			return a.ctx.Err()
		}
		row, out := measureOurs(p)
		rows = append(rows, row)
		if p.name == "folds" || i == 0 {
			for n, o := range out {
				r.scores = append(r.scores, scored{p.test[n], o.Z})
			}
		}
		if c.Auto {
			out := measure.Auto(plain(p.train), plain(p.test), evalSeeds, evalWrong, c.Seed)
			rows = append(rows, evalRow{Filter: "sekimori, labels of checks", Split: p.name, Result: measure.Evaluate(out, measure.SpamZ)})
		}
		for _, peer := range peers {
			rows = append(rows, c.peer(a, peer, temp, p))
		}
		a.progress(!c.JSON, "measured %d of %d parts", i+1, len(parts))
	}
	for _, m := range r.scores {
		if m.Spam {
			r.Spam++
		} else {
			r.Ham++
		}
	}
	r.failed = slices.ContainsFunc(rows, func(row evalRow) bool {
		return row.Error != "" && !strings.HasPrefix(row.Error, measure.ErrMissing.Error())
	})
	r.Rows = mergeFolds(rows, parts, r.outcomes())
	if c.Manifest != "" || len(peers) > 0 {
		r.Before = before(r.Rows)
	}
	r.Spread = measure.Spread(r.outcomes())
	r.Mistakes = mistakes(r.scores, c.Mistakes)
	r.advise(c)
	return nil
}

// measureOurs measures the product's own check on a part.
func measureOurs(p *evalPart) (evalRow, []measure.Outcome) {
	var learn, score time.Duration
	for _, m := range p.train {
		learn += m.took
	}
	for _, m := range p.test {
		score += m.took
	}
	out, learning, scoring := measure.Timed(plain(p.train), plain(p.test))
	return evalRow{
		Filter: "sekimori", Split: p.name, Result: measure.Evaluate(out, measure.SpamZ),
		Learn: perMail(learn+learning, len(p.train)), Score: perMail(score+scoring, len(p.test)),
	}, out
}

// perMail is a time in milliseconds for each of n mails.
func perMail(d time.Duration, n int) float64 {
	return float64(d.Microseconds()) / 1000 / float64(max(n, 1))
}

func plain(list []*evalMail) []*measure.Mail {
	out := make([]*measure.Mail, len(list))
	for i, m := range list {
		out[i] = &m.Mail
	}
	return out
}

func (c bayesEvalCmd) picture(path string, draw func(io.Writer, string, []measure.Outcome) error, scores []measure.Outcome) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		dir = c.Dir
	}
	if err := draw(f, "Bayesian check: scores of the mails in "+filepath.Base(dir), scores); err != nil {
		_ = f.Close()
		return fmt.Errorf("%s: %w", path, err)
	}
	return f.Close()
}

func foldParts(mails []*evalMail, folds int, seed uint64) []evalPart {
	byMail := make(map[*measure.Mail]*evalMail, len(mails))
	for _, m := range mails {
		byMail[&m.Mail] = m
	}
	all := make([]*evalMail, len(mails))
	for i, m := range measure.Shuffled(plain(mails), seed) {
		all[i] = byMail[m]
	}
	var parts []evalPart
	for f := range folds {
		from, to := len(all)*f/folds, len(all)*(f+1)/folds
		train := append(append(make([]*evalMail, 0, len(all)), all[:from]...), all[to:]...)
		parts = append(parts, evalPart{"folds", train, all[from:to]})
	}
	return parts
}

// mergeFolds makes one line of those of the folds: our own from all scores together, the others' as the mean of their folds.
func mergeFolds(rows []evalRow, parts []evalPart, scores []measure.Outcome) []evalRow {
	if parts[0].name != "folds" {
		return rows
	}
	var merged []evalRow
	n := len(rows) / len(parts)
	for i := range n {
		sum := rows[i]
		for j := i + n; j < len(rows); j += n {
			sum.Result = sum.Result.Plus(rows[j].Result)
			sum.Learn, sum.Score = sum.Learn+rows[j].Learn, sum.Score+rows[j].Score
			if sum.Error == "" {
				sum.Error = rows[j].Error
			}
		}
		sum.Result = sum.Result.Over(len(parts))
		sum.Learn, sum.Score = sum.Learn/float64(len(parts)), sum.Score/float64(len(parts))
		if i == 0 {
			sum.Result = measure.Evaluate(scores, measure.SpamZ)
		}
		sum.Split = fmt.Sprintf("%d folds", len(parts))
		merged = append(merged, sum)
	}
	return merged
}
