package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"sekimori/internal/web/login"
)

// consoleCmd manages who signs in at the pages with a password.
type consoleCmd struct {
	Passwd consolePasswd `cmd:"" help:"Set the password and the role of an administrator."`
	List   consoleList   `cmd:"" help:"List the administrators that have a password."`
	Remove consoleRemove `cmd:"" help:"Take an administrator out."`
}

type consolePasswd struct {
	Name string `arg:"" help:"Login: letters, digits and . _ @ -"`
	Role string `required:"" enum:"admin,helpdesk,auditor" help:"admin | helpdesk (finds and releases, reads no bodies) | auditor (sees lists and the audit log)."`
}

// Help is the long help.
func (consolePasswd) Help() string {
	return "Asks for the password on the terminal, or reads one line from standard input. It is kept as an argon2id hash in console.users_file " +
		"(default: console.users in data_dir). A running server takes it over at once; sessions of a name whose role has changed end."
}

// Run writes one line of the file.
func (c consolePasswd) Run(a *app) error {
	cfg, err := a.loadConfig()
	if err != nil {
		printErrors(a.err, err)
		return found
	}
	password, err := a.askPassword()
	if err != nil {
		return err
	}
	u, err := login.NewUser(c.Name, c.Role, password)
	if err != nil {
		return err
	}
	changed, err := login.Put(cfg.Users(), u, false)
	if err != nil {
		return err
	}
	what := "added"
	if changed {
		what = "changed"
	}
	fmt.Fprintf(a.out, "%s (%s) %s in %s\n", c.Name, c.Role, what, cfg.Users())
	return nil
}

type consoleList struct {
	JSON bool `help:"Print JSON."`
}

// Run prints names and roles.
func (c consoleList) Run(a *app) error {
	cfg, err := a.loadConfig()
	if err != nil {
		printErrors(a.err, err)
		return found
	}
	users, err := login.Read(cfg.Users())
	if err != nil {
		return err
	}
	type shown struct {
		Name string `json:"name"`
		Role string `json:"role"`
	}
	list := []shown{}
	for _, u := range users {
		list = append(list, shown{u.Name, u.Role})
	}
	if c.JSON {
		return a.json(list)
	}
	for _, u := range list {
		fmt.Fprintf(a.out, "%-10s %s\n", u.Role, u.Name)
	}
	if len(list) == 0 {
		fmt.Fprintf(a.out, "nobody is in %s; add somebody with: sekimori console passwd NAME --role admin\n", cfg.Users())
	}
	return nil
}

type consoleRemove struct {
	Name string `arg:"" help:"Login."`
}

// Run takes a line out of the file.
func (c consoleRemove) Run(a *app) error {
	cfg, err := a.loadConfig()
	if err != nil {
		printErrors(a.err, err)
		return found
	}
	was, err := login.Put(cfg.Users(), login.User{Name: c.Name}, true)
	switch {
	case err != nil:
		return err
	case !was:
		return fmt.Errorf("%s is not in %s; sekimori console list shows who is", c.Name, cfg.Users())
	}
	fmt.Fprintf(a.out, "%s removed from %s\n", c.Name, cfg.Users())
	return nil
}

// askPassword reads a password twice from a terminal, without showing it, or once from a pipe.
func (a *app) askPassword() (string, error) {
	f, ok := a.in.(*os.File)
	if !ok || !isTerminal(f) {
		return readLine(bufio.NewReader(a.in))
	}
	old, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err != nil {
		return "", err
	}
	quiet := *old
	quiet.Lflag &^= unix.ECHO
	if err := unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, &quiet); err != nil {
		return "", err
	}
	defer func() { _ = unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, old) }()
	in := bufio.NewReader(f)
	var typed [2]string
	for i, prompt := range []string{"Password: ", "Again: "} {
		fmt.Fprint(a.err, prompt)
		typed[i], err = readLine(in)
		fmt.Fprintln(a.err)
		if err != nil {
			return "", err
		}
	}
	if typed[0] != typed[1] {
		return "", errors.New("the two passwords are not the same; nothing was changed")
	}
	return typed[0], nil
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

func readLine(in *bufio.Reader) (string, error) {
	line, err := in.ReadString('\n')
	if err != nil && (!errors.Is(err, io.EOF) || line == "") {
		return "", fmt.Errorf("no password was given: %w", err)
	}
	return strings.TrimRight(line, "\r\n"), nil
}
