package filters

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"sekimori/internal/mail"
)

// render writes what a check found, one line each:
//
//	SYMBOL weight key=value key="value with spaces" [rcpt=address]
//	auth method=result property=value… reason="…"       under the finding that has it
//	partial what could not be looked at
//	state temperror|skipped why
//	fact name [rcpt=address] = value                               sorted; the last value counts
func render(check string, specs []Spec, outcomes []mail.Outcome) []string {
	var lines []string
	facts := map[string]any{}
	for _, o := range outcomes {
		if o.Check != check {
			continue
		}
		for _, f := range o.Findings {
			lines = append(lines, renderFinding(f)...)
		}
		for _, p := range o.Partial {
			lines = append(lines, "partial "+p)
		}
		if o.State != mail.StateOK {
			lines = append(lines, strings.TrimSpace("state "+o.State.String()+" "+o.Why))
		}
		for _, f := range o.Facts {
			name := f.Name
			if !f.Rcpt.IsNull() {
				name += " rcpt=" + f.Rcpt.String()
			}
			facts[name] = f.Value
		}
	}
	names := make([]string, 0, len(facts))
	for n := range facts {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		lines = append(lines, fmt.Sprintf("fact %s = %s", n, renderFact(declared(specs, strings.Fields(n)[0]), facts[n])))
	}
	return lines
}

func renderFinding(f mail.Finding) []string {
	line := f.Symbol + " " + strconv.FormatFloat(f.Factor(), 'g', 4, 64)
	for _, e := range f.Evidence {
		line += " " + e.Key + "=" + quote(e.Value)
	}
	if !f.Rcpt.IsNull() {
		line += " rcpt=" + f.Rcpt.String()
	}
	lines := []string{line}
	if f.Auth != nil {
		auth := "auth " + f.Auth.Method + "=" + f.Auth.Result
		for _, p := range f.Auth.Props {
			auth += " " + p.Key + "=" + quote(p.Value)
		}
		if f.Auth.Reason != "" {
			auth += " reason=" + quote(f.Auth.Reason)
		}
		lines = append(lines, auth)
	}
	return lines
}

func quote(s string) string {
	if s == "" || strings.ContainsAny(s, " \"\t\r\n") {
		return strconv.Quote(s)
	}
	return s
}

func declared(specs []Spec, name string) *mail.Fact {
	for _, s := range specs {
		for i := range s.Facts {
			if s.Facts[i].Name == name {
				return &s.Facts[i]
			}
		}
	}
	return nil
}

// renderFact also says when the fact is not declared or its value has not the Go type of its declaration.
func renderFact(f *mail.Fact, v any) string {
	if f == nil {
		return fmt.Sprintf("%v (NOT DECLARED)", v)
	}
	var fits bool
	switch f.Type {
	case mail.Bool:
		_, fits = v.(bool)
	case mail.Int:
		_, fits = v.(int)
	case mail.Float:
		_, fits = v.(float64)
	case mail.String:
		_, fits = v.(string)
	case mail.Strings:
		_, fits = v.([]string)
	}
	if !fits {
		return fmt.Sprintf("%v (WRONG TYPE %T)", v, v)
	}
	switch v := v.(type) {
	case string:
		return strconv.Quote(v)
	case []string:
		return fmt.Sprintf("%q", v)
	case float64:
		return strconv.FormatFloat(v, 'g', 6, 64)
	}
	return fmt.Sprint(v)
}

// compare wants all lines in order; of facts only those that are listed.
func compare(t *testing.T, want string, got []string) {
	t.Helper()
	isFact := func(l string) bool { return strings.HasPrefix(l, "fact ") }
	var wantLines, gotLines []string
	for l := range strings.Lines(want) {
		if l = strings.TrimSpace(l); l != "" && !isFact(l) {
			wantLines = append(wantLines, l)
		} else if isFact(l) && !slices.Contains(got, l) {
			t.Errorf("missing: %s", l)
		}
	}
	for _, l := range got {
		if !isFact(l) {
			gotLines = append(gotLines, l)
		}
	}
	if d := cmp.Diff(wantLines, gotLines); d != "" {
		t.Errorf("want (-) and got (+):\n%s", d)
	}
	if t.Failed() {
		t.Logf("all of it:\n%s", strings.Join(got, "\n"))
	}
}

func rewrite(t *testing.T, path string, ar *txtar.Archive, got []string) {
	t.Helper()
	data := []byte(strings.Join(got, "\n") + "\n")
	i := slices.IndexFunc(ar.Files, func(f txtar.File) bool { return f.Name == "want" })
	if i < 0 {
		ar.Files = append(ar.Files, txtar.File{Name: "want"})
		i = len(ar.Files) - 1
	}
	ar.Files[i].Data = data
	if err := os.WriteFile(path, txtar.Format(ar), 0o644); err != nil {
		t.Fatal(err)
	}
}
