package safe

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"strings"
	"testing"
)

func pictures(t *testing.T) map[string][]byte {
	t.Helper()
	img := image.NewGray(image.Rect(0, 0, 3, 2))
	var p, j, g bytes.Buffer
	for _, err := range []error{png.Encode(&p, img), jpeg.Encode(&j, img, nil), gif.Encode(&g, img, nil)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	w := []byte("RIFF\x1a\x00\x00\x00WEBPVP8L\x0d\x00\x00\x00\x2f\x02\x40\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	return map[string][]byte{"image/png": p.Bytes(), "image/jpeg": j.Bytes(), "image/gif": g.Bytes(), "image/webp": w}
}

// related makes a mail with markup and parts, which are "header" and octets by turns.
func related(markup string, parts ...string) []byte {
	var b strings.Builder
	b.WriteString("Content-Type: multipart/related; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\nContent-ID: <html@x>\r\n\r\n" + markup)
	for i := 0; i+1 < len(parts); i += 2 {
		b.WriteString("\r\n--b\r\n" + parts[i] + "\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.StdEncoding.EncodeToString([]byte(parts[i+1])))
	}
	b.WriteString("\r\n--b--\r\n")
	return []byte(b.String())
}

func document(t *testing.T, raw []byte) string {
	t.Helper()
	_, m := New(raw)
	doc, ok := Document(m, words)
	if !ok {
		t.Fatal("no document")
	}
	return doc
}

// The pictures that come with a mail are shown as what they are, whatever the mail calls them.
func TestPictures(t *testing.T) {
	for kind, b := range pictures(t) {
		for _, source := range []string{"cid:p1@x", "CID:p1%40x", " cid:p1@x "} {
			doc := document(t, related(`<p><img src="`+source+`" alt="ロゴ" onerror=x style=y width=9999>`, "Content-Type: text/html\r\nContent-ID: <p1@x>", string(b)))
			want := `<img src="data:` + kind + `;base64,` + base64.StdEncoding.EncodeToString(b) + `" alt="ロゴ">`
			if !strings.Contains(doc, want) {
				t.Errorf("%s %q: %s", kind, source, doc)
			}
		}
	}
}

// What is no picture, not of this mail, too large, or too often there, is named and not shown.
func TestHostilePictures(t *testing.T) {
	p := string(pictures(t)["image/png"])
	bomb := []byte(p)
	binary.BigEndian.PutUint32(bomb[16:], 60_000)
	binary.BigEndian.PutUint32(bomb[20:], 60_000)
	head := "Content-Type: image/png\r\nContent-ID: <p1@x>"
	img := `<img src="cid:p1@x" alt="A">`
	inner := "--b\r\nContent-Type: message/rfc822\r\n\r\nContent-Type: image/png\r\nContent-ID: <p1@x>\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.StdEncoding.EncodeToString([]byte(p)) + "\r\n--b--"
	for name, raw := range map[string][]byte{
		"svg":            related(img, "Content-Type: image/svg+xml\r\nContent-ID: <p1@x>", `<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>`),
		"svg as png":     related(img, head, `<svg onload="alert(1)"/>`),
		"html":           related(img, head, "<script>alert(1)</script>"),
		"itself":         related(`<img src="cid:html@x" alt="A">`),
		"none":           related(img),
		"cut off":        related(img, head, p[:20]),
		"a bomb":         related(img, head, string(bomb)),
		"huge":           related(img, head, p+strings.Repeat("x", maxPicture)),
		"of another":     bytes.Replace(related(img), []byte("--b--"), []byte(inner), 1),
		"data":           related(`<img src="data:image/png;base64,` + base64.StdEncoding.EncodeToString([]byte(p)) + `" alt="A">`),
		"from elsewhere": related(`<img src="http://evil.example/x.png" alt="A">`, head, p),
		"a bare cid":     related(`<img src="cid:" alt="A">`, "Content-Type: image/png\r\nContent-ID: <>", p),
	} {
		if doc := document(t, raw); strings.Contains(doc, "<img") || strings.Contains(doc, "data:") || !strings.Contains(doc, "[画像：A]") {
			t.Errorf("%s: %s", name, doc)
		}
	}
	// Many places and many pictures stay within the budget.
	doc := document(t, related(strings.Repeat(img, 5000), head, p))
	if n := strings.Count(doc, "<img"); n != maxPlaces {
		t.Errorf("%d places", n)
	}
	doc = document(t, related(strings.Repeat(img, 50), head, p+strings.Repeat("x", maxPicture-len(p))))
	if n := strings.Count(doc, "<img"); n != maxPictures/maxPicture || len(doc) > 2*maxPictures {
		t.Errorf("%d large ones, %d octets", n, len(doc))
	}
	var parts []string
	markup := ""
	for i := range 300 {
		parts = append(parts, fmt.Sprintf("Content-Type: image/png\r\nContent-ID: <n%d@x>", i), p)
		markup += fmt.Sprintf(`<img src="cid:n%d@x" alt="A">`, i)
	}
	if n := strings.Count(document(t, related(markup, parts...)), "<img"); n != maxPlaces {
		t.Errorf("%d of many", n)
	}
}

func FuzzPicture(f *testing.F) {
	f.Add([]byte("RIFF\x1a\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff"))
	f.Add([]byte("\x89PNG\r\n\x1a\n"))
	f.Add([]byte("GIF89a\x01\x00\x01\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		kind, pixels := picture(b)
		if kind != "" && pixels <= 0 || strings.Contains(kind, "svg") {
			t.Errorf("%q with %d pixels", kind, pixels)
		}
	})
}
