package link

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"time"

	"sekimori/internal/mail"
)

// Claim is what a link opens, and for whom.
type Claim struct {
	Person  mail.Address
	ID      string    // of a held mail; "": the person's list
	Action  string    // what the page offers first: show, lang, stop, login, ...; it never happens by opening
	Issued  time.Time // whole seconds; Sign fills it in when it is zero
	Expires time.Time // whole seconds
}

// Errors of Verify, for errors.Is. Each is a page of its own for the person.
var (
	ErrForged  = errors.New("link: not a link of ours, or changed on its way")
	ErrExpired = errors.New("link: it has expired")
	ErrKey     = errors.New("link: it was signed with a key that is not known any more")
	// ErrNoKey says that there is no key to sign or to check with, because the store did not answer. It says nothing about a link.
	ErrNoKey = errors.New("link: no key is known, because the store did not answer")
)

const (
	version = 1
	keyIDAt = 1
	keyIDs  = 8
	macLen  = sha256.Size
	domain  = "sekimori link\x00" // so that the key can never be made to sign something else

	maxAction = 32
	maxID     = 128
	maxPerson = 64 + 1 + 255
	maxToken  = 1024
)

type keyID [keyIDs]byte

// key is one secret. Its id is made of it, so that two nodes cannot mean different keys by the same id.
type key struct {
	id     keyID
	secret []byte
}

func newKey(secret []byte) key {
	sum := sha256.Sum256(append([]byte("sekimori link key\x00"), secret...))
	return key{keyID(sum[:keyIDs]), secret}
}

func (k key) mac(body []byte) []byte {
	h := hmac.New(sha256.New, k.secret)
	h.Write([]byte(domain))
	h.Write(body)
	return h.Sum(nil)
}

// sign makes the token. The claim has been checked.
func (k key) sign(c Claim) string {
	person := c.Person.String()
	b := make([]byte, 0, 64+len(c.Action)+len(c.ID)+len(person)+macLen)
	b = append(b, version)
	b = append(b, k.id[:]...)
	b = binary.AppendUvarint(b, uint64(c.Issued.Unix()))
	b = binary.AppendUvarint(b, uint64(c.Expires.Unix()))
	for _, s := range []string{c.Action, c.ID, person} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return base64.RawURLEncoding.EncodeToString(append(b, k.mac(b)...))
}

// open returns the octets of a token and the id of its key.
func open(token string) ([]byte, keyID, error) {
	if len(token) > maxToken {
		return nil, keyID{}, ErrForged
	}
	// Strict refuses a second spelling of the last octet; a line break, which the decoder would skip, is none of ours.
	for i := range len(token) {
		if token[i] == '\r' || token[i] == '\n' {
			return nil, keyID{}, ErrForged
		}
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(b) < keyIDAt+keyIDs+macLen || b[0] != version {
		return nil, keyID{}, ErrForged
	}
	return b, keyID(b[keyIDAt : keyIDAt+keyIDs]), nil
}

// verify checks the HMAC in constant time before anything else is read.
func (k key) verify(b []byte, now time.Time) (Claim, error) {
	body, mac := b[:len(b)-macLen], b[len(b)-macLen:]
	if !hmac.Equal(mac, k.mac(body)) {
		return Claim{}, ErrForged
	}
	c, err := parse(body[keyIDAt+keyIDs:])
	if err != nil {
		return Claim{}, err
	}
	if !now.Before(c.Expires) {
		return c, ErrExpired
	}
	return c, nil
}

// parse reads what was signed, strictly.
func parse(b []byte) (Claim, error) {
	var c Claim
	for _, t := range []*time.Time{&c.Issued, &c.Expires} {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > 1<<40 {
			return Claim{}, ErrForged
		}
		*t, b = time.Unix(int64(n), 0), b[size:]
	}
	var person string
	for _, s := range []*string{&c.Action, &c.ID, &person} {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > uint64(len(b)-size) {
			return Claim{}, ErrForged
		}
		*s, b = string(b[size:size+int(n)]), b[size+int(n):]
	}
	a, err := mail.ParseAddress(person, true)
	if err != nil || len(b) != 0 {
		return Claim{}, ErrForged
	}
	c.Person = a
	return c, nil
}

// check says whether a claim can be signed and read again.
func (c Claim) check() error {
	switch a, err := mail.ParseAddress(c.Person.String(), true); {
	case err != nil, a != c.Person, len(c.Person.String()) > maxPerson:
		return errors.New("link: not the address of a person")
	case c.Action == "", len(c.Action) > maxAction, len(c.ID) > maxID:
		return errors.New("link: no action, or a text that is too long")
	}
	return nil
}
