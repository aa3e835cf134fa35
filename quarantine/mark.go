package quarantine

import (
	"bytes"
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"sekimori/internal/mail"
)

// The header fields that a released mail has on top. Fields of these names that come in are taken away by the front.
const (
	FieldReleased  = "X-Sekimori-Released"  // id, by whom, when
	FieldSignature = "X-Sekimori-Signature" // see Marker
	FieldToken     = "X-Sekimori-Token"     // the static token
)

// Marker says by what the backend can know that a mail was released here.
//
// With a Key the mail gets a signature in the form of DKIM's tags: v=1; a=hmac-sha256; k=, the first octets of the key's hash; id=, the
// mail; t=, when it was released, in seconds; bh=, SHA-256 of the body with CRLF line ends and without empty lines at its end; r=, for each
// recipient a value that only who knows the key and the recipient can make, so that nobody learns of the others; b=, HMAC-SHA256 with the
// key over all before it, without white space. With a Token that stands in a field of its own, for backends that can only compare:
// whoever has such a mail knows it, so it protects only together with a gateway that takes such fields away, and is changed from time to time.
type Marker struct{ Key, Token string }

// Errors of VerifyMark.
var (
	ErrNoMark  = errors.New("quarantine: the mail has no signature of a release")
	ErrBadMark = errors.New("quarantine: the signature of the release does not fit the mail")
)

const (
	rcptOctets = 12
	markRcpts  = 100
	markFuture = 10 * time.Minute // clocks differ
)

// fields returns the fields for one copy of a released mail.
func (m Marker) fields(h *Held, g group, rcpts []mail.Address, body mail.Content) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s: %s\r\n by %s\r\n at %s\r\n", FieldReleased, h.ID, cmp.Or(cleanBy(g.by), "unknown"), g.at.UTC().Format(time.RFC3339))
	if m.Key != "" {
		b.WriteString(m.sign(h.ID, g.at, rcpts, body))
	}
	if m.Token != "" {
		b.WriteString(FieldToken + ": " + m.Token + "\r\n")
	}
	return b.Bytes()
}

func (m Marker) sign(id string, at time.Time, rcpts []mail.Address, body mail.Content) string {
	tags := []string{
		"v=1", "a=hmac-sha256", "k=" + m.keyID(), "id=" + id, "t=" + strconv.FormatInt(at.Unix(), 10), "bh=" + bodyHash(contiguous(body)),
	}
	for i, r := range rcpts[:min(len(rcpts), markRcpts)] {
		tag := ":" + m.rcptMark(id, r)
		if i == 0 {
			tag = "r=" + tag[1:]
		}
		tags = append(tags, tag)
	}
	text := joinTags(tags)
	return FieldSignature + ": " + strings.Join(fold76(tags), "") + ";\r\n b=" + m.mac("mark", text) + "\r\n"
}

// joinTags gives the text that is signed: recipients are one tag of several parts.
func joinTags(tags []string) string {
	return strings.ReplaceAll(strings.Join(tags, ";"), ";:", ":") + ";"
}

// fold76 puts the tags into lines of a header field.
func fold76(tags []string) []string {
	var out []string
	length := len(FieldSignature) + 2
	for i, t := range tags {
		sep := "; "
		if strings.HasPrefix(t, ":") {
			sep = ""
		}
		if i == 0 {
			sep = ""
		}
		if length+len(sep)+len(t) > 76 {
			sep, length = strings.TrimSuffix(sep, " ")+"\r\n ", 1
		}
		length += len(sep) + len(t)
		out = append(out, sep+t)
	}
	return out
}

func (m Marker) keyID() string {
	sum := sha256.Sum256([]byte(m.Key))
	return hex.EncodeToString(sum[:4])
}

func (m Marker) sum(use, text string) []byte {
	h := hmac.New(sha256.New, []byte(m.Key))
	h.Write([]byte(use + "\x00" + text))
	return h.Sum(nil)
}

func (m Marker) mac(use, text string) string {
	return base64.StdEncoding.EncodeToString(m.sum(use, text))
}

func (m Marker) rcptMark(id string, r mail.Address) string {
	return base64.RawURLEncoding.EncodeToString(m.sum("rcpt", id+"\x00"+r.Key())[:rcptOctets])
}

// bodyHash is of what follows the header, whatever its line ends are now.
func bodyHash(raw []byte) string {
	body := bytes.ReplaceAll(bodyOf(raw), []byte("\r\n"), []byte("\n"))
	sum := sha256.Sum256(bytes.TrimRight(body, "\n"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

func bodyOf(raw []byte) []byte {
	crlf, lf := bytes.Index(raw, []byte("\r\n\r\n")), bytes.Index(raw, []byte("\n\n"))
	switch {
	case bytes.HasPrefix(raw, []byte("\r\n")):
		return raw[2:]
	case bytes.HasPrefix(raw, []byte("\n")):
		return raw[1:]
	case crlf >= 0 && (lf < 0 || crlf < lf):
		return raw[crlf+4:]
	case lf >= 0:
		return raw[lf+2:]
	}
	return nil
}

// Mark is what a signature says.
type Mark struct {
	ID   string    `json:"id"`
	At   time.Time `json:"at"`
	Rcpt string    `json:"rcpt"` // whose copy it is
}

// VerifyMark checks the signature of a mail as the backend has it, for a recipient, with keys of which one has signed it. The topmost
// signature counts. maxAge 0 is no limit. ErrNoMark, ErrBadMark.
func VerifyMark(raw []byte, rcpt mail.Address, keys []string, now time.Time, maxAge time.Duration) (Mark, error) {
	value := strings.Join(strings.Fields(headerField(raw, FieldSignature)), "")
	if value == "" {
		return Mark{}, ErrNoMark
	}
	text, b, ok := strings.Cut(value, ";b=")
	if !ok {
		return Mark{}, fmt.Errorf("%w: it has no b=", ErrBadMark)
	}
	tags := map[string]string{}
	for _, t := range strings.Split(text, ";") {
		name, v, _ := strings.Cut(t, "=")
		if _, twice := tags[name]; twice {
			return Mark{}, fmt.Errorf("%w: %s= stands twice", ErrBadMark, name)
		}
		tags[name] = v
	}
	if tags["v"] != "1" || tags["a"] != "hmac-sha256" {
		return Mark{}, fmt.Errorf("%w: version %q, algorithm %q", ErrBadMark, tags["v"], tags["a"])
	}
	i := slices.IndexFunc(keys, func(k string) bool { return k != "" && Marker{Key: k}.keyID() == tags["k"] })
	if i < 0 {
		return Mark{}, fmt.Errorf("%w: it was made with another key", ErrBadMark)
	}
	m := Marker{Key: keys[i]}
	if !hmac.Equal([]byte(b), []byte(m.mac("mark", text+";"))) {
		return Mark{}, fmt.Errorf("%w: it was not made with the key", ErrBadMark)
	}
	if tags["bh"] != bodyHash(raw) {
		return Mark{}, fmt.Errorf("%w: the body is another one", ErrBadMark)
	}
	if !slices.Contains(strings.Split(tags["r"], ":"), m.rcptMark(tags["id"], rcpt)) {
		return Mark{}, fmt.Errorf("%w: it was not released for %s", ErrBadMark, rcpt)
	}
	sec, err := strconv.ParseInt(tags["t"], 10, 64)
	at := time.Unix(sec, 0).UTC()
	if err != nil || at.After(now.Add(markFuture)) || maxAge > 0 && now.Sub(at) > maxAge {
		return Mark{}, fmt.Errorf("%w: it is of %s", ErrBadMark, at.Format(time.RFC3339))
	}
	return Mark{ID: tags["id"], At: at, Rcpt: rcpt.String()}, nil
}

// headerField returns the value of the topmost field of a name, with its folds.
func headerField(raw []byte, name string) string {
	value, found := "", false
	for line := range bytes.Lines(raw[:min(len(raw), 1<<20)]) {
		text := strings.TrimRight(string(line), "\r\n")
		switch {
		case text == "":
			return value
		case text[0] == ' ' || text[0] == '\t':
			if found {
				value += text
			}
			continue
		case found:
			return value
		}
		if field, v, ok := strings.Cut(text, ":"); ok && strings.EqualFold(field, name) {
			value, found = v, true
		}
	}
	return value
}
