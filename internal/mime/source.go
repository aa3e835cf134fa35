package mime

import (
	"bytes"

	"sekimori/internal/mail"
)

// Source returns the markup of an HTML part in UTF-8 with "\n" as the line end: Part.Text is what is left of it without
// tags. cut says that it is longer than a part is read (512 KiB). m is a result of Parse and p one of its parts.
func Source(m *mail.Message, p *mail.Part) (source string, cut bool) {
	b, _ := decodeTransfer(p.Encoding, m.Raw[p.Start:p.End], maxHTML)
	if len(b) >= maxHTML {
		b, cut = wholeRunes(b), true
	}
	w := walker{raw: m.Raw, msg: m}
	return w.charset(p, b, true), cut
}

// Octets returns the beginning of a part, at most limit octets, with its transfer encoding undone. m is a result of Parse and p one of
// its parts.
func Octets(m *mail.Message, p *mail.Part, limit int) []byte {
	b, _ := decodeTransfer(p.Encoding, m.Raw[p.Start:p.End], limit)
	return b
}

// Size returns how many octets a part has when its transfer encoding is undone, as a file manager would show it. m is a
// result of Parse and p one of its parts.
func Size(m *mail.Message, p *mail.Part) int64 {
	body := m.Raw[p.Start:p.End]
	switch p.Encoding {
	case "base64":
		return base64Size(body)
	case "quoted-printable":
		out, _ := decodeQP(body, len(body))
		return int64(len(out))
	case "x-uuencode", "uuencode", "x-uue":
		return uuSize(body)
	}
	return int64(len(body))
}

// base64Size counts what decodeBase64 would return, without the memory.
func base64Size(b []byte) int64 {
	var n int64
	bits := 0
	for _, c := range b {
		switch {
		case base64Value(c) < 64:
			if bits += 6; bits >= 8 {
				bits -= 8
				n++
			}
		case c == '=':
			bits = 0
		}
	}
	return n
}

// uuSize adds up the lengths that the lines of a uuencoded file begin with.
func uuSize(b []byte) int64 {
	var n int64
	for line := range bytes.Lines(b) {
		if c := line[0]; c > ' ' && c < 'a' && !bytes.HasPrefix(line, []byte("end")) {
			n += int64(c-' ') & 0x3F
		}
	}
	return n
}
