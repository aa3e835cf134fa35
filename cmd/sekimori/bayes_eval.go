package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sekimori/filters/bayes"
	"sekimori/filters/bayes/measure"
	"sekimori/reputation"
)

type bayesEvalCmd struct {
	Dir      string   `arg:"" help:"Directory with ham/ and spam/: files with one message each, mbox files, Maildirs. With --manifest, where its mails are."`
	Folds    int      `default:"10" help:"Into how many parts the mail is cut; each is scored after learning the others."`
	Seed     uint64   `default:"1" help:"The same seed gives the same figures."`
	Manifest string   `help:"File with lines NAME ham|spam [train|test] [TIME ORDER]: learn the first mails of it and score the rest, by time and at random."`
	Train    int      `default:"3000" help:"With --manifest, how many mails are learned."`
	Auto     bool     `help:"Also measure what becomes of it when 200 mails are labelled by people and the rest by other checks, 5 % of them wrongly."`
	Peers    []string `help:"Other filters to run beside it on the same mail: bogofilter, spamprobe. Those that are not installed are named."`
	SVG      string   `name:"svg" help:"Write a picture of how the scores are spread to this file." placeholder:"FILE"`
	JSON     bool     `help:"Print JSON."`
}

// Help is the long help.
func (bayesEvalCmd) Help() string {
	return "Says how well the Bayesian check would do on your own mail. Nothing that was learned is read or changed. " +
		"1-ROCA is how often a good mail scores above a spam; FNR@0.1 is the spam missed when 0.1 % of the good mail may be lost. " +
		"With fewer than some hundred mails of each class the figures say little."
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
	Error string `json:"error,omitempty"`
}

// evalPart is one way to part the mails.
type evalPart struct {
	name        string
	train, test []*evalMail
}

// evalMail is a mail with the file that peers read.
type evalMail struct {
	measure.Mail
	path string
}

// Run measures and prints.
func (c bayesEvalCmd) Run(a *app) error {
	if c.Folds < 2 || c.Train < 1 {
		return usage("--folds must be 2 or more, --train 1 or more")
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
	parts, err := c.parts(a, temp)
	if err != nil {
		return err
	}
	var rows []evalRow
	var scores []measure.Outcome
	for i, p := range parts {
		out := measure.Run(plain(p.train), plain(p.test))
		if p.name == "folds" || i == 0 {
			scores = append(scores, out...)
		}
		rows = append(rows, evalRow{Filter: "sekimori", Split: p.name, Result: measure.Evaluate(out, measure.SpamZ)})
		if c.Auto {
			out := measure.Auto(plain(p.train), plain(p.test), evalSeeds, evalWrong, c.Seed)
			rows = append(rows, evalRow{Filter: "sekimori, labels of checks", Split: p.name, Result: measure.Evaluate(out, measure.SpamZ)})
		}
		for _, peer := range peers {
			rows = append(rows, c.peer(a, peer, temp, &p))
		}
		a.progress(!c.JSON, "measured %d of %d parts", i+1, len(parts))
	}
	rows = mergeFolds(rows, parts, scores)
	if c.SVG != "" {
		if err := c.picture(scores); err != nil {
			return err
		}
	}
	if c.JSON {
		return a.json(rows)
	}
	return c.print(a, rows, scores)
}

func (c bayesEvalCmd) peers() ([]measure.Peer, error) {
	var list []measure.Peer
	for _, name := range c.Peers {
		known := ""
		found := false
		for _, p := range measure.Peers() {
			known += " " + p.Name
			if p.Name == name {
				list, found = append(list, p), true
			}
		}
		if !found {
			return nil, usage("--peers: %q is not one of those that can be run here:%s", name, known)
		}
	}
	return list, nil
}

func plain(list []*evalMail) []*measure.Mail {
	out := make([]*measure.Mail, len(list))
	for i, m := range list {
		out[i] = &m.Mail
	}
	return out
}

func (c bayesEvalCmd) peer(a *app, p measure.Peer, temp string, part *evalPart) evalRow {
	files := func(list []*evalMail) []measure.File {
		out := make([]measure.File, len(list))
		for i, m := range list {
			out[i] = measure.File{Path: m.path, Spam: m.Spam}
		}
		return out
	}
	out, err := p.Run(a.ctx, temp, files(part.train), files(part.test))
	row := evalRow{Filter: p.Name, Split: part.name, Result: measure.Evaluate(out, p.Threshold)}
	row.UnsureHam, row.UnsureSpam = 0, 0 // our zones say nothing about the scores of others
	if errors.Is(err, measure.ErrMissing) {
		row.Error = "not installed"
	} else if err != nil {
		row.Error = err.Error()
	}
	return row
}

func (c bayesEvalCmd) picture(scores []measure.Outcome) error {
	f, err := os.Create(c.SVG)
	if err != nil {
		return err
	}
	if err := measure.SVG(f, "Bayesian check: scores of "+filepath.Base(c.Dir), scores); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}

func (c bayesEvalCmd) print(a *app, rows []evalRow, scores []measure.Outcome) error {
	w := a.table()
	fmt.Fprintln(w, "FILTER\tSPLIT\tHAM\tSPAM\tFPR %\tFNR %\t1-ROCA %\tFNR@0.1 %\tFNR@0.5 %\tUNSURE HAM %\tUNSURE SPAM %")
	for _, r := range rows {
		if r.Error != "" {
			fmt.Fprintf(w, "%s\t%s\t%s\n", r.Filter, r.Split, r.Error)
			continue
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%.3f\t%.2f\t%.4f\t%.2f\t%.2f\t%.2f\t%.2f\n",
			r.Filter, r.Split, r.Ham, r.Spam, r.FPR, r.FNR, r.ROCA, r.FNR01, r.FNR05, r.UnsureHam, r.UnsureSpam)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(a.out)
	measure.Text(a.out, scores)
	return nil
}

// parts reads the mails and parts them.
func (c bayesEvalCmd) parts(a *app, temp string) ([]evalPart, error) {
	cfg, err := a.loadConfig()
	if err != nil {
		printErrors(a.err, err)
		return nil, found
	}
	r := &evalReader{tokens: bayes.Tokenizer{Hostname: cfg.Hostname}, temp: temp, keep: len(c.Peers) > 0, a: a, show: !c.JSON, words: map[string]string{}}
	if c.Manifest != "" {
		return r.manifest(c.Dir, c.Manifest, c.Train)
	}
	var mails []*evalMail
	n := map[reputation.Class]int{}
	for _, class := range []reputation.Class{reputation.Ham, reputation.Spam} {
		list := r.folder(class, filepath.Join(c.Dir, string(class)))
		mails, n[class] = append(mails, list...), len(list)
	}
	if n[reputation.Ham] < c.Folds || n[reputation.Spam] < c.Folds {
		return nil, fmt.Errorf("%s has %d ham and %d spam; at least %d of each are needed, in %s and %s", c.Dir, n[reputation.Ham],
			n[reputation.Spam], c.Folds, filepath.Join(c.Dir, "ham"), filepath.Join(c.Dir, "spam"))
	}
	return foldParts(mails, c.Folds, c.Seed), nil
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
	for i := range len(rows) / len(parts) {
		sum := rows[i]
		for j := i + len(rows)/len(parts); j < len(rows); j += len(rows) / len(parts) {
			sum.Result = sum.Result.Plus(rows[j].Result)
			sum.Error = strings.TrimSpace(cmpOr(sum.Error, rows[j].Error))
		}
		sum.Result = sum.Result.Over(len(parts))
		if i == 0 {
			sum.Result = measure.Evaluate(scores, measure.SpamZ)
		}
		sum.Split = fmt.Sprintf("%d folds", len(parts))
		merged = append(merged, sum)
	}
	return merged
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// evalReader reads mails for a measurement.
type evalReader struct {
	a      *app
	tokens bayes.Tokenizer
	temp   string
	keep   bool // write each mail to a file of its own, for peers
	show   bool
	words  map[string]string // every token once, since most are in many mails
	count  int
	last   time.Time
}
