package mail

import "strings"

// Message is a message as received, and what package mime read from it. It is not changed after it was made.
type Message struct {
	Raw       []byte // the octets between DATA and the final dot, dots removed, CRLF line ends; may be a read-only mapping
	HeaderLen int    // length of the header with the empty line that ends it
	Header    []Field
	Subject   string    // decoded
	MessageID string    // as it stands, without white space around
	From      []Mailbox // RFC 5322 From, all fields, all mailboxes
	ReplyTo   []Mailbox
	Sender    []Mailbox
	To        []Mailbox // To and Cc
	Cc        []Mailbox // Cc alone
	Parts     []Part    // all parts, depth first; [0] is the message itself
	Anomalies []string  // flags for what is malformed, such as "boundary_missing"; each once, sorted
}

// Field is one header field as it stands in Raw.
type Field struct {
	Name  string // as written, without the colon and white space before it
	Value string // unfolded and trimmed, not decoded
	Start int    // offset of the field in Raw
	End   int    // offset behind its last line end
}

// Mailbox is a display name and an address (RFC 5322 section 3.4).
type Mailbox struct {
	Name string // decoded
	Addr Address
	Raw  string // the address as written
}

// Part is one MIME entity. Multiparts are listed before what they contain.
type Part struct {
	Type     string // lower case, such as text/html; the default of RFC 2045 section 5.2 when absent or unreadable
	Charset  string // as declared, lower case
	Encoding string // Content-Transfer-Encoding, lower case
	Name     string // decoded file name; empty when it has none
	// OtherNames are further names the same file was given: readers of mail differ in which they show.
	OtherNames []string
	ID         string // Content-ID without its angle brackets, as written; "" when it has none
	Attached   bool   // Content-Disposition: attachment
	Depth      int    // 0 for the message
	Head       int    // offset of its header in Raw
	Start      int    // of its body
	End        int
	Text       string   // for text parts: decoded, UTF-8, bounded
	Hidden     string   // of HTML: text that is there and not displayed; bounded
	HTML       bool     // Text is made from HTML: tags removed
	Tags       []string // of HTML, each once: "img", and "img.src" for an attribute
	Links      []Link
	File       File // of an attachment
}

// File is what the octets of an attachment say, whatever its name and type. Nothing is unpacked for it.
type File struct {
	// Kind is what it begins like: zip, office (a zip that is a document), rar, 7z, cab, lzh, ace, tar, gzip, bzip2, xz, zstd, ole, pdf, rtf,
	// onenote, image, program, shortcut, help, disk; "" for anything else.
	Kind        string
	Inside      []string // names in a zip archive, the first 200, or of what is packed by itself (gzip)
	InsideTypes []string // extensions of all names in it, each once; of more than 100 only those of programs, and it is Unread
	Locked      bool     // an archive or document that needs a password
	Unread      bool     // an archive, image or document in which nobody can say all that there is
	Macros      bool     // a document with a program in it
}

// Link is a URL in a part and the text it was shown with, if that is known.
type Link struct{ URL, Text string }

// Get returns the value of the first header field of that name (any case), or "".
func (m *Message) Get(name string) string {
	for i := range m.Header {
		if strings.EqualFold(m.Header[i].Name, name) {
			return m.Header[i].Value
		}
	}
	return ""
}

// CountHeader returns how many header fields have that name.
func (m *Message) CountHeader(name string) int {
	n := 0
	for i := range m.Header {
		if strings.EqualFold(m.Header[i].Name, name) {
			n++
		}
	}
	return n
}

// Text returns the text of all text parts, one after the other, and behind that of each what it hides.
func (m *Message) Text() string {
	var only string
	n := 0
	for i := range m.Parts {
		for _, t := range [...]string{m.Parts[i].Text, m.Parts[i].Hidden} {
			if t != "" {
				only = t
				n++
			}
		}
	}
	if n <= 1 {
		return only
	}
	var b strings.Builder
	for i := range m.Parts {
		for _, t := range [...]string{m.Parts[i].Text, m.Parts[i].Hidden} {
			if t != "" {
				b.WriteString(t)
				b.WriteByte('\n')
			}
		}
	}
	return b.String()
}

// Attachments returns the parts that a reader of mail shows as files: those that have a name or ask to be shown as one, mails
// within the mail, and what is neither text nor a multipart.
func (m *Message) Attachments() []*Part {
	var list []*Part
	for i := range m.Parts {
		p := &m.Parts[i]
		switch {
		case strings.HasPrefix(p.Type, "multipart/"), i == 0 && p.Name == "" && !p.Attached && p.isText():
		case p.Attached, p.Name != "", !p.isText():
			list = append(list, p)
		}
	}
	return list
}

// Size is how many octets the part has when it is decoded; of base64 the number that its length stands for, which is not counted.
func (p *Part) Size() int {
	n := max(p.End-p.Start, 0)
	if p.Encoding == "base64" {
		// Lines of 76 characters with their line ends hold 57 octets.
		return n/78*57 + n%78*3/4
	}
	return n
}

func (p *Part) isText() bool { return p.Type == "text/plain" || p.Type == "text/html" || p.Text != "" }

// Content is what is relayed, spooled or held: octets in pieces, so that header fields are put on top, and fields left
// out, without copying the message.
type Content [][]byte

// Len returns the number of octets.
func (c Content) Len() int64 {
	var n int64
	for _, p := range c {
		n += int64(len(p))
	}
	return n
}

// Bytes returns the octets in one piece.
func (c Content) Bytes() []byte {
	b := make([]byte, 0, c.Len())
	for _, p := range c {
		b = append(b, p...)
	}
	return b
}

// FileNames returns the names of the files that the message carries, at most so many and each at most 200 octets long, and how
// many there are. Pictures that stand in the text are no files.
func (m *Message) FileNames(most int) (names []string, count int) {
	for i := range m.Parts {
		p := &m.Parts[i]
		if p.Name == "" && !p.Attached || !p.Attached && strings.HasPrefix(p.Type, "image/") {
			continue
		}
		count++
		if name := p.Name; len(names) < most {
			if len(name) > 200 {
				name = strings.ToValidUTF8(name[:200], "")
			}
			names = append(names, name)
		}
	}
	return names, count
}
