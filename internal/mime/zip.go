package mime

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"sekimori/internal/mail"
)

const (
	zipEndLen     = 22
	zipEnd64Len   = 56
	zipLocator    = 20
	zipEntryLen   = 46
	zipLocalLen   = 30
	zipEncrypted  = 1<<0 | 1<<6
	zipMaxComment = 1<<16 - 1
	zipPath       = 0x7075 // the extra field with the name in UTF-8 (APPNOTE.TXT 4.6.9)
)

var (
	// documents are the extensions of documents that are zip archives, or that programs open although they are.
	documents = []string{
		"docx", "docm", "dotx", "dotm", "doc", "dot", "rtf", "xlsx", "xlsm", "xltx", "xltm", "xlsb", "xlam", "xls", "xlt", "pptx", "pptm", "potx", "potm",
		"ppsx", "ppsm", "ppam", "ppt", "pps", "sldx", "vsdx", "vsdm", "vstx", "xps", "oxps", "odt", "ods", "odp", "odg", "odf", "odb", "ott", "ots", "otp",
		"otg", "epub", "hwpx",
	}
	// runs are the extensions that are kept however many others an archive has.
	runs = []string{
		"exe", "scr", "com", "pif", "cpl", "msi", "msp", "bat", "cmd", "ps1", "vbs", "vbe", "js", "jse", "wsf", "wsh", "wsc", "sct", "hta", "lnk", "jar",
		"chm", "scf", "msc", "appref-ms", "settingcontent-ms", "library-ms", "search-ms", "diagcab", "xll", "iso", "img", "vhd", "vhdx", "one", "onepkg",
		"docm", "dotm", "xlsm", "xltm", "xlam", "xlsb", "pptm", "potm", "ppam", "ppsm", "apk", "command", "application", "iqy", "slk", "reg", "inf",
	}
)

// zip reads the directory of an archive (APPNOTE.TXT 4.3.12), and the first entry beside it, as a directory can lie. Where programs may
// see another directory than this one, the archive is unread, and all names that are seen near its end are kept.
func (f *filePeek) zip(file *mail.File, head []byte, ext string) {
	z := zipNames{file: file}
	if len(head) >= zipLocalLen && bytes.HasPrefix(head, []byte("PK\x03\x04")) {
		end := zipLocalLen + int(binary.LittleEndian.Uint16(head[26:]))
		if end > len(head) {
			head = f.head(end)
		}
		z.add(head[zipLocalLen:min(len(head), end)], binary.LittleEndian.Uint16(head[6:]))
	}
	total := f.size()
	tail := f.tail(zipMaxComment + zipEndLen)
	d := zipDirectory(tail, total)
	if d.short && len(tail) < total {
		tail = f.tail(maxDirectory)
		d = zipDirectory(tail, total)
	}
	if d.found && file.Kind == "" {
		file.Kind = "zip"
	}
	if !d.sound || !z.entries(d.octets, d.count) {
		file.Unread = true
		z.salvage(tail)
	}
	file.Unread = file.Unread || z.cut
	if z.office && slices.Contains(documents, ext) {
		file.Kind, file.Inside, file.InsideTypes = "office", nil, nil
	}
}

// directory is that of an archive.
type directory struct {
	octets []byte
	count  uint64 // of its entries
	found  bool   // there is a record of its end
	short  bool   // it may stand before what was read
	sound  bool   // all that is said about it agrees
}

// zipDirectory finds the directory in the end of an archive of total octets.
func zipDirectory(tail []byte, total int) directory {
	at := bytes.LastIndex(tail, []byte("PK\x05\x06"))
	if at < 0 || len(tail)-at < zipEndLen {
		return directory{short: true}
	}
	end := tail[at:]
	d := directory{found: true, count: uint64(binary.LittleEndian.Uint16(end[10:]))}
	size, offset := uint64(binary.LittleEndian.Uint32(end[12:])), uint64(binary.LittleEndian.Uint32(end[16:]))
	here := binary.LittleEndian.Uint16(end[8:])
	d.sound = total >= 0 && uint64(here) == d.count && !insideComment(tail[:at], at)
	for _, disk := range []int{4, 6} {
		n := binary.LittleEndian.Uint16(end[disk:])
		d.sound = d.sound && (n == 0 || n == math.MaxUint16)
	}
	base := total - len(tail)
	if at >= zipLocator && bytes.HasPrefix(tail[at-zipLocator:], []byte("PK\x06\x07")) {
		record := binary.LittleEndian.Uint64(tail[at-zipLocator+8:])
		at -= zipLocator + zipEnd64Len
		if at < 0 {
			d.short, d.sound = true, false
			return d
		}
		b := tail[at:]
		same := func(n, short, most uint64) bool { return short == n || short == most }
		count64, size64, offset64 := binary.LittleEndian.Uint64(b[32:]), binary.LittleEndian.Uint64(b[40:]), binary.LittleEndian.Uint64(b[48:])
		d.sound = d.sound && bytes.HasPrefix(b, []byte("PK\x06\x06")) && record == uint64(base+at) &&
			same(count64, d.count, math.MaxUint16) && same(size64, size, math.MaxUint32) && same(offset64, offset, math.MaxUint32)
		d.count, size, offset = count64, size64, offset64
	}
	if size > uint64(at) {
		d.short, d.sound = true, false
		return d
	}
	d.octets = tail[at-int(size) : at]
	d.sound = d.sound && offset <= uint64(total) && offset+size == uint64(base+at) && (d.count > 0 || base+at == 0)
	return d
}

// insideComment reports whether the record of the end at that place stands in the comment of another one before it: programs differ in
// which of them they read.
func insideComment(before []byte, at int) bool {
	for n := 0; n < 1000; n++ {
		i := bytes.LastIndex(before, []byte("PK\x05\x06"))
		if i < 0 || at-i > zipMaxComment+zipEndLen {
			return false
		}
		if at-i >= zipEndLen && i+zipEndLen+int(binary.LittleEndian.Uint16(before[i+20:])) > at {
			return true
		}
		before = before[:i]
	}
	return true
}

// zipNames collects what stands in an archive.
type zipNames struct {
	file   *mail.File
	kinds  map[string]struct{}
	seen   map[string]struct{} // the names that are kept
	office bool
	cut    bool // an extension was left out
}

// entries reads a directory and reports whether it has that many entries and nothing else.
func (z *zipNames) entries(b []byte, count uint64) bool {
	n := uint64(0)
	for ; len(b) >= zipEntryLen && bytes.HasPrefix(b, []byte("PK\x01\x02")); n++ {
		name := zipEntryLen + int(binary.LittleEndian.Uint16(b[28:]))
		extra := name + int(binary.LittleEndian.Uint16(b[30:]))
		next := extra + int(binary.LittleEndian.Uint16(b[32:]))
		if next > len(b) {
			return false
		}
		flags := binary.LittleEndian.Uint16(b[8:])
		z.add(b[zipEntryLen:name], flags)
		z.add(unicodePath(b[name:extra]), flags)
		b = b[next:]
	}
	return len(b) == 0 && n == count
}

// unicodePath returns the name in UTF-8 that some programs use instead of the other.
func unicodePath(extra []byte) []byte {
	for len(extra) >= 4 {
		id, size := binary.LittleEndian.Uint16(extra), int(binary.LittleEndian.Uint16(extra[2:]))
		if extra = extra[4:]; size > len(extra) {
			return nil
		}
		if id == zipPath && size > 5 {
			return extra[5:size]
		}
		extra = extra[size:]
	}
	return nil
}

// salvage takes all names that look like those of entries, wherever they stand.
func (z *zipNames) salvage(b []byte) {
	for {
		i := bytes.Index(b, []byte("PK"))
		if i < 0 {
			return
		}
		b = b[i:]
		used := 2
		for _, header := range []struct {
			mark             string
			size, name, flag int
		}{{"PK\x01\x02", zipEntryLen, 28, 8}, {"PK\x03\x04", zipLocalLen, 26, 6}} {
			if len(b) < header.size || !bytes.HasPrefix(b, []byte(header.mark)) {
				continue
			}
			if end := header.size + int(binary.LittleEndian.Uint16(b[header.name:])); end <= len(b) && end <= header.size+maxName {
				z.add(b[header.size:end], binary.LittleEndian.Uint16(b[header.flag:]))
				used = end
			}
		}
		b = b[used:]
	}
}

// add takes the name of one entry; a program may end it at a NUL.
func (z *zipNames) add(raw []byte, flags uint16) {
	if i := bytes.IndexByte(raw, 0); i >= 0 {
		z.add(raw[:i], flags)
	}
	z.file.Locked = z.file.Locked || flags&zipEncrypted != 0
	name := string(raw)
	if !utf8.ValidString(name) {
		name = guess(raw)
	}
	name = cleanLine(name)
	lower := strings.ToLower(name)
	z.office = z.office || lower == "[content_types].xml" || lower == "mimetype"
	z.file.Macros = z.file.Macros || strings.HasSuffix(lower, "vbaproject.bin") || strings.HasPrefix(lower, "basic/script")
	if name == "" || strings.HasSuffix(name, "/") {
		return
	}
	z.kind(mail.Extension(name))
	if len(name) > maxName { // what matters is at the end
		const end = 64
		name = strings.ToValidUTF8(name[:maxName-end], "") + strings.ToValidUTF8(name[len(name)-end:], "")
	}
	if _, have := z.seen[name]; have || len(z.file.Inside) >= maxInside {
		return
	}
	if z.seen == nil {
		z.seen = map[string]struct{}{}
	}
	z.seen[name] = struct{}{}
	z.file.Inside = append(z.file.Inside, name)
}

func (z *zipNames) kind(ext string) {
	if _, have := z.kinds[ext]; have || ext == "" {
		return
	}
	if len(z.kinds) >= maxKinds && !slices.Contains(runs, ext) {
		z.cut = true
		return
	}
	if z.kinds == nil {
		z.kinds = map[string]struct{}{}
	}
	z.kinds[ext] = struct{}{}
	z.file.InsideTypes = append(z.file.InsideTypes, ext)
}
