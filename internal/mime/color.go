package mime

import (
	"strconv"
	"strings"
)

// colorNames are the names that HTML always had, and those near white.
var colorNames = map[string]rgb{
	"white": {255, 255, 255, true}, "black": {0, 0, 0, true}, "silver": {192, 192, 192, true}, "gray": {128, 128, 128, true}, "grey": {128, 128, 128, true},
	"red": {255, 0, 0, true}, "maroon": {128, 0, 0, true}, "yellow": {255, 255, 0, true}, "olive": {128, 128, 0, true}, "lime": {0, 255, 0, true},
	"green": {0, 128, 0, true}, "aqua": {0, 255, 255, true}, "cyan": {0, 255, 255, true}, "teal": {0, 128, 128, true}, "blue": {0, 0, 255, true},
	"navy": {0, 0, 128, true}, "fuchsia": {255, 0, 255, true}, "magenta": {255, 0, 255, true}, "purple": {128, 0, 128, true}, "orange": {255, 165, 0, true},
	"snow": {255, 250, 250, true}, "ivory": {255, 255, 240, true}, "whitesmoke": {245, 245, 245, true}, "ghostwhite": {248, 248, 255, true},
	"floralwhite": {255, 250, 240, true}, "seashell": {255, 245, 238, true}, "azure": {240, 255, 255, true}, "mintcream": {245, 255, 250, true},
	"honeydew": {240, 255, 240, true}, "aliceblue": {240, 248, 255, true}, "gainsboro": {220, 220, 220, true}, "lightgray": {211, 211, 211, true},
	"lightgrey": {211, 211, 211, true},
}

// parseColor reads a colour in lower case; it is not known when it cannot be read, or is not opaque.
func parseColor(s string) rgb {
	if c, ok := colorNames[s]; ok {
		return c
	}
	if hex, ok := strings.CutPrefix(s, "#"); ok {
		return hexColor(hex)
	}
	in, ok := strings.CutPrefix(s, "rgb(")
	if !ok {
		return rgb{}
	}
	parts := strings.FieldsFunc(strings.TrimSuffix(in, ")"), func(r rune) bool { return r == ',' || r == ' ' })
	if len(parts) != 3 {
		return rgb{}
	}
	var v [3]uint8
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 10, 8)
		if err != nil {
			return rgb{}
		}
		v[i] = uint8(n)
	}
	return rgb{v[0], v[1], v[2], true}
}

func hexColor(hex string) rgb {
	if len(hex) == 3 {
		hex = string([]byte{hex[0], hex[0], hex[1], hex[1], hex[2], hex[2]})
	}
	n, err := strconv.ParseUint(hex, 16, 32)
	if len(hex) != 6 || err != nil {
		return rgb{}
	}
	return rgb{uint8(n >> 16), uint8(n >> 8), uint8(n), true} //nolint:gosec // each is an octet of the number
}

// attributeColor reads a colour as HTML attributes have it, where the # may be missing.
func attributeColor(v []byte) rgb {
	s := strings.ToLower(strings.TrimSpace(string(v[:min(len(v), 40)])))
	if c := parseColor(s); c.known {
		return c
	}
	if len(s) == 6 {
		return hexColor(s)
	}
	return rgb{}
}
