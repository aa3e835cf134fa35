package reputation

import (
	"time"

	"sekimori/internal/mail"
)

// Allow is a recipient's wish that mail of one sender passes. It never rests on a From address alone: the sender must be
// confirmed in the same way again.
type Allow struct {
	ID   string       `json:"id"`
	Rcpt mail.Address `json:"rcpt"`
	// Domain is the domain in From for which DKIM or SPF vouched (aligned as DMARC sees it). Subdomains are not meant.
	Domain string `json:"domain,omitempty"`
	// Address is the exact address in From of a sender for whom neither vouches; then SPF or Host must be confirmed as well.
	Address string    `json:"address,omitempty"`
	SPF     string    `json:"spf,omitempty"`  // the domain of MAIL FROM or HELO for which SPF passed
	Host    string    `json:"host,omitempty"` // the domain of the server's name, confirmed in both directions
	By      string    `json:"by"`             // who allowed it
	Mail    string    `json:"mail,omitempty"` // the mail from which it was made
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
}
