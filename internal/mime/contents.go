package mime

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode/utf8"

	"sekimori/internal/mail"
)

// The limits of looking into files.
const (
	maxPeeked    = 4 << 20 // octets decoded for it in one message
	maxDirectory = 1 << 20 // of the directory of one archive
	maxInside    = 200     // names kept of one archive
	maxKinds     = 100     // distinct extensions kept of one archive
	headLen      = 512
	isoMark      = 32769 // where "CD001" stands in an image of a disk (ECMA-119)
)

// contents looks into the files of the message: what their octets are, and what stands in the directories of archives. Nothing is
// unpacked.
func (w *walker) contents() {
	left := maxPeeked
	for _, p := range w.msg.Attachments() {
		if strings.HasPrefix(p.Type, "message/") || p.Start >= p.End {
			continue
		}
		f := filePeek{raw: w.raw[p.Start:p.End], encoding: p.Encoding, left: &left}
		f.look(&p.File, mail.Extension(p.Name))
	}
}

// filePeek reads pieces of one part.
type filePeek struct {
	raw      []byte
	encoding string
	left     *int // octets that may still be decoded
}

// head decodes the beginning, at most n octets.
func (f *filePeek) head(n int) []byte {
	n = min(n, *f.left)
	if n <= 0 {
		return nil
	}
	b, _ := decodeTransfer(f.encoding, f.raw, n)
	*f.left -= len(b)
	return b
}

// tail decodes the end, about n octets. Of base64 the groups are counted from the end, as the mail may be large.
func (f *filePeek) tail(n int) []byte {
	n = min(n, *f.left)
	if n <= 0 {
		return nil
	}
	switch f.encoding {
	case "base64":
		b := base64Tail(f.raw, n)
		*f.left -= len(b)
		return b
	case "quoted-printable":
		return f.head(*f.left)
	}
	b := f.raw[max(0, len(f.raw)-n):]
	*f.left -= len(b)
	return b
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
	{0, "BZh", "bzip2"},
	{0, "\xfd7zXZ\x00", "xz"},
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

// look fills in what is found out of a file with that extension.
func (f *filePeek) look(file *mail.File, ext string) {
	head := f.head(headLen)
	file.Kind = kindOf(head)
	switch file.Kind {
	case "zip":
		f.zip(file, head, ext)
	case "rar":
		file.Unread, file.Locked = true, rarLocked(head)
	case "7z", "cab", "lzh", "ace":
		file.Unread = true
	case "ole":
		whole := f.head(*f.left)
		file.Macros = bytes.Contains(whole, utf16Of("_VBA_PROJECT"))
		file.Locked = bytes.Contains(whole, utf16Of("EncryptedPackage"))
	case "":
		if ext == "iso" || ext == "img" || ext == "udf" {
			if b := f.head(isoMark + 5); len(b) > isoMark && string(b[isoMark:]) == "CD001" {
				file.Kind = "disk"
			}
		}
	}
}

func utf16Of(s string) []byte {
	b := make([]byte, 0, 2*len(s))
	for i := range len(s) {
		b = append(b, s[i], 0)
	}
	return b
}

const (
	zipEndLen     = 22
	zipEntryLen   = 46
	zipLocalLen   = 30
	zipEncrypted  = 1<<0 | 1<<6
	zipMaxComment = 1<<16 - 1
)

// zip reads the directory of an archive (APPNOTE.TXT 4.3.12), and the first entry beside it, as a directory can lie.
func (f *filePeek) zip(file *mail.File, head []byte, ext string) {
	z := zipNames{file: file, kinds: map[string]struct{}{}}
	if len(head) >= zipLocalLen && head[3] == 4 {
		n := int(binary.LittleEndian.Uint16(head[26:]))
		z.add(head[zipLocalLen:min(len(head), zipLocalLen+n)], binary.LittleEndian.Uint16(head[6:]))
	}
	var directory []byte
	ok := false
	for _, size := range []int{4 << 10, zipMaxComment + zipEndLen, maxDirectory} { // most directories are short
		if directory, ok = zipDirectory(f.tail(size)); ok {
			break
		}
	}
	file.Unread = !ok || !z.entries(directory)
	if z.office && ext != "zip" {
		file.Kind, file.Inside, file.InsideTypes = "office", nil, nil
	}
}

// zipDirectory finds the directory in the end of an archive. It stands right before the record of its end, whatever stands before the
// archive.
func zipDirectory(tail []byte) ([]byte, bool) {
	for at := bytes.LastIndex(tail, []byte("PK\x05\x06")); at >= 0; at = bytes.LastIndex(tail[:at], []byte("PK\x05\x06")) {
		if len(tail)-at < zipEndLen {
			continue
		}
		size := uint64(binary.LittleEndian.Uint32(tail[at+12:]))
		if size > uint64(at) {
			return nil, false
		}
		return tail[at-int(size) : at], true
	}
	return nil, false
}

// zipNames collects what stands in an archive.
type zipNames struct {
	file   *mail.File
	kinds  map[string]struct{}
	office bool
	first  string // name of the first entry, which stands in the directory, too
}

// entries reads a directory and reports whether all of it could be read.
func (z *zipNames) entries(b []byte) bool {
	for len(b) >= zipEntryLen && bytes.HasPrefix(b, []byte("PK\x01\x02")) {
		name := int(binary.LittleEndian.Uint16(b[28:]))
		next := zipEntryLen + name + int(binary.LittleEndian.Uint16(b[30:])) + int(binary.LittleEndian.Uint16(b[32:]))
		if zipEntryLen+name > len(b) {
			return false
		}
		z.add(b[zipEntryLen:zipEntryLen+name], binary.LittleEndian.Uint16(b[8:]))
		b = b[min(next, len(b)):]
	}
	return len(b) == 0
}

func (z *zipNames) add(raw []byte, flags uint16) {
	z.file.Locked = z.file.Locked || flags&zipEncrypted != 0
	raw = raw[:min(len(raw), maxName)]
	name := string(raw)
	if !utf8.ValidString(name) {
		name = guess(raw)
	}
	name = cleanLine(name)
	lower := strings.ToLower(name)
	z.office = z.office || lower == "[content_types].xml" || lower == "mimetype"
	z.file.Macros = z.file.Macros || strings.HasSuffix(lower, "vbaproject.bin") || strings.HasPrefix(lower, "basic/script")
	if name == "" || strings.HasSuffix(name, "/") || name == z.first {
		return
	}
	if z.first == "" {
		z.first = name
	}
	if ext := mail.Extension(name); ext != "" && len(z.kinds) < maxKinds {
		if _, have := z.kinds[ext]; !have {
			z.kinds[ext] = struct{}{}
			z.file.InsideTypes = append(z.file.InsideTypes, ext)
		}
	}
	if len(z.file.Inside) < maxInside {
		z.file.Inside = append(z.file.Inside, name)
	}
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
