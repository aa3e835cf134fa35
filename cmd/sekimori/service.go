package main

import (
	_ "embed"
	"fmt"
)

var (
	//go:embed systemd/sekimori.service
	serviceUnit string
	//go:embed systemd/sekimori.socket
	socketUnit string
)

type serviceCmd struct {
	Print servicePrintCmd `cmd:"" help:"Print the unit file for systemd."`
}

type servicePrintCmd struct {
	Socket bool `help:"Print the socket unit, with which a restart refuses no connection."`
}

// Help is the long help.
func (servicePrintCmd) Help() string {
	return "Example: sekimori service print > /etc/systemd/system/sekimori.service; " +
		"sekimori service print --socket > /etc/systemd/system/sekimori.socket; systemctl daemon-reload."
}

// Run prints one of the two.
func (c servicePrintCmd) Run(a *app) error {
	unit := serviceUnit
	if c.Socket {
		unit = socketUnit
	}
	_, err := fmt.Fprint(a.out, unit)
	return err
}
