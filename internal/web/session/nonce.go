package session

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"time"

	"sekimori/internal/store"
)

// ErrNonce says that a form does not belong to this session or to this address: it was made up, altered, or made before the
// person signed in.
var ErrNonce = errors.New("session: the form is not one of this session")

const (
	nonceRand = 15
	nonceMAC  = 18
)

// Nonce makes the nonce of one form. form is the path that it is sent to.
func (s *Store) Nonce(n Session, form string) (string, error) {
	b := make([]byte, nonceRand, nonceRand+nonceMAC)
	if _, err := io.ReadFull(s.o.Rand, b); err != nil {
		return "", fmt.Errorf("session: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(append(b, nonceSum(n.ID, form, b)...)), nil
}

// nonceSum needs no key of ours: the id is known to the browser and to nobody else.
func nonceSum(id, form string, random []byte) []byte {
	h := hmac.New(sha256.New, []byte(id))
	h.Write([]byte("sekimori form\x00" + form + "\x00"))
	h.Write(random)
	return h.Sum(nil)[:nonceMAC]
}

// Check says whether a nonce is one of the form in this session, without using it up: for forms that change nothing. ErrNonce.
func (s *Store) Check(n Session, form, nonce string) error {
	_, err := nonceKey(n, form, nonce)
	return err
}

// Use takes a nonce. first is true for exactly one caller on all nodes; for those behind it, result is what Finish was told, ""
// while the first is still at work. A form that could not be carried out is given back by Return.
func (s *Store) Use(ctx context.Context, n Session, form, nonce string) (result string, first bool, err error) {
	k, err := nonceKey(n, form, nonce)
	if err != nil {
		return "", false, err
	}
	set, err := s.o.Client.SetNX(ctx, k, "", s.left(n)).Result()
	if err != nil {
		return "", false, fmt.Errorf("session: %w", err)
	}
	if set {
		return "", true, nil
	}
	result, err = s.o.Client.Get(ctx, k).Result()
	if err != nil && !errors.Is(err, store.Nil) {
		return "", false, fmt.Errorf("session: %w", err)
	}
	return result, false, nil
}

func nonceKey(n Session, form, nonce string) (string, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(nonce)
	if err != nil || len(b) != nonceRand+nonceMAC || !hmac.Equal(b[nonceRand:], nonceSum(n.ID, form, b[:nonceRand])) {
		return "", ErrNonce
	}
	return key(n.ID) + ":n:" + base64.RawURLEncoding.EncodeToString(b[:nonceRand]), nil
}

// left is how long a nonce of the session can still come: it works for no longer than the session.
func (s *Store) left(n Session) time.Duration {
	return max(n.Begun.Add(s.o.Lifetime).Sub(s.o.Now()), time.Second)
}

// Finish notes where the result of a form is shown, for those who send it again.
func (s *Store) Finish(ctx context.Context, n Session, form, nonce, result string) error {
	k, err := nonceKey(n, form, nonce)
	if err != nil {
		return err
	}
	return s.o.Client.SetArgs(ctx, k, result, store.SetArgs{TTL: s.left(n)}).Err()
}

// Return lets a form be sent again because nothing was done.
func (s *Store) Return(ctx context.Context, n Session, form, nonce string) error {
	k, err := nonceKey(n, form, nonce)
	if err != nil {
		return err
	}
	return s.o.Client.Del(ctx, k).Err()
}
