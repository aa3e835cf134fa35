package mime

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"testing"

	"sekimori/internal/mail"
)

// patched changes the record of the end, which has no comment.
func patched(b []byte, at int, value ...byte) []byte {
	b = slices.Clone(b)
	copy(b[len(b)-zipEndLen+at:], value)
	return b
}

// zip64Of is an archive with a record of the end of 64 bits, as programs write it that do not know the length beforehand.
func zip64Of(b []byte, record int) []byte {
	at := len(b) - zipEndLen
	end := slices.Clone(b[at:])
	b = append(slices.Clone(b[:at]), "PK\x06\x06"...)
	b = binary.LittleEndian.AppendUint64(b, 44)
	b = append(b, 45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	for range 2 {
		b = binary.LittleEndian.AppendUint64(b, uint64(binary.LittleEndian.Uint16(end[10:])))
	}
	b = binary.LittleEndian.AppendUint64(b, uint64(binary.LittleEndian.Uint32(end[12:])))
	b = binary.LittleEndian.AppendUint64(b, uint64(binary.LittleEndian.Uint32(end[16:])))
	b = append(b, "PK\x06\x07\x00\x00\x00\x00"...)
	b = binary.LittleEndian.AppendUint64(b, uint64(at+record))
	b = append(b, 1, 0, 0, 0)
	copy(end[8:], bytes.Repeat([]byte{0xFF}, 12))
	return append(b, end...)
}

func withComment(b, comment []byte) []byte {
	b = binary.LittleEndian.AppendUint16(slices.Clone(b[:len(b)-2]), uint16(len(comment)))
	return append(b, comment...)
}

// wholeZip writes an archive as other programs do: with folders, methods, sizes and times in extra fields, and a file of that size.
func wholeZip(t testing.TB, size int, raw bool, names ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, n := range names {
		h := &zip.FileHeader{Name: n, Method: zip.Store, Extra: []byte("UT\x05\x00\x03abcd")}
		content := bytes.Repeat([]byte("x\x00PK"), size/4)
		write := w.CreateHeader // with a data descriptor
		if raw {
			h.CRC32, h.CompressedSize64, h.UncompressedSize64 = crc32.ChecksumIEEE(content), uint64(len(content)), uint64(len(content))
			write = w.CreateRaw
		}
		f, err := write(h)
		if err == nil {
			_, err = f.Write(content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// What people send is read, whatever program made it.
func TestContentsOrdinary(t *testing.T) {
	many := []string{}
	for i := range 3000 {
		many = append(many, fmt.Sprintf("a folder of a long name/photographs of the year/photo%04d.jpg", i))
	}
	for name, tt := range map[string]struct {
		file    string
		content []byte
		kind    string
	}{
		"data descriptors": {"a.zip", wholeZip(t, 1000, false, "a.txt", "b.txt"), "zip"},
		"sizes in front":   {"a.zip", wholeZip(t, 1000, true, "a.txt", "b.txt"), "zip"},
		"large":            {"a.zip", wholeZip(t, 6<<20, true, "a.txt"), "zip"},
		"long directory":   {"a.zip", zipOf(t, many...), "zip"},
		"zip64":            {"a.zip", zip64Of(zipOf(t, "a.txt", "b.txt"), 0), "zip"},
		"archive in it":    {"a.zip", append([]byte{}, nested(t)...), "zip"},
		"comment":          {"a.zip", withComment(zipOf(t, "a.txt"), bytes.Repeat([]byte("a comment "), 6000)), "zip"},
		"line break":       {"a.zip", append(zipOf(t, "a.txt"), "\r\n"...), "zip"},
		"empty":            {"a.zip", zipOf(t), "zip"},
		"docx":             {"a.docx", zipOf(t, "[Content_Types].xml", "word/document.xml"), "office"},
		"xlsx":             {"a.xlsx", wholeZip(t, 10000, true, "[Content_Types].xml", "xl/workbook.xml"), "office"},
		"odt":              {"a.odt", zipOf(t, "mimetype", "content.xml"), "office"},
		"epub":             {"a.epub", zipOf(t, "mimetype", "META-INF/container.xml"), "office"},
		"jar":              {"a.jar", zipOf(t, "META-INF/MANIFEST.MF", "A.class"), "zip"},
		"large old slides": {"a.ppt", append([]byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), make([]byte, 9<<20)...), "ole"},
		"DMARC report":     {"a!b!1!2.xml.gz", []byte("\x1f\x8b\x08\x08\x00\x00\x00\x00\x00\x03a!b!1!2.xml\x00...."), "gzip"},
		"packed table":     {"report.csv.gz", []byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03......"), "gzip"},
		"text":             {"a.txt", []byte("BZh is how it begins"), ""},
	} {
		if got, disguised := fileOf(t, tt.file, tt.content); got.Unread || got.Kind != tt.kind || disguised || got.Locked || got.Macros {
			t.Errorf("%s: %+v, disguised %v", name, got, disguised)
		}
	}
}

func nested(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, err := w.CreateHeader(&zip.FileHeader{Name: "inner.zip", Method: zip.Store})
	if err == nil {
		_, err = f.Write(zipOf(t, "a.txt"))
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// What hides its contents says so, and where the names can be seen they are.
func TestContentsEvasive(t *testing.T) {
	three := zipOf(t, "readme.txt", "evil.exe", "last.txt")
	end := three[len(three)-zipEndLen:]
	size, offset := binary.LittleEndian.Uint32(end[12:]), binary.LittleEndian.Uint32(end[16:])
	one := uint32(zipEntryLen + len("last.txt"))
	lying := binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, one), offset+size-one)
	fake := func(b []byte) []byte {
		return withComment(b, append(append([]byte("PK\x05\x06"), make([]byte, 12)...), append(binary.LittleEndian.AppendUint32(nil, uint32(len(b))), 0, 0)...))
	}
	kinds := []string{}
	for i := range 100 {
		kinds = append(kinds, fmt.Sprintf("a.a%d", i))
	}
	for name, tt := range map[string]struct {
		file    string
		content []byte
		exe     bool // the program in it is seen
		read    bool
	}{
		"an octet before":             {"a.zip", append([]byte("x"), three...), true, false},
		"a picture before":            {"a.zip", append([]byte("\x89PNG\r\n\x1a\n"), three...), true, false},
		"no zip":                      {"a.zip", []byte("what is this"), false, false},
		"document called rar":         {"a.rar", zipOf(t, "mimetype", "evil.exe"), true, true},
		"document without extension":  {"a", zipOf(t, "[Content_Types].xml", "evil.exe"), true, true},
		"many kinds":                  {"a.zip", zipOf(t, append(slices.Clone(kinds), "evil.exe")...), true, true},
		"too many kinds":              {"a.zip", zipOf(t, append(slices.Clone(kinds), "a.b", "evil.exe")...), true, false},
		"directory of the last entry": {"a.zip", patched(three, 12, lying...), true, false},
		"directory and count of it":   {"a.zip", patched(patched(three, 12, lying...), 8, 1, 0, 1, 0), false, true},
		"less entries":                {"a.zip", patched(three, 8, 1, 0, 1, 0), true, false},
		"other disk":                  {"a.zip", patched(three, 4, 1, 0), true, false},
		"two archives":                {"a.zip", append(slices.Clone(three), zipOf(t, "readme.txt")...), true, false},
		"empty end in the comment":    {"a.zip", fake(three), true, false},
		"end in the comment":          {"a.zip", withComment(three, zipOf(t, "readme.txt")), true, false},
		"zip64 elsewhere":             {"a.zip", zip64Of(three, 1), true, false},
		"tar":                         {"a.bin", append(make([]byte, 257), "ustar\x0000"...), false, false},
		"old tar":                     {"a.tar", []byte("evil.exe"), false, false},
		"tgz":                         {"a.tgz", []byte("\x1f\x8b\x08\x08\x00\x00\x00\x00\x00\x03report.csv\x00...."), false, false},
		"program by gzip":             {"a.csv.gz", []byte("\x1f\x8b\x08\x08\x00\x00\x00\x00\x00\x03evil.exe\x00...."), true, false},
		"packed program":              {"evil.exe.xz", []byte("\xfd7zXZ\x00...."), true, false},
		"bzip2":                       {"a.tar.bz2", []byte("BZh91AY&SY..."), false, false},
		"image of another name":       {"a.bin", []byte("vhdxfile...."), false, false},
		"image":                       {"a.vmdk", []byte("KDMV"), false, false},
		"huge old document":           {"a.doc", append([]byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), make([]byte, 20<<20)...), false, false},
		"long name":                   {"a.zip", zipOf(t, strings.Repeat("long ", 1000)+"evil.exe"), true, true},
		"NUL in the name":             {"a.zip", zipOf(t, "evil.exe\x00.txt"), true, true},
	} {
		got, _ := fileOf(t, tt.file, tt.content)
		exe := slices.Contains(got.InsideTypes, "exe")
		if got.Unread == tt.read || exe != tt.exe {
			t.Errorf("%s: %+.300v", name, got)
		}
		for _, n := range got.Inside {
			if len(n) > maxName {
				t.Errorf("%s: a name of %d octets", name, len(n))
			}
		}
	}
}

func TestContentsUnicodePath(t *testing.T) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	extra := append([]byte("UT\x01\x00\x00\x75\x70\x0d\x00\x01...."), "evil.exe"...)
	if _, err := w.CreateHeader(&zip.FileHeader{Name: "a.txt", Method: zip.Store, Extra: extra}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	got, _ := fileOf(t, "a.zip", b.Bytes())
	if fmt.Sprint(got.Inside) != "[a.txt evil.exe]" || fmt.Sprint(got.InsideTypes) != "[txt exe]" || got.Unread {
		t.Errorf("%+v", got)
	}
}

// A file that takes long does not hide those behind it.
func TestContentsBehindLarge(t *testing.T) {
	var b strings.Builder
	b.WriteString(mixed)
	for _, p := range []struct {
		name    string
		content []byte
	}{
		{"a.doc", append([]byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), make([]byte, 17<<20)...)},
		{"b.zip", zipOf(t, "evil.exe")},
		{"c.pdf", append([]byte("MZ\x90\x00"), make([]byte, 100)...)},
		{"d.xls", append([]byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), make([]byte, 9000)...)},
	} {
		b.WriteString("--x\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=" +
			p.name + "\r\n\r\n" + base64.StdEncoding.EncodeToString(p.content) + "\r\n")
	}
	b.WriteString("--x--\r\n")
	files := Parse([]byte(b.String())).Attachments()
	if len(files) != 4 {
		t.Fatalf("%d files", len(files))
	}
	want := []mail.File{{Kind: "ole", Unread: true}, {Kind: "zip", Inside: []string{"evil.exe"}, InsideTypes: []string{"exe"}}, {Kind: "program"}, {Kind: "ole"}}
	for i, f := range files {
		if fmt.Sprint(f.File) != fmt.Sprint(want[i]) {
			t.Errorf("%s: %+v", f.Name, f.File)
		}
	}
	if !files[2].Disguised() {
		t.Error("the program is not called disguised")
	}
}

// The end is found in every encoding.
func TestContentsEncodings(t *testing.T) {
	content := wholeZip(t, 300<<10, true, "a.txt", "evil.exe")
	var qp strings.Builder
	for i, c := range content {
		fmt.Fprintf(&qp, "=%02X", c)
		if i%25 == 24 {
			qp.WriteString("=\r\n")
		}
	}
	for encoding, raw := range map[string]string{"binary": string(content), "quoted-printable": qp.String(), "base64": base64.StdEncoding.EncodeToString(content)} {
		f := filePeek{raw: []byte(raw), encoding: encoding, left: &budget{maxPeeked, maxScanned}}
		var file mail.File
		f.look(&file, "a.zip")
		if fmt.Sprint(file.InsideTypes) != "[txt exe]" || file.Unread {
			t.Errorf("%s: %+v", encoding, file)
		}
	}
}
