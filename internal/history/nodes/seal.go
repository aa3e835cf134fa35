package nodes

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"sekimori/internal/history"
	"sekimori/internal/store"
)

// MinKey is the smallest number of octets that a line of history.key_file may have.
const MinKey = 16

// Keys seal and open. The first seals, all open. Safe for concurrent use.
type Keys struct{ list []key }

type key struct {
	id   [keyIDs]byte
	aead cipher.AEAD
}

const (
	keyIDs    = 8
	nonceSize = 12
	sealed    = 1
	refused   = 0
)

// Why there is no answer, for errors.Is.
var (
	ErrKey    = errors.New("it has another key (history.key_file)")
	ErrClock  = errors.New("its clock is more than ten minutes away from that of this host")
	ErrForged = errors.New("what stands in the store as its answer is none of ours")
	ErrSilent = errors.New("no answer in time")
	ErrRead   = errors.New("it cannot read its history")
	ErrOther  = errors.New("it is of another version and does not know the question")
)

// The letters of refusal.
const (
	noKey   = 'k'
	noClock = 'c'
	noRead  = 'r'
	noIdea  = 'v'
)

func refusal(letter byte) []byte { return []byte{refused, letter} }

func refusalError(b []byte) error {
	if len(b) != 2 {
		return ErrForged
	}
	switch b[1] {
	case noKey:
		return ErrKey
	case noClock:
		return ErrClock
	case noRead:
		return ErrRead
	case noIdea:
		return ErrOther
	}
	return ErrForged
}

// ParseKeys makes the keys of a key file: one line each. An error says what is wrong, and never its content.
func ParseKeys(file string) (*Keys, error) {
	k := &Keys{}
	for line := range strings.Lines(file) {
		line = strings.TrimSpace(line)
		switch {
		case line == "":
		case len(line) < MinKey:
			return nil, fmt.Errorf("nodes: a line of the key file has less than %d octets: not a key", MinKey)
		default:
			if err := k.add([]byte(line)); err != nil {
				return nil, err
			}
		}
	}
	if len(k.list) == 0 {
		return nil, errors.New("nodes: the key file is empty")
	}
	return k, nil
}

func (k *Keys) add(secret []byte) error {
	enc, err := hkdf.Key(sha256.New, secret, nil, "sekimori history questions 1", 32)
	if err != nil {
		return err
	}
	id, err := hkdf.Key(sha256.New, secret, nil, "sekimori history key id 1", keyIDs)
	if err != nil {
		return err
	}
	block, err := aes.NewCipher(enc)
	if err != nil {
		return err
	}
	aead, err := cipher.NewGCM(block)
	k.list = append(k.list, key{[keyIDs]byte(id), aead})
	return err
}

const sharedKey = "history:key"

// SharedKeys returns the key that the store keeps; the first who asks makes it.
func SharedKeys(ctx context.Context, c store.Client) (*Keys, error) {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails
	secret, err := c.Get(ctx, sharedKey).Result()
	if errors.Is(err, store.Nil) {
		if err = c.SetNX(ctx, sharedKey, hex.EncodeToString(b[:]), 0).Err(); err == nil {
			secret, err = c.Get(ctx, sharedKey).Result()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("nodes: %w", err)
	}
	return ParseKeys(secret)
}

// seal encrypts for a place, which is authenticated and not stored.
func (k *Keys) seal(b []byte, place string) []byte {
	first := k.list[0]
	out := make([]byte, 1+keyIDs+nonceSize, 1+keyIDs+nonceSize+len(b)+first.aead.Overhead())
	out[0] = sealed
	copy(out[1:], first.id[:])
	nonce := out[1+keyIDs:]
	_, _ = rand.Read(nonce) // never fails
	return first.aead.Seal(out, nonce, b, []byte(place))
}

// open is the inverse of seal. ErrKey when no key has the id, ErrForged when it does not fit or was cut.
func (k *Keys) open(b []byte, place string) ([]byte, error) {
	if len(b) > 0 && b[0] == refused {
		return nil, refusalError(b)
	}
	if len(b) < 1+keyIDs+nonceSize || len(b) > history.MostPacked+1024 || b[0] != sealed {
		return nil, ErrForged
	}
	for _, one := range k.list {
		if one.id != [keyIDs]byte(b[1:1+keyIDs]) {
			continue
		}
		rest := b[1+keyIDs:]
		plain, err := one.aead.Open(nil, rest[:nonceSize], rest[nonceSize:], []byte(place))
		if err != nil {
			return nil, ErrForged
		}
		return plain, nil
	}
	return nil, ErrKey
}

// Where octets stand, for seal.
func placeQuestion(id string) string     { return "question:" + id }
func placeAnswer(id, host string) string { return "answer:" + id + ":" + host }
