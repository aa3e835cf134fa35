package bayes

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"

	"sekimori/internal/mail"
)

const maxHashed = 1 << 20

// Fingerprint names a mail so that it is known again whatever was put on top of its header and however its lines end:
// a hash of Message-ID, Date, From and the first MiB of the body.
func Fingerprint(m *mail.Message) string {
	h := sha256.New()
	for _, name := range [...]string{"Message-ID", "Date", "From"} {
		h.Write([]byte(m.Get(name)))
		h.Write([]byte{0})
	}
	body := m.Raw[m.HeaderLen:]
	body = bytes.TrimRight(body[:min(len(body), maxHashed)], "\r\n")
	for len(body) > 0 {
		n := bytes.IndexByte(body, '\r')
		if n < 0 {
			h.Write(body)
			break
		}
		h.Write(body[:n])
		body = body[n+1:]
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
