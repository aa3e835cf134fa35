package mime

// decodeTransfer undoes a Content-Transfer-Encoding (RFC 2045 section 6) for at most limit octets of output. It never
// fails: octets that do not belong are skipped (base64) or stand for themselves (quoted-printable), and bad says so. The
// result may share memory with b.
func decodeTransfer(encoding string, b []byte, limit int) (out []byte, bad bool) {
	switch encoding {
	case "base64":
		return decodeBase64(b, limit)
	case "quoted-printable":
		return decodeQP(b, limit)
	default:
		if len(b) > limit {
			b = b[:limit]
		}
		return b, false
	}
}

// decodeBase64 reads on behind padding, because some mailers encode line by line and some senders hide text there.
func decodeBase64(b []byte, limit int) (out []byte, bad bool) {
	size := len(b)/4*3 + 3
	if size > limit {
		size = limit
	}
	out = make([]byte, 0, size)
	var acc uint32
	bits := 0
	for _, c := range b {
		v := base64Value(c)
		switch {
		case v < 64:
			acc = acc<<6 | uint32(v)
			bits += 6
			if bits >= 8 {
				bits -= 8
				out = append(out, byte(acc>>bits))
				if len(out) >= limit {
					return out, bad
				}
			}
		case c == '=':
			acc, bits = 0, 0
		case c != '\r' && c != '\n' && c != ' ' && c != '\t':
			bad = true
		}
	}
	return out, bad
}

func base64Value(c byte) byte {
	switch {
	case c >= 'A' && c <= 'Z':
		return c - 'A'
	case c >= 'a' && c <= 'z':
		return c - 'a' + 26
	case c >= '0' && c <= '9':
		return c - '0' + 52
	case c == '+':
		return 62
	case c == '/':
		return 63
	}
	return 0xFF
}

func decodeQP(b []byte, limit int) (out []byte, bad bool) {
	size := len(b)
	if size > limit {
		size = limit
	}
	out = make([]byte, 0, size)
	for i := 0; i < len(b) && len(out) < limit; i++ {
		c := b[i]
		if c != '=' {
			out = append(out, c)
			continue
		}
		if i+2 < len(b) {
			hi, lo := hexValue(b[i+1]), hexValue(b[i+2])
			if hi < 16 && lo < 16 {
				out = append(out, hi<<4|lo)
				i += 2
				continue
			}
		}
		n := softBreak(b[i+1:])
		if n < 0 {
			bad = true
			out = append(out, c)
			continue
		}
		i += n
	}
	return out, bad
}

// softBreak returns how many octets of a soft line break stand behind the "=", or -1.
func softBreak(b []byte) int {
	i := 0
	for i < len(b) && i < 80 && (b[i] == ' ' || b[i] == '\t') {
		i++
	}
	switch {
	case i == len(b):
		return i
	case b[i] == '\n':
		return i + 1
	case b[i] == '\r' && i+1 < len(b) && b[i+1] == '\n':
		return i + 2
	}
	return -1
}

func hexValue(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	}
	return 0xFF
}
