package quarantine

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
)

// ErrKey says that a mail is encrypted with a key that is not there, or is another than its id says. Nothing is deleted for it.
var ErrKey = errors.New("quarantine: the key of this mail is missing")

// Key is one that encrypts what is held: 32 random octets, and the id by which what it encrypted names it.
type Key struct {
	ID     string // 1 to 16 letters, digits, hyphens
	Secret []byte
}

// sealer encrypts with one key: AES-256-GCM with random nonces. Its own key and that of the names of bodies are derived from Key
// (HKDF-SHA256), so that neither says anything about the other.
type sealer struct {
	id   string
	aead cipher.AEAD
	name []byte
}

func newSealer(k Key) (sealer, error) {
	if len(k.Secret) != 32 || k.ID == "" || len(k.ID) > 16 {
		return sealer{}, fmt.Errorf("quarantine: key %q has %d octets, not 32, or no good id", k.ID, len(k.Secret))
	}
	enc, err := hkdf.Key(sha256.New, k.Secret, nil, "sekimori quarantine encryption 1", 32)
	if err != nil {
		return sealer{}, err
	}
	name, err := hkdf.Key(sha256.New, k.Secret, nil, "sekimori quarantine body name 1", 32)
	if err != nil {
		return sealer{}, err
	}
	block, err := aes.NewCipher(enc)
	if err != nil {
		return sealer{}, err
	}
	aead, err := cipher.NewGCM(block)
	return sealer{k.ID, aead, name}, err
}

// sealed begins everything that is encrypted: sealedMark, the length of the key's id, the id, the nonce, the ciphertext with its tag.
// No zstd frame and no JSON begins so.
const sealedMark = 0x01

// keyID returns the id of the key that encrypts, "" when nothing is encrypted.
func (c codec) keyID() string {
	if len(c.keys) == 0 {
		return ""
	}
	return c.keys[0].id
}

// seal encrypts with the first key. place says where the octets stand, so that they cannot be exchanged for others: it is
// authenticated and not stored. Without a key it returns the octets as they are.
func (c codec) seal(b []byte, place string) []byte {
	if len(c.keys) == 0 || b == nil {
		return b
	}
	k := c.keys[0]
	out := make([]byte, 0, 2+len(k.id)+k.aead.NonceSize()+len(b)+k.aead.Overhead())
	out = append(append(out, sealedMark, byte(len(k.id))), k.id...)
	nonce := out[len(out) : len(out)+k.aead.NonceSize()]
	_, _ = rand.Read(nonce) // never fails
	out = out[:len(out)+len(nonce)]
	return k.aead.Seal(out, nonce, b, []byte(place))
}

// open is the inverse of seal; what is not encrypted it returns as it is. ErrKey when the key is not there or does not fit.
func (c codec) open(b []byte, place string) ([]byte, error) {
	if len(b) == 0 || b[0] != sealedMark {
		return b, nil
	}
	if len(b) < 2 || len(b) < 2+int(b[1]) {
		return nil, fmt.Errorf("%w: cut off", ErrLost)
	}
	id, rest := string(b[2:2+int(b[1])]), b[2+int(b[1]):]
	for _, k := range c.keys {
		if k.id != id {
			continue
		}
		n := k.aead.NonceSize()
		if len(rest) < n {
			return nil, fmt.Errorf("%w: cut off", ErrLost)
		}
		plain, err := k.aead.Open(nil, rest[:n], rest[n:], []byte(place))
		if err != nil {
			return nil, fmt.Errorf("%w: the key %q in quarantine.encryption_key_file is another one than that which encrypted this, or the octets were changed", ErrKey, id)
		}
		return plain, nil
	}
	return nil, fmt.Errorf("%w: it needs the key %q, which is not in quarantine.encryption_key_file", ErrKey, id)
}

// name is under what a body is stored: its SHA-256, or, so that nobody can try out what it might be, an HMAC of it.
func (c codec) name(body []byte, key string) string {
	if key == "" {
		sum := sha256.Sum256(body)
		return hex.EncodeToString(sum[:])
	}
	for _, k := range c.keys {
		if k.id == key {
			mac := hmac.New(sha256.New, k.name)
			mac.Write(body)
			return hex.EncodeToString(mac.Sum(nil))
		}
	}
	return ""
}

// Where octets stand, for seal.
func placeHead(id string) string               { return "head:" + id }
func placeTrace(id string) string              { return "trace:" + id }
func placeMeta(id string) string               { return "meta:" + id }
func placePending(id string) string            { return "pending:" + id }
func placePiece(hash string, n int) string     { return "body:" + hash + ":" + strconv.Itoa(n) }
func placePendingPart(id string, n int) string { return "pending:" + id + ":" + strconv.Itoa(n) }
