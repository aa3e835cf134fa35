package mime

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"

	"sekimori/internal/mail"
)

// plain are the extensions of data that is often sent packed by itself, such as DMARC reports, and that nothing runs.
var plain = []string{"csv", "tsv", "txt", "log", "json", "xml", "sql", "pdf", "jpg", "jpeg", "png", "gif", "ics"}

// packed says what is in a file that is packed by itself (gzip, bzip2, xz, zstd): it is called as the whole without its last extension,
// or as its header says (RFC 1952). Where that is not plain data, nobody can say what there is.
func packed(file *mail.File, head []byte, name string) {
	ext := mail.Extension(name)
	if slices.Contains([]string{"svgz", "emz", "wmz"}, ext) && file.Kind == "gzip" {
		return // a picture, which programs show as it is
	}
	z := zipNames{file: file}
	alone := ext == "gz" || ext == "bz2" || ext == "xz" || ext == "zst"
	if alone {
		z.add([]byte(name[:strings.LastIndexByte(name, '.')]), 0)
	}
	whole := true
	if file.Kind == "gzip" {
		var inner []byte
		inner, whole = gzipName(head)
		z.add(inner, 0)
	}
	file.Unread = !alone || !whole || len(file.Inside) == 0
	for _, n := range file.Inside {
		file.Unread = file.Unread || !slices.Contains(plain, mail.Extension(n))
	}
}

// gzipName returns the name that stands in the header of a gzip file, if any, and whether all of the header was there.
func gzipName(b []byte) ([]byte, bool) {
	const extra, named = 1 << 2, 1 << 3
	if len(b) < 12 {
		return nil, false
	}
	if b[3]&named == 0 {
		return nil, true
	}
	at := 10
	if b[3]&extra != 0 {
		at += 2 + int(binary.LittleEndian.Uint16(b[10:]))
	}
	name, _, ok := bytes.Cut(b[min(at, len(b)):], []byte{0})
	return name, ok
}
