package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// drain lets the front finish what it has in hand. Before it stops to listen it says for smtp.drain_delay that it is draining,
// so that a balancer sends no more connections here and none is refused. It returns a context for the rest of the way, which ends
// with smtp.drain_timeout, or at once with a second signal.
func (s *server) drain() (context.Context, context.CancelFunc) {
	limits := s.cfg().SMTP
	again := make(chan os.Signal, 1)
	signal.Notify(again, os.Interrupt, syscall.SIGTERM)
	hurried, hurry := context.WithCancel(context.Background())
	go func() {
		defer signal.Stop(again)
		select {
		case <-again:
			s.log.Warn("a second signal: what is not finished is cut")
			hurry()
		case <-hurried.Done():
		}
	}()
	s.notify(daemon.SdNotifyStopping, "STATUS=draining")
	s.health.Drain()
	if s.front == nil {
		return hurried, hurry
	}
	if d := limits.DrainDelay.D(); d > 0 {
		s.log.Info("draining: balancers are told, connections are still taken", "delay", d.String())
		select {
		case <-time.After(d):
		case <-hurried.Done():
		}
	}
	ctx, cancel := context.WithTimeout(hurried, limits.DrainTimeout.D())
	s.log.Info("draining: no new connections", "timeout", limits.DrainTimeout.String())
	if err := s.front.Shutdown(ctx); err != nil {
		s.log.Warn("connections were cut at the end of the drain; what they had sent was not acknowledged", "err", err)
	}
	return ctx, func() { cancel(); hurry() }
}
