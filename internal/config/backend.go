package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"

	"sekimori/internal/mail"
)

// Target is what a backend's URL says.
type Target struct {
	Scheme string // smtp | lmtp | lmtp+unix | maildir
	Addr   string // host:port for smtp and lmtp
	Path   string // of the socket or the directory
}

// ParseBackend reads smtp://HOST[:25], lmtp://HOST[:24], lmtp+unix:///PATH or maildir:PATH.
func ParseBackend(s string) (Target, error) {
	scheme, rest, ok := strings.Cut(s, ":")
	if !ok {
		return Target{}, fmt.Errorf("%q is not a backend such as smtp://mail1.example.jp:25", s)
	}
	switch scheme {
	case "maildir", "lmtp+unix":
		path := strings.TrimPrefix(rest, "//")
		if path == "" {
			return Target{}, fmt.Errorf("%q names no path", s)
		}
		return Target{Scheme: scheme, Path: path}, nil
	case "smtp":
		addr, err := backendAddr(s, "25")
		return Target{Scheme: scheme, Addr: addr}, err
	case "lmtp":
		addr, err := backendAddr(s, "24")
		return Target{Scheme: scheme, Addr: addr}, err
	}
	return Target{}, fmt.Errorf("%q is not a kind of backend%s", scheme, hint(scheme, []string{"smtp", "lmtp", "lmtp+unix", "maildir"}))
}

func backendAddr(s, port string) (string, error) {
	u, err := url.Parse(s)
	if err != nil || u.Opaque != "" || u.Hostname() == "" {
		return "", fmt.Errorf("%q is not of the form scheme://host:port", hideUser(s))
	}
	if u.User != nil {
		return "", fmt.Errorf("a user and a password cannot stand in the URL of a backend")
	}
	if (u.Path != "" && u.Path != "/") || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("%q has something behind host:port", s)
	}
	host := u.Hostname()
	if _, err := netip.ParseAddr(host); err != nil {
		d, err := mail.ParseDomain(host)
		if err != nil || strings.HasPrefix(d, "[") {
			return "", fmt.Errorf("%q is not a host", host)
		}
		host = d
	}
	if p := u.Port(); p != "" {
		port = p
	}
	addr := net.JoinHostPort(host, port)
	_, _, err = hostPort(addr, false)
	return addr, err
}

func hideUser(s string) string {
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		return "…" + s[i:]
	}
	return s
}

// String writes the target as a URL.
func (t Target) String() string {
	switch t.Scheme {
	case "maildir":
		return "maildir:" + t.Path
	case "lmtp+unix":
		return "lmtp+unix://" + t.Path
	}
	return t.Scheme + "://" + t.Addr
}

// backend checks one URL and returns it in full: with the port, paths resolved.
func (v *validator) backend(path, s string) string {
	t, err := ParseBackend(s)
	if err != nil {
		v.fail(path, "%v", err)
		return s
	}
	if t.Path != "" && !filepath.IsAbs(t.Path) {
		t.Path = v.doc.resolve(t.Path)
	}
	v.targets = append(v.targets, placedTarget{path, t})
	return t.String()
}

type placedTarget struct {
	path string
	Target
}

// loops refuses a backend that is one of our own listeners: mail would go round until the hop limit.
func (v *validator) loops() {
	for _, t := range v.targets {
		if t.Addr == "" {
			continue
		}
		host, port, err := hostPort(t.Addr, false)
		if err != nil {
			continue
		}
		for _, l := range v.cfg.SMTP.Listeners {
			for _, listen := range l.Listen {
				lhost, lport, err := hostPort(listen, true)
				if err == nil && lport == port && v.same(lhost, host) {
					v.fail(t.path, "%s is our own listener %s: mail would go round in a circle", t.Addr, listen)
				}
			}
		}
	}
}

// same reports whether a connection to host reaches a listener on lhost, as far as it can be told without DNS.
func (v *validator) same(lhost, host string) bool {
	if strings.EqualFold(host, v.cfg.Hostname) {
		return true
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	addr = addr.Unmap()
	if lhost == "localhost" {
		lhost = "127.0.0.1"
	}
	own, err := netip.ParseAddr(lhost)
	if err == nil && !own.IsUnspecified() {
		return own.Unmap() == addr
	}
	if addr.IsLoopback() || addr.IsUnspecified() {
		return true
	}
	for _, a := range v.opts.LocalAddrs() {
		if a == addr {
			return true
		}
	}
	return false
}
