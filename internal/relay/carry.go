package relay

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"sekimori/internal/ledger"
	"sekimori/internal/mail"
	"sekimori/internal/spool"
)

// The requests beside verbRetry. Args of both: who asks, the id of the request for what is told, then IDs.
const (
	verbDelete = "queue.delete"
	verbImport = "queue.import"
)

// Keeper is the spool with its ledger, as a command that holds the lock of both has them, or serve.
type Keeper struct {
	Spool  *spool.Spool
	Ledger *ledger.Ledger
}

// End takes an entry out of the spool for good: every recipient that waits ends with the state. When its envelope cannot be
// read, the ledger says who waits. spool.ErrNotFound when there is none.
func (k Keeper) End(id string, state ledger.State, detail string) error {
	e, err := k.Spool.Get(id)
	if errors.Is(err, spool.ErrNotFound) {
		return err
	}
	if err != nil {
		return k.endDamaged(id, state, detail)
	}
	list := ends(&e)
	for _, c := range e.Rcpts {
		if !c.Done {
			list = append(list, ledger.Ending{Rcpt: c.Addr, State: state, Detail: detail})
		}
	}
	if err := k.Ledger.End(ledgerID(&e), list...); err != nil {
		return err
	}
	return k.Spool.Remove(id)
}

func (k Keeper) endDamaged(id string, state ledger.State, detail string) error {
	snap, err := k.Ledger.Snapshot()
	if err != nil {
		return err
	}
	line := strings.TrimSuffix(id, ".hold")
	for _, i := range snap.Open {
		if i.ID != line {
			continue
		}
		var list []ledger.Ending
		for _, r := range i.Rcpts {
			var a mail.Address
			_ = a.UnmarshalText([]byte(r)) // never fails
			list = append(list, ledger.Ending{Rcpt: a, State: state, Detail: detail})
		}
		if err := k.Ledger.End(line, list...); err != nil {
			return err
		}
	}
	return k.Spool.Remove(id)
}

// ledgerID is under which id an entry stands in the ledger: a hold's entry has its own name.
func ledgerID(e *spool.Entry) string {
	if e.Kind == spool.KindHold {
		return strings.TrimSuffix(e.ID, ".hold")
	}
	return e.ID
}

// ErrKnown says that a mail was here before: its recipients have ended or wait under the same id.
var ErrKnown = errors.New("this mail is or was here already")

// addresses refuses an envelope whose addresses could not have come in by the front: they are written into commands and headers.
func addresses(e *spool.Entry) error {
	list := make([]mail.Address, 0, len(e.Rcpts)+1)
	if !e.From.IsNull() {
		list = append(list, e.From)
	}
	for i := range e.Rcpts {
		list = append(list, e.Rcpts[i].Addr)
	}
	for _, a := range list {
		if a.Domain == "" && strings.EqualFold(a.Local, "postmaster") {
			continue
		}
		if _, err := mail.ParseAddress(a.String(), true); err != nil {
			return fmt.Errorf("%w: %s: the address %q: %w", spool.ErrInvalid, e.ID, a.String(), err)
		}
	}
	return nil
}

// Bring stores an entry of another spool: the octets first, then its line. It refuses what does not match its checksum
// (spool.ErrInvalid) and what is or was here (ErrKnown), so that an import can be repeated.
func (k Keeper) Bring(e spool.Entry, content mail.Content, detail string) error {
	if err := spool.Verify(&e, content); err != nil {
		return err
	}
	if err := addresses(&e); err != nil {
		return err
	}
	id := ledgerID(&e)
	if old, err := k.Spool.Get(e.ID); err == nil {
		return fmt.Errorf("%w: %s is %s", ErrKnown, e.ID, old.State)
	}
	past, err := k.Ledger.History(func(x string) bool { return x == id })
	if err != nil {
		return err
	}
	// What left by an export may come back; anything else that ended must not be sent again.
	for _, x := range past {
		if x.Ends() && !(x.Word == string(ledger.Moved) && strings.HasPrefix(x.Detail, "exported")) {
			return fmt.Errorf("%w: %s ended for %s as %s", ErrKnown, e.ID, x.Rcpt, x.Word)
		}
	}
	m := ledger.Mail{ID: id, Detail: detail}
	for i := range e.Rcpts {
		if c := &e.Rcpts[i]; !c.Done {
			m.Rcpts = append(m.Rcpts, c.Addr)
			if e.Kind == spool.KindQueue && !e.Once { // what is sent once stays in flight
				c.Status = waitingUnlessFailed(c.Status)
			}
		}
	}
	if e.Kind == spool.KindQueue && !e.Once {
		e.State = spool.StateQueued
	}
	if err := k.Spool.Put(e, content); err != nil {
		return err
	}
	place := ledger.Queue
	if e.Kind == spool.KindHold {
		place = ledger.Hold
	}
	if err := k.Ledger.Accept(place, m); err != nil {
		return errors.Join(err, k.Spool.Remove(e.ID))
	}
	return nil
}

func waitingUnlessFailed(status string) string {
	if status == spool.Failed {
		return status
	}
	return spool.Waiting
}

// Export writes entries as a tar: for each its envelope KIND/ID.json and then its octets KIND/ID.eml, as they stand in the
// spool. What cannot be read whole is an error; what left the spool meanwhile is left out. It returns which entries it wrote.
func Export(w io.Writer, r *spool.Reader, entries []spool.Entry) ([]spool.Entry, error) {
	t := tar.NewWriter(w)
	var wrote []spool.Entry
	for _, e := range entries {
		c, release, err := r.Content(e.ID)
		if errors.Is(err, spool.ErrNotFound) {
			continue
		}
		if err != nil {
			return wrote, err
		}
		err = exportOne(t, &e, c)
		release()
		if err != nil {
			return wrote, fmt.Errorf("%s: %w", e.ID, err)
		}
		wrote = append(wrote, e)
	}
	return wrote, t.Close()
}

func exportOne(t *tar.Writer, e *spool.Entry, c mail.Content) error {
	if err := spool.Verify(e, c); err != nil {
		return err
	}
	env, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return err
	}
	for _, f := range []struct {
		ext  string
		data mail.Content
	}{{".json", mail.Content{append(env, '\n')}}, {".eml", c}} {
		h := tar.Header{Name: e.Kind + "/" + e.ID + f.ext, Mode: 0o600, Size: f.data.Len(), ModTime: e.Created, Format: tar.FormatPAX}
		if err := t.WriteHeader(&h); err != nil {
			return err
		}
		for _, p := range f.data {
			if _, err := t.Write(p); err != nil {
				return err
			}
		}
	}
	return nil
}

const maxImported = 1 << 30 // octets of one file in a tar

// Import reads a tar that Export made and calls f for each entry with its octets, in order. A file that is none of ours, or
// an envelope without its octets, is an error.
func Import(r io.Reader, f func(e spool.Entry, content mail.Content) error) error {
	t := tar.NewReader(r)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if h.Typeflag == tar.TypeDir {
			continue
		}
		e, err := importEnvelope(t, h)
		if err != nil {
			return fmt.Errorf("%s: %w", h.Name, err)
		}
		h, err = t.Next()
		if err != nil || h.Name != e.Kind+"/"+e.ID+".eml" || h.Size > maxImported {
			return fmt.Errorf("%w: behind the envelope of %s its octets are missing", spool.ErrInvalid, e.ID)
		}
		data, err := io.ReadAll(t)
		if err != nil {
			return fmt.Errorf("%s: %w", h.Name, err)
		}
		if err := f(e, mail.Content{data}); err != nil {
			return err
		}
	}
}

func importEnvelope(t *tar.Reader, h *tar.Header) (spool.Entry, error) {
	kind, name, _ := strings.Cut(h.Name, "/")
	id, ok := strings.CutSuffix(name, ".json")
	if !ok || !slices.Contains([]string{spool.KindQueue, spool.KindHold}, kind) || h.Size > 16<<20 {
		return spool.Entry{}, fmt.Errorf("%w: no envelope of an export", spool.ErrInvalid)
	}
	b, err := io.ReadAll(t)
	if err != nil {
		return spool.Entry{}, err
	}
	return spool.Decode(b, id, kind)
}

// RequestDelete asks the serve that runs on this spool to delete entries of the queue.
func RequestDelete(spoolDir string, now time.Time, by string, ids ...string) error {
	return spool.Ask(spoolDir, verbDelete, append([]string{by}, ids...), now)
}

// RequestImport asks it to take over the entries of a tar file, which it deletes afterwards.
func RequestImport(spoolDir string, now time.Time, by, file string) error {
	return spool.Ask(spoolDir, verbImport, []string{by, file}, now)
}
