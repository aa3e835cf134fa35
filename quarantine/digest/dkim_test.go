package digest

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"testing"

	"github.com/emersion/go-msgauth/dkim"

	"sekimori/internal/config"
	"sekimori/internal/text"
)

// TestDKIM: what is signed verifies with the record of the key, and not when a word is changed.
func TestDKIM(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	edPublic, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaPublic, err := x509.MarshalPKIXPublicKey(&rsaKey.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	for record, key := range map[string]any{
		"v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(rsaPublic):    rsaKey,
		"v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(edPublic): edKey,
	} {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		s, err := NewSigner(config.DigestDKIM{
			Domain: "example.co.jp", Selector: "s1", Key: config.Secret(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		})
		if err != nil {
			t.Fatal(err)
		}
		raw, err := sample(t, text.Ja).Message()
		if err != nil {
			t.Fatal(err)
		}
		signed, err := s.Sign(raw)
		if err != nil {
			t.Fatal(err)
		}
		wellFormed(t, signed)
		verify := func(b []byte) error {
			list, err := dkim.VerifyWithOptions(bytes.NewReader(b), &dkim.VerifyOptions{LookupTXT: func(name string) ([]string, error) {
				if name != "s1._domainkey.example.co.jp" {
					t.Errorf("asked for %s", name)
				}
				return []string{record}, nil
			}})
			if err != nil || len(list) != 1 {
				t.Fatalf("%d signatures: %v", len(list), err)
			}
			return list[0].Err
		}
		if err := verify(signed); err != nil {
			t.Errorf("%s", err)
		}
		if verify(bytes.Replace(signed, []byte("example.co.jp~~stop"), []byte("example.co.jp~~stap"), 1)) == nil {
			t.Error("a changed List-Unsubscribe verifies")
		}
	}
	if s, err := NewSigner(config.DigestDKIM{}); s != nil || err != nil {
		t.Errorf("%v %v", s, err)
	}
}
