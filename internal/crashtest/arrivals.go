package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// arrival is one copy of a mail that a backend has for one recipient.
type arrival struct {
	token, rcpt, file string
	at                time.Time
	queueID           string // Postfix's; two copies with the same one are Postfix's own doing
	octets            []byte
}

// arrivals reads what all backends have.
func (w *world) arrivals() ([]arrival, error) {
	list, err := w.scripted()
	if err != nil {
		return nil, err
	}
	boxes := []string{filepath.Join(w.data, "maildir")}
	if w.postfix != nil {
		boxes = append(boxes, filepath.Join(w.dir, "postfix", "box"))
	}
	for _, box := range boxes {
		more, err := maildirs(box)
		if err != nil {
			return nil, err
		}
		list = append(list, more...)
	}
	return list, nil
}

func (w *world) scripted() ([]arrival, error) {
	names, err := filepath.Glob(filepath.Join(w.boxes, "*", "*.json"))
	if err != nil {
		return nil, err
	}
	var list []arrival
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		var t taken
		if err := json.Unmarshal(b, &t); err != nil {
			return nil, err
		}
		octets, err := os.ReadFile(strings.TrimSuffix(name, ".json") + ".eml")
		if err != nil {
			return nil, err
		}
		for _, rcpt := range t.Rcpts {
			list = append(list, arrival{token: tokenOf(octets), rcpt: rcpt, file: name, at: t.Time, octets: octets})
		}
	}
	return list, nil
}

var postfixID = regexp.MustCompile(`by postfix\.test \(Postfix\) with \S+ id (\S+?)[\s;]`)

func maildirs(dir string) ([]arrival, error) {
	var list []arrival
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || filepath.Base(filepath.Dir(path)) != "new" {
			return err
		}
		octets, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if !bytes.Contains(octets, []byte("\r\n")) {
			octets = bytes.ReplaceAll(octets, []byte("\n"), []byte("\r\n"))
		}
		a := arrival{token: tokenOf(octets), file: path, at: info.ModTime(), octets: octets}
		head, _, _ := bytes.Cut(octets, []byte("\r\n\r\n"))
		if m := postfixID.FindSubmatch(head); m != nil {
			a.queueID = string(m[1])
		}
		for line := range strings.SplitSeq(string(head), "\r\n") {
			if rcpt, ok := strings.CutPrefix(line, "Delivered-To: "); ok {
				a.rcpt = rcpt
				list = append(list, a)
			}
		}
		return nil
	})
	return list, err
}

var messageID = regexp.MustCompile(`(?m)^Message-ID: <(t\d+)@load\.test>`)

// tokenOf finds which mail it is; empty for one that is not of the load.
func tokenOf(octets []byte) string {
	if m := messageID.FindSubmatch(octets[:min(len(octets), 16<<10)]); m != nil {
		return string(m[1])
	}
	return ""
}

// same reports whether the copy ends in the octets that were sent: on top stand only header fields.
func (a *arrival) same(m *sent) bool {
	if len(a.octets) < m.size {
		return false
	}
	return sha256.Sum256(a.octets[len(a.octets)-m.size:]) == m.sum
}
