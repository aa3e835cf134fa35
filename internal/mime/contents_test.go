package mime

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"sekimori/internal/mail"
)

// zipOf makes an archive; a name behind "!" is marked as encrypted.
func zipOf(t testing.TB, names ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, n := range names {
		h := &zip.FileHeader{Name: strings.TrimPrefix(n, "!"), Method: zip.Store}
		if n != h.Name {
			h.Flags |= 1
		}
		f, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(h.Name, "/") {
			continue
		}
		if _, err := f.Write([]byte("content of " + n)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// attached makes a mail with one file.
func attached(name string, content []byte) []byte {
	b64 := base64.StdEncoding.EncodeToString(content)
	var lines strings.Builder
	for len(b64) > 76 {
		lines.WriteString(b64[:76] + "\r\n")
		b64 = b64[76:]
	}
	return []byte(mixed + "--x\r\n\r\nhello\r\n--x\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n" +
		fmt.Sprintf("Content-Disposition: attachment; filename=\"%s\"\r\n\r\n", name) + lines.String() + b64 + "\r\n--x--\r\n")
}

func fileOf(t testing.TB, name string, content []byte) (mail.File, bool) {
	t.Helper()
	files := Parse(attached(name, content)).Attachments()
	if len(files) != 1 {
		t.Fatalf("%d files", len(files))
	}
	return files[0].File, files[0].Disguised()
}

func TestContents(t *testing.T) {
	ole := append([]byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), make([]byte, 5000)...)
	padded := func(s string, n int) []byte { return append([]byte(s), make([]byte, n)...) }
	many := []string{}
	for i := range 1000 {
		many = append(many, fmt.Sprintf("photo%04d.jpg", i))
	}
	comment := zipOf(t, "a.exe")
	comment = append(comment[:len(comment)-2], append([]byte{0x10, 0x27}, make([]byte, 10000)...)...)
	iso := make([]byte, 40000)
	copy(iso[isoMark:], "CD001")
	for _, tt := range []struct {
		name, file string
		content    []byte
		want       mail.File
		disguised  bool
	}{
		{"zip", "a.zip", zipOf(t, "dir/", "dir/請求書.PDF", "b.exe"), mail.File{Kind: "zip", Inside: []string{"dir/請求書.PDF", "b.exe"}, InsideTypes: []string{"pdf", "exe"}}, false},
		{"name in Shift_JIS", "a.zip", zipOf(t, "\x90\xbf\x8b\x81\x8f\x91.exe"), mail.File{Kind: "zip", Inside: []string{"請求書.exe"}, InsideTypes: []string{"exe"}}, false},
		{"password", "a.zip", zipOf(t, "!secret.pdf"), mail.File{Kind: "zip", Inside: []string{"secret.pdf"}, InsideTypes: []string{"pdf"}, Locked: true}, false},
		{"something before the archive", "a.zip", append([]byte("PK\x03\x04\x14\x00\x00\x00 junk, long enough to be taken for a header"), zipOf(t, "a.js")...), mail.File{Kind: "zip", Inside: []string{"a.js"}, InsideTypes: []string{"js"}, Unread: true}, false},
		{"comment", "a.zip", comment, mail.File{Kind: "zip", Inside: []string{"a.exe"}, InsideTypes: []string{"exe"}}, false},
		{"called a picture", "a.jpg", zipOf(t, "a.exe"), mail.File{Kind: "zip", Inside: []string{"a.exe"}, InsideTypes: []string{"exe"}}, true},
		{"document", "a.docx", zipOf(t, "[Content_Types].xml", "word/document.xml"), mail.File{Kind: "office"}, false},
		{"document with macros", "a.xlsm", zipOf(t, "[Content_Types].xml", "xl/vbaProject.bin"), mail.File{Kind: "office", Macros: true}, false},
		{"a zip that says it is a document", "a.zip", zipOf(t, "[Content_Types].xml", "a.exe"), mail.File{Kind: "zip", Inside: []string{"[Content_Types].xml", "a.exe"}, InsideTypes: []string{"xml", "exe"}}, false},
		{"old document", "a.doc", ole, mail.File{Kind: "ole"}, false},
		{"old document with macros", "a.xls", append(slices.Clone(ole), utf16Of("_VBA_PROJECT")...), mail.File{Kind: "ole", Macros: true}, false},
		{"document with a password", "a.xlsx", append(slices.Clone(ole), utf16Of("EncryptedPackage")...), mail.File{Kind: "ole", Locked: true}, false},
		{"program", "a.pdf", padded("MZ\x90\x00", 100), mail.File{Kind: "program"}, true},
		{"program by name", "a.exe", padded("MZ\x90\x00", 100), mail.File{Kind: "program"}, false},
		{"a text about MZ", "a.txt", []byte("MZ is a county in the north. " + strings.Repeat("It is green. ", 20)), mail.File{}, false},
		{"shortcut", "a.txt", padded("L\x00\x00\x00\x01\x14\x02\x00", 100), mail.File{Kind: "shortcut"}, true},
		{"pdf", "a.pdf", []byte("%PDF-1.7\n"), mail.File{Kind: "pdf"}, false},
		{"png called jpg", "a.jpg", []byte("\x89PNG\r\n\x1a\n"), mail.File{Kind: "image"}, false},
		{"7z", "a.7z", padded("7z\xbc\xaf\x27\x1c", 50), mail.File{Kind: "7z", Unread: true}, false},
		{"rar 5 with a password", "a.rar", padded("Rar!\x1a\x07\x01\x00abcd\x21\x04", 50), mail.File{Kind: "rar", Unread: true, Locked: true}, false},
		{"rar 4 with a password", "a.rar", append([]byte("Rar!\x1a\x07\x00"), "ab\x73\x00\x00\x0d\x00......ab\x74\x04\x00\x20\x00"...), mail.File{Kind: "rar", Unread: true, Locked: true}, false},
		{"rar 4", "a.rar", append([]byte("Rar!\x1a\x07\x00"), "ab\x73\x00\x00\x0d\x00......ab\x74\x00\x00\x20\x00"...), mail.File{Kind: "rar", Unread: true}, false},
		{"image of a disk", "a.iso", iso, mail.File{Kind: "disk"}, false},
		{"broken zip", "a.zip", append(zipOf(t, "a.exe")[:30], "rest"...), mail.File{Kind: "zip", Inside: []string{"rest"}, Unread: true}, false},
		{"large", "a.zip", append(append([]byte("PK\x03\x04\x14\x00\x00\x00"), bytes.Repeat([]byte("x\x00"), 3<<20)...), zipOf(t, "a.lnk")...), mail.File{Kind: "zip", Inside: []string{"a.lnk"}, InsideTypes: []string{"lnk"}, Unread: true}, false},
		{"many, the last of them a program", "a.zip", zipOf(t, append(many, "a.vbs")...), mail.File{Kind: "zip", Inside: many[:maxInside], InsideTypes: []string{"jpg", "vbs"}}, false},
	} {
		got, disguised := fileOf(t, tt.file, tt.content)
		if tt.name == "something before the archive" {
			got.Inside, got.InsideTypes = got.Inside[len(got.Inside)-1:], got.InsideTypes[len(got.InsideTypes)-1:]
		}
		if tt.name == "large" {
			got.Inside = got.Inside[len(got.Inside)-1:]
		}
		if fmt.Sprint(got) != fmt.Sprint(tt.want) || disguised != tt.disguised {
			t.Errorf("%s: %+v, disguised %v; want %+v", tt.name, got, disguised, tt.want)
		}
	}
}

// The end of an archive is found whatever its length and however its lines are broken.
func TestBase64Tail(t *testing.T) {
	content := []byte(strings.Repeat("0123456789", 30))
	for n := range 100 {
		text := base64.StdEncoding.EncodeToString(content[:200+n])
		for _, width := range []int{1, 7, 76, 1000} {
			var b strings.Builder
			for i, c := range text {
				if i%width == 0 && i > 0 {
					b.WriteString("\r\n")
				}
				b.WriteRune(c)
			}
			for _, end := range []string{"", "\r\n", " \r\n\r\n"} {
				for _, size := range []int{40, 100, 1000} {
					got := base64Tail([]byte(b.String()+end), size)
					if len(got) < min(size, 200) || !bytes.HasSuffix(content[:200+n], got) {
						t.Fatalf("%d octets, lines of %d, %q, %d: %q", 200+n, width, end, size, got)
					}
				}
			}
		}
	}
}

// FuzzContents looks into files that a sender made up.
func FuzzContents(f *testing.F) {
	f.Add(zipOf(f, "a.exe", "!b.pdf"), "a.zip")
	f.Add(zipOf(f, "[Content_Types].xml", "xl/vbaProject.bin"), "a.xlsm")
	f.Add([]byte("Rar!\x1a\x07\x00ab\x73\x00\x00\x0d\x00......ab\x74\x04\x00\x20\x00"), "a.rar")
	f.Add([]byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1_\x00V\x00B\x00A\x00"), "a.doc")
	f.Fuzz(func(t *testing.T, content []byte, name string) {
		m := Parse(attached(mail.Extension(name), content))
		checkInvariants(t, "attached", m)
		left := budget{maxPeeked, maxScanned}
		for _, encoding := range []string{"base64", "quoted-printable", "7bit"} {
			p := filePeek{raw: content, encoding: encoding, left: &left}
			var file mail.File
			p.look(&file, name)
			if len(file.Inside) > maxInside || len(file.InsideTypes) > maxKinds+len(runs) || left.peek < 0 || left.scan < 0 {
				t.Fatalf("%d names, %d extensions, %v octets left", len(file.Inside), len(file.InsideTypes), left)
			}
		}
	})
}

func BenchmarkContents(b *testing.B) {
	raw := attached("a.zip", append(append([]byte("PK\x03\x04"), bytes.Repeat([]byte("x\x00"), 5<<20)...), zipOf(b, "a.lnk")...))
	m := Parse(raw)
	w := walker{raw: raw, msg: m}
	b.ReportAllocs()
	for b.Loop() {
		w.contents()
	}
}
