package main

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"sekimori/internal/config"
)

// way is one line for a firewall: who opens connections to where.
type way struct {
	Direction string `json:"direction"` // in | out
	Protocol  string `json:"protocol"`  // tcp | udp+tcp | unix
	Address   string `json:"address"`   // host:port, or the path of a socket
	Peer      string `json:"peer"`      // in: who connects
	Purpose   string `json:"purpose"`
}

// ways lists every connection that a configuration asks for.
func ways(cfg *config.Config) []way {
	var w []way
	if cfg.Role != "console" {
		w = append(w, smtpWays(cfg)...)
	}
	in := func(purpose, addr, peer string) {
		if addr != "" {
			if isLoopback(addr) {
				peer = "this machine"
			}
			w = append(w, way{"in", "tcp", addr, peer, purpose})
		}
	}
	if servesPages(cfg) {
		in("pages", cfg.HTTP.Listen, "people and administrators, or the proxy in front")
	}
	in("status page, metrics and health", cfg.Metrics.Listen, "Prometheus and the balancer")
	for _, server := range dnsServers(cfg.DNS.Servers) {
		w = append(w, out("udp+tcp", server, "DNS"))
	}
	for _, server := range cfg.DNS.BackendServers {
		w = append(w, out("udp+tcp", withPort(server, "53"), "DNS for the backends' names"))
	}
	for i := range cfg.Domains {
		d := &cfg.Domains[i]
		for _, b := range d.Backends {
			w = append(w, backendWay(b.URL, "backend of "+d.Names[0]))
		}
		for _, r := range d.Routes {
			for _, b := range r.Backends {
				w = append(w, backendWay(b.URL, "route of "+d.Names[0]))
			}
		}
	}
	if cfg.Bounce.Configured() {
		w = append(w, backendWay(cfg.Bounce.Backend.URL, "reports to senders"))
	}
	if cfg.Journal.Backend != "" {
		w = append(w, backendWay(cfg.Journal.Backend, "journal"))
	}
	for i := range cfg.Bayes.IMAP {
		if addr, _, err := cfg.Bayes.IMAP[i].Place(); err == nil && cfg.Role != "mx" {
			w = append(w, out("tcp", addr, "IMAP, to learn from a folder"))
		}
	}
	if o := &cfg.Console.OIDC; o.Enabled() && servesPages(cfg) {
		if u, err := url.Parse(o.Issuer); err == nil {
			w = append(w, out("tcp", withPort(u.Host, map[string]string{"https": "443", "http": "80"}[u.Scheme]), "single sign-on; and the addresses that the provider names"))
		}
	}
	w = append(append(w, redisWays(cfg.Redis)...), directoryWays(cfg)...)
	w = slices.DeleteFunc(w, func(x way) bool { return x.Address == "" })
	return slices.Compact(w)
}

func smtpWays(cfg *config.Config) []way {
	var w []way
	for _, l := range cfg.SMTP.Listeners {
		for _, addr := range l.Listen {
			peer := "everywhere"
			switch {
			case isLoopback(addr):
				peer = "this machine"
			case l.Purpose == "internal":
				peer = prefixes(cfg.SMTP.MyNetworks)
			case len(l.ProxyProtocolFrom) > 0:
				peer = "the balancers " + prefixes(l.ProxyProtocolFrom)
			}
			w = append(w, way{"in", "tcp", addr, peer, "mail (SMTP)"})
		}
	}
	return w
}

func out(protocol, addr, purpose string) way {
	return way{Direction: "out", Protocol: protocol, Address: addr, Purpose: purpose}
}

// backendWay is empty for a Maildir, which needs no connection.
func backendWay(raw, purpose string) way {
	t, err := config.ParseBackend(raw)
	switch {
	case err != nil || t.Scheme == "maildir":
		return way{}
	case t.Path != "":
		return out("unix", t.Path, purpose)
	}
	return out("tcp", t.Addr, purpose)
}

func redisWays(r config.Redis) []way {
	var w []way
	if u, err := url.Parse(r.URL); err == nil && r.URL != "" {
		if u.Scheme == "unix" {
			w = append(w, out("unix", u.Path, "Redis"))
		} else {
			w = append(w, out("tcp", withPort(u.Host, "6379"), "Redis"))
		}
	}
	if s := r.Sentinel; s != nil {
		for _, a := range s.Addresses {
			w = append(w, out("tcp", a, "Redis Sentinel; and the Redis servers that it names"))
		}
	}
	for _, a := range r.Cluster {
		w = append(w, out("tcp", a, "Redis Cluster; and the nodes that it names"))
	}
	return w
}

func directoryWays(cfg *config.Config) []way {
	var w []way
	for name, l := range cfg.LDAP {
		for _, raw := range l.URLs {
			u, err := url.Parse(raw)
			if err != nil {
				continue
			}
			port := map[string]string{"ldaps": "636"}[u.Scheme]
			if port == "" {
				port = "389"
			}
			if u.Scheme == "ldapi" {
				w = append(w, out("unix", u.Host+u.Path, "ldap."+name))
			} else {
				w = append(w, out("tcp", withPort(u.Host, port), "ldap."+name))
			}
		}
	}
	for name, q := range cfg.SQL {
		switch {
		case q.Host == "":
			w = append(w, out("tcp", "as the DSN says", "sql."+name))
		case strings.HasPrefix(q.Host, "/"):
			w = append(w, out("unix", q.Host, "sql."+name))
		default:
			port := q.Port
			if port == 0 {
				port = map[string]int{"mysql": 3306}[q.Driver]
			}
			if port == 0 {
				port = 5432
			}
			w = append(w, out("tcp", net.JoinHostPort(q.Host, fmt.Sprint(port)), "sql."+name))
		}
	}
	slices.SortFunc(w, func(a, b way) int { return strings.Compare(a.Purpose+a.Address, b.Purpose+b.Address) })
	return w
}

func dnsServers(servers []string) []string {
	if len(servers) == 0 {
		return []string{"those of /etc/resolv.conf, port 53"}
	}
	list := make([]string, len(servers))
	for i, s := range servers {
		list[i] = withPort(s, "53")
	}
	return list
}

func withPort(addr, port string) string {
	if _, _, err := net.SplitHostPort(addr); err == nil {
		return addr
	}
	return net.JoinHostPort(strings.Trim(addr, "[]"), port)
}

func isLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

func prefixes(list []netip.Prefix) string {
	words := make([]string, len(list))
	for i, p := range list {
		words[i] = p.String()
	}
	return strings.Join(words, ", ")
}

// printWays prints the table.
func (a *app) printWays(list []way) error {
	w := a.table()
	fmt.Fprintln(w, "DIRECTION\tPROTOCOL\tADDRESS\tFROM\tPURPOSE")
	for _, x := range list {
		peer := x.Peer
		if peer == "" {
			peer = "-"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", x.Direction, x.Protocol, x.Address, peer, x.Purpose)
	}
	return w.Flush()
}
