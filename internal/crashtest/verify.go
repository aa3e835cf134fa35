package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// fault is something that must not be.
type fault struct{ token, rcpt, what string }

func (f fault) weight() int {
	switch {
	case strings.Contains(f.what, "IS LOST"), strings.Contains(f.what, ": 0 copies at the backends"):
		return 2
	case strings.Contains(f.what, "the ledger says"):
		return 0
	}
	return 1
}

// account is all that is known in the end.
type account struct {
	w        *world
	arrived  map[string][]arrival // by token and recipient
	held     map[string][]string  // by token and recipient: id and state of each hold
	ledger   ledgerLines
	log      string
	faults   []fault
	explains map[string]int
}

func key(token, rcpt string) string { return token + " " + strings.ToLower(rcpt) }

// verify compares what was acknowledged with what is there and with what the ledger says.
func (w *world) verify(l *load) (bool, error) {
	check, checkErr := w.command("queue", "check", "--json")
	a, err := w.account()
	if err != nil {
		return false, err
	}
	acked, pairs, delivered, held := 0, 0, 0, 0
	for _, m := range l.mails {
		if m.id == "" {
			continue
		}
		acked++
		for _, rcpt := range m.rcpts {
			pairs++
			switch a.judge(m, rcpt) {
			case "delivered":
				delivered++
			case "kept":
				held++
			}
		}
	}
	if code := w.server.end(60 * time.Second); code != 0 {
		a.fault("", "", fmt.Sprintf("the server ended with %d", code))
	}
	if checkErr != nil {
		a.fault("", "", fmt.Sprintf("queue check: %v\n%.4000s", checkErr, check))
	}
	if len(w.early) > 0 {
		a.fault("", "", fmt.Sprintf("%d times, first: %s", len(w.early), w.early[0]))
	}
	a.races()
	w.report(l, a, acked, pairs, delivered, held)
	return len(a.faults) == 0, nil
}

func (w *world) report(l *load, a *account, acked, pairs, delivered, held int) {
	whom := map[string]int{}
	for _, k := range w.kills {
		whom[k.who]++
	}
	fmt.Fprintf(w.out, "killed: %v; %v\n", whom, w.harms)
	fmt.Fprintf(w.out, "%d mails sent, %d acknowledged with %d recipients, %d refused, %d told to come again, the others without an answer\n",
		l.number.Load(), acked, pairs, l.refused, l.later)
	fmt.Fprintf(w.out, "of the recipients %d are delivered, %d stand where the ledger says in the quarantine\n", delivered, held)
	fmt.Fprintf(w.out, "duplicates: %v\n", a.explains)
	// What is lost is said first.
	slices.SortStableFunc(a.faults, func(x, y fault) int { return y.weight() - x.weight() })
	for i, f := range a.faults {
		if i == 20 {
			fmt.Fprintf(w.out, "… and %d more\n", len(a.faults)-i)
			break
		}
		fmt.Fprintln(w.out, "FAULT:", f.token, f.rcpt, f.what)
	}
	fmt.Fprintf(w.out, "%d faults\n", len(a.faults))
}

// account gathers everything.
func (w *world) account() (*account, error) {
	a := &account{w: w, arrived: map[string][]arrival{}, held: map[string][]string{}, explains: map[string]int{}}
	// Postfix delivers what it has taken in its own time.
	var list []arrival
	for before := -1; before != len(list); {
		before = len(list)
		time.Sleep(3 * time.Second)
		var err error
		if list, err = w.arrivals(); err != nil {
			return nil, err
		}
	}
	for _, x := range list {
		k := key(x.token, x.rcpt)
		a.arrived[k] = append(a.arrived[k], x)
	}
	rows, err := w.held()
	if err != nil {
		return nil, err
	}
	for _, r := range rows {
		_, token, _ := strings.Cut(r.Subject, " ")
		for _, s := range r.States {
			k := key(token, s.Rcpt)
			a.held[k] = append(a.held[k], r.ID+" "+s.State)
		}
	}
	if a.ledger, err = w.readLedger(); err != nil {
		return nil, err
	}
	log, err := os.ReadFile(w.server.log)
	a.log = string(log)
	return a, err
}

func (a *account) fault(token, rcpt, what string) {
	a.faults = append(a.faults, fault{token, rcpt, what})
}

// judge says where the mail for one recipient is: delivered, or kept in the quarantine (or deleted there by somebody).
func (a *account) judge(m *sent, rcpt string) string {
	copies := a.arrived[key(m.token, rcpt)]
	for i := range copies {
		if !copies[i].same(m) {
			a.fault(m.token, rcpt, "other octets in "+copies[i].file)
		}
	}
	if len(copies) > 1 {
		a.explain(m, rcpt, copies)
	}
	said := a.ledger.of(m.id, rcpt)
	holds := a.held[key(m.token, rcpt)]
	switch {
	case len(copies) > 0 && (said == "" || said == "delivered"):
		return "delivered"
	case len(copies) == 0 && said == "held" && stands(holds, "held"):
		return "kept"
	case len(copies) == 0 && said == "deleted" && stands(holds, "deleted"):
		return "kept"
	case len(copies) == 0 && said == "deleted" && a.forgot() && stands(holds, "held"):
		a.explains["deleted, and held again since Redis lost its last writes"]++
		return "kept"
	case len(copies) > 0 && said == "held" && stands(holds, "held") && (a.announced(m.id) || a.killedBetween(copies[0].at, m.at.Add(time.Hour))):
		a.explains["delivered without an answer, then refused and held"]++
		return "delivered"
	case len(copies) > 0 && said == "held" && stands(holds, "held") && a.forgot():
		a.explains["released, and held again since Redis lost its last writes"]++
		return "delivered"
	case len(copies) == 0 && len(holds) == 0 && said == "":
		a.fault(m.token, rcpt, m.id+" IS LOST: no backend has it, it is not held, and the ledger does not know it")
	default:
		a.fault(m.token, rcpt, fmt.Sprintf("%s: %d copies at the backends, the ledger says %q, the quarantine %q", m.id, len(copies), said, holds))
	}
	return ""
}

// forgot reports whether the Redis of this run loses its last writes when it is killed, and was.
func (a *account) forgot() bool {
	return !a.w.durable && slices.ContainsFunc(a.w.kills, func(k kill) bool { return k.who == "redis" })
}

func stands(holds []string, states ...string) bool {
	return slices.ContainsFunc(holds, func(h string) bool {
		_, state, _ := strings.Cut(h, " ")
		return slices.Contains(states, state)
	})
}

// explain finds the reason of a duplicate: Postfix delivered one mail twice, the server said that this may happen, or it was killed between
// the two copies.
func (a *account) explain(m *sent, rcpt string, copies []arrival) {
	slices.SortFunc(copies, func(x, y arrival) int { return x.at.Compare(y.at) })
	for i := 1; i < len(copies); i++ {
		before, after := copies[i-1], copies[i]
		switch {
		case after.queueID != "" && before.queueID == after.queueID:
			a.explains["Postfix delivered one mail twice"]++
		case a.announced(m.id):
			a.explains["connection lost behind the final dot, as the log says"]++
		case a.killedBetween(before.at, after.at):
			a.explains["the server was killed between the backend's answer and its record"]++
		case a.forgot() && strings.Contains(string(after.octets[:min(len(after.octets), 200)]), "X-Sekimori-Released"):
			a.explains["released twice since Redis lost its last writes"]++
		default:
			a.fault(m.token, rcpt, fmt.Sprintf("%s arrived twice and nothing explains it: %s %s, %s %s", m.id, before.file, before.at, after.file, after.at))
		}
	}
}

// announced reports whether the log says of the mail that it may arrive twice.
func (a *account) announced(id string) bool {
	for line := range strings.Lines(a.log) {
		if strings.Contains(line, id) && strings.Contains(line, "may arrive twice") {
			return true
		}
	}
	return false
}

// lateStore is how long after its connection broke a backend may still put away what it had read: it stalls, or is stopped.
const lateStore = 15 * time.Second

func (a *account) killedBetween(from, to time.Time) bool {
	return slices.ContainsFunc(a.w.kills, func(k kill) bool {
		return k.who == "sekimori" && k.at.After(from.Add(-lateStore)) && k.at.Before(to)
	})
}

// races makes faults of what the race detector and panics print into the log.
func (a *account) races() {
	for line := range strings.Lines(a.log) {
		if strings.Contains(line, "WARNING: DATA RACE") || strings.HasPrefix(line, "panic:") || strings.HasPrefix(line, "fatal error:") {
			a.fault("", "", strings.TrimSpace(line)+" in "+a.w.server.log)
		}
	}
}
