package relay

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"time"

	"sekimori/internal/disk"
	"sekimori/internal/mail"
	"sekimori/internal/spool"
)

// ImportDir is where a command leaves the tar that the running serve is to take over.
func ImportDir(spoolDir string) string { return filepath.Join(spoolDir, "requests", ".import") }

// Imported says what became of a tar.
type Imported struct {
	Taken int      `json:"taken"`
	Left  []string `json:"left"` // what was left alone, and why
}

const importResult = ".result"

// ImportedFrom reads, once, what the running serve says of a tar; fs.ErrNotExist while it says nothing yet.
func ImportedFrom(name string) (Imported, error) {
	var res Imported
	b, err := os.ReadFile(name + importResult)
	if err != nil {
		return res, err
	}
	err = json.Unmarshal(b, &res)
	return res, errors.Join(err, os.Remove(name+importResult))
}

// importFile takes over the entries of a tar that a command has left in the spool, and says beside it what became of them. After a
// crash it is repeated: what the first try had taken is then left alone as known.
func (r *Relay) importFile(by, name string) {
	if r.o.Ledger == nil || filepath.Dir(name) != ImportDir(r.o.Spool.Dir()) {
		r.o.Log.Error("relay: an import is asked for from a place that is not ours", "file", name)
		return
	}
	f, err := os.Open(name)
	if err != nil {
		r.o.Log.Error("relay: an import cannot be read", "error", err)
		return
	}
	defer f.Close()
	k := Keeper{r.o.Spool, r.o.Ledger}
	res := Imported{Left: []string{}}
	err = Import(f, func(e spool.Entry, c mail.Content) error {
		switch err := k.Bring(e, c, "imported by "+by); {
		case err != nil:
			res.Left = append(res.Left, err.Error())
			r.o.Log.Warn("relay: an entry is not imported", "id", e.ID, "error", err)
			return nil
		case e.Kind == spool.KindQueue:
			r.queue.adopt(e.ID, r.way(&e), r.o.Now())
		}
		res.Taken++
		r.o.Log.Info("relay: imported", "id", e.ID, "by", by)
		return nil
	})
	if err != nil {
		res.Left = append(res.Left, "the file is broken off: "+err.Error())
		r.o.Log.Error("relay: an import is broken off", "error", err)
	}
	if err := say(name+importResult, res); err != nil {
		r.o.Log.Error("relay: what became of an import cannot be said", "error", err)
	}
	os.Remove(name)
}

// say writes the result under another name first, so that it is never read in part.
func say(name string, res Imported) error {
	b, err := json.Marshal(res)
	if err != nil {
		return err
	}
	if err := os.WriteFile(name+".new", append(b, '\n'), 0o600); err != nil {
		return err
	}
	if err := disk.Own(name + ".new"); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}

// sweepImports removes what commands that were broken off have left: tars that no request names, and results that nobody read.
func (r *Relay) sweepImports() {
	wanted := map[string]bool{}
	list, err := r.o.Spool.Requests(verbImport)
	if err != nil {
		return
	}
	for _, q := range list {
		if len(q.Args) == 2 {
			wanted[q.Args[1]] = true
		}
	}
	names, _ := filepath.Glob(filepath.Join(ImportDir(r.o.Spool.Dir()), "*"))
	for _, name := range names {
		if st, err := os.Stat(name); err == nil && !wanted[name] && r.o.Now().Sub(st.ModTime()) > importLeft {
			os.Remove(name)
		}
	}
}

// importLeft is the age from which what lies in ImportDir belongs to nobody.
const importLeft = time.Hour
