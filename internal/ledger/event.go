package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"sekimori/internal/mail"
)

// Version is the format that this package writes, and the highest that it reads.
const Version = 1

// The kinds of events.
const (
	kindLedger = "ledger"
	kindTotal  = "total"
	kindAccept = "accept"
	kindOpen   = "open"
	kindEnd    = "end"
	kindDirect = "direct"
	kindUndone = "undone"
)

const (
	timeLayout = "2006-01-02T15:04:05.000000Z"
	maxDetail  = 500 // octets
	none       = "-"
)

// Event is one line.
type Event struct {
	Time   time.Time `json:"time"`
	Kind   string    `json:"event"` // accept | end | direct | undone, and open for an accept that was carried over
	ID     string    `json:"id"`
	Rcpt   string    `json:"rcpt"` // Key
	Word   string    `json:"word"` // the Place of an accept, the State of an end, a direct or an undone one
	Detail string    `json:"detail,omitempty"`
}

// Ends reports whether the event is an end.
func (e *Event) Ends() bool { return e.Kind == kindEnd || e.Kind == kindDirect }

// Undone reports whether the event takes an end back: the mail was not acknowledged after all.
func (e *Event) Undone() bool { return e.Kind == kindUndone }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Errors of this package, for errors.Is.
var (
	ErrLocked  = errors.New("ledger: in use by another process")
	ErrInvalid = errors.New("ledger: not a valid record")
	errCRC     = errors.New("the line does not match its checksum")
)

// appendLine adds the event as a line.
func appendLine(b []byte, e *Event) []byte {
	from := len(b)
	b = e.Time.UTC().AppendFormat(b, timeLayout)
	for _, f := range [...]string{e.Kind, e.ID, e.Rcpt, e.Word} {
		b = append(b, '\t')
		if f == "" {
			f = none
		}
		b = appendField(b, f)
	}
	b = append(b, '\t')
	b = appendField(b, cut(e.Detail, maxDetail))
	sum := crc32.Checksum(b[from:], castagnoli)
	b = append(b, '\t')
	b = fmt.Appendf(b, "%08x", sum)
	return append(b, '\n')
}

// cut shortens s to at most n octets without breaking a letter.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// Key is a recipient as it stands in the ledger: mail.Address.Key, with control characters as \xNN.
func Key(a mail.Address) string {
	k := a.Key()
	for i := 0; i < len(k); i++ {
		if k[i] < 0x20 || k[i] == 0x7F {
			return string(appendField(nil, k))
		}
	}
	return k
}

// appendField writes control characters and backslashes as \xNN.
func appendField(b []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < 0x20 || c == 0x7F || c == '\\' {
			b = fmt.Appendf(b, `\x%02x`, c)
		} else {
			b = append(b, c)
		}
	}
	return b
}

func unescape(s string) string {
	if !strings.Contains(s, `\x`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) && s[i+1] == 'x' {
			if n, err := strconv.ParseUint(s[i+2:i+4], 16, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// parseLine is the inverse of appendLine, for a line without its end.
func parseLine(line []byte) (Event, error) {
	at := bytes.LastIndexByte(line, '\t')
	if at < 0 || len(line)-at != 9 {
		return Event{}, errCRC
	}
	sum, err := strconv.ParseUint(string(line[at+1:]), 16, 32)
	if err != nil || crc32.Checksum(line[:at], castagnoli) != uint32(sum) {
		return Event{}, errCRC
	}
	f := strings.Split(string(line[:at]), "\t")
	if len(f) != 6 {
		return Event{}, fmt.Errorf("%w: %d fields", ErrInvalid, len(f))
	}
	when, err := time.Parse(timeLayout, f[0])
	if err != nil {
		return Event{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	for i := 1; i < 6; i++ {
		if f[i] = unescape(f[i]); f[i] == none && i < 5 {
			f[i] = ""
		}
	}
	return Event{when, f[1], f[2], f[3], f[4], f[5]}, nil
}
