package config

import (
	"slices"

	"sekimori/internal/mail"
)

// bounce checks the way out. That it is none of our listeners is found with all other backends.
func (v *validator) bounce() {
	b := &v.cfg.Bounce
	long := v.doc.has("bounce", "backend")
	switch {
	case b.Relay != "" && long:
		v.fail("bounce.relay", "only one of relay and [bounce.backend] can be given")
	case long:
		v.oneBackend("bounce.backend", &b.Backend)
	case b.Configured():
		b.Backend.URL = v.backend("bounce.relay", b.Backend.URL)
	case v.doc.has("bounce"):
		v.fail("bounce", "relay is missing: the mail server that sends to the internet, such as smtp://out.example.jp:25")
	}
	if t, err := ParseBackend(b.Backend.URL); b.Configured() && err == nil && t.Scheme != "smtp" {
		v.fail("bounce", "%s does not send to the internet; relay must be smtp://", t)
	}
	v.oneOf("bounce.lang", b.Lang, "ja", "en", "both")
	if v.doc.has("bounce", "from") {
		if _, err := mail.ParseAddress(b.From, false); err != nil {
			v.fail("bounce.from", "%q: %v", b.From, err)
		}
	}
}

func (v *validator) journal() {
	j := &v.cfg.Journal
	if !j.Enabled() {
		if v.doc.has("journal") {
			v.fail("journal", "to and backend are missing: the archive's address, or where its mail goes")
		}
		return
	}
	a, err := mail.ParseAddress(j.To, false)
	switch {
	case err != nil:
		v.fail("journal.to", "%q: %v", j.To, err)
	case j.Backend != "":
		j.Backend = v.backend("journal.backend", j.Backend)
	default:
		if err := v.cfg.Reachable(a); err != nil {
			v.fail("journal.to", "%v", err)
		}
	}
	if err == nil {
		j.To = a.String()
	}
	if v.doc.has("journal", "tls") && j.Backend == "" {
		v.fail("journal.tls", "there is no backend that it could be for")
	}
	v.backendTLS("journal.tls", &j.TLS)
	v.oneOf("journal.format", j.Format, "plain", "envelope")
	if j.Lifetime < v.cfg.Relay.QueueLifetime {
		v.fail("journal.lifetime", "must not be shorter than relay.queue_lifetime: an archive that lacks a mail has lost it")
	}
	for i, name := range j.Domains {
		path := at("journal.domains", i)
		d, err := mail.ParseDomain(name)
		switch {
		case err != nil:
			v.fail(path, "%q is not a domain name", name)
		case !v.cfg.Ours(d):
			v.fail(path, "%s is not one of our domains%s", d, hint(d, v.ourNames()))
		default:
			j.Domains[i] = d
		}
	}
}

func (v *validator) ourNames() []string {
	var names []string
	for i := range v.cfg.Domains {
		names = slices.Concat(names, v.cfg.Domains[i].Names)
	}
	return names
}

// queue checks when and how mail of the queue is tried.
func (v *validator) queue() {
	r := &v.cfg.Relay
	if v.doc.has("relay", "retry") && len(r.Retry) == 0 {
		v.fail("relay.retry", `is empty; such as ["1m", "5m", "30m"], of which the last repeats`)
	}
	for i, d := range r.Retry {
		switch {
		case d.D() <= 0:
			v.fail(at("relay.retry", i), "must be above 0")
		case d >= r.QueueLifetime && r.QueueLifetime > 0:
			v.fail(at("relay.retry", i), "is not below relay.queue_lifetime: the mail would be given up before this attempt")
		}
	}
	if r.DomainConcurrency < 0 {
		v.fail("relay.domain_concurrency", "must not be negative; 0 means as many as the backends allow")
	}
	for i := range v.cfg.Domains {
		if v.cfg.Domains[i].Concurrency < 0 {
			v.fail(at("domain", i)+".concurrency", "must not be negative; 0 means relay.domain_concurrency")
		}
	}
	if r.DelayWarning < 0 || r.DelayWarning > 0 && r.DelayWarning >= r.QueueLifetime {
		v.fail("relay.delay_warning", "must be below relay.queue_lifetime: later the mail is given up")
	}
	if r.DelayWarning > 0 && !v.cfg.Bounce.Configured() {
		v.fail("relay.delay_warning", "is sent by way of [bounce], which is not configured: set bounce.relay")
	}
}
