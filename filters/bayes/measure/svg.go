package measure

import (
	"fmt"
	"image/color"
	"io"
	"strings"
)

// SVG draws how the scores are spread as a picture that stands alone: no scripts, no fonts or images from elsewhere.
func SVG(w io.Writer, title string, out []Outcome) error {
	f := figureOf(title, out)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="sans-serif" fill="%s" role="img" aria-label="%s">`+"\n",
		f.width, f.height, f.width, f.height, hex(dark), escape(title))
	for _, r := range f.boxes {
		fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%d" height="%d" fill="%s"`, r.x, r.y, r.w, r.h, hex(r.fill))
		if r.title != "" {
			fmt.Fprintf(&b, "><title>%s</title></rect>\n", escape(r.title))
		} else {
			b.WriteString("/>\n")
		}
	}
	for _, l := range f.labels {
		anchor := [...]string{"start", "middle", "end"}[l.align]
		fmt.Fprintf(&b, `<text x="%d" y="%d" font-size="%d" text-anchor="%s">%s</text>`+"\n", l.x, l.y, l.size, anchor, escape(l.text))
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func hex(c color.RGBA) string { return fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B) }

func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;").Replace(s)
}
