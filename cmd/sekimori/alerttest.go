package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rs/xid"

	"sekimori/internal/config"
	"sekimori/internal/ledger"
	"sekimori/internal/mail"
	"sekimori/internal/relay"
	"sekimori/internal/spool"
	"sekimori/internal/text"
)

const (
	verbAlertTest = "alert.test" // Args: the ID that the mail is to have, who asks

	alertAnswerWait = 20 * time.Second // for serve to put the test into its queue
	alertTestWait   = 30 * time.Second // for the queue to bring it to an end
)

// alertAnswer is what serve says of a test that was asked for: to whom it is queued, or why it is not.
type alertAnswer struct {
	To    []string `json:"to"`
	Error string   `json:"error,omitempty"`
}

func alertAnswerPath(dir, id string) string { return filepath.Join(dir, id+".answer") }

// alertAnswerer is serve's side of `check --alert`.
type alertAnswerer struct {
	spool *spool.Spool
	dir   string // data_dir
	cfg   func() *config.Config
	now   func() time.Time
	send  func(context.Context, relay.Envelope) error
	log   *slog.Logger
}

// look carries out what was asked for.
func (a *alertAnswerer) look(ctx context.Context) {
	list, err := a.spool.Requests("alert.")
	if err != nil {
		a.log.Error("alert: requests cannot be read", "err", err)
		return
	}
	for _, q := range list {
		if err := a.spool.Answered(q); err != nil {
			a.log.Error("alert: a request cannot be taken away", "err", err)
			continue
		}
		if q.Verb != verbAlertTest || len(q.Args) != 2 || !spool.ValidID(q.Args[0]) || !strings.HasPrefix(q.Args[0], "alert-") {
			a.log.Error("alert: a request that is not known", "verb", q.Verb)
			continue
		}
		a.test(ctx, q.Args[0], q.Args[1])
	}
}

func (a *alertAnswerer) test(ctx context.Context, id, by string) {
	r := alertAnswer{To: a.cfg().Alert.Mail}
	if len(r.To) == 0 {
		r.Error = "alert.mail of the configuration in force names nobody"
	} else if err := a.send(ctx, alertTestMail(a.cfg(), id, a.now())); err != nil {
		r.Error = "it cannot be queued: " + err.Error()
	}
	a.log.Info("a test of alerts was asked for", "id", id, "by", by, "to", r.To, "error", r.Error)
	b, err := json.Marshal(r)
	if err == nil {
		err = replaceFile(alertAnswerPath(a.dir, id), b, 0o600)
	}
	if err != nil {
		a.log.Warn("alert: what became of a test cannot be told", "id", id, "err", err)
	}
}

// alertFate is what became of the test for one address.
type alertFate struct {
	To     string `json:"to"`
	State  string `json:"state"` // delivered | refused | queued | another end of the ledger
	Detail string `json:"detail,omitempty"`
}

// alertTest is what check --alert --json prints.
type alertTest struct {
	OK    bool        `json:"ok"` // every address has it
	ID    string      `json:"id,omitempty"`
	To    []alertFate `json:"to"`
	Error string      `json:"error,omitempty"`
}

// testAlert mails a test as an alert is mailed, through the queue of the running serve.
func (a *app) testAlert(asJSON bool) error {
	cfg, err := a.loadConfig()
	if err != nil {
		printErrors(a.err, err)
		return found
	}
	r := alertTest{To: []alertFate{}}
	answer, err := a.askAlert(cfg, &r)
	if err == nil {
		err = a.alertFates(cfg, answer, &r)
	}
	if err != nil {
		r.Error = err.Error()
	}
	r.OK = err == nil && !slices.ContainsFunc(r.To, func(f alertFate) bool { return f.State != string(ledger.Delivered) })
	if asJSON {
		if err := a.json(r); err != nil {
			return err
		}
	} else {
		a.tellAlert(&r)
	}
	switch {
	case err != nil && !asJSON:
		return err
	case !r.OK:
		return found
	}
	return nil
}

// askAlert asks serve for the test and returns its answer.
func (a *app) askAlert(cfg *config.Config, r *alertTest) (alertAnswer, error) {
	var answer alertAnswer
	if len(cfg.Alert.Mail) == 0 {
		return answer, errors.New("alert.mail names nobody, so no alert is mailed: [alert] mail = [\"admin@example.jp\"]")
	}
	running, err := spool.Locked(spoolDir(cfg))
	if err != nil {
		return answer, fmt.Errorf("whether serve is running cannot be seen: %w", err)
	}
	if !running {
		return answer, fmt.Errorf("no serve runs on %s, and alerts are mailed through its queue: start it first", cfg.DataDir)
	}
	id := "alert-" + xid.New().String()
	if err := spool.Ask(spoolDir(cfg), verbAlertTest, []string{id, operator()}, time.Now()); err != nil {
		return answer, err
	}
	path := alertAnswerPath(cfg.DataDir, id)
	var b []byte
	err = a.poll(alertAnswerWait, func() (bool, error) {
		b, err = os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return true, err
	})
	if errors.Is(err, errPatience) {
		return answer, fmt.Errorf("the running serve has not answered for %s; its log says more", alertAnswerWait)
	}
	if err == nil {
		_ = os.Remove(path)
		err = json.Unmarshal(b, &answer)
	}
	if err == nil && answer.Error != "" {
		err = errors.New(answer.Error)
	}
	if err == nil {
		r.ID = id
	}
	return answer, err
}

var errPatience = errors.New("it takes too long")

// poll asks f until it is done; errPatience when it is not within the time.
func (a *app) poll(patience time.Duration, f func() (done bool, err error)) error {
	t := time.NewTicker(200 * time.Millisecond)
	defer t.Stop()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		select {
		case <-a.ctx.Done():
			return errors.New("interrupted; serve goes on with it")
		case <-t.C:
		}
		if done, err := f(); done || err != nil {
			return err
		}
	}
	return errPatience
}

// alertFates waits until every part of the test has left the queue or was tried once in vain, and says what became of each address.
func (a *app) alertFates(cfg *config.Config, answer alertAnswer, r *alertTest) error {
	sp, err := spool.OpenReadOnly(spoolDir(cfg))
	if err != nil {
		return err
	}
	var waiting []relay.Item
	err = a.poll(alertTestWait, func() (bool, error) {
		waiting, err = alertParts(sp, r.ID, len(answer.To))
		stuck(cfg, waiting)
		return !slices.ContainsFunc(waiting, func(q relay.Item) bool {
			return len(q.WaitsFor) == 0 && (q.State == spool.StateInflight || q.Reason == "")
		}), err
	})
	if err != nil && !errors.Is(err, errPatience) {
		return err
	}
	past, err := a.past(cfg, r.ID)
	if err != nil {
		return err
	}
	for _, to := range answer.To {
		addr, err := mail.ParseAddress(to, false)
		if err != nil {
			continue // the configuration was checked
		}
		r.To = append(r.To, fateOf(addr, past, waiting))
	}
	return nil
}

// alertParts returns what still waits of a mail that is one entry per set of backends.
func alertParts(sp *spool.Reader, id string, most int) (list []relay.Item, err error) {
	for n := 1; n <= most; n++ {
		part := id
		if n > 1 {
			part += "." + strconv.Itoa(n)
		}
		e, err := sp.Get(part)
		if errors.Is(err, spool.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, relay.ItemOf(&e, time.Now()))
	}
	return list, nil
}

func fateOf(addr mail.Address, past []ledger.Event, waiting []relay.Item) alertFate {
	f := alertFate{To: addr.String(), State: "queued"}
	for i := range past {
		if e := &past[i]; e.Ends() && e.Rcpt == ledger.Key(addr) {
			f.State, f.Detail = e.Word, e.Detail
			if e.Word == string(ledger.Moved) {
				f.State = "refused"
			}
			return f
		}
	}
	for i := range waiting {
		q := &waiting[i]
		if slices.ContainsFunc(q.Rcpts, func(c spool.Rcpt) bool { return c.Addr == addr }) {
			f.Detail = q.Reason
			break
		}
	}
	return f
}

func (a *app) tellAlert(r *alertTest) {
	for _, f := range r.To {
		detail := text.Clean(f.Detail, 300)
		switch f.State {
		case string(ledger.Delivered):
			fmt.Fprintf(a.out, "%s: delivered, as %s\n", f.To, r.ID)
		case "queued":
			if detail == "" {
				detail = "no answer yet"
			}
			fmt.Fprintf(a.out, "%s: not delivered yet, it waits in the queue as %s: %s\n", f.To, r.ID, detail)
		case "refused":
			fmt.Fprintf(a.out, "%s: refused, %s; sekimori quarantine list --all\n", f.To, detail)
		default:
			fmt.Fprintf(a.out, "%s: %s, %s\n", f.To, f.State, detail)
		}
	}
}
