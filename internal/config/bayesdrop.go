package config

import (
	"net/netip"
	"slices"

	"sekimori/internal/mail"
)

// BayesDrop is [bayes.drop]: addresses to which people of one's own forward mails, as attachments, that are to be learned.
type BayesDrop struct {
	Spam []string `toml:"spam"`
	Ham  []string `toml:"ham"`
	// From are clients that may hand in, such as the mail server, beside those of smtp.mynetworks.
	From        []netip.Prefix `toml:"from"`
	Certificate bool           `toml:"certificate"` // so may clients that show a certificate of smtp.tls_client_ca_file
	// Senders says that those clients let nobody send in another's name. Then a mail teaches for its sender, too.
	Senders  bool     `toml:"senders_authenticated"`
	Admins   []string `toml:"admins"`    // senders of whom everything counts for everybody; only with Senders
	Scope    string   `toml:"scope"`     // all | domain (of the sender) | @DOMAIN; default all
	MaxMails int      `toml:"max_mails"` // attached to one; default 50
	MaxSize  Size     `toml:"max_size"`  // of one that is attached; default 10MiB
}

// Enabled reports whether there is such an address.
func (d *BayesDrop) Enabled() bool { return len(d.Spam)+len(d.Ham) > 0 }

// Class returns what is taught by mail to an address: "spam", "ham", or "" for any other.
func (d *BayesDrop) Class(a mail.Address) string {
	if !d.Enabled() {
		return ""
	}
	key := a.Key()
	switch {
	case slices.Contains(d.Spam, key):
		return "spam"
	case slices.Contains(d.Ham, key):
		return "ham"
	}
	return ""
}

func defaultBayesDrop() BayesDrop {
	return BayesDrop{Scope: "all", MaxMails: 50, MaxSize: 10 << 20}
}
