package mime

import (
	"bytes"

	"sekimori/internal/mail"
)

// link records a URL and the text that it is shown with.
func (w *walker) link(p *mail.Part, url, text string) {
	if url == "" || w.links >= maxLinks {
		return
	}
	w.links++
	p.Links = append(p.Links, mail.Link{URL: url, Text: text})
}

func (w *walker) plainLinks(p *mail.Part, text string) {
	w.findLinks(p, []byte(text))
}

// findLinks records the URLs that stand in a text, as readers of mail make them clickable: a scheme with "://", or a
// host that begins with "www.". A URL ends before the first character that is not ASCII, since Japanese text follows
// without a space.
func (w *walker) findLinks(p *mail.Part, b []byte) {
	for off := 0; off < len(b) && w.links < maxLinks; {
		n := bytes.IndexAny(b[off:], ":wW")
		if n < 0 {
			return
		}
		at := off + n
		off = at + 1
		switch {
		case b[at] == ':':
			if !bytes.HasPrefix(b[at:], []byte("://")) {
				continue
			}
			start := schemeStart(b, at)
			if start == at {
				continue
			}
			end := urlEnd(b, at+3)
			if end > at+3 {
				w.link(p, string(b[start:end]), "")
			}
			off = end
		case len(b) > at+4 && b[at+3] == '.' && bytes.EqualFold(b[at:at+3], []byte("www")) && (at == 0 || !isAlnum(b[at-1]) && b[at-1] != '.'):
			end := urlEnd(b, at)
			w.link(p, "http://"+string(b[at:end]), "")
			off = end
		}
	}
}

// schemeStart goes back over the letters in front of "://"; at when they are no scheme of the web.
func schemeStart(b []byte, at int) int {
	for _, scheme := range []string{"https", "http", "ftp"} {
		if s := at - len(scheme); s >= 0 && bytes.EqualFold(b[s:at], []byte(scheme)) {
			return s
		}
	}
	return at
}

// urlEnd returns where the URL that goes on at i ends; marks of a sentence at its end do not belong to it.
func urlEnd(b []byte, i int) int {
	start := i
	for i < len(b) && i-start < maxLinkLen && b[i] > ' ' && b[i] < 0x7F && bytes.IndexByte([]byte("<>\"'`{}|\\^"), b[i]) < 0 {
		i++
	}
	for i > start && bytes.IndexByte([]byte(".,;:!?)]*_"), b[i-1]) >= 0 {
		i--
	}
	return i
}

func isAlnum(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
