package mime

import (
	"slices"
	"testing"
	"unicode/utf8"

	"sekimori/internal/mail"
)

// checkInvariants checks what holds for every message, however malformed.
func checkInvariants(t *testing.T, name string, m *mail.Message) {
	t.Helper()
	if m.HeaderLen < 0 || m.HeaderLen > len(m.Raw) {
		t.Errorf("%s: HeaderLen %d of %d", name, m.HeaderLen, len(m.Raw))
	}
	end := 0
	for _, f := range m.Header {
		if f.Start < end || f.End <= f.Start || f.End > m.HeaderLen || f.Name == "" {
			t.Errorf("%s: field %q at %d to %d behind %d", name, f.Name, f.Start, f.End, end)
		}
		end = f.End
	}
	if len(m.Parts) == 0 || len(m.Parts) > maxParts+1 {
		t.Errorf("%s: %d parts", name, len(m.Parts))
	}
	if !slices.IsSorted(m.Anomalies) || len(slices.Compact(slices.Clone(m.Anomalies))) != len(m.Anomalies) {
		t.Errorf("%s: anomalies %q", name, m.Anomalies)
	}
	if !utf8.ValidString(m.Subject) {
		t.Errorf("%s: subject is not UTF-8: %q", name, m.Subject)
	}
	total, links := 0, 0
	for i := range m.Parts {
		total += checkPart(t, name, m, &m.Parts[i])
		links += len(m.Parts[i].Links)
	}
	if total > maxText+maxPartText || links > maxLinks {
		t.Errorf("%s: %d octets of text, %d links", name, total, links)
	}
	for _, b := range slices.Concat(m.From, m.To, m.ReplyTo, m.Sender) {
		if !utf8.ValidString(b.Name) || !utf8.ValidString(b.Raw) {
			t.Errorf("%s: mailbox %q", name, b)
		}
	}
}

func checkPart(t *testing.T, name string, m *mail.Message, p *mail.Part) int {
	t.Helper()
	if p.Start < 0 || p.Start > p.End || p.End > len(m.Raw) || p.Depth > maxDepth+1 || !validType(p.Type) {
		t.Errorf("%s: part %s at %d to %d, depth %d", name, p.Type, p.Start, p.End, p.Depth)
	}
	if len(p.Text) > maxPartText || !utf8.ValidString(p.Text) || !utf8.ValidString(p.Name) || !utf8.ValidString(p.Charset) {
		t.Errorf("%s: part %s: %d octets of text, name %q, charset %q", name, p.Type, len(p.Text), p.Name, p.Charset)
	}
	if len(p.Tags) > maxTags || len(p.Name) > maxName {
		t.Errorf("%s: %d tags, name of %d", name, len(p.Tags), len(p.Name))
	}
	return len(p.Text)
}
