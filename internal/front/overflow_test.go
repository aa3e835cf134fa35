package front

import (
	"slices"
	"strings"
	"testing"

	"sekimori/internal/mime"
)

// TestHeaderOverflow keeps a sender from putting the fields that decide where nobody looks: the message says so, and the
// front refuses it.
func TestHeaderOverflow(t *testing.T) {
	m := mime.Parse([]byte("Subject: x\r\n" + strings.Repeat("X-Sekimori-A: b\r\n", 25_000) + "From: ceo@bank.example\r\n\r\nbody\r\n"))
	if !slices.Contains(m.Anomalies, "header_overflow") {
		t.Fatalf("anomalies: %v", m.Anomalies)
	}
}
