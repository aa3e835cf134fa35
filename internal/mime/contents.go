package mime

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"

	"sekimori/internal/mail"
)

// The limits of looking into files.
const (
	maxPeeked    = 4 << 20    // octets decoded in one message, beside what is free
	maxScanned   = 16 << 20   // octets of old documents searched in one message
	freePeek     = 1<<16 + 99 // octets of the beginning and of the end of each file that are looked at whatever stands before it
	maxDirectory = 1 << 20    // of the directory of one archive
	maxInside    = 200        // names kept of one archive
	maxKinds     = 100        // distinct extensions kept of one archive, beside those of programs
	headLen      = 512
	isoMark      = 32769 // where "CD001" stands in an image of a disk (ECMA-119)
)

// budget is what may still be decoded of one message.
type budget struct{ peek, scan int }

// contents looks into the files of the message: what their octets are, and what stands in the directories of archives. Nothing is
// unpacked.
func (w *walker) contents() {
	left := budget{maxPeeked, maxScanned}
	for _, p := range w.msg.Attachments() {
		if strings.HasPrefix(p.Type, "message/") || p.Start >= p.End {
			continue
		}
		f := filePeek{raw: w.raw[p.Start:p.End], encoding: p.Encoding, left: &left}
		f.look(&p.File, p.Name)
	}
}

// filePeek reads pieces of one part.
type filePeek struct {
	raw      []byte
	encoding string
	left     *budget
}

// grant returns how many of n octets may be decoded. A short piece of each file is free: a file that stands before must not hide it.
func (f *filePeek) grant(n int) int {
	if n > freePeek {
		n = max(freePeek, min(n, f.left.peek))
		f.left.peek = max(0, f.left.peek-n)
	}
	return n
}

// head decodes the beginning, at most n octets.
func (f *filePeek) head(n int) []byte {
	b, _ := decodeTransfer(f.encoding, f.raw, f.grant(n))
	return b
}

// tail decodes the end, about n octets. Of base64 the groups are counted from the end, as the mail may be large.
func (f *filePeek) tail(n int) []byte {
	n = f.grant(n)
	switch f.encoding {
	case "base64":
		return base64Tail(f.raw, n)
	case "quoted-printable":
		// An octet takes three at most, and line breaks; behind a line break nothing depends on what was before.
		cut := max(0, len(f.raw)-4*n-1000)
		if cut > 0 {
			cut += bytes.IndexByte(f.raw[cut:], '\n') + 1
		}
		b, _ := decodeQP(f.raw[cut:], len(f.raw))
		return b
	}
	return f.raw[max(0, len(f.raw)-n):]
}

// size returns how many octets the whole file has; -1 when it would take too long to say.
func (f *filePeek) size() int {
	switch f.encoding {
	case "base64":
		total, letters := 0, 0
		for _, c := range f.raw {
			if c == '=' {
				total, letters = total+letters*6/8, 0
			} else if base64Value(c) != 0xFF {
				letters++
			}
		}
		return total + letters*6/8
	case "quoted-printable":
		if len(f.raw) > f.left.peek {
			return -1
		}
		f.left.peek -= len(f.raw)
		b, _ := decodeQP(f.raw, len(f.raw))
		return len(b)
	}
	return len(f.raw)
}

func base64Tail(raw []byte, n int) []byte {
	end, pad := len(raw), 0
	for end > 0 && base64Value(raw[end-1]) == 0xFF && len(raw)-end < 200 {
		if raw[end-1] == '=' {
			pad++
		}
		end--
	}
	start, letters := end, 0
	for start > 0 && letters < n/3*4+4 && raw[start-1] != '=' {
		start--
		if base64Value(raw[start]) != 0xFF {
			letters++
		}
	}
	// What does not fill a group of four is the end of a group that began before.
	for skip := (letters + min(pad, 2)) % 4; skip > 0 && start < end; start++ {
		if base64Value(raw[start]) != 0xFF {
			skip--
		}
	}
	out, _ := decodeBase64(raw[start:end], n+6)
	return out
}

// magics are the beginnings of files by kind.
var magics = []struct {
	at         int
	text, kind string
}{
	{0, "PK\x03\x04", "zip"},
	{0, "PK\x05\x06", "zip"},
	{0, "PK\x07\x08", "zip"},
	{0, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "ole"},
	{0, "%PDF", "pdf"},
	{0, "Rar!\x1a\x07", "rar"},
	{0, "7z\xbc\xaf\x27\x1c", "7z"},
	{0, "MSCF", "cab"},
	{2, "-lh", "lzh"},
	{7, "**ACE**", "ace"},
	{0, "\x1f\x8b", "gzip"},
	{4, "1AY&SY", "bzip2"},
	{0, "\xfd7zXZ\x00", "xz"},
	{0, "\x28\xb5\x2f\xfd", "zstd"},
	{257, "ustar", "tar"},
	{0, "\x7fELF", "program"},
	{0, "\xfe\xed\xfa\xce", "program"},
	{0, "\xfe\xed\xfa\xcf", "program"},
	{0, "\xce\xfa\xed\xfe", "program"},
	{0, "\xcf\xfa\xed\xfe", "program"},
	{0, "\xca\xfe\xba\xbe", "program"},
	{0, "L\x00\x00\x00\x01\x14\x02\x00", "shortcut"},
	{0, "ITSF", "help"},
	{0, "\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3", "onenote"},
	{0, "vhdxfile", "disk"},
	{0, "conectix", "disk"},
	{0, "{\\rtf", "rtf"},
	{0, "\x89PNG\r\n\x1a\n", "image"},
	{0, "\xff\xd8\xff", "image"},
	{0, "GIF8", "image"},
}

func kindOf(b []byte) string {
	for _, m := range magics {
		if len(b) >= m.at && bytes.HasPrefix(b[m.at:], []byte(m.text)) {
			return m.kind
		}
	}
	// A text may begin with these two letters; a program has zeros in its first header.
	if bytes.HasPrefix(b, []byte("MZ")) && bytes.IndexByte(b[:min(len(b), 64)], 0) > 0 {
		return "program"
	}
	return ""
}

// Extensions by what people expect behind them.
var (
	archives = []string{
		"zip", "zipx", "jar", "rar", "7z", "cab", "lzh", "lha", "ace", "arj", "alz", "egg", "arc", "zoo", "tar", "gz", "tgz", "taz", "bz2", "tbz", "tbz2",
		"xz", "txz", "zst", "tzst", "lz", "lzma", "tlz", "z", "br", "cpio", "uue", "xar", "pkg",
	}
	// Images of disks that no rule of the library knows by their extension, and those that rules know.
	images      = []string{"nrg", "mdf", "toast", "cdr", "vmdk", "vdi", "qcow", "qcow2", "sparseimage", "swm", "esd"}
	knownImages = []string{"iso", "img", "vhd", "vhdx", "udf", "dmg", "wim"}
)

// look fills in what is found out of a file of that name.
func (f *filePeek) look(file *mail.File, name string) {
	head, ext := f.head(headLen), mail.Extension(name)
	file.Kind = kindOf(head)
	if file.Kind == "" && (ext == "iso" || ext == "img" || ext == "udf") {
		if b := f.head(isoMark + 5); len(b) > isoMark && string(b[isoMark:]) == "CD001" {
			file.Kind = "disk"
		}
	}
	switch file.Kind {
	case "zip":
		f.zip(file, head, ext)
	case "rar":
		file.Unread, file.Locked = true, rarLocked(head)
	case "7z", "cab", "lzh", "ace", "tar":
		file.Unread = true
	case "gzip", "bzip2", "xz", "zstd":
		packed(file, head, name)
	case "ole":
		f.ole(file)
	case "disk":
		file.Unread = !slices.Contains(knownImages, ext)
	default:
		if slices.Contains(archives, ext) {
			// Programs find an archive from its end, whatever it begins with.
			f.zip(file, head, ext)
			file.Unread = true
		}
		file.Unread = file.Unread || slices.Contains(images, ext)
	}
}

// ole searches an old document. Its names stand anywhere in it, so that it is read from the beginning to the end, piece by piece.
func (f *filePeek) ole(file *mail.File) {
	macros, locked := utf16Of("_VBA_PROJECT"), utf16Of("EncryptedPackage")
	search := func(b []byte) {
		file.Macros = file.Macros || bytes.Contains(b, macros)
		file.Locked = file.Locked || bytes.Contains(b, locked)
	}
	if f.encoding != "base64" {
		most := f.left.scan
		if f.encoding == "quoted-printable" {
			most = min(most, maxPeeked)
		}
		whole, _ := decodeTransfer(f.encoding, f.raw, most)
		f.left.scan -= len(whole)
		search(whole)
		file.Unread = len(whole) >= most
		return
	}
	const piece, overlap = 64 << 10, 64
	buf := make([]byte, 0, min(piece, len(f.raw)/4*3+3))
	var acc uint32
	bits := 0
	for i, c := range f.raw {
		v := base64Value(c)
		if c == '=' {
			acc, bits = 0, 0
		}
		if v == 0xFF {
			continue
		}
		acc, bits = acc<<6|uint32(v), bits+6
		if bits < 8 {
			continue
		}
		bits -= 8
		if buf = append(buf, byte(acc>>bits)); len(buf) < piece {
			continue
		}
		search(buf)
		buf = append(buf[:0], buf[piece-overlap:]...)
		if f.left.scan -= piece; f.left.scan <= 0 {
			f.left.scan, file.Unread = 0, len(f.raw)-i > 8
			return
		}
	}
	f.left.scan = max(0, f.left.scan-len(buf))
	search(buf)
}

func utf16Of(s string) []byte {
	b := make([]byte, 0, 2*len(s))
	for i := range len(s) {
		b = append(b, s[i], 0)
	}
	return b
}

// rarLocked reports whether the first headers of a RAR archive (versions 4 and 5) say that it needs a password.
func rarLocked(b []byte) bool {
	const v4, v5 = "Rar!\x1a\x07\x00", "Rar!\x1a\x07\x01\x00"
	switch {
	case bytes.HasPrefix(b, []byte(v5)):
		// Behind a CRC of four octets: the size, which one octet says, and the type of the header; 4 is that of encryption.
		b = b[len(v5):]
		return len(b) > 6 && b[4] < 0x80 && b[5] == 4
	case bytes.HasPrefix(b, []byte(v4)):
		for b = b[len(v4):]; len(b) >= 7; {
			kind, flags, size := b[2], binary.LittleEndian.Uint16(b[3:]), int(binary.LittleEndian.Uint16(b[5:]))
			if kind == 0x73 && flags&0x80 != 0 || kind == 0x74 && flags&4 != 0 {
				return true
			}
			if kind == 0x74 || size < 7 || size > len(b) {
				return false
			}
			b = b[size:]
		}
	}
	return false
}
