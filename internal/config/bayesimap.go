package config

import (
	"fmt"
	"net"
	"net/url"
)

// BayesIMAP is [[bayes.imap]]: a folder of an IMAP server of which every mail is learned.
type BayesIMAP struct {
	URL          string   `toml:"url"` // imaps://HOST[:PORT], or imap:// with STARTTLS
	User         string   `toml:"user"`
	PasswordFile string   `toml:"password_file"`
	Password     Secret   `toml:"-"`       // read at Load from PasswordFile, a credential or the environment
	CAFile       string   `toml:"ca_file"` // default: those of the system
	TLSName      string   `toml:"tls_name"`
	Folder       string   `toml:"folder"`
	Class        string   `toml:"class"` // spam | ham
	Scope        string   `toml:"scope"` // all | @DOMAIN | an address; default all
	Every        Duration `toml:"every"` // default 5m
	After        string   `toml:"after"` // leave | seen | move; default leave
	MoveTo       string   `toml:"move_to"`
	MaxMails     int      `toml:"max_mails"` // at one time; default 200
	MaxSize      Size     `toml:"max_size"`  // of one; default 10MiB
}

// Place returns host:port, and whether encryption is asked for by STARTTLS rather than there from the beginning. Its error never shows
// the URL, which may hold a password.
func (b *BayesIMAP) Place() (addr string, startTLS bool, err error) {
	u, err := url.Parse(b.URL)
	if err != nil {
		return "", false, fmt.Errorf("is not a URL such as imaps://imap.example.jp")
	}
	port := map[string]string{"imaps": "993", "imap": "143"}[u.Scheme]
	switch {
	case port == "":
		return "", false, fmt.Errorf("the scheme must be imaps, or imap for STARTTLS, not %q", u.Scheme)
	case u.Hostname() == "":
		return "", false, fmt.Errorf("has no host")
	case u.User != nil:
		return "", false, fmt.Errorf("must name no user: that is user and password_file")
	case u.RawQuery != "" || u.Fragment != "" || u.Path != "" && u.Path != "/":
		return "", false, fmt.Errorf("must end behind the host: the folder is folder")
	}
	if u.Port() != "" {
		port = u.Port()
	}
	return net.JoinHostPort(u.Hostname(), port), u.Scheme == "imap", nil
}

// String names the folder for people.
func (b *BayesIMAP) String() string {
	addr, _, err := b.Place()
	if err != nil {
		return b.Folder
	}
	return b.User + "@" + addr + " " + b.Folder
}
