package measure

import (
	"image"
	"image/draw"
	"image/png"
	"io"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
)

const (
	pngScale = 2 // pixels a point
	inch     = 72
)

// PNG draws what SVG draws, in pixels. Letters that its font lacks (it has Latin, Greek and Cyrillic ones) are drawn as boxes.
func PNG(w io.Writer, title string, out []Outcome) error {
	f := figureOf(title, out)
	img := image.NewRGBA(image.Rect(0, 0, f.width*pngScale, f.height*pngScale))
	for _, r := range f.boxes {
		at := image.Rect(r.x*pngScale, r.y*pngScale, (r.x+r.w)*pngScale, (r.y+r.h)*pngScale)
		draw.Draw(img, at, image.NewUniform(r.fill), image.Point{}, draw.Src)
	}
	letters, err := opentype.Parse(goregular.TTF)
	if err != nil {
		return err
	}
	faces := map[int]font.Face{}
	for _, l := range f.labels {
		if faces[l.size] == nil {
			face, err := opentype.NewFace(letters, &opentype.FaceOptions{Size: float64(l.size * pngScale), DPI: inch, Hinting: font.HintingFull})
			if err != nil {
				return err
			}
			faces[l.size] = face
		}
		d := font.Drawer{Dst: img, Src: image.NewUniform(dark), Face: faces[l.size], Dot: fixed.P(l.x*pngScale, l.y*pngScale)}
		d.Dot.X -= d.MeasureString(l.text) * fixed.Int26_6(l.align) / 2
		d.DrawString(l.text)
	}
	return png.Encode(w, img)
}
