package front

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"

	"sekimori/internal/config"
	"sekimori/internal/mail"
	"sekimori/internal/text"
)

// langOf is the language in which the header and the log line of a mail say why: that of the digests of its recipients' domain. Where
// recipients differ it is that of [digest]: all of them get the same header, so that the mail goes on in one piece.
func langOf(cfg *config.Config, rcpts []mail.Address) text.Lang {
	all := text.Lang(cfg.Digest.Lang)
	if len(rcpts) == 0 {
		return all
	}
	first := cfg.DigestOf(rcpts[0].Domain).Lang
	for i := 1; i < len(rcpts); i++ {
		if rcpts[i].Domain != rcpts[i-1].Domain && cfg.DigestOf(rcpts[i].Domain).Lang != first {
			return all
		}
	}
	return text.Lang(first)
}

// sentences say to the recipient why a mail was treated as it was, as the digest does: without names of rules, lists and findings and
// without points. "" for a mail that was simply delivered, unless something could not be looked at that recipients are told of.
func sentences(v *mail.Verdict, lang text.Lang) string {
	plain := v.Word() == mail.Deliver.String() && v.RuleID == "" && v.Would == ""
	if plain && len(v.Degraded) == 0 {
		return ""
	}
	why := text.Reason(*v, lang)
	if plain && why == text.Reason(mail.Verdict{}, lang) {
		return "" // such as a check that is not trained yet: every mail would say that nothing was found
	}
	return why
}

const (
	encodedLine = 76 // octets of a line with an encoded word (RFC 2047 section 2)
	encodedWord = len("=?utf-8?B?") + len("?=")
)

// encodedField writes a header field in ASCII: as it stands where that will do, else in encoded words (RFC 2047), one on a line, none
// of which breaks a letter. An empty value makes no field.
func encodedField(name, value string) string {
	if value == "" {
		return ""
	}
	ascii := !strings.Contains(value, "=?")
	for i := 0; i < len(value) && ascii; i++ {
		ascii = value[i] >= ' ' && value[i] <= '~'
	}
	if ascii {
		return fold(name, value)
	}
	var b strings.Builder
	b.WriteString(name + ": ")
	room := encodedLine - b.Len()
	for first := true; value != ""; first = false {
		if !first {
			b.WriteString("\r\n\t")
			room = encodedLine - 1
		}
		n := min(len(value), max((room-encodedWord)/4*3, utf8.UTFMax))
		for n < len(value) && n > 1 && !utf8.RuneStart(value[n]) {
			n--
		}
		b.WriteString("=?utf-8?B?" + base64.StdEncoding.EncodeToString([]byte(value[:n])) + "?=")
		value = value[n:]
	}
	b.WriteString("\r\n")
	return b.String()
}
