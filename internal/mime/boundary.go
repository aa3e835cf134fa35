package mime

import "bytes"

// boundaries are those of the multiparts that are open, outermost first. A multipart that names several boundaries, as
// hostile mail does because readers disagree on which one counts, has them all.
type boundaries struct {
	list []boundary
}

type boundary struct {
	text  string
	level int // of the multipart, 0 for the outermost
}

func (b *boundaries) push(level int, texts []string) {
	for _, t := range texts {
		b.list = append(b.list, boundary{t, level})
	}
}

// pop forgets the boundaries of level and of those within it.
func (b *boundaries) pop(level int) {
	n := len(b.list)
	for n > 0 && b.list[n-1].level >= level {
		n--
	}
	b.list = b.list[:n]
}

// delimiter is a line that ends a part (RFC 2046 section 5.1.1).
type delimiter struct {
	level   int // of the multipart it belongs to; -1: the end of the octets
	closing bool
	start   int // of the line
	end     int // behind the line
}

// match tells which multipart a line that starts with "--" belongs to: the innermost one with that boundary. White
// space at the end is ignored. The work is bounded by the number of open boundaries (maxDepth × maxBoundaries at most,
// and nearly always one comparison of lengths each).
func (b *boundaries) match(line []byte) (d delimiter, ok bool) {
	if len(line) < 2 || line[1] != '-' || line[0] != '-' {
		return d, false
	}
	line = line[2:]
	for n := len(line); n > 0 && (line[n-1] == ' ' || line[n-1] == '\t' || line[n-1] == '\r'); n-- {
		line = line[:n-1]
	}
	for i := len(b.list) - 1; i >= 0; i-- {
		t := b.list[i].text
		switch len(line) - len(t) {
		case 0:
			if string(line) == t {
				return delimiter{level: b.list[i].level}, true
			}
		case 2:
			if line[len(t)] == '-' && line[len(t)+1] == '-' && string(line[:len(t)]) == t {
				return delimiter{level: b.list[i].level, closing: true}, true
			}
		}
	}
	return d, false
}

// nextDelimiter finds the next line at or behind off that belongs to an open multipart. Each octet is looked at once in
// the life of a walk: callers go on where it ends.
func (w *walker) nextDelimiter(off int) delimiter {
	for len(w.open.list) > 0 && off < len(w.raw) {
		if !bytes.HasPrefix(w.raw[off:], []byte("--")) || off > 0 && w.raw[off-1] != '\n' {
			n := bytes.Index(w.raw[off:], []byte("\n--"))
			if n < 0 {
				break
			}
			off += n + 1
		}
		end := len(w.raw)
		if n := bytes.IndexByte(w.raw[off:], '\n'); n >= 0 {
			end = off + n + 1
		}
		line := w.raw[off:end]
		if line[len(line)-1] == '\n' {
			line = line[:len(line)-1]
		}
		if d, ok := w.open.match(line); ok {
			d.start, d.end = off, end
			return d
		}
		off = end
	}
	return delimiter{level: -1, start: len(w.raw), end: len(w.raw)}
}

// guessBoundary looks for the boundary of a multipart that names none, or one that does not occur: the first line of
// "--" and a word that is followed by a Content- field, near the start.
func guessBoundary(b []byte) string {
	const window, longest = 64 << 10, 200
	if len(b) > window {
		b = b[:window]
	}
	for off := 0; off < len(b); {
		end := len(b)
		if n := bytes.IndexByte(b[off:], '\n'); n >= 0 {
			end = off + n + 1
		}
		line := bytes.TrimRight(b[off:end], " \t\r\n")
		if len(line) > 2 && len(line) < longest && line[0] == '-' && line[1] == '-' &&
			len(b) >= end+8 && bytes.EqualFold(b[end:end+8], []byte("Content-")) {
			return string(line[2:])
		}
		off = end
	}
	return ""
}
