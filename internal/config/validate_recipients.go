package config

import (
	"os"
	"slices"
	"strings"
	"time"

	"sekimori/internal/mail"
)

const recipientKinds = `"file:PATH" with one address a line, "unix", "ldap:NAME", "sql:NAME", "callout", or "any"`

// recipients must be said in a file: a domain that takes any recipient makes a source of bounces of its backend.
func (v *validator) recipients(path string, d *Domain) {
	at := path + ".recipients"
	kind, arg, hasArg := strings.Cut(d.Recipients, ":")
	switch {
	case d.Recipients == "":
		v.fail(path, "recipients is missing: "+recipientKinds)
	case slices.Contains([]string{"any", "unix", "callout"}, kind):
		if hasArg {
			v.fail(at, "%s stands alone, without a colon", kind)
		}
		if kind == "callout" {
			v.calloutBackends(at, d)
		}
	case kind == "file" && arg != "":
		d.Recipients = "file:" + v.readable(at, arg)
	case kind == "ldap" || kind == "sql":
		v.recipientSource(at, kind, arg)
	default:
		v.fail(at, "%q is not known; %s", d.Recipients, recipientKinds)
	}
}

// calloutBackends refuses a callout to where nobody can be asked.
func (v *validator) calloutBackends(at string, d *Domain) {
	for _, b := range d.Backends {
		if strings.HasPrefix(b.URL, "maildir:") {
			v.fail(at, "callout asks the backend, and a Maildir answers nothing; \"file:PATH\" or \"any\"")
			return
		}
	}
}

// readable resolves the name of a file and checks that it can be read.
func (v *validator) readable(at, name string) string {
	name = v.doc.resolve(name)
	if v.opts.SkipFiles {
		return name
	}
	if info, err := os.Stat(name); err != nil {
		v.fail(at, "cannot be read: %v", err)
	} else if info.IsDir() {
		v.fail(at, "%s is a directory", name)
	} else if f, err := os.Open(name); err != nil {
		v.fail(at, "cannot be read: %v", err)
	} else {
		f.Close()
	}
	return name
}

// recipientDetails checks what refines recipients: aliases, subaddress and internal_only.
func (v *validator) recipientDetails(path string, d *Domain) {
	for j, name := range d.Aliases {
		at := at(path+".aliases", j)
		if name == "" {
			v.fail(at, "the name of an alias file is missing")
			continue
		}
		d.Aliases[j] = v.readable(at, name)
	}
	for _, c := range d.Subaddress {
		if !strings.ContainsRune("+-=_.#~", c) {
			v.fail(path+".subaddress", `%q cannot separate a tag; "+" is usual, and + - = _ . # ~ are possible`, c)
		}
	}
	for j, a := range d.InternalOnly {
		at := at(path+".internal_only", j)
		addr, err := mail.ParseAddress(a, true)
		switch {
		case err != nil:
			v.fail(at, "%q: %v", a, err)
		case !slices.Contains(d.Names, addr.Domain):
			v.fail(at, "%s is not a name of this domain%s", addr.Domain, hint(addr.Domain, d.Names))
		default:
			d.InternalOnly[j] = addr.String()
		}
	}
}

// recipientLimits checks [recipients].
func (v *validator) recipientLimits() {
	r := v.cfg.Recipients
	for _, x := range []struct {
		path        string
		d           Duration
		least, most time.Duration
	}{
		{"recipients.lookup_timeout", r.LookupTimeout, 100 * time.Millisecond, 30 * time.Second},
		{"recipients.unknown_for", r.UnknownFor, time.Second, time.Hour},
		{"recipients.known_for", r.KnownFor, time.Minute, 366 * 24 * time.Hour},
	} {
		if x.d.D() < x.least || x.d.D() > x.most {
			v.fail(x.path, "%s is not from %s to %s", x.d, Duration(x.least), Duration(x.most))
		}
	}
	if r.Lookups < 1 || r.Lookups > 100 {
		v.fail("recipients.lookups", "must be from 1 to 100")
	}
}
