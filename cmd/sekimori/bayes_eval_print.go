package main

import (
	"fmt"
	"slices"
	"strings"

	"sekimori/filters/bayes/measure"
)

// evalMistake is a mail that the check gets wrong.
type evalMistake struct {
	File    string  `json:"file"`
	Class   string  `json:"class"` // the folder it lies in
	Z       float64 `json:"z"`
	Subject string  `json:"subject"`
}

// mistakes are the worst of each class: good mail in the zone of spam, and spam in that of good mail, at most n of each.
func mistakes(scores []scored, n int) []evalMistake {
	list := []evalMistake{}
	for _, class := range []string{"ham", "spam"} {
		spam := class == "spam"
		var wrong []scored
		for _, s := range scores {
			if s.Spam == spam && (!spam && s.z >= measure.SpamZ || spam && s.z <= measure.HamZ) {
				wrong = append(wrong, s)
			}
		}
		slices.SortStableFunc(wrong, func(a, b scored) int {
			if spam {
				a, b = b, a
			}
			switch {
			case a.z > b.z:
				return -1
			case a.z < b.z:
				return 1
			}
			return 0
		})
		for _, s := range wrong[:min(n, len(wrong))] {
			list = append(list, evalMistake{s.file, class, s.z, s.subject})
		}
	}
	return list
}

// The numbers below which the check says nothing, and above which it weighs fully, as [filters.bayes] has them by default.
const (
	evalLeast = 200
	evalFull  = 500
)

// advise says in words what to do about the figures.
func (r *evalReport) advise(c bayesEvalCmd) {
	say := func(format string, args ...any) { r.Advice = append(r.Advice, fmt.Sprintf(format, args...)) }
	us := r.Rows[0].Result
	for _, class := range []struct {
		name string
		n    int
	}{{"ham", r.Ham}, {"spam", r.Spam}} {
		switch {
		case c.Manifest != "":
		case class.n < evalLeast:
			say("There are %d mails of %s. The check says nothing before it was shown %d of each class: collect %d more.", class.n, class.name, evalLeast, evalLeast-class.n)
		case class.n < evalFull:
			say("There are %d mails of %s: the check weighs half until it was shown %d of each class.", class.n, class.name, evalFull)
		}
	}
	if few, many := min(r.Ham, r.Spam), max(r.Ham, r.Spam); c.Manifest == "" && many > 10*few {
		say("One class has more than ten times the mails of the other: more of the rarer one helps most.")
	}
	if len(r.InBoth) > 0 {
		say("%d mails lie in ham and in spam. They were left out; keep each in one of the two.", len(r.InBoth))
	}
	if len(r.Mistakes) > 0 {
		say("Look at the mistakes above first: a mail that lies in the wrong folder is the usual cause, and teaches the check what is wrong.")
	}
	switch {
	case us.FPR > 0.2:
		say("%.2f %% of the good mail would be called spam. More good mail of the kinds that are named above helps; the check alone never refuses a mail.", us.FPR)
	case us.FNR > 25:
		say("%.0f %% of the spam would not be called spam. Learn spam of the last weeks; what the check is not sure of is left to the other checks.", us.FNR)
	case c.Manifest == "" && us.ROCA < 0.5 && r.Ham >= evalLeast && r.Spam >= evalLeast:
		say("The check tells this mail apart well. To teach it: sekimori learn ham %[1]s/ham && sekimori learn spam %[1]s/spam", strings.TrimRight(c.Dir, "/"))
	}
}

func (r *evalReport) print(a *app) error {
	w := a.table()
	fmt.Fprintln(w, "FILTER\tSPLIT\tHAM\tSPAM\tFPR %\tFNR %\t1-ROCA %\tFNR@0.1 %\tFNR@0.5 %\tUNSURE HAM %\tUNSURE SPAM %\tLEARN ms\tSCORE ms")
	var trained []string
	for _, r := range r.Rows {
		if r.Error != "" {
			fmt.Fprintf(w, "%s\t%s\t%s\n", r.Filter, r.Split, r.Error)
			continue
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%.3f\t%.2f\t%.4f\t%.2f\t%.2f", r.Filter, r.Split, r.Ham, r.Spam, r.FPR, r.FNR, r.ROCA, r.FNR01, r.FNR05)
		if r.Training != "" {
			fmt.Fprint(w, "\t-\t-")
			if words := r.Filter + ": " + r.Training; !slices.Contains(trained, words) {
				trained = append(trained, words)
			}
		} else {
			fmt.Fprintf(w, "\t%.2f\t%.2f", r.UnsureHam, r.UnsureSpam)
		}
		if r.Score > 0 {
			fmt.Fprintf(w, "\t%.2f\t%.2f", r.Learn, r.Score)
		}
		fmt.Fprintln(w)
	}
	for _, b := range r.Before {
		fmt.Fprintf(w, "%s, measured before\t%s\t-\t-\t%s\t%s\t%s\t%s\t%s\n", b.Filter, b.Split, figure(b.FPR, 2), figure(b.FNR, 1), figure(b.ROCA, 3), figure(b.FNR01, 1), figure(b.FNR05, 1))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if len(trained) > 0 {
		fmt.Fprintln(a.out, "\nHow the others were taught, from an empty store:", strings.Join(trained, "; ")+".")
	}
	if len(r.Before) > 0 {
		fmt.Fprintln(a.out, "\nMeasured before:", measure.BeforeSource)
	}
	fmt.Fprintln(a.out)
	measure.Text(a.out, r.outcomes())
	r.printWords(a)
	return nil
}

func figure(n *float64, digits int) string {
	if n == nil {
		return "-"
	}
	return fmt.Sprintf("%.*f", digits, *n)
}

func (r *evalReport) printWords(a *app) {
	if len(r.Mistakes) > 0 {
		fmt.Fprintln(a.out, "\nThe worst mistakes, by the folder they lie in:")
		w := a.table()
		for _, m := range r.Mistakes {
			fmt.Fprintf(w, "%s\tz %+.1f\t%s\t%s\n", m.Class, m.Z, m.File, m.Subject)
		}
		_ = w.Flush() // as any other output
	}
	if len(r.InBoth) > 0 {
		fmt.Fprintln(a.out, "\nIn ham and in spam, and left out:")
		for _, f := range r.InBoth[:min(len(r.InBoth), mostInBoth)] {
			fmt.Fprintln(a.out, f)
		}
	}
	if len(r.Advice) > 0 {
		fmt.Fprintln(a.out)
	}
	for _, s := range r.Advice {
		fmt.Fprintln(a.out, s)
	}
}

const mostInBoth = 20
