package measure

import (
	"fmt"
	"io"
	"math"
	"strings"
)

const (
	lowest  = -16 // scores beyond are drawn at the ends
	highest = 16
	bins    = highest - lowest
)

// histogram counts the scores of each class in steps of one.
func histogram(out []Outcome) (ham, spam [bins]int) {
	for _, o := range out {
		i := int(math.Floor(o.Z)) - lowest
		i = min(max(i, 0), bins-1)
		if o.Spam {
			spam[i]++
		} else {
			ham[i]++
		}
	}
	return ham, spam
}

func most(ham, spam [bins]int) int {
	n := 1
	for i := range bins {
		n = max(n, ham[i], spam[i])
	}
	return n
}

// length of a bar: logarithmic, since the few mails that go wrong are what one wants to see; at least 1 for a mail.
func length(n, most, full int) int {
	if n == 0 {
		return 0
	}
	return max(1, int(math.Round(float64(full)*math.Log1p(float64(n))/math.Log1p(float64(most)))))
}

// Text draws how the scores are spread, a line for each step of z. Bars are logarithmic.
func Text(w io.Writer, out []Outcome) {
	const full = 26
	ham, spam := histogram(out)
	top := most(ham, spam)
	fmt.Fprintf(w, "%*s  %8s | %s\n", full+8, "ham", "z", "spam")
	for i := range bins {
		z := lowest + i
		if ham[i] == 0 && spam[i] == 0 {
			continue
		}
		left, right := strings.Repeat("░", length(ham[i], top, full)), strings.Repeat("█", length(spam[i], top, full))
		note := ""
		switch z {
		case SpamZ:
			note = " spam from here"
		case HamZ:
			note = " unsure from here"
		}
		fmt.Fprintf(w, "%s%s %6s  %8d | %s %s%s\n", strings.Repeat(" ", full-length(ham[i], top, full)), left, count(ham[i]), z, right, count(spam[i]), note)
	}
}

func count(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

// SVG draws the same as a picture that stands alone: no scripts, no fonts or images from elsewhere.
func SVG(w io.Writer, title string, out []Outcome) error {
	const step, height, left, top = 22, 260, 20, 50
	ham, spam := histogram(out)
	peak := most(ham, spam)
	var b strings.Builder
	width := 2*left + bins*step
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="11" role="img" aria-label="%s">`+"\n",
		width, top+height+60, escape(title))
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#fff"/><text x="%d" y="20" font-size="14">%s</text>`+"\n", width, top+height+60, left, escape(title))
	fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%d" height="%d" fill="#f3f3ee"/>`+"\n", left+(HamZ-lowest)*step, top, (SpamZ-HamZ)*step, height)
	for i := range bins {
		x := left + i*step
		for j, n := range [...]int{ham[i], spam[i]} {
			l := length(n, peak, height)
			if l == 0 {
				continue
			}
			kind, color := "ham", "#2c7fb8"
			if j == 1 {
				kind, color = "spam", "#d95f0e"
			}
			fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%d" height="%d" fill="%s"><title>z %d to %d: %d %s</title></rect>`+"\n",
				x+2+j*(step/2-2), top+height-l, step/2-2, l, color, lowest+i, lowest+i+1, n, kind)
		}
		if (lowest+i)%2 == 0 {
			fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle">%d</text>`+"\n", x, top+height+16, lowest+i)
		}
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d">z: ham up to %d, unsure between (grey), spam from %d. Bars are logarithmic. </text>`+"\n", left, top+height+34, HamZ, SpamZ)
	fmt.Fprintf(&b, `<rect x="%d" y="%d" width="10" height="10" fill="#2c7fb8"/><text x="%d" y="%d">ham</text>`, left, top+height+42, left+14, top+height+51)
	fmt.Fprintf(&b, `<rect x="%d" y="%d" width="10" height="10" fill="#d95f0e"/><text x="%d" y="%d">spam</text></svg>`+"\n", left+60, top+height+42, left+74, top+height+51)
	_, err := io.WriteString(w, b.String())
	return err
}

func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;").Replace(s)
}
