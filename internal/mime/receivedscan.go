package mime

import (
	"strings"
)

type token struct {
	text    string
	comment bool
}

// receivedScanner divides a value into words and comments at the top level, up to the semicolon before the date.
type receivedScanner struct{ rest string }

// next returns the next token, the empty word at the end. A comment that is not closed ends the field.
func (s *receivedScanner) next() token {
	s.rest = strings.TrimLeft(s.rest, " \t\r\n")
	if s.rest == "" || s.rest[0] == ';' {
		return token{}
	}
	if s.rest[0] == '(' {
		return token{s.comment(), true}
	}
	end := strings.IndexAny(s.rest, " \t\r\n(;")
	if end < 0 {
		end = len(s.rest)
	}
	word := s.rest[:end]
	s.rest = s.rest[end:]
	return token{word, false}
}

// comment takes a balanced comment (RFC 5322 section 3.2.2) and returns what is in it.
func (s *receivedScanner) comment() string {
	depth := 0
	for i := 0; i < len(s.rest); i++ {
		switch s.rest[i] {
		case '\\':
			i++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				in := s.rest[1:i]
				s.rest = s.rest[i+1:]
				return strings.TrimSpace(in)
			}
		}
	}
	s.rest = ""
	return ""
}
