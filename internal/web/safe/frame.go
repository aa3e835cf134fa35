package safe

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"golang.org/x/net/html"

	"sekimori/internal/mail"
	"sekimori/internal/mime"
)

// frameStyle is the only style sheet that the document may use: FramePolicy names its hash. Its colours are ours and readable in
// light and dark.
const frameStyle = `:root{color-scheme:light dark}
body{font:16px/1.7 system-ui,"Hiragino Sans","Noto Sans CJK JP","Noto Sans JP","Yu Gothic UI",Meiryo,sans-serif;margin:12px;overflow-wrap:anywhere;color:CanvasText;background:Canvas}
table{border-collapse:collapse;max-width:100%}
td,th{padding:2px 4px;vertical-align:top}
h1,h2,h3{font-size:1.15em}
pre{white-space:pre-wrap}
img{max-width:100%;height:auto}
.link{text-decoration:underline}
.target,.image,.cut{font-size:.875em;color:GrayText;color:light-dark(#4a4a4a,#c4c4c4)}
.differs{font-weight:bold;color:light-dark(#8f1414,#ffb4ab)}
`

// FramePolicy is the Content-Security-Policy of Document: nothing is fetched (pictures of the mail itself stand in it as data), run, submitted or framed elsewhere, and only our own
// style sheet applies. sandbox makes it an origin of its own also when it is opened by itself.
func FramePolicy() string {
	sum := sha256.Sum256([]byte(frameStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; img-src data:; form-action 'none'; base-uri 'none'; frame-ancestors 'self'; sandbox"
}

// Document returns the markup of a mail as a page of its own, to be served with FramePolicy; ok is false when the mail has none. m is
// what New returned.
func Document(m *mail.Message, w Words) (doc string, ok bool) {
	_, p := bodies(m)
	if p == nil {
		return "", false
	}
	source, cut := mime.Source(m, p)
	var b strings.Builder
	b.WriteString(`<!doctype html><html lang="` + string(w.Lang) + `"><head><meta charset="utf-8">` +
		`<meta name="viewport" content="width=device-width, initial-scale=1"><title>` + html.EscapeString(w.Title) + `</title><style>` +
		frameStyle + `</style></head><body dir="auto"><main>`)
	b.WriteString(clean(source, w, newAlbum(m)))
	if cut {
		b.WriteString(`<p class="cut">` + html.EscapeString(w.Cut) + "</p>")
	}
	b.WriteString("</main></body></html>\n")
	return b.String(), true
}
