package recipients

import (
	"context"

	"sekimori/internal/mail"
)

// place is where the recipients of domains are kept. Safe for concurrent use.
type place interface {
	// label is what people call it: "any", "file:PATH", "unix", "ldap:NAME", "sql:NAME", "callout:DOMAIN".
	label() string
	// known says what memory has about an address, or with an empty Local about all of its domain.
	known(a mail.Address) (record, bool)
	// ask finds out about an address that known does not have.
	ask(ctx context.Context, a mail.Address) verdict
	// tempo is how long questions took; nil where nobody is asked.
	tempo() *pace
	// tick does what is due: reading a changed file, fetching changes. It is called about every second by one goroutine.
	tick(ctx context.Context)
	// sync brings the place up to date now; force takes over what looks like a mistake.
	sync(ctx context.Context, force bool) error
	status() Status
	close() error
}

// anyPlace takes every address: it catches all of each domain.
type anyPlace struct{}

func (anyPlace) label() string                             { return "any" }
func (anyPlace) known(a mail.Address) (record, bool)       { return record{}, a.Local == "" }
func (anyPlace) ask(context.Context, mail.Address) verdict { return verdict{result: Known} }
func (anyPlace) tempo() *pace                              { return nil }
func (anyPlace) tick(context.Context)                      {}
func (anyPlace) sync(context.Context, bool) error          { return nil }
func (anyPlace) status() Status                            { return Status{} }
func (anyPlace) close() error                              { return nil }

// filePlace is a recipient file: who does not stand in it is unknown.
type filePlace struct{ *file }

func (f filePlace) label() string                             { return "file:" + f.path }
func (f filePlace) known(a mail.Address) (record, bool)       { return f.get(a) }
func (f filePlace) ask(context.Context, mail.Address) verdict { return verdict{result: Unknown} }
func (f filePlace) tempo() *pace                              { return nil }
func (f filePlace) tick(context.Context)                      {} // Directory reloads all files
func (f filePlace) close() error                              { return nil }

func (f filePlace) sync(context.Context, bool) error {
	f.reload()
	return f.lastError()
}

func (f filePlace) status() Status { return f.file.status() }
