// Package mime reads hostile mail: headers, parts, charsets, text and links, in one pass over slices of the octets and
// within limits. There are no errors. What is malformed is read as the readers of mail would read it, is flagged in
// Message.Anomalies, and where nothing else is left its raw text is looked at: mail that cannot be parsed is never
// passed over.
package mime

import (
	"bytes"
	"slices"
	"strings"

	"sekimori/internal/mail"
)

// Parse reads a message. The result refers to raw, which must not change afterwards. Time is linear in the size, memory
// beside raw is bounded to a few MiB (see limits.go). Anomalies are:
//
//	header_missing header_malformed header_unended header_space header_blank_fold header_long header_many header_overflow header_nul
//	header_8bit header_mbox from_missing from_multiple subject_multiple date_missing
//	type_malformed type_multiple params_many encoding_unknown encoding_multiple encoding_bad multipart_encoded
//	disposition_multiple boundary_missing boundary_empty boundary_multiple boundary_unused boundary_similar
//	boundary_guessed boundary_reopened multipart_unended parts_exceeded depth_exceeded
//	charset_unknown charset_utf7 text_cut name_conflict name_bidi name_path name_nul uuencode yenc
//	message_partial external_body body_nul bare_cr
func Parse(raw []byte) *mail.Message {
	m := &mail.Message{Raw: raw}
	w := &walker{raw: raw, msg: m, textLeft: maxText}
	e, body := w.messageHeader()
	w.fields()
	w.pending.level = noDelimiter
	w.walk(e, body, 0, false)
	if body == len(raw) && contains(w.flags.list, "bare_cr") {
		m.Parts[0].Text, _ = toUTF8("", wholeRunes(raw[:min(len(raw), maxPartText)]))
	}
	if bytes.IndexByte(raw[body:], 0) >= 0 {
		w.flags.add("body_nul")
	}
	w.contents()
	slices.Sort(w.flags.list)
	m.Anomalies = w.flags.list
	return m
}

// flags collects anomalies, each once.
type flags struct{ list []string }

func (f *flags) add(name string) {
	if !slices.Contains(f.list, name) {
		f.list = append(f.list, name)
	}
}

// walker is the state of one Parse.
type walker struct {
	raw      []byte
	msg      *mail.Message
	flags    flags
	open     boundaries
	pending  delimiter // found by an inner part and not yet used by the multipart it belongs to
	textLeft int
	links    int
	guesses  int
	styled   int // octets of CSS rules that were read for elements
}

const noDelimiter = -2

// fields fills in what the message's own header says.
func (w *walker) fields() {
	m := w.msg
	froms, subjects, dates := 0, 0, 0
	for i := range m.Header {
		f := &m.Header[i]
		switch {
		case strings.EqualFold(f.Name, "From"):
			froms++
			m.From = appendMailboxes(m.From, f.Value)
		case strings.EqualFold(f.Name, "To"), strings.EqualFold(f.Name, "Cc"):
			m.To = appendMailboxes(m.To, f.Value)
			if strings.EqualFold(f.Name, "Cc") {
				m.Cc = appendMailboxes(m.Cc, f.Value)
			}
		case strings.EqualFold(f.Name, "Reply-To"):
			m.ReplyTo = appendMailboxes(m.ReplyTo, f.Value)
		case strings.EqualFold(f.Name, "Sender"):
			m.Sender = appendMailboxes(m.Sender, f.Value)
		case strings.EqualFold(f.Name, "Subject"):
			if subjects++; subjects == 1 {
				m.Subject = DecodeHeader(f.Value)
			}
		case strings.EqualFold(f.Name, "Message-ID"):
			if m.MessageID == "" {
				m.MessageID = f.Value
			}
		case strings.EqualFold(f.Name, "Date"):
			dates++
		}
		if !isASCII(f.Value) {
			w.flags.add("header_8bit")
		}
	}
	switch {
	case froms == 0:
		w.flags.add("from_missing")
	case froms > 1:
		w.flags.add("from_multiple")
	}
	if subjects > 1 {
		w.flags.add("subject_multiple")
	}
	if dates == 0 {
		w.flags.add("date_missing")
	}
	if m.HeaderLen == len(w.raw) && bytes.IndexByte(w.raw, '\n') < 0 && bytes.IndexByte(w.raw, '\r') >= 0 {
		w.flags.add("bare_cr")
	}
}

func appendMailboxes(list []mail.Mailbox, value string) []mail.Mailbox {
	if len(list) >= maxMailboxes {
		return list
	}
	more := ParseMailboxes(value)
	if list == nil {
		return more
	}
	if room := maxMailboxes - len(list); len(more) > room {
		more = more[:room]
	}
	return append(list, more...)
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
