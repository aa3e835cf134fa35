package main

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"

	"github.com/coreos/go-systemd/v22/activation"

	"sekimori/internal/config"
)

// inherited are the sockets that the service manager has opened (LISTEN_FDS). A listener gets the socket with its address; a
// socket that no listener has the address of goes by its name: smtp, http or metrics.
type inherited struct {
	log   *slog.Logger
	files []*inheritedFile
}

type inheritedFile struct {
	f     *os.File // stays open: a listener that goes and comes again in reloads gets it again
	name  string
	addr  netip.AddrPort
	given string // the service and its address in the configuration that it serves
}

// inherit takes over the sockets, if there are any.
func inherit(log *slog.Logger) (*inherited, error) {
	in := &inherited{log: log}
	for _, f := range activation.Files(true) {
		l, err := net.FileListener(f)
		if err != nil {
			return nil, fmt.Errorf("the socket %q of the service manager cannot be used: %w", f.Name(), err)
		}
		tcp, ok := l.Addr().(*net.TCPAddr)
		_ = l.Close()
		if !ok {
			return nil, fmt.Errorf("the socket %q of the service manager is not a TCP socket: %s", f.Name(), l.Addr())
		}
		in.files = append(in.files, &inheritedFile{f: f, name: f.Name(), addr: tcp.AddrPort()})
	}
	return in, nil
}

// listener opens the addresses of a service: an inherited socket where there is one, else a new one.
func (in *inherited) listener(service string, cfg func() *config.Config) func(network, addr string) (net.Listener, error) {
	return func(network, addr string) (net.Listener, error) {
		if in != nil {
			if f := in.find(service, addr, cfg()); f != nil {
				f.given = service + " " + addr
				in.log.Info("socket of the service manager", "service", service, "addr", addr, "socket", f.addr.String())
				return net.FileListener(f.f)
			}
		}
		return net.Listen(network, addr)
	}
}

func (in *inherited) find(service, addr string, cfg *config.Config) *inheritedFile {
	for _, f := range in.files {
		if f.given == service+" "+addr || f.given == "" && f.serves(addr) {
			return f
		}
	}
	for _, f := range in.files {
		if f.given == "" && f.name == service && !f.configured(cfg) {
			return f
		}
	}
	return nil
}

// serves reports whether the socket has the address of a listener. An empty host is the wildcard of both families.
func (f *inheritedFile) serves(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	tcp, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil || tcp.Port != int(f.addr.Port()) {
		return false
	}
	if host == "" {
		return f.addr.Addr().IsUnspecified()
	}
	ip, ok := netip.AddrFromSlice(tcp.IP)
	return ok && ip.Unmap() == f.addr.Addr().Unmap()
}

func (f *inheritedFile) configured(cfg *config.Config) bool {
	for _, l := range cfg.SMTP.Listeners {
		for _, addr := range l.Listen {
			if f.serves(addr) {
				return true
			}
		}
	}
	return servesPages(cfg) && f.serves(cfg.HTTP.Listen) || cfg.Metrics.Listen != "" && f.serves(cfg.Metrics.Listen)
}

// unused names the sockets that nobody has taken.
func (in *inherited) unused() []string {
	var list []string
	for _, f := range in.files {
		if f.given == "" {
			list = append(list, fmt.Sprintf("%s (%s)", f.addr, f.name))
		}
	}
	return list
}
