package recipients

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/mail"
)

// Asker asks the backend of a recipient whether it takes mail for it. The zero Reply is yes; any other is what it said to
// RCPT; an error means that it did not come to that.
type Asker interface {
	AskRecipient(ctx context.Context, rcpt mail.Address) (mail.Reply, error)
}

// Timing is how often a Source is asked, and how old its copy may be. Zeros mean the defaults.
type Timing struct {
	Changes       time.Duration // between two looks for changes; default 5m
	Full          time.Duration // between two fetches of everything; default 24h
	StaleAfter    time.Duration // an older copy does not say that somebody is unknown; default 15m
	LookupTimeout time.Duration // of a question while a client waits; default 3s
}

// Options is what a Directory is made of. Only Config must be set.
type Options struct {
	Config *config.Config
	// Open opens the source of ldap:NAME and sql:NAME; nil: as OpenSource does.
	Open func(cfg *config.Config, kind, name string) (Source, Timing, error)
	// Asker asks backends, for callout; nil: they are never reached.
	Asker Asker
	// Accounts looks an account up for unix, and gives nil for none; nil: getent(1).
	Accounts func(ctx context.Context, name string) (*Account, error)
	// Dir is where copies are kept; "": they are not.
	Dir string
	// ReadOnly leaves Dir as it is, for commands beside a running serve.
	ReadOnly bool
	Log      *slog.Logger
	Warn     func(cause, message string)
	// Observe is told of every look-up: the source and the result's word.
	Observe func(source, result string)
	Now     func() time.Time
	Random  func(n int) int // from 0 to n-1
}

// Directory knows the recipients of every domain of ours. Safe for concurrent use.
type Directory struct {
	o       Options
	domains map[string]*domain // by name: lower case, A-labels
	places  []place
	files   []*file
	head    string

	groups  groupCache
	reverse reverseGroups
	writing sync.Mutex
	written string // the status file's text
}

// domain is one [[domain]].
type domain struct {
	names    []string
	place    place
	aliases  []*file
	tags     string
	internal map[string]struct{} // by Key
}

// New reads the files and the copies on the disk. It asks nobody outside; its error names each file that does not load.
func New(o Options) (*Directory, error) {
	o.complete()
	d := &Directory{o: o, domains: map[string]*domain{}}
	places, aliases := map[string]place{}, map[string]*file{}
	var errs []error
	for _, c := range o.Config.Domains {
		if err := d.add(c, places, aliases); err != nil {
			errs = append(errs, fmt.Errorf("recipients of %s: %w", strings.Join(c.Names, ", "), err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

func (o *Options) complete() {
	if o.Accounts == nil {
		o.Accounts = getent
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Warn == nil {
		o.Warn = func(string, string) {}
	}
	if o.Observe == nil {
		o.Observe = func(string, string) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.IntN
	}
	if o.Open == nil {
		o.Open = OpenSource(Deps{Log: o.Log, Now: o.Now})
	}
}

// add makes one [[domain]]; what several name is opened once.
func (d *Directory) add(c config.Domain, places map[string]place, aliases map[string]*file) error {
	dom := &domain{tags: c.Subaddress, internal: map[string]struct{}{}}
	for _, name := range c.Names {
		ascii, err := mail.ParseDomain(name)
		if err != nil {
			return fmt.Errorf("domain %q: %w", name, err)
		}
		if d.head == "" {
			d.head = ascii
		}
		dom.names = append(dom.names, ascii)
		d.domains[ascii] = dom
	}
	for _, a := range c.InternalOnly {
		addr, err := mail.ParseAddress(a, true)
		if err != nil {
			return fmt.Errorf("internal_only %q: %w", a, err)
		}
		dom.internal[addr.Key()] = struct{}{}
	}
	var errs []error
	for _, path := range c.Aliases {
		f := aliases[path]
		if f == nil {
			f = d.newFile(path, false)
			aliases[path] = f
			errs = append(errs, f.load())
		}
		dom.aliases = append(dom.aliases, f)
	}
	var err error
	dom.place, err = d.open(c, dom.names, places)
	return errors.Join(append(errs, err)...)
}

func (d *Directory) newFile(path string, optional bool) *file {
	f := &file{path: path, optional: optional, log: d.o.Log, now: d.o.Now, attrs: lowered(d.o.Config.Recipients.RuleAttributes)}
	d.files = append(d.files, f)
	return f
}

// open returns the place that a domain's recipients names.
func (d *Directory) open(c config.Domain, names []string, places map[string]place) (place, error) {
	kind, arg, _ := strings.Cut(c.Recipients, ":")
	key := c.Recipients
	if kind == "callout" { // each asks its own backends
		key = "callout:" + strings.Join(names, ",")
	}
	if p := places[key]; p != nil {
		return p, nil
	}
	var p place
	var err error
	switch kind {
	case "any", "":
		p = anyPlace{}
	case "file":
		f := d.newFile(arg, false)
		p, err = filePlace{f}, f.load()
	case "unix":
		p, err = d.newUnix()
	case "ldap", "sql":
		p, err = d.newCopied(kind, arg)
	case "callout":
		p, err = d.newCallout(names)
	default:
		err = fmt.Errorf("%q is not known: any, file:PATH, unix, ldap:NAME, sql:NAME or callout", c.Recipients)
	}
	if err != nil {
		return nil, err
	}
	places[key] = p
	d.places = append(d.places, p)
	return p, nil
}

// First returns our first domain, where mail for the bare postmaster goes; without one, the name given.
func (d *Directory) First(hostname string) string {
	if d.head == "" {
		return hostname
	}
	return d.head
}

// AlwaysOpen reports whether an address of ours takes mail from everyone (RFC 5321 section 4.5.1, RFC 2142).
func AlwaysOpen(a mail.Address) bool {
	local := strings.ToLower(a.Local) // not EqualFold, which takes a long s for an s
	return local == "postmaster" || local == "abuse"
}

// Run keeps everything up to date until ctx ends.
func (d *Directory) Run(ctx context.Context) {
	done := make(chan struct{})
	for _, p := range d.places {
		go func() {
			defer func() { done <- struct{}{} }()
			every(ctx, time.Second, func() { p.tick(ctx) })
		}()
	}
	every(ctx, 5*time.Second, func() {
		for _, f := range d.files {
			f.reload()
		}
		d.writeStatus()
	})
	for range d.places {
		<-done
	}
}

func every(ctx context.Context, pause time.Duration, do func()) {
	t := time.NewTicker(pause)
	defer t.Stop()
	for {
		do()
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// Sync brings the places of a domain up to date now, those of all domains with "all" or "". progress is told in words what is
// done. force takes over what looks like a mistake: a directory that suddenly has far fewer recipients.
func (d *Directory) Sync(ctx context.Context, domain string, force bool, progress func(string)) error {
	var errs []error
	hit := false
	for _, p := range d.places {
		names := d.namesOf(p)
		if domain != "" && domain != "all" && !slices.Contains(names, domain) {
			continue
		}
		hit = true
		progress(fmt.Sprintf("%s (%s): asking", p.label(), strings.Join(names, ", ")))
		if err := p.sync(ctx, force); err != nil {
			progress(p.label() + ": " + err.Error())
			errs = append(errs, fmt.Errorf("%s: %w", p.label(), err))
			continue
		}
		progress(p.label() + ": " + p.status().Words(d.o.Now()))
	}
	if !hit {
		return fmt.Errorf("%s is none of our domains", domain)
	}
	d.writeStatus()
	return errors.Join(errs...)
}

func (d *Directory) namesOf(p place) []string {
	var names []string
	for name, dom := range d.domains {
		if dom.place == p {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Status says how every place is, in the order of the configuration.
func (d *Directory) Status() []Status {
	all := make([]Status, 0, len(d.places))
	for _, p := range d.places {
		s := p.status()
		s.Source, s.Domains = p.label(), d.namesOf(p)
		all = append(all, s)
	}
	return all
}

// Close ends the connections to directories and databases. Run must have ended.
func (d *Directory) Close() error {
	var errs []error
	for _, p := range d.places {
		errs = append(errs, p.close())
	}
	return errors.Join(errs...)
}
