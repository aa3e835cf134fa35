package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// options are the command line.
type options struct {
	long   bool
	seed   uint64
	kills  int
	rate   int
	binary string
	race   bool
	keep   bool
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "backend" {
		os.Exit(backendMain(os.Args[2:]))
	}
	var o options
	flag.BoolVar(&o.long, "long", false, "at least 200 kills instead of 12")
	flag.Uint64Var(&o.seed, "seed", 0, "draw of the moments; 0: a new one")
	flag.IntVar(&o.kills, "kills", 0, "how many kills with SIGKILL; 0: as -long says")
	flag.IntVar(&o.rate, "rate", 60, "mails per second at the most")
	flag.StringVar(&o.binary, "binary", "", "the server's program; empty: it is built")
	flag.BoolVar(&o.race, "race", false, "build it with the race detector")
	flag.BoolVar(&o.keep, "keep", false, "keep the folder in any case")
	flag.Parse()
	if o.seed == 0 {
		o.seed = uint64(time.Now().UnixNano())
	}
	if o.kills == 0 {
		o.kills = 12
		if o.long {
			o.kills = 200
		}
	}
	ok, err := run(o, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "crashtest:", err)
	}
	if !ok || err != nil {
		os.Exit(1)
	}
}

// run does all of it and reports whether every acknowledged mail was found.
func run(o options, out io.Writer) (ok bool, err error) {
	dir, err := os.MkdirTemp("", "crashtest")
	if err != nil {
		return false, err
	}
	if err := os.Chmod(dir, 0o755); err != nil { // Postfix reads in it as another user
		return false, err
	}
	fmt.Fprintf(out, "seed %d, %d kills, in %s\n", o.seed, o.kills, dir)
	if o.binary == "" {
		if o.binary, err = build(dir, o.race); err != nil {
			return false, err
		}
	}
	w := &world{dir: dir, binary: o.binary, out: out, rand: rand.New(rand.NewPCG(o.seed, 1)), harms: map[string]int{}}
	defer func() {
		w.close()
		if ok && !o.keep {
			_ = os.RemoveAll(dir)
		} else {
			fmt.Fprintln(out, "kept:", dir)
		}
	}()
	if err := w.open(); err != nil {
		return false, err
	}
	l := startLoad(w, o.seed, o.rate)
	chaosErr := w.chaos(o.kills)
	l.end()
	if chaosErr != nil {
		return false, chaosErr
	}
	if err := w.mend(); err != nil {
		return false, err
	}
	return w.verify(l)
}

// build makes the server's program from the module that this one stands in.
func build(dir string, race bool) (string, error) {
	to := filepath.Join(dir, "sekimori")
	args := []string{"build", "-o", to}
	if race {
		args = append(args, "-race")
	}
	cmd := exec.Command("go", append(args, "sekimori/cmd/sekimori")...)
	if b, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, b)
	}
	return to, nil
}

var errMissing = errors.New("not possible here")

// missing says what is left out, or fails where real parts are required.
func (w *world) missing(what string) error {
	if os.Getenv("SEKIMORI_REQUIRE_REAL") == "1" {
		return fmt.Errorf("%s: %w, and SEKIMORI_REQUIRE_REAL=1", what, errMissing)
	}
	fmt.Fprintln(w.out, "left out:", what)
	return nil
}
