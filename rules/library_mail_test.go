package rules_test

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"sekimori/filters"
	"sekimori/internal/mail"
	"sekimori/internal/mime"
)

// TestLibraryOverMail counts which ready rules hit the mails below the folders named by SEKIMORI_LIBRARY_HAM and SEKIMORI_LIBRARY_SPAM
// (separated like PATH). Nothing speaks for a sender: no check confirms him, he is new here and abroad, so that the numbers are the
// most that can be.
func TestLibraryOverMail(t *testing.T) {
	p := loadLibraryOf(t, useAll(t), "our-company.example")
	builtin := map[string]bool{}
	for _, r := range p.Rules() {
		builtin[r.ID] = r.Builtin
	}
	for _, name := range []string{"SEKIMORI_LIBRARY_HAM", "SEKIMORI_LIBRARY_SPAM"} {
		dirs := filepath.SplitList(os.Getenv(name))
		if len(dirs) == 0 {
			t.Skip(name + " is not set")
		}
		for _, dir := range dirs {
			n, hits, where := 0, map[string]int{}, map[string]string{}
			err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
				if err != nil || d.IsDir() {
					return err
				}
				raw, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				n++
				tx := nobodyVouches(mime.Parse(raw))
				for _, id := range allHits(p.Judge(tx, tx.Rcpts)[0]) {
					if b, known := builtin[id]; known && !b {
						hits[id]++
						where[id] += " " + filepath.Base(path)
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			fmt.Printf("%s: %d mails of %s\n", name, n, dir)
			for _, id := range slices.Sorted(maps.Keys(hits)) {
				fmt.Printf("  %-28s %5d  %.120s\n", id, hits[id], where[id])
			}
		}
	}
}

func allHits(v mail.Verdict) []string {
	all := append([]string{v.RuleID}, v.Observed...)
	for _, c := range v.Counted {
		all = append(all, c.Name)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// nobodyVouches is a mail for which no check says anything good.
func nobodyVouches(m *mail.Message) *mail.Transaction {
	tx := usualMail()
	tx.Message, tx.Facts = m, map[string]any{}
	if len(m.From) > 0 {
		tx.From = m.From[0].Addr
	}
	mail.AddBaseFacts(tx.Facts, tx)
	for _, f := range filters.Facts(filters.Specs()) {
		if _, ok := tx.Facts[f.Name]; ok || f.Check() == "rcpt" {
			continue
		}
		tx.Facts[f.Name] = map[mail.FactType]any{mail.Bool: false, mail.Int: 0, mail.Float: 0.0, mail.String: "", mail.Strings: []string{}}[f.Type]
	}
	for name, v := range map[string]any{
		"geoip.country": "US", "spf.result": "none", "dkim.result": "none", "dmarc.result": "none", "rdns.result": "none", "history.first": true, "history.rcpt_first": true,
	} {
		tx.Facts[name] = v
	}
	return tx
}
