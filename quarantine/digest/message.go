package digest

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/emersion/go-msgauth/dkim"

	"sekimori/internal/config"
	"sekimori/internal/text"
)

// signed are the fields that a signature covers, as far as they are there.
var signed = []string{
	"From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type", "Content-Language", "List-Id", "List-Unsubscribe", "Auto-Submitted",
}

// Signer signs digests (DKIM, RFC 6376). Safe for concurrent use.
type Signer struct{ o dkim.SignOptions }

// NewSigner makes a Signer of [digest.dkim]; nil when nothing is signed.
func NewSigner(c config.DigestDKIM) (*Signer, error) {
	if !c.Configured() {
		return nil, nil
	}
	key, err := c.Signer()
	if err != nil {
		return nil, fmt.Errorf("digest.dkim: %w", err)
	}
	s := &Signer{dkim.SignOptions{
		Domain: c.Domain, Selector: c.Selector, Hash: crypto.SHA256, HeaderKeys: signed,
		HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed,
	}}
	switch k := key.(type) {
	case *rsa.PrivateKey:
		s.o.Signer = k
	case ed25519.PrivateKey:
		s.o.Signer = k
	default:
		return nil, errors.New("digest.dkim: the key cannot sign")
	}
	return s, nil
}

// Sign puts the signature on top.
func (s *Signer) Sign(message []byte) ([]byte, error) {
	var b bytes.Buffer
	b.Grow(len(message) + 1024)
	o := s.o
	if err := dkim.Sign(&b, bytes.NewReader(message), &o); err != nil {
		return nil, fmt.Errorf("digest: the mail cannot be signed: %w", err)
	}
	return b.Bytes(), nil
}

// Parts returns the text and the HTML of the mail.
func (d *Digest) Parts() (plain, html string, err error) {
	p, html, err := d.render()
	if err != nil {
		return "", "", err
	}
	return p.plain(), html, nil
}

// mostHTML bounds the HTML part in octets. Gmail shows the first 102 KB of a mail and hides the rest behind a link: the recognition mark,
// which stands at the end, must not be there.
const mostHTML = 96 << 10

// render makes the page and its HTML, with as many mails as fit. The others are counted as more, and are in the list.
func (d *Digest) render() (*page, string, error) {
	c := *d
	c.Entries = slices.Clone(d.Entries)
	sortItems(c.Entries)
	for {
		p, err := c.page()
		if err != nil {
			return nil, "", err
		}
		html, err := p.html()
		n := len(c.Entries)
		if err != nil || n <= 1 || len(crlf(html)) <= mostHTML {
			return p, html, err
		}
		c.Entries = c.Entries[:max(1, min(n-1, n*mostHTML/len(crlf(html))))]
	}
}

// Message writes the mail: multipart/alternative of text and HTML, in ASCII with lines below 78 octets.
func (d *Digest) Message() ([]byte, error) {
	p, html, err := d.render()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	boundary := "=_" + d.ID
	d.header(&b, p, boundary)
	for _, part := range []struct{ kind, body string }{{"plain", p.plain()}, {"html", html}} {
		fmt.Fprintf(&b, "--%s\r\nContent-Type: text/%s; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n", boundary, part.kind)
		b.Write(text.Base64([]byte(crlf(part.body))))
		b.WriteString("\r\n")
	}
	fmt.Fprintf(&b, "--%s--\r\n", boundary)
	return b.Bytes(), nil
}

func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

// header writes the fields. The mail is from nobody who could be answered: its envelope has the null sender, and programs are told not
// to reply (RFC 3834).
func (d *Digest) header(b *bytes.Buffer, p *page, boundary string) {
	from := d.Settings.From
	domain := from[strings.LastIndexByte(from, '@')+1:]
	name := text.Fill("digest.from", d.Person.Lang)
	if isASCII(name) {
		name = `"` + name + `"`
	}
	b.WriteString(text.Field("From", name, "<"+from+">"))
	b.WriteString("To: <" + d.Person.Address.String() + ">\r\n")
	b.WriteString(text.Field("Subject", p.Subject, ""))
	b.WriteString("Date: " + d.Now.In(d.Settings.Location()).Format("Mon, 2 Jan 2006 15:04:05 -0700") + "\r\n")
	b.WriteString("Message-ID: <" + d.ID + "@" + domain + ">\r\n")
	b.WriteString("Auto-Submitted: auto-generated\r\nX-Auto-Response-Suppress: All\r\nPrecedence: bulk\r\n")
	b.WriteString("List-Id: <held-mail." + domain + ">\r\n")
	b.WriteString("List-Unsubscribe:\r\n <" + p.StopURL + ">\r\n")
	b.WriteString("Content-Language: " + p.Lang + "\r\nMIME-Version: 1.0\r\n")
	b.WriteString("Content-Type: multipart/alternative;\r\n boundary=\"" + boundary + "\"\r\n\r\n")
	b.WriteString("This mail is in MIME format.\r\n\r\n")
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
