package measure

import (
	"fmt"
	"image/color"
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

// Bin is a step of z with the mails that fell into it.
type Bin struct {
	Z    int `json:"z"` // from Z to Z+1; the first and the last hold what is beyond as well
	Ham  int `json:"ham"`
	Spam int `json:"spam"`
}

// Spread counts the scores of each class in steps of one, the lowest first, without empty steps.
func Spread(out []Outcome) []Bin {
	ham, spam := histogram(out)
	list := []Bin{}
	for i := range bins {
		if ham[i]+spam[i] > 0 {
			list = append(list, Bin{lowest + i, ham[i], spam[i]})
		}
	}
	return list
}

// figure is the picture of how the scores are spread, whatever it is drawn with. It is measured in points; y grows downward.
type figure struct {
	width, height int
	boxes         []box
	labels        []label
}

type box struct {
	x, y, w, h int
	fill       color.RGBA
	title      string // what one reads when one points at it
}

type label struct {
	x, y  int // of the base line
	size  int
	align int // of x: 0 begin, 1 middle, 2 end
	text  string
}

var (
	white    = color.RGBA{0xff, 0xff, 0xff, 0xff}
	gray     = color.RGBA{0xf0, 0xf0, 0xea, 0xff}
	line     = color.RGBA{0xd0, 0xd0, 0xcc, 0xff}
	dark     = color.RGBA{0x33, 0x33, 0x33, 0xff}
	hamBlue  = color.RGBA{0x2c, 0x7f, 0xb8, 0xff}
	spamRust = color.RGBA{0xd9, 0x5f, 0x0e, 0xff}
)

// figureOf lays the picture out.
func figureOf(title string, out []Outcome) *figure {
	const step, height, left, top, right = 22, 260, 56, 50, 20
	ham, spam := histogram(out)
	peak := most(ham, spam)
	f := &figure{width: left + bins*step + right, height: top + height + 76}
	f.boxes = append(f.boxes, box{0, 0, f.width, f.height, white, ""}, box{left + (HamZ-lowest)*step, top, (SpamZ - HamZ) * step, height, gray, ""})
	f.labels = append(f.labels, label{left, 24, 15, 0, title}, label{8, top - 10, 11, 0, "mails"})
	for n := 1; n <= peak; n *= 10 {
		y := top + height - length(n, peak, height)
		f.boxes = append(f.boxes, box{left, y, bins * step, 1, line, ""})
		f.labels = append(f.labels, label{left - 6, y + 4, 11, 2, fmt.Sprint(n)})
	}
	for i := range bins {
		x := left + i*step
		for j, n := range [...]int{ham[i], spam[i]} {
			kind, fill := "ham", hamBlue
			if j == 1 {
				kind, fill = "spam", spamRust
			}
			if l := length(n, peak, height); l > 0 {
				f.boxes = append(f.boxes, box{
					x + 2 + j*(step/2-2), top + height - l, step/2 - 2, l, fill,
					fmt.Sprintf("z %d to %d: %d %s", lowest+i, lowest+i+1, n, kind),
				})
			}
		}
	}
	f.boxes = append(f.boxes, box{left, top + height, bins * step, 1, dark, ""})
	for z := lowest; z <= highest; z += 2 {
		f.labels = append(f.labels, label{left + (z-lowest)*step, top + height + 17, 11, 1, fmt.Sprint(z)})
	}
	y := top + height + 38
	f.labels = append(f.labels, label{
		left, y, 11, 0,
		fmt.Sprintf("z, what the check says of a mail: ham up to %d, unsure between (grey), spam from %d. The scale of the mails is logarithmic.", HamZ, SpamZ),
	})
	f.boxes = append(f.boxes, box{left, y + 12, 10, 10, hamBlue, ""}, box{left + 120, y + 12, 10, 10, spamRust, ""})
	f.labels = append(f.labels, label{left + 15, y + 21, 11, 0, fmt.Sprintf("ham (%d)", total(ham))}, label{left + 135, y + 21, 11, 0, fmt.Sprintf("spam (%d)", total(spam))})
	return f
}

func total(n [bins]int) int {
	sum := 0
	for _, k := range n {
		sum += k
	}
	return sum
}
