package main

import "fmt"

type bayesCmd struct {
	Stats bayesStatsCmd `cmd:"" help:"Say how much was learned, and whether it is enough."`
}

type bayesStatsCmd struct {
	JSON bool `help:"Print JSON."`
}

func (c bayesStatsCmd) Run(a *app) error {
	l, err := a.openLearner()
	if err != nil {
		return err
	}
	defer l.store.Close()
	s := l.Stats()
	if c.JSON {
		return a.json(s)
	}
	w := a.table()
	fmt.Fprintln(w, "CLASS\tSHOWN\tLEARNED\tTOKENS")
	fmt.Fprintf(w, "ham\t%d\t%d\t%d\nspam\t%d\t%d\t%d\n", s.HamShown, s.HamLearned, s.HamTokens, s.SpamShown, s.SpamLearned, s.SpamTokens)
	return w.Flush()
}
