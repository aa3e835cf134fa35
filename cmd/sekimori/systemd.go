package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// notify tells the service manager something (sd_notify); without one it does nothing.
func (s *server) notify(state ...string) {
	if _, err := daemon.SdNotify(false, strings.Join(state, "\n")); err != nil {
		s.log.Warn("the service manager cannot be told", "state", state[0], "err", err)
	}
}

// notifyReady says that the server takes mail, after the start and after a reload, whatever came of it.
func (s *server) notifyReady() {
	status := "takes mail on " + strings.Join(s.addrs(), ", ")
	if s.front == nil {
		status = "runs without port 25"
	}
	if s.reloads.success.Load() == 0 {
		status += "; the configuration on the disk does not load, see sekimori check"
	}
	s.notify(daemon.SdNotifyReady, "STATUS="+status)
}

// notifyReloading opens what notifyReady ends. The time lets the manager tell this reload from an earlier one.
func (s *server) notifyReloading() {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return
	}
	s.notify(daemon.SdNotifyReloading, fmt.Sprintf("MONOTONIC_USEC=%d", now.Nano()/1000))
}

// watchdog tells the manager that the server lives, as often as it wants to hear it. Before each time it takes the locks of the
// parts that every mail passes: where one of them hangs, the manager hears nothing.
func (s *server) watchdog(ctx context.Context) {
	every, err := daemon.SdWatchdogEnabled(false)
	if err != nil || every <= 0 {
		return
	}
	t := time.NewTicker(every / 3)
	defer t.Stop()
	for {
		s.addrs()
		s.relay.QueueLen()
		s.notify(daemon.SdNotifyWatchdog)
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}
