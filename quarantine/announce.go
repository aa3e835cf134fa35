package quarantine

import (
	"context"

	"sekimori/internal/mail"
)

// Announcer knows whether those were told of a held mail whose it is. Expiry asks it: nothing disappears unannounced.
type Announcer interface {
	// Announced reports whether everybody to whom rcpt's copy of the mail belongs has had it in a digest, or is not to be told:
	// no digest is configured for the domain, or the person has switched it off. A store that does not answer is false.
	Announced(ctx context.Context, id string, rcpt mail.Address) bool
}
