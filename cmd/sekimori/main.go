// Command sekimori is the server that a domain's MX record points at, and the commands with which it is managed.
//
// main.go is the command line; serve.go wires the server and is meant to be read from top to bottom; every other
// subcommand has a file of its own.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// Exit codes of every command.
const (
	exitOK      = 0
	exitFailure = 1 // a finding or a failure
	exitUsage   = 2
)

// cli is the command line (DESIGN: the command contract).
type cli struct {
	Config string `short:"c" placeholder:"FILE" help:"Configuration file; without it: loopback, embedded store, everything under ./sekimori-data." env:"SEKIMORI_CONFIG"`

	Serve      serveCmd      `cmd:"" help:"Run the server."`
	Check      checkCmd      `cmd:"" help:"Check the configuration and the rules, and say what is degraded."`
	Scan       scanCmd       `cmd:"" help:"Judge one message from a file and say why, in words."`
	Trace      traceCmd      `cmd:"" help:"Tell what happened to a mail: by sender, recipient, subject, Message-ID, id or client."`
	Explain    explainCmd    `cmd:"" help:"Say in sentences why a mail was treated as it was, and what would let the next one through."`
	Learn      learnCmd      `cmd:"" help:"Teach the Bayesian check from files and directories."`
	Unlearn    unlearnCmd    `cmd:"" help:"Take away what mails taught the Bayesian check."`
	Bayes      bayesCmd      `cmd:"" help:"What the Bayesian check has learned."`
	Quarantine quarantineCmd `cmd:"" help:"List, show, release and delete held mail."`
	Digest     digestCmd     `cmd:"" help:"Tell people what is held for them: send now, show, list, set."`
	Queue      queueCmd      `cmd:"" help:"List, show, retry, delete, check, export and import mail that waits for a backend."`
	Recipients recipientsCmd `cmd:"" help:"Who is ours: look an address up, fetch from directories, list where recipients are kept."`
	Console    consoleCmd    `cmd:"" help:"Who signs in at the pages: passwords and roles."`
	Rules      rulesCmd      `cmd:"" help:"Check and test the rule files."`
	Service    serviceCmd    `cmd:"" help:"Print the unit files for systemd."`
	Symbols    symbolsCmd    `cmd:"" help:"List every symbol with its score and meaning, or with --facts all that rules can ask for."`
	Version    versionCmd    `cmd:"" help:"Print the version."`
}

// app is what every subcommand gets: the streams, the configuration file's name, and a context that ends with SIGINT or
// SIGTERM.
type app struct {
	ctx    context.Context
	in     io.Reader
	out    io.Writer
	err    io.Writer
	config string
}

// failure is an error with its own exit code; an empty text prints nothing, because the command has said it already.
type failure struct {
	code int
	text string
}

func (f failure) Error() string { return f.text }

// found ends a command that has printed its finding with exit code 1.
var found = failure{code: exitFailure}

// usage ends a command that was called wrongly with exit code 2.
func usage(format string, args ...any) error {
	return failure{exitUsage, fmt.Sprintf(format, args...)}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run carries out one command line and returns the exit code.
func run(ctx context.Context, args []string, in io.Reader, out, errw io.Writer) int {
	var c cli
	exited, code := false, 0
	parser, err := kong.New(&c, kong.Name("sekimori"), kong.Writers(out, errw),
		kong.Description("Sekimori keeps the gate: it takes a domain's mail from the internet, judges it, relays what is clean and keeps what is suspect."),
		kong.UsageOnError(), kong.Exit(func(n int) { exited, code = true, n }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}))
	if err != nil {
		fmt.Fprintln(errw, "sekimori:", err)
		return exitFailure
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	k, err := parser.Parse(args)
	if exited {
		return code
	}
	if err != nil {
		fmt.Fprintf(errw, "sekimori: %v\nTry: sekimori --help\n", err)
		return exitUsage
	}
	err = k.Run(&app{ctx: ctx, in: in, out: out, err: errw, config: c.Config})
	var f failure
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &f):
		if f.text != "" {
			fmt.Fprintln(errw, "sekimori:", f.text)
		}
		return f.code
	default:
		fmt.Fprintln(errw, "sekimori:", err)
		return exitFailure
	}
}
