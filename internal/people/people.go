package people

import (
	"context"

	"sekimori/internal/mail"
	"sekimori/internal/text"
)

// Person is somebody who reads held mail.
type Person struct {
	// Address is the primary mailbox: the one digest of the person goes there.
	Address mail.Address
	// Lang is Ja or En, never empty.
	Lang text.Lang
	// Boxes are shared mailboxes whose held mail the person may see and decide about, as an owner or as a delegate.
	Boxes []mail.Address
	// Told are those of Boxes whose held mail stands in the person's digest: those owned, and those that have no owner.
	Told []mail.Address
}

// All are the addresses whose held mail the person may see and decide about: the own one first.
func (p *Person) All() []mail.Address {
	return append([]mail.Address{p.Address}, p.Boxes...)
}

// Finder knows persons. Safe for concurrent use.
type Finder interface {
	// Person returns who reads the mail of an address of ours: the address may be an alias of one person. False when the address
	// is none of ours, or does not belong to just one person (a group, a shared mailbox with owners).
	Person(ctx context.Context, a mail.Address) (Person, bool)
}
