package filters

import (
	"bufio"
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The verifier in this file is for the signatures about which go-msgauth cannot be right (dkimSig.unlike). It does the
// whole of RFC 6376 section 6.1 for one signature and is held to the library's answers by a test over generated mail.

// dkimAnswer is the result of one signature in the words of RFC 8601 section 2.7.1, and why.
type dkimAnswer struct{ result, why string }

// verifyOwn needs s.key without an error. Its time is linear in the length of the message.
func (m *dkimMail) verifyOwn(s *dkimSig, now time.Time) dkimAnswer {
	if why := s.malformed(now); why != "" {
		return dkimAnswer{"permerror", why}
	}
	if why := s.key.mismatch(s.algo); why != "" {
		return dkimAnswer{"permerror", why}
	}
	headerCan, bodyCan, ok := canonicalizations(s.tags["c"])
	if !ok {
		return dkimAnswer{"permerror", "unsupported canonicalization"}
	}
	bodyHash, err1 := base64.StdEncoding.DecodeString(noSpace(s.tags["bh"]))
	signature, err2 := base64.StdEncoding.DecodeString(s.b)
	if err1 != nil || err2 != nil {
		return dkimAnswer{"permerror", "malformed signature"}
	}
	sum, length := hashBody(m.body, bodyCan == "relaxed")
	if l, has := s.tags["l"]; has {
		n, err := strconv.ParseInt(noSpace(l), 10, 64)
		if err != nil || n > length {
			return dkimAnswer{"permerror", "malformed l="}
		}
		if n < length {
			// Whoever passes it on can append what he likes (RFC 6376 section 8.2).
			return dkimAnswer{"policy", "l= leaves a part of the body unsigned"}
		}
	}
	if subtle.ConstantTimeCompare(sum, bodyHash) != 1 {
		return dkimAnswer{"fail", "body hash did not verify"}
	}
	if !s.key.verifies(m.hashHeader(s, headerCan == "relaxed"), signature) {
		return dkimAnswer{"fail", "signature did not verify"}
	}
	return dkimAnswer{result: "pass"}
}

// malformed is RFC 6376 section 6.1.1.
func (s *dkimSig) malformed(now time.Time) string {
	if s.broken {
		return "malformed signature tags"
	}
	if s.tags["v"] != "1" {
		return "incompatible signature version"
	}
	for _, tag := range []string{"a", "b", "bh", "d", "h", "s"} {
		if _, ok := s.tags[tag]; !ok {
			return "signature missing required tag"
		}
	}
	if !withinDomain(s.identity, s.domain) {
		return "domain mismatch"
	}
	if !slices.Contains(s.names, "from") {
		return "From field not signed"
	}
	if q, has := s.tags["q"]; has && !slices.Contains(strings.Split(noSpace(q), ":"), "dns/txt") {
		return "unsupported public key query method"
	}
	if _, has := s.tags["x"]; has {
		if s.expiry().IsZero() {
			return "malformed expiration time"
		}
		if now.After(s.expiry()) {
			return "signature has expired"
		}
	}
	return ""
}

// withinDomain says whether the domain of an i= is d= or below it; an empty i= is.
func withinDomain(identity, domain string) bool {
	if identity == "" {
		return true
	}
	identity = strings.ToLower(identity)
	return strings.HasSuffix(identity, "@"+domain) || strings.HasSuffix(identity, "."+domain)
}

// mismatch says why the key is not one for a signature with that a= (RFC 6376 section 6.1.2).
func (k *dkimKey) mismatch(algo string) string {
	kind, hash, _ := strings.Cut(algo, "-")
	switch {
	case len(k.txt) == 0 || k.public == nil:
		return "no valid key found"
	case len(k.hashes) > 0 && !slices.Contains(k.hashes, hash):
		return "inappropriate hash algorithm"
	case hash != "sha256":
		return "unsupported hash algorithm"
	case kind != k.kind:
		return "inappropriate key algorithm"
	case len(k.services) > 0 && !slices.Contains(k.services, "*") && !slices.Contains(k.services, "email"):
		return "inappropriate service"
	}
	return ""
}

func (k *dkimKey) verifies(sum, signature []byte) bool {
	switch public := k.public.(type) {
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(public, crypto.SHA256, sum, signature) == nil
	case ed25519.PublicKey:
		return ed25519.Verify(public, sum, signature)
	}
	return false
}

// canonicalizations reads c= (RFC 6376 section 3.5): HEADER[/BODY], each simple by default.
func canonicalizations(c string) (header, body string, ok bool) {
	header, body, _ = strings.Cut(noSpace(c), "/")
	if header == "" {
		header = "simple"
	}
	if body == "" {
		body = "simple"
	}
	known := []string{"simple", "relaxed"}
	return header, body, slices.Contains(known, header) && slices.Contains(known, body)
}

// hashHeader hashes what h= names (RFC 6376 section 5.4.2: repeated names take fields from the bottom up) and then the
// signature itself without its b=.
func (m *dkimMail) hashHeader(s *dkimSig, relaxed bool) []byte {
	where := map[string][]int{}
	for i, f := range m.fields {
		where[f.name] = append(where[f.name], i)
	}
	hash := sha256.New()
	for _, name := range s.names {
		at := where[name]
		if len(at) == 0 {
			continue
		}
		io.WriteString(hash, canonicalField(m.fields[at[len(at)-1]].text, relaxed))
		where[name] = at[:len(at)-1]
	}
	io.WriteString(hash, strings.TrimRight(canonicalField(s.unsigned(), relaxed), "\r\n"))
	return hash.Sum(nil)
}

// canonicalField is RFC 6376 sections 3.4.1 and 3.4.2.
func canonicalField(text string, relaxed bool) string {
	if !relaxed {
		return text
	}
	name, value, _ := strings.Cut(text, ":")
	words := strings.FieldsFunc(value, func(r rune) bool { return r == ' ' || r == '\t' || r == '\r' || r == '\n' })
	return strings.ToLower(strings.TrimSpace(name)) + ":" + strings.Join(words, " ") + "\r\n"
}

// hashBody is RFC 6376 sections 3.4.3 and 3.4.4; length is that of the canonical body. Bare LF counts as CRLF.
func hashBody(body []byte, relaxed bool) (sum []byte, length int64) {
	hash := sha256.New()
	w := bufio.NewWriterSize(hash, 32<<10)
	empty := 0
	write := func(p []byte) { n, _ := w.Write(p); length += int64(n) }
	crlf := []byte("\r\n")
	for len(body) > 0 {
		var line []byte
		line, body, _ = bytes.Cut(body, []byte("\n"))
		line = bytes.TrimSuffix(line, []byte("\r"))
		if relaxed {
			line = bytes.TrimRight(line, " \t")
		}
		if len(line) == 0 {
			empty++
			continue
		}
		for ; empty > 0; empty-- {
			write(crlf)
		}
		if relaxed {
			writeRelaxed(line, write)
		} else {
			write(line)
		}
		write(crlf)
	}
	if !relaxed && length == 0 {
		write(crlf)
	}
	_ = w.Flush() // a hash never fails
	return hash.Sum(nil), length
}

// writeRelaxed writes a line with each run of white space as one space.
func writeRelaxed(line []byte, write func([]byte)) {
	for len(line) > 0 {
		i := bytes.IndexAny(line, " \t")
		if i < 0 {
			write(line)
			return
		}
		write(line[:i])
		write([]byte{' '})
		line = bytes.TrimLeft(line[i:], " \t")
	}
}
