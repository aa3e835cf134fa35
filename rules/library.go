package rules

import (
	"embed"
	"io/fs"
	"slices"
	"strings"
)

//go:embed ready/*.toml ready/*.txt ready/tests/*
var ready embed.FS

// Ready is one file of the library of ready rules, which an administrator copies into his directory.
type Ready struct {
	Name  string   // such as attachments
	File  string   // its name in a directory of rules
	Lists []string // files of the lists that it asks, which come with it
	Fill  []string // those of them that are empty and for the administrator to fill in
	Tests []string // mails and what is expected of them, below the folder tests
}

// readyFill are the lists that come empty.
var readyFill = []string{"ready-executives.txt", "ready-partners.txt"}

// Library returns the ready rules by name.
func Library() []Ready {
	var all []Ready
	for _, file := range readyFiles("ready") {
		name, ok := strings.CutSuffix(file, ".toml")
		if !ok {
			continue
		}
		r := Ready{Name: name, File: "ready-" + file}
		for _, l := range (Source{r.File: r.Data(r.File)}).listFiles() {
			if strings.HasPrefix(l, "ready-") {
				r.Lists = append(r.Lists, l)
				if slices.Contains(readyFill, l) {
					r.Fill = append(r.Fill, l)
				}
			}
		}
		for _, t := range readyFiles("ready/tests") {
			if strings.HasPrefix(t, "ready-"+name+"_") {
				r.Tests = append(r.Tests, t)
			}
		}
		all = append(all, r)
	}
	return all
}

func readyFiles(dir string) []string {
	entries, err := fs.ReadDir(ready, dir)
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		if !e.IsDir() {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names
}

// Data returns the content of one of the files: File, one of Lists, or one of Tests. nil: there is none of that name.
func (r Ready) Data(file string) []byte {
	path := "ready/" + file
	switch {
	case file == r.File:
		path = "ready/" + r.Name + ".toml"
	case slices.Contains(r.Tests, file):
		path = "ready/tests/" + file
	}
	data, err := ready.ReadFile(path)
	if err != nil {
		return nil
	}
	return data
}

// Source returns what makes up the ready rules, as files of a directory of rules, without the tests.
func (r Ready) Source() Source {
	s := Source{r.File: r.Data(r.File)}
	for _, l := range r.Lists {
		s[l] = r.Data(l)
	}
	return s
}
