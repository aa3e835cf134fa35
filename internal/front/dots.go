package front

import "bytes"

// dots takes the octets that follow DATA: it removes the stuffed dots, finds the end, which is CR LF . CR LF and nothing
// else (RFC 5321 section 4.1.1.4), and notes CR and LF that stand alone. Without stuffing (BDAT) it only takes notes.
type dots struct {
	state   dotState
	verbose bool // no dot stuffing and no end: a chunk of BDAT
	bareCR  bool
	bareLF  bool
}

type dotState int

const (
	lineStart dotState = iota
	lineDot            // a dot at the start of a line, withheld
	lineDotCR          // . CR at the start of a line, both withheld
	lineInner
	lineCR // CR, already passed on
)

// take appends to dst what src adds to the message and returns it with the number of octets used; done says that the end
// was found. src may lie behind dst in the same array when at least two octets are between them: never more than the
// withheld octets are added to what was used.
func (d *dots) take(dst, src []byte) (out []byte, used int, done bool) {
	i := 0
	for i < len(src) {
		switch d.state {
		case lineStart:
			if src[i] == '.' && !d.verbose {
				d.state = lineDot
				i++
				continue
			}
			d.state = lineInner
		case lineDot:
			if src[i] == '\r' {
				d.state = lineDotCR
				i++
				continue
			}
			d.state = lineInner
		case lineDotCR:
			if src[i] == '\n' {
				d.state = lineStart
				return dst, i + 1, true
			}
			dst = append(dst, '\r')
			d.state = lineCR
		case lineCR:
			if src[i] == '\n' {
				dst = append(dst, '\n')
				d.state = lineStart
				i++
				continue
			}
			d.bareCR = true
			d.state = lineInner
		case lineInner:
			n := bytes.IndexByte(src[i:], '\r')
			seg := src[i:]
			if n >= 0 {
				seg = src[i : i+n+1]
				d.state = lineCR
			}
			if bytes.IndexByte(seg, '\n') >= 0 {
				d.bareLF = true
			}
			dst = append(dst, seg...)
			i += len(seg)
		}
	}
	return dst, i, false
}

// finish notes a CR that nothing follows.
func (d *dots) finish() {
	if d.state == lineCR {
		d.bareCR = true
	}
}

// normalLF makes CR LF of every LF that stands alone.
func normalLF(b []byte) []byte {
	out := make([]byte, 0, len(b)+bytes.Count(b, []byte{'\n'}))
	for i, c := range b {
		if c == '\n' && (i == 0 || b[i-1] != '\r') {
			out = append(out, '\r')
		}
		out = append(out, c)
	}
	return out
}
