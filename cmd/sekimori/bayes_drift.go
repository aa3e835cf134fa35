package main

import (
	"fmt"

	"sekimori/reputation"
)

type bayesDriftCmd struct {
	Clear bool `help:"Give the check its whole weight back, and count what people say against it anew."`
	JSON  bool `help:"Print JSON."`
}

// Help is the long help.
func (bayesDriftCmd) Help() string {
	return "When people release too many of the mails that the check had a part in holding, or report too many of those that it found " +
		"good, it weighs half on all hosts ([bayes.drift]), until the rate has fallen below half of the limit or this command says --clear. " +
		"The exit code is 1 while it weighs half."
}

// Run says how it is.
func (c bayesDriftCmd) Run(a *app) error {
	l, err := a.openLearner()
	if err != nil {
		return err
	}
	defer l.store.Close()
	if c.Clear {
		if err := l.watch.Clear(a.ctx); err != nil {
			return err
		}
	}
	var r struct {
		reputation.DriftState
		Window  string                  `json:"window"`
		Numbers reputation.DriftNumbers `json:"numbers"`
	}
	r.Window = l.cfg.Bayes.Drift.Window.D().String()
	if r.DriftState, err = l.watch.Read(a.ctx); err == nil {
		r.Numbers, err = l.watch.Numbers(a.ctx)
	}
	if err != nil {
		return err
	}
	if c.JSON {
		err = a.json(r)
	} else {
		fmt.Fprintf(a.out, "In the last %s:\n", r.Window)
		printDrift(a, r.DriftState, r.Numbers)
		if c.Clear {
			fmt.Fprintln(a.out, "The check has its whole weight; the servers know within seconds.")
		}
	}
	if err == nil && r.Halved {
		return found
	}
	return err
}
