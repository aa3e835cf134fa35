package main

import (
	"fmt"
	"slices"
	"strings"

	"sekimori/filters/bayes/measure"
)

// peers are those of --peers, each once.
func (c bayesEvalCmd) peers() ([]measure.Peer, error) {
	known := measure.Peers()
	var names []string
	for _, p := range known {
		names = append(names, p.Name)
	}
	if slices.Contains(c.Peers, "all") {
		return known, nil
	}
	var list []measure.Peer
	for _, name := range c.Peers {
		i := slices.Index(names, name)
		if i < 0 {
			return nil, usage("--peers: %q is not one of those that can be run here: %s, all", name, strings.Join(names, ", "))
		}
		if !slices.ContainsFunc(list, func(p measure.Peer) bool { return p.Name == name }) {
			list = append(list, known[i])
		}
	}
	return list, nil
}

// peer runs one of them on a part, and tells how far it is.
func (c bayesEvalCmd) peer(a *app, p measure.Peer, temp string, part *evalPart) evalRow {
	files := func(list []*evalMail) []measure.File {
		out := make([]measure.File, len(list))
		for i, m := range list {
			out[i] = measure.File{Path: m.path, Spam: m.Spam}
		}
		return out
	}
	bar := newProgressBar(a.err, c.JSON, int64(len(part.train)+len(part.test)))
	m, err := p.Run(a.ctx, temp, files(part.train), files(part.test), func(doing string, done, of int) {
		all := done
		if doing == measure.Scoring {
			all += len(part.train)
		}
		bar.show(int64(all), fmt.Sprintf("%s (%s): %s, %d of %d mails", p.Name, part.name, doing, done, of))
	})
	bar.end()
	row := evalRow{
		Filter: p.Name, Split: part.name, Training: p.Training, Result: measure.Evaluate(m.Outcomes, p.Threshold),
		Learn: perMail(m.Learn, len(part.train)), Score: perMail(m.Score, len(part.test)),
	}
	row.UnsureHam, row.UnsureSpam = 0, 0 // our zones say nothing about the scores of others
	if err != nil {
		row.Result, row.Error = measure.Result{}, err.Error()
	}
	return row
}

// before are figures of filters that have no line of their own, for the splits that were run.
func before(rows []evalRow) []measure.Before {
	return slices.DeleteFunc(measure.MeasuredBefore(), func(b measure.Before) bool {
		return !slices.ContainsFunc(rows, func(r evalRow) bool { return r.Split == b.Split }) ||
			slices.ContainsFunc(rows, func(r evalRow) bool { return r.Filter == b.Filter && r.Split == b.Split && r.Error == "" })
	})
}
