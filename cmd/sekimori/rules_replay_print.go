package main

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"sekimori/internal/replay"
	"sekimori/internal/text"
)

// print says it to a person.
func (r *replayReport) print(a *app, all bool) error {
	r.head(a)
	if r.Moved > 0 {
		if err := r.moves(a); err != nil {
			return err
		}
	}
	if err := r.rules(a, all); err != nil {
		return err
	}
	if r.NotJudged.Mails > 0 {
		fmt.Fprintf(a.out, "\n%s mails are not judged:\n", thousands(r.NotJudged.Mails))
		for _, w := range r.NotJudged.Why {
			fmt.Fprintf(a.out, "  %s: %s\n", thousands(w.Mails), w.Text)
		}
	}
	if len(r.Failed) > 0 {
		fmt.Fprintln(a.out, "\nthe new set could not evaluate:")
		for _, w := range r.Failed {
			fmt.Fprintf(a.out, "  %s: %s\n", thousands(w.Mails), text.Clean(w.Text, 200))
		}
	}
	r.foot(a)
	return nil
}

// head says what was judged and how much moves.
func (r *replayReport) head(a *app) {
	fmt.Fprintf(a.out, "%s against %s, mail of %s", r.Set.words(), r.Against.words(), r.Node)
	if !r.From.IsZero() {
		fmt.Fprintf(a.out, ", %s to %s", r.From.Local().Format(historyTime), r.To.Local().Format(historyTime))
	}
	fmt.Fprintf(a.out, "\n%s mails for %s recipients judged in %.1fs", thousands(r.Mails), thousands(r.Recipients), r.Seconds)
	if r.Seconds > 0.5 {
		fmt.Fprintf(a.out, " (%s a second)", thousands(int(float64(r.Mails)/r.Seconds)))
	}
	fmt.Fprintf(a.out, "; %s would be treated otherwise (%s)\n", thousands(r.Moved), percent(r.Share))
	if r.Moved > 0 {
		fmt.Fprintf(a.out, "of these %s were released by people, %s are of known correspondents\n", thousands(r.Released), thousands(r.Known))
	}
	if r.Reasons > 0 {
		fmt.Fprintf(a.out, "%s recipients would be treated alike, for another reason\n", thousands(r.Reasons))
	}
	if r.Bodies+r.Certain > 0 {
		fmt.Fprintf(a.out, "without the text: %s mails were judged on what the quarantine holds, %s end alike whatever the text says\n", thousands(r.Bodies), thousands(r.Certain))
	}
}

func (s replaySet) words() string {
	if s.Version == "" || s.Version == s.Name {
		return s.Name
	}
	return s.Name + " (" + s.Version + ")"
}

// moves prints the table and the mails.
func (r *replayReport) moves(a *app) error {
	w := a.table()
	fmt.Fprintln(w, "\nFROM\tTO\tRECIPIENTS\tRELEASED\tKNOWN")
	for _, c := range r.Table {
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\n", c.From, c.To, c.Recipients, c.Released, c.Known)
	}
	if len(r.Moves) > 0 {
		fmt.Fprintln(w, "\t\t\t\t")
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for i := range r.Moves {
		printMove(a, &r.Moves[i])
	}
	if n := r.MovedRcpts - len(r.Moves); n > 0 && len(r.Moves) > 0 {
		fmt.Fprintf(a.out, "and %s more (--limit, --only)\n", thousands(n))
	}
	return nil
}

func printMove(a *app, m *replay.Move) {
	mark := ""
	switch {
	case m.Released:
		mark = " [released]"
	case m.Known:
		mark = " [known correspondent]"
	}
	fmt.Fprintf(a.out, "%s  %s  %s -> %s%s\n", m.Time.Local().Format(historyTime), m.ID, m.From, m.To, mark)
	fmt.Fprintf(a.out, "    from %s to %s: %s\n", text.Clean(cmp.Or(m.Sender, "<>"), 80), text.Clean(m.Rcpt, 80), text.Clean(m.Subject, 80))
	fmt.Fprintf(a.out, "    was %s, is %s; because of %s\n", m.Was.Words(), m.Is.Words(), strings.Join(m.Changed, ", "))
	if len(m.Blind) > 0 {
		fmt.Fprintf(a.out, "    whatever is said by %s, whose text was not kept\n", strings.Join(m.Blind, ", "))
	}
}

// rules counts what the rules do.
func (r *replayReport) rules(a *app, all bool) error {
	w := a.table()
	n := 0
	for i := range r.Rules {
		c := &r.Rules[i]
		if !all && c.Moves+c.NotJudged == 0 {
			continue
		}
		if n++; n == 1 {
			fmt.Fprintln(w, "\nRULE\tMOVES\tHITS\tOBSERVED\tDECIDES\tUNKNOWN\tNOT JUDGED\tAT")
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%s\n", c.ID, c.Moves, c.Hits, c.Observed, c.Decides, c.Unknown, c.NotJudged, cmp.Or(c.Place, "not in the new set"))
	}
	return w.Flush()
}

// foot says what is wrong and what was not covered.
func (r *replayReport) foot(a *app) {
	if r.Mismatch > 0 {
		fmt.Fprintf(a.out, "\n%s mails are not judged as they were by the same rules. That is a mistake in this program; please report it:\n", thousands(r.Mismatch))
		for _, m := range r.Mismatches {
			fmt.Fprintf(a.out, "  %s %s for %s\n    was: %s\n    is:  %s\n", m.Time.Local().Format(historyTime), m.ID, text.Clean(m.Rcpt, 80), text.Clean(m.Was, 400), text.Clean(m.Is, 400))
		}
	}
	if r.Suspended > 0 {
		fmt.Fprintf(a.out, "\nnote: %s mails are of a time at which a rule was suspended, because it took too long\n", thousands(r.Suspended))
	}
	if r.Damaged > 0 {
		fmt.Fprintf(a.out, "\nnote: %s pieces of the history cannot be read: %s\n", thousands(r.Damaged), text.Clean(strings.Join(r.Errors, "; "), 1000))
	}
	for _, n := range r.Notes {
		fmt.Fprintln(a.out, "note:", text.Clean(n, 500))
	}
	if len(r.Others) > 0 {
		fmt.Fprintf(a.out, "note: only mail of %s was judged; run the command on %s, too\n", r.Node, strings.Join(r.Others, ", "))
	}
}

// thousands writes a number with separators.
func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// percent writes a share with as many digits as say something.
func percent(share float64) string {
	if share > 0 && share < 0.0001 {
		return "less than 0.01%"
	}
	return strconv.FormatFloat(share*100, 'f', 2, 64) + "%"
}
