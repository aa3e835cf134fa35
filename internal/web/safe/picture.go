package safe

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"image"
	_ "image/gif"  // the size of a picture is read with it
	_ "image/jpeg" // likewise
	_ "image/png"  // likewise
	"net/url"
	"strings"

	"sekimori/internal/mail"
	"sekimori/internal/mime"
)

// What of a mail's own pictures is shown. The budget is for a whole document: each place where a picture stands counts.
const (
	maxPicture  = 1 << 20    // octets of one picture
	maxPictures = 3 << 20    // octets of all
	maxPlaces   = 100        // in which pictures stand
	maxPixels   = 16_000_000 // of one picture: what a browser makes of a small file can be large
	maxAllPixel = 32_000_000
)

// album has the pictures that a mail brings along, which its markup names as cid:. They are shown as data, so that nothing is fetched.
type album struct {
	m      *mail.Message
	by     map[string]*mail.Part
	octets int
	places int
	pixels int
}

// newAlbum finds the parts of the mail itself that have a Content-ID. The first of several with the same one counts.
func newAlbum(m *mail.Message) *album {
	a := &album{m: m, by: map[string]*mail.Part{}}
	inner := -1 // depth of a mail within the mail
	for i := range m.Parts {
		p := &m.Parts[i]
		if inner >= 0 && p.Depth > inner {
			continue
		}
		if inner = -1; strings.HasPrefix(p.Type, "message/") {
			inner = p.Depth
			continue
		}
		if p.ID != "" && !strings.HasPrefix(p.Type, "multipart/") && a.by[p.ID] == nil {
			a.by[p.ID] = p
		}
	}
	return a
}

// find returns a picture of the mail as the address of an <img>, "" when the source names none, or one that is not shown. What the
// octets are decides, and never what the mail says that they are: PNG, JPEG, GIF and WebP, nothing else.
func (a *album) find(source string) string {
	id, is := cid(source)
	if !is || a == nil || a.by[id] == nil || a.places >= maxPlaces {
		return ""
	}
	b := mime.Octets(a.m, a.by[id], maxPicture+1)
	kind, pixels := picture(b)
	if kind == "" || len(b) > maxPicture || a.octets+len(b) > maxPictures || pixels > maxPixels || a.pixels+pixels > maxAllPixel {
		return ""
	}
	a.places++
	a.octets += len(b)
	a.pixels += pixels
	return "data:" + kind + ";base64," + base64.StdEncoding.EncodeToString(b)
}

// cid returns the Content-ID that an address names (RFC 2392).
func cid(source string) (id string, is bool) {
	source = strings.TrimSpace(source)
	if len(source) < 5 || !strings.EqualFold(source[:4], "cid:") {
		return "", false
	}
	if id = source[4:]; strings.Contains(id, "%") {
		if plain, err := url.PathUnescape(id); err == nil {
			id = plain
		}
	}
	return id, id != ""
}

// picture reads from the first octets what a picture is and how many pixels it has; "" when it is none that is shown.
func picture(b []byte) (kind string, pixels int) {
	for _, k := range []struct{ begin, kind, format string }{
		{"\x89PNG\r\n\x1a\n", "image/png", "png"}, {"\xff\xd8\xff", "image/jpeg", "jpeg"}, {"GIF87a", "image/gif", "gif"}, {"GIF89a", "image/gif", "gif"},
	} {
		if !bytes.HasPrefix(b, []byte(k.begin)) {
			continue
		}
		c, format, err := image.DecodeConfig(bytes.NewReader(b))
		if err != nil || format != k.format {
			return "", 0
		}
		return area(k.kind, c.Width, c.Height)
	}
	if len(b) >= 30 && string(b[:4]) == "RIFF" && string(b[8:12]) == "WEBP" {
		w, h := webp(b)
		return area("image/webp", w, h)
	}
	return "", 0
}

func area(kind string, w, h int) (string, int) {
	if w <= 0 || h <= 0 || w > maxPixels || h > maxPixels {
		return "", 0
	}
	return kind, w * h
}

// webp reads the size from the first chunk of a WebP file: lossy, lossless or extended; 0 when it is none of these.
func webp(b []byte) (w, h int) {
	switch string(b[12:16]) {
	case "VP8 ":
		return int(binary.LittleEndian.Uint16(b[26:]) & 0x3FFF), int(binary.LittleEndian.Uint16(b[28:]) & 0x3FFF)
	case "VP8L":
		n := binary.LittleEndian.Uint32(b[21:])
		return int(n&0x3FFF) + 1, int(n>>14&0x3FFF) + 1
	case "VP8X":
		u24 := func(i int) int { return int(b[i]) | int(b[i+1])<<8 | int(b[i+2])<<16 }
		return u24(24) + 1, u24(27) + 1
	}
	return 0, 0
}
