package filters

import (
	"slices"
	"strconv"
	"strings"
	"unicode"

	"sekimori/internal/mail"
	"sekimori/reputation"
)

// bayesEvidence is the score, the words that made it, and those that spoke against it.
func bayesEvidence(s reputation.Score) []mail.Evidence {
	e := []mail.Evidence{
		{Key: "probability", Value: strconv.FormatFloat(s.Probability, 'f', 3, 64)},
		{Key: "z", Value: strconv.FormatFloat(s.Z, 'f', 1, 64)},
	}
	if words := bayesWords(s.Words, maxBayesWords); words != "" {
		e = append(e, mail.Evidence{Key: "words", Value: words})
	}
	if words := bayesWords(s.Against, maxBayesAgainst); words != "" {
		e = append(e, mail.Evidence{Key: "against", Value: words})
	}
	return e
}

const (
	maxBayesWords   = 8
	maxBayesAgainst = 4
)

// bayesWords lists what says something to people: the words of the subject, the text and names first, then domains,
// addresses, mailers and endings of file names. Pairs of Japanese characters that overlap are joined to what stood in the mail.
func bayesWords(list []reputation.Word, most int) string {
	var words, other []string
	for _, w := range list {
		t, word := readable(w.Token)
		t = cleanWord(t)
		switch {
		case t == "" || slices.Contains([]string{"http", "https", "www", "com", "html", "jp"}, strings.ToLower(t)):
			// nothing, or what says nothing to people
		case word:
			words = joinWord(words, t)
		case !slices.Contains(other, t):
			other = append(other, t)
		}
	}
	words = append(words, other...)
	return strings.Clone(strings.Join(words[:min(len(words), most)], ", ")) // a single word would be part of all tokens
}

// readable is what of a token can be shown, and whether it is a word; "" when it speaks of the form of the mail, which has no words.
func readable(token string) (s string, word bool) {
	i := strings.IndexAny(token, ":=")
	if i < 0 {
		return token, true
	}
	prefix, value := token[:i], token[i+1:]
	switch prefix {
	case "s", "fn", "hid", "alt", "att", "sub":
		if strings.Contains(value, ":") || prefix == "fn" && (value == "none" || value == "address") {
			return "", false
		}
		return value, true
	case "fa", "fd", "fo", "ra", "rd", "ro", "sa", "sd", "so", "id", "io", "ud", "uo", "umd", "umo", "m":
		return value, false
	case "x":
		if value != "none" {
			return "." + value, false
		}
	}
	return "", false
}

// joinWord adds a word to list, or prolongs one that ends or begins with the character it begins or ends with.
func joinWord(list []string, w string) []string {
	r := []rune(w)
	for i, have := range list {
		h := []rune(have)
		switch {
		case have == w || strings.EqualFold(have, w):
			return list
		case len(r) != 2 || r[0] < 0x2E80 || h[0] < 0x2E80 || len(h) > 8:
		case h[len(h)-1] == r[0]:
			list[i] = have + string(r[1])
			return list
		case h[0] == r[1]:
			list[i] = string(r[0]) + have
			return list
		}
	}
	return append(list, w)
}

// cleanWord leaves out what could harm where it is shown, such as bidirectional marks, and cuts long tokens.
func cleanWord(s string) string {
	const longest = 40
	s = strings.Map(func(r rune) rune {
		if r == ',' || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
	if r := []rune(s); len(r) > longest {
		s = string(r[:longest])
	}
	return s
}
