package mail

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"strings"
	"time"
)

var weekdays = []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}

// addTimeFacts says when the mail came: when the transaction began, or before one, the session, on the clock of the time zone
// that the time carries. The same story gives the same facts again.
func addTimeFacts(facts map[string]any, tx *Transaction) {
	t := tx.When()
	facts["time.date"] = t.Format(time.DateOnly)
	facts["time.hour"] = t.Hour()
	facts["time.minute"] = t.Minute()
	facts["time.weekday"] = weekdays[(int(t.Weekday())+6)%7]
}

// When is the time by which a mail is judged: that at which its transaction began, or before there is one, its session.
func (tx *Transaction) When() time.Time {
	if tx.Start.IsZero() && tx.Session != nil {
		return tx.Session.Start
	}
	return tx.Start
}

// addTLSFacts says how the connection is encrypted; in clear text all is empty.
func addTLSFacts(facts map[string]any, s *Session) {
	facts["client.tls"] = s.TLS != nil
	version, cipher, server, cert, name := "", "", "", "", ""
	if t := s.TLS; t != nil {
		version = strings.TrimPrefix(tls.VersionName(t.Version), "TLS ")
		cipher, server = tls.CipherSuiteName(t.CipherSuite), t.ServerName
		if len(t.PeerCertificates) > 0 {
			c := t.PeerCertificates[0]
			sum := sha256.Sum256(c.Raw)
			cert, name = hex.EncodeToString(sum[:]), c.Subject.CommonName
			if len(c.DNSNames) > 0 {
				name = strings.ToLower(c.DNSNames[0])
			}
		}
	}
	facts["client.tls_version"] = version
	facts["client.tls_cipher"] = cipher
	facts["client.tls_name"] = server
	facts["client.tls_cert"] = cert
	facts["client.tls_cert_name"] = name
	facts["client.tls_verified"] = s.TLS != nil && len(s.TLS.PeerCertificates) > 0 && s.Verified
}
