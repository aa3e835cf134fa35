package measure

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// command is a filter of which each step is a program that is given the names of files.
type command struct {
	home     string
	programs []string
	teach    func(spam bool) []string // the first word is the number of the program
	finish   []string                 // after learning; nil: nothing is to be done
	judge    []string
	read     func(out string) ([]float64, error)
}

// commandPeers are those that are programs alone.
func commandPeers() []Peer {
	return []Peer{
		{
			Name: "bogofilter", Threshold: 0.99, Packages: "bogofilter", programs: []string{"bogofilter"}, Training: "all mails, -s and -n",
			begin: starts(command{
				teach: func(spam bool) []string { return []string{"0", "-d", ".", pick(spam, "-s", "-n"), "-B"} },
				judge: []string{"0", "-d", ".", "-TT", "-B"}, read: perLine(func(line string) (float64, error) { return field(line, -1) }),
			}),
		},
		{
			Name: "spamprobe", Threshold: 0.6, Packages: "spamprobe", programs: []string{"spamprobe"}, Training: "all mails, spam and good",
			begin: starts(command{
				teach: func(spam bool) []string { return []string{"0", "-d", ".", pick(spam, "spam", "good")} },
				judge: []string{"0", "-d", ".", "score"}, read: perLine(func(line string) (float64, error) { return field(line, 1) }),
			}),
		},
		{
			Name: "bsfilter", Threshold: 0.95, Packages: "bsfilter", programs: []string{"bsfilter"}, Training: "all mails, then --update",
			begin: starts(command{
				teach: func(spam bool) []string {
					return []string{"0", "--homedir", ".", pick(spam, "--add-spam", "--add-clean")}
				},
				finish: []string{"0", "--homedir", ".", "--update"},
				judge:  []string{"0", "--homedir", "."}, read: perLine(func(line string) (float64, error) { return field(line, -1) }),
			}),
		},
		{
			Name: "spamassassin", Threshold: 0.5, Packages: "spamassassin", programs: []string{"spamassassin", "sa-learn"},
			Training: "all mails, sa-learn; its Bayes alone", begin: startSpamAssassin,
		},
	}
}

func pick(spam bool, yes, no string) string {
	if spam {
		return yes
	}
	return no
}

// field reads a field of a line as a number; a negative n counts from the end.
func field(line string, n int) (float64, error) {
	w := strings.Fields(line)
	if n < 0 {
		n += len(w)
	}
	if n < 0 || n >= len(w) {
		return 0, fmt.Errorf("%q has no score", line)
	}
	return strconv.ParseFloat(w[n], 64)
}

// perLine reads a score from each line.
func perLine(read func(line string) (float64, error)) func(string) ([]float64, error) {
	return func(out string) ([]float64, error) {
		var list []float64
		for line := range strings.Lines(out) {
			z, err := read(line)
			if err != nil {
				return nil, err
			}
			list = append(list, z)
		}
		return list, nil
	}
}

func starts(c command) func(context.Context, []string, string) (filter, error) {
	return func(_ context.Context, programs []string, home string) (filter, error) {
		c := c
		c.programs, c.home = programs, home
		return &c, nil
	}
}

func (c *command) learn(ctx context.Context, files []File) error {
	_, err := c.run(ctx, c.teach(files[0].Spam), files)
	return err
}

func (c *command) done(ctx context.Context) error {
	if c.finish == nil {
		return nil
	}
	_, err := c.run(ctx, c.finish, nil)
	return err
}

func (c *command) score(ctx context.Context, files []File) ([]float64, error) {
	out, err := c.run(ctx, c.judge, files)
	if err != nil {
		return nil, err
	}
	return c.read(out)
}

func (c *command) end() {}

func (c *command) run(ctx context.Context, args []string, files []File) (string, error) {
	program, err := strconv.Atoi(args[0])
	if err != nil {
		return "", err
	}
	args = append([]string(nil), args[1:]...)
	for _, f := range files {
		args = append(args, f.Path)
	}
	cmd := exec.CommandContext(ctx, c.programs[program], args...)
	owned(cmd, c.home)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() >= 0 && exit.ExitCode() <= 2 && errs.Len() == 0 {
		err = nil // a verdict
	}
	if err != nil {
		said, _, _ := strings.Cut(strings.TrimSpace(errs.String()), "\n")
		return "", fmt.Errorf("%s: %w: %s", filepath.Base(c.programs[program]), err, said)
	}
	return out.String(), nil
}

// owned makes a program run in a folder that is its home, and end with all that it starts when the context does.
func owned(cmd *exec.Cmd, home string) {
	cmd.Dir, cmd.Env = home, append(os.Environ(), "HOME="+home, "LC_ALL=C.UTF-8")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
}

// spamAssassinConf leaves nothing but Bayes; what words it passes over and where names end are as in its rules.
const spamAssassinConf = `include /usr/share/spamassassin/20_aux_tlds.cf
include /usr/share/spamassassin/60_bayes_stopwords.cf
use_bayes 1
bayes_path %s/bayes
bayes_auto_learn 0
bayes_auto_expire 0
report_safe 0
clear_headers
add_header all Sekimori-Eval _BAYES_
body BAYES_ANY eval:check_bayes('0.00','1.00')
tflags BAYES_ANY learn
`

const spamAssassinPlugins = `loadplugin Mail::SpamAssassin::Plugin::Bayes
loadplugin Mail::SpamAssassin::Plugin::Check
`

func startSpamAssassin(_ context.Context, programs []string, home string) (filter, error) {
	conf := filepath.Join(home, "conf")
	if err := os.Mkdir(conf, 0o700); err != nil {
		return nil, err
	}
	for name, text := range map[string]string{"init.pre": spamAssassinPlugins, "local.cf": fmt.Sprintf(spamAssassinConf, home), "prefs": ""} {
		if err := os.WriteFile(filepath.Join(conf, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	options := func(program string, more ...string) []string {
		return append([]string{program, "-L", "-C", conf, "--siteconfigpath", conf, "-p", filepath.Join(conf, "prefs")}, more...)
	}
	return &command{
		programs: programs, home: home,
		teach:  func(spam bool) []string { return options("1", "--no-sync", pick(spam, "--spam", "--ham")) },
		finish: options("1", "--sync"), judge: options("0"), read: spamAssassinScores,
	}, nil
}

// spamAssassinScores reads the field that was put on top of each mail. Copies of mails that have such a field lose it before.
func spamAssassinScores(out string) ([]float64, error) {
	var list []float64
	for line := range strings.Lines(out) {
		if text, ok := strings.CutPrefix(line, "X-Spam-Sekimori-Eval: "); ok {
			z, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
			if err != nil {
				return nil, err
			}
			list = append(list, z)
		}
	}
	return list, nil
}
