package measure_test

import (
	"bytes"
	"errors"
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sekimori/filters/bayes/measure"
)

func peer(t *testing.T, name string) measure.Peer {
	t.Helper()
	for _, p := range measure.Peers() {
		if p.Name == name {
			return p
		}
	}
	t.Fatal("there is no", name)
	return measure.Peer{}
}

// filesOf writes mails, of which every third is spam.
func filesOf(t *testing.T, n int) []measure.File {
	t.Helper()
	dir := t.TempDir()
	var list []measure.File
	for i := range n {
		f := measure.File{Path: filepath.Join(dir, fmt.Sprint("m", i)), Spam: i%3 == 0}
		word := "minutes"
		if f.Spam {
			word = "pills"
		}
		if err := os.WriteFile(f.Path, []byte("Subject: "+word+"\n\n"+word+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		list = append(list, f)
	}
	return list
}

// TestPeerCommands runs programs that note what they are given and answer as the peers do.
func TestPeerCommands(t *testing.T) {
	bin := t.TempDir()
	log := filepath.Join(bin, "log")
	say := map[string]string{
		"bogofilter":   `[ "$3" = -TT ] || exit 0; shift 4; for f; do grep -q pills "$f" && echo 0.9 || echo 0.1; done; exit 1`,
		"spamprobe":    `[ "$3" = score ] || exit 0; shift 3; for f; do grep -q pills "$f" && echo "SPAM 0.9 x" || echo "GOOD 0.1 x"; done`,
		"bsfilter":     `case "$3" in --*) exit 0;; esac; shift 2; for f; do grep -q pills "$f" && echo "combined probability $f 1 0.9" || echo "combined probability $f 1 0.1"; done; exit 1`,
		"sa-learn":     `exit 0`,
		"spamassassin": `shift 7; for f; do grep -q pills "$f" && echo "X-Spam-Sekimori-Eval: 0.9" || echo "X-Spam-Sekimori-Eval: 0.1"; cat "$f"; done`,
	}
	for name, body := range say {
		text := "#!/bin/sh\necho " + name + ` "$@" | sed 's/ \/.*//' >> ` + log + "\n" + body + "\n"
		if err := os.WriteFile(filepath.Join(bin, name), []byte(text), 0o700); err != nil { //nolint:gosec // a program
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	train, test := filesOf(t, 900), filesOf(t, 250)
	for name, want := range map[string]string{
		"bogofilter":   "-d . -n -B,-d . -s -B,-d . -n -B,-d . -n -B,-d . -s -B,-d . -TT -B,-d . -TT -B",
		"spamprobe":    "-d . good,-d . spam,-d . good,-d . good,-d . spam,-d . score,-d . score",
		"bsfilter":     "--homedir . --add-clean,--homedir . --add-spam,--homedir . --add-clean,--homedir . --add-clean,--homedir . --add-spam,--homedir . --update,--homedir .,--homedir .",
		"spamassassin": "-L -C,-L -C,-L -C,-L -C,-L -C,-L -C,-L -C,-L -C",
	} {
		_ = os.Remove(log)
		p, temp := peer(t, name), t.TempDir()
		var told []string
		m, err := p.Run(t.Context(), temp, train, test, func(doing string, done, of int) { told = append(told, fmt.Sprint(doing, done, "/", of)) })
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for i, o := range m.Outcomes {
			if o.Spam != test[i].Spam || o.Spam != (o.Z == 0.9) {
				t.Fatalf("%s, mail %d: %+v", name, i, o)
			}
		}
		if len(m.Outcomes) != 250 || told[len(told)-1] != "scoring250/250" || told[4] != "learning900/900" {
			t.Errorf("%s: %d scores, told %v", name, len(m.Outcomes), told)
		}
		b, _ := os.ReadFile(log)
		var args []string
		for line := range strings.Lines(string(b)) {
			_, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
			args = append(args, rest)
		}
		if got := strings.Join(args, ","); got != want {
			t.Errorf("%s was run with\n%s, not\n%s", name, got, want)
		}
		if left, _ := os.ReadDir(temp); len(left) != 0 {
			t.Errorf("%s leaves %v", name, left)
		}
	}
	// One that answers too little, and one that fails.
	for body, want := range map[string]string{"echo 0.5": "1 scores for 200 mails", "echo no room >&2; exit 3": "no room"} {
		if err := os.WriteFile(filepath.Join(bin, "bogofilter"), []byte("#!/bin/sh\n[ \"$3\" = -TT ] || exit 0\n"+body+"\n"), 0o700); err != nil { //nolint:gosec // a program
			t.Fatal(err)
		}
		p := peer(t, "bogofilter")
		if _, err := p.Run(t.Context(), t.TempDir(), train, test, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", body, err)
		}
	}
}

func TestPeerMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for _, p := range measure.Peers() {
		_, err := p.Run(t.Context(), t.TempDir(), nil, nil, nil)
		if !errors.Is(err, measure.ErrMissing) || !strings.Contains(err.Error(), "apt-get install "+p.Packages) || p.Training == "" || p.Threshold <= 0 {
			t.Errorf("%s: %v", p.Name, err)
		}
	}
	// Every peer has figures from before, of the random split at least.
	known := map[string]bool{}
	for _, b := range measure.MeasuredBefore() {
		known[b.Filter+" "+b.Split] = b.ROCA != nil
	}
	for _, p := range measure.Peers() {
		if !known[p.Name+" random"] {
			t.Error("nothing is known of", p.Name)
		}
	}
}

func TestPNG(t *testing.T) {
	out := []measure.Outcome{{Z: -7}, {Z: -7.5}, {Spam: true, Z: 4}, {Spam: true, Z: 99}}
	var b bytes.Buffer
	if err := measure.PNG(&b, "Bayesian check", out); err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(&b)
	if err != nil {
		t.Fatal(err)
	}
	colors := map[[3]uint32]int{}
	for y := range img.Bounds().Dy() {
		for x := range img.Bounds().Dx() {
			r, g, b, _ := img.At(x, y).RGBA()
			colors[[3]uint32{r >> 8, g >> 8, b >> 8}]++
		}
	}
	// Bars of both classes, the grey of what is not sure, and letters.
	for _, c := range [][3]uint32{{0x2c, 0x7f, 0xb8}, {0xd9, 0x5f, 0x0e}, {0xf0, 0xf0, 0xea}, {0x33, 0x33, 0x33}} {
		if colors[c] < 300 {
			t.Errorf("%d pixels of %x", colors[c], c)
		}
	}
	want := []measure.Bin{{Z: -8, Ham: 1}, {Z: -7, Ham: 1}, {Z: 4, Spam: 1}, {Z: 15, Spam: 1}}
	if got := measure.Spread(out); !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
}
