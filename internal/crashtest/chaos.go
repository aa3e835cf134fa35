package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// chaos does harm until so many processes were killed.
func (w *world) chaos(kills int) error {
	w.sleep(1500, 2500)
	plan := w.plan()
	for n := 0; n < kills || len(plan) > 0; {
		harm := w.harm
		if len(plan) > 0 {
			harm, plan = plan[0], plan[1:]
		}
		killed, err := harm()
		if err != nil {
			return err
		}
		n += killed
		w.sleep(150, 900)
		switch w.rand.IntN(6) {
		case 0, 1:
			w.decide()
		case 2:
			w.look()
		}
		if killed > 0 && n/20 != (n-killed)/20 {
			fmt.Fprintf(w.out, "%d kills\n", n)
		}
	}
	return nil
}

// sleep waits so many milliseconds as are drawn.
func (w *world) sleep(from, to int) {
	time.Sleep(time.Duration(from+w.rand.IntN(to-from)) * time.Millisecond)
}

// victim draws one of the processes, the server more often than the others.
func (w *world) victim() *process {
	all := w.all()
	if w.rand.IntN(5) < 2 {
		return w.server
	}
	return all[w.rand.IntN(len(all))]
}

// plan is what every run does at least once, in a drawn order: each process is killed, the server, Redis and a backend are stopped,
// the server is ended and started, and its disk is filled.
func (w *world) plan() []func() (int, error) {
	var list []func() (int, error)
	for _, p := range w.all() {
		list = append(list, func() (int, error) { return w.slay(p) })
	}
	for _, p := range []*process{w.server, w.redis, w.backends[0]} {
		list = append(list, func() (int, error) {
			w.count("stopped")
			p.pause()
			w.sleep(1000, 4000)
			p.resume()
			return 0, nil
		})
	}
	list = append(list, func() (int, error) { return 0, w.restart(false) }, func() (int, error) { return 0, w.restart(true) })
	if w.mounted {
		list = append(list, func() (int, error) { w.fill(true); return 0, nil }, func() (int, error) { w.fill(false); return 0, nil })
	}
	w.rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

// slay kills a process and starts it again, at once or after a while.
func (w *world) slay(p *process) (int, error) {
	w.note(p)
	p.kill()
	if w.rand.IntN(2) == 0 {
		w.sleep(50, 1500)
	}
	return 1, p.start()
}

// harm does one thing and returns how many processes it killed.
func (w *world) harm() (int, error) {
	p := w.victim()
	switch k := w.rand.IntN(20); {
	case k == 0: // two at once
		w.note(p)
		p.kill()
		killed, err := w.slay(w.victim())
		if err != nil {
			return 0, err
		}
		return killed + 1, p.start()
	case k < 11:
		return w.slay(p)
	case k < 15:
		w.count("stopped")
		p.pause()
		w.sleep(100, 4000)
		if w.rand.IntN(3) == 0 {
			w.note(p)
			p.kill() // while it is stopped
			return 1, p.start()
		}
		p.resume()
	case k < 17:
		return 0, w.restart(w.rand.IntN(2) == 0)
	case w.mounted:
		w.fill(w.rand.IntN(2) == 0)
	}
	return 0, nil
}

// count remembers how often a harm other than killing was done.
func (w *world) count(harm string) { w.harms[harm]++ }

// look compares while everything is under way: what is not where the ledger says is a fault at any time. A store that does
// not answer just now is none.
func (w *world) look() {
	w.count("compared under way")
	out, err := w.command("queue", "check", "--json")
	var r struct {
		Mismatches []json.RawMessage `json:"mismatches"`
	}
	if err == nil || json.Unmarshal(out, &r) != nil || len(r.Mismatches) == 0 {
		return
	}
	w.early = append(w.early, fmt.Sprintf("queue check under way: %.2000s", out))
}

func (w *world) note(p *process) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.kills = append(w.kills, kill{p.name, time.Now()})
}

// restart ends the server with SIGTERM, or asks it to read its configuration again.
func (w *world) restart(reload bool) error {
	if reload {
		w.count("configuration read again")
		w.server.mu.Lock()
		_ = w.server.running.Process.Signal(syscall.SIGHUP)
		w.server.mu.Unlock()
		w.sleep(50, 300)
		return nil
	}
	w.count("ended with SIGTERM")
	if code := w.server.end(60 * time.Second); code != 0 {
		return fmt.Errorf("the server ended with %d on SIGTERM; see %s", code, w.server.log)
	}
	return w.server.start()
}

// fill takes the server's disk, down to the last octet or only below the reserve, and gives it back.
func (w *world) fill(whole bool) {
	w.count("disk filled")
	name := filepath.Join(w.data, "ballast")
	var st syscall.Statfs_t
	if syscall.Statfs(w.data, &st) != nil {
		return
	}
	take := int64(st.Bavail) * st.Bsize
	if !whole {
		take -= 20 << 20
	}
	if f, err := os.Create(name); err == nil {
		chunk := make([]byte, 1<<20)
		for ; take > 0; take -= int64(len(chunk)) {
			if _, err := f.Write(chunk[:min(int64(len(chunk)), take)]); err != nil {
				break
			}
		}
		f.Close()
	}
	w.sleep(500, 3000)
	_ = os.Remove(name)
}

// heldRow is what is read of `quarantine list --json`.
type heldRow struct {
	ID      string   `json:"id"`
	Rcpt    []string `json:"rcpt"`
	Subject string   `json:"subject"`
	Class   string   `json:"class"`
	Pending bool     `json:"pending"`
	States  []struct {
		Rcpt  string `json:"rcpt"`
		State string `json:"state"`
	} `json:"states"`
}

// decide releases or deletes a held mail, as people do; while everything is being killed it may fail.
func (w *world) decide() {
	out, err := w.command("quarantine", "list", "--json", "--limit", "20")
	var rows []heldRow
	if err != nil || json.Unmarshal(out, &rows) != nil || len(rows) == 0 {
		return
	}
	row := rows[w.rand.IntN(len(rows))]
	verb := "release"
	if w.rand.IntN(3) == 0 {
		verb = "delete"
	}
	_, _ = w.command("quarantine", verb, row.ID)
}

// mend brings everything back, lets the backends behave, and waits until the queue has run empty.
func (w *world) mend() error {
	fmt.Fprintln(w.out, "mending")
	_ = os.Remove(filepath.Join(w.data, "ballast"))
	for _, p := range w.backends {
		w.honest.Store(p.name, true)
		p.resume()
		p.kill()
	}
	for _, p := range w.all() {
		p.resume()
		if err := p.start(); err != nil {
			return err
		}
	}
	var last []byte
	for end := time.Now().Add(3 * time.Minute); time.Now().Before(end); time.Sleep(2 * time.Second) {
		if w.settled(&last) {
			return nil
		}
		_, _ = w.command("queue", "retry", "--all")
	}
	return fmt.Errorf("the queue does not run empty: %.2000s", last)
}

// settled reports whether nothing is on its way any more.
func (w *world) settled(last *[]byte) bool {
	out, err := w.command("queue", "list", "--json")
	*last = out
	var queue []json.RawMessage
	if err != nil || json.Unmarshal(out, &queue) != nil || len(queue) > 0 {
		return false
	}
	rows, err := w.held()
	if err != nil {
		return false
	}
	for _, r := range rows {
		for _, s := range r.States {
			if s.State == "releasing" {
				return false
			}
		}
	}
	check, _ := w.command("queue", "check", "--json")
	var said struct {
		Closing int `json:"closing"`
	}
	// Faults that the check finds are judged later: here only its answer counts.
	return json.Unmarshal(check, &said) == nil && said.Closing == 0
}

// held lists everything that the quarantine knows of, the ended as well.
func (w *world) held() ([]heldRow, error) {
	out, err := w.command("quarantine", "list", "--all", "--json", "--limit", "0")
	if err != nil {
		return nil, err
	}
	var rows []heldRow
	return rows, json.Unmarshal(out, &rows)
}
