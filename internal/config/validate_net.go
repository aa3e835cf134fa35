package config

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/netip"
	"net/url"
	"os"

	"sekimori/internal/mail"
)

func (v *validator) smtp() {
	v.ownNetworks()
	s := &v.cfg.SMTP
	v.pair("smtp.tls_cert_file", "smtp.tls_key_file", &s.TLSCertFile, &s.TLSKeyFile)
	v.caFile("smtp.tls_client_ca_file", &s.TLSClientCAFile)
	if s.TLSClientCAFile != "" && s.TLSCertFile == "" {
		v.fail("smtp.tls_client_ca_file", "needs smtp.tls_cert_file as well: without TLS no client shows a certificate")
	}
	v.pair("http.tls_cert_file", "http.tls_key_file", &v.cfg.HTTP.TLSCertFile, &v.cfg.HTTP.TLSKeyFile)
}

// pair resolves a certificate and its key, and loads them to see that they belong together.
func (v *validator) pair(certPath, keyPath string, cert, key *string) {
	switch {
	case *cert == "" && *key == "":
		return
	case *key == "":
		v.fail(certPath, "needs %s as well", keyPath)
		return
	case *cert == "":
		v.fail(keyPath, "needs %s as well", certPath)
		return
	}
	*cert, *key = v.doc.resolve(*cert), v.doc.resolve(*key)
	if v.opts.SkipFiles {
		return
	}
	for _, f := range []struct{ path, file string }{{certPath, *cert}, {keyPath, *key}} {
		if _, err := os.ReadFile(f.file); err != nil {
			v.fail(f.path, "cannot be read: %v", err)
			return
		}
	}
	if worldReadable(*key) {
		v.warn(keyPath, "%s can be read by everybody on this machine", *key)
	}
	if _, err := tls.LoadX509KeyPair(*cert, *key); err != nil {
		v.fail(certPath, "the certificate and the key cannot be used: %v", err)
	}
}

func (v *validator) caFile(path string, file *string) {
	if *file == "" {
		return
	}
	*file = v.doc.resolve(*file)
	if v.opts.SkipFiles {
		return
	}
	b, err := os.ReadFile(*file)
	if err != nil {
		v.fail(path, "cannot be read: %v", err)
	} else if !x509.NewCertPool().AppendCertsFromPEM(b) {
		v.fail(path, "%s holds no certificate in PEM", *file)
	}
}

func (v *validator) listeners() {
	seen := map[string]string{}
	for i, l := range v.cfg.SMTP.Listeners {
		path := at("smtp.listener", i)
		v.oneOf(path+".purpose", l.Purpose, "mx", "internal")
		if len(l.Listen) == 0 {
			v.fail(path, "listen is missing: one or more address:port")
		}
		for j, a := range l.Listen {
			v.listen(at(path+".listen", j), a, seen)
		}
	}
	v.listen("http.listen", v.cfg.HTTP.Listen, seen)
	v.listen("metrics.listen", v.cfg.Metrics.Listen, seen)
}

// listen checks one address to listen on; an empty one of http or metrics switches that off.
func (v *validator) listen(path, addr string, seen map[string]string) {
	if addr == "" && (path == "http.listen" || path == "metrics.listen") {
		return
	}
	host, port, err := hostPort(addr, true)
	if err != nil {
		v.fail(path, "%v", err)
		return
	}
	if host != "" && host != "localhost" {
		if _, err := netip.ParseAddr(host); err != nil {
			v.fail(path, "%q is not an address: name the address to listen on, or leave it out for all", host)
			return
		}
	}
	if other, taken := seen[addr]; taken && port != 0 {
		v.fail(path, "%s is already the address of %s", addr, other)
		return
	}
	seen[addr] = path
}

func (v *validator) web() {
	u := v.cfg.HTTP.PublicURL
	if u == "" {
		return
	}
	p, err := url.Parse(u)
	switch {
	case err != nil || p.Host == "" || (p.Scheme != "https" && p.Scheme != "http"):
		v.fail("http.public_url", "%q is not a URL such as https://mail-guard.example.jp", u)
	case p.User != nil || p.RawQuery != "" || p.Fragment != "":
		v.fail("http.public_url", "must have no user, query or fragment")
	case p.Path != "" && p.Path != "/":
		v.fail("http.public_url", "must have no path: the pages stand at the root of their name")
	}
}

func (v *validator) resolvers() {
	for name, list := range map[string][]string{"dns.servers": v.cfg.DNS.Servers, "dns.backend_servers": v.cfg.DNS.BackendServers} {
		for i, s := range list {
			if a, err := netip.ParseAddr(s); err == nil {
				list[i] = netip.AddrPortFrom(a, 53).String()
				continue
			}
			host, _, err := hostPort(s, false)
			if err != nil {
				v.fail(at(name, i), "%v", err)
			} else if _, err := netip.ParseAddr(host); err != nil {
				v.fail(at(name, i), "%q is not an address; a name would have to be looked up to look up names", host)
			}
		}
	}
}

func (v *validator) redis() {
	r := &v.cfg.Redis
	ways := 0
	for _, set := range []bool{r.URL != "", r.Sentinel != nil, len(r.Cluster) > 0} {
		if set {
			ways++
		}
	}
	if ways > 1 {
		v.fail("redis", "only one of url, sentinel and cluster can be given")
	}
	if r.URL != "" {
		v.redisURL(r.URL)
	}
	if s := r.Sentinel; s != nil {
		if s.Master == "" {
			v.fail("redis.sentinel", "master is missing: the name that the sentinels watch")
		}
		if len(s.Addresses) == 0 {
			v.fail("redis.sentinel", "addresses are missing: host:port of the sentinels")
		}
		v.addresses("redis.sentinel.addresses", s.Addresses)
	}
	v.addresses("redis.cluster", r.Cluster)
	if r.Embedded() {
		if v.doc.has("redis") && v.doc.has("redis", "password_file") {
			v.fail("redis.password_file", "there is no url, sentinel or cluster that it could be for")
		}
		return
	}
	r.PasswordFile = v.doc.resolve(r.PasswordFile)
	r.Password = v.secret("redis.password_file", r.PasswordFile)
}

// redisURL never shows the URL: it may hold a password.
func (v *validator) redisURL(s string) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		v.fail("redis.url", "is not a URL such as redis://127.0.0.1:6379/0")
	case u.Scheme == "unix" && u.Path != "":
	case u.Scheme != "redis" && u.Scheme != "rediss":
		v.fail("redis.url", "the scheme must be redis, rediss (TLS) or unix, not %q", u.Scheme)
	case u.Hostname() == "":
		v.fail("redis.url", "has no host")
	}
}

func (v *validator) addresses(path string, list []string) {
	for i, a := range list {
		host, _, err := hostPort(a, false)
		if err != nil {
			v.fail(at(path, i), "%v", err)
			continue
		}
		if _, err := netip.ParseAddr(host); err != nil && !mail.IsHostname(host) {
			v.fail(at(path, i), "%q is not a host", host)
		}
	}
}

// secret reads the secret of a *_file key.
func (v *validator) secret(path, file string) Secret {
	secret, from, err := secretSource{v.doc.env, v.opts.SkipFiles}.read(splitPath(path), file)
	if err != nil {
		v.fail(path, "%v", err)
	} else if from != "" && worldReadable(from) {
		v.warn(path, "%s can be read by everybody on this machine", from)
	}
	return secret
}

// localAddrs are the addresses of this machine.
func localAddrs() []netip.Addr {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var addrs []netip.Addr
	for _, a := range list {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			addrs = append(addrs, p.Addr().Unmap())
		}
	}
	return addrs
}
