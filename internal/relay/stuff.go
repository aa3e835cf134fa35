package relay

import (
	"bytes"
	"io"
	"strconv"

	"sekimori/internal/mail"
)

var lineDot = []byte("\r\n.")

// writeStuffed writes content as the data of a mail: a dot at the beginning of a line is doubled (RFC 5321 section 4.5.2), and
// the final dot follows. The pieces are written as they are, in parts around the dots, never copied here. Content that
// does not end in CRLF gets one, because the final dot needs it.
func writeStuffed(w io.Writer, content mail.Content) error {
	s := stuffer{w: w, last: [2]byte{'\r', '\n'}}
	for _, p := range content {
		s.piece(p)
	}
	if s.last != [2]byte{'\r', '\n'} {
		s.write([]byte("\r\n"))
	}
	s.write([]byte(".\r\n"))
	return s.err
}

// writeChunk writes content as one chunk, the last (RFC 3030): exactly its octets, with nothing doubled or added. The last octet is a
// write of its own, so that it stays in the buffer until it is flushed; so does the final dot of writeStuffed.
func writeChunk(w io.Writer, content mail.Content) error {
	if _, err := io.WriteString(w, "BDAT "+strconv.FormatInt(content.Len(), 10)+" LAST\r\n"); err != nil {
		return err
	}
	var last []byte
	for _, p := range content {
		if len(p) == 0 {
			continue
		}
		for _, b := range [2][]byte{last, p[:len(p)-1]} {
			if len(b) == 0 {
				continue
			}
			if _, err := w.Write(b); err != nil {
				return err
			}
		}
		last = p[len(p)-1:]
	}
	_, err := w.Write(last)
	return err
}

type stuffer struct {
	w    io.Writer
	last [2]byte // the last two octets of the content so far
	err  error
}

func (s *stuffer) write(b []byte) {
	if s.err == nil && len(b) > 0 {
		_, s.err = s.w.Write(b)
	}
}

func (s *stuffer) piece(p []byte) {
	if len(p) == 0 || s.err != nil {
		return
	}
	whole := p
	// A line end and its dot may lie in two or three pieces.
	switch {
	case s.last == [2]byte{'\r', '\n'} && p[0] == '.':
		s.write(lineDot[2:])
	case s.last[1] == '\r' && len(p) >= 2 && p[0] == '\n' && p[1] == '.':
		s.write(p[:2])
		p = p[1:]
	}
	for {
		i := bytes.Index(p, lineDot)
		if i < 0 || s.err != nil {
			break
		}
		s.write(p[:i+3])
		p = p[i+2:] // the dot again, which stands behind no line end now
	}
	s.write(p)
	if len(whole) >= 2 {
		s.last = [2]byte(whole[len(whole)-2:])
	} else {
		s.last = [2]byte{s.last[1], whole[0]}
	}
}
