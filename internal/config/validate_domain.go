package config

import "sekimori/internal/mail"

func (v *validator) domains() {
	if len(v.cfg.Domains) == 0 {
		v.fail("domain", "there is no [[domain]]: which mail is accepted, and where it goes")
	}
	seen := map[string]string{}
	for i := range v.cfg.Domains {
		d, path := &v.cfg.Domains[i], at("domain", i)
		v.names(path, d, seen)
		v.recipients(path, d)
		v.recipientDetails(path, d)
		v.backends(path, d)
		v.oneOf(path+".on_backend_down", d.OnBackendDown, "spool", "defer")
		v.routes(path, d)
	}
}

// names normalises the domain's names to lower case and A-labels; a name can stand only once in the file.
func (v *validator) names(path string, d *Domain, seen map[string]string) {
	if len(d.Names) == 0 {
		v.fail(path, "names are missing: the domains whose mail is accepted")
	}
	for j, name := range d.Names {
		at := at(path+".names", j)
		n, err := mail.ParseDomain(name)
		if err != nil {
			v.fail(at, "%q is not a domain name", name)
			continue
		}
		d.Names[j] = n
		if other, taken := seen[n]; taken {
			v.fail(at, "%s already stands at %s", n, other)
			continue
		}
		seen[n] = at
	}
}

func (v *validator) backends(path string, d *Domain) {
	if len(d.Backends) == 0 {
		v.fail(path, "backends is missing: where the domain's mail goes, such as smtp://mail1.example.jp:25")
	}
	short := len(d.BackendURLs)
	for j := range d.Backends {
		b := &d.Backends[j]
		if j < short {
			b.URL = v.backend(at(path+".backends", j), b.URL)
			continue
		}
		v.oneBackend(at(path+".backend", j-short), b)
	}
}

// oneBackend checks the long form of a backend.
func (v *validator) oneBackend(at string, b *Backend) {
	if b.URL == "" {
		v.fail(at, "url is missing")
	} else {
		b.URL = v.backend(at+".url", b.URL)
	}
	if b.Priority < 0 {
		v.fail(at+".priority", "must not be negative")
	}
	if b.Weight < 1 {
		v.fail(at+".weight", "must be at least 1")
	}
	if b.MaxConnections < 1 {
		v.fail(at+".max_connections", "must be at least 1")
	}
	v.backendTLS(at+".tls", &b.TLS)
	v.backendMore(at, b)
}

func (v *validator) backendTLS(path string, t *BackendTLS) {
	v.oneOf(path+".mode", t.Mode, "none", "opportunistic", "required")
	if t.Name != "" && !mail.IsHostname(t.Name) {
		v.fail(path+".name", "%q is not a host name", t.Name)
	}
	v.caFile(path+".ca_file", &t.CAFile)
	v.pair(path+".cert_file", path+".key_file", &t.CertFile, &t.KeyFile)
}
