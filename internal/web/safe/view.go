package safe

import (
	"strings"

	"sekimori/internal/mail"
	"sekimori/internal/mime"
	"sekimori/internal/text"
)

// The limits of what is shown of one mail; what exceeds them is said, never passed over.
const (
	maxBody   = 100_000 // characters of text
	maxFields = 200
	maxValue  = 2000 // characters of one field
	maxFiles  = 100
	maxName   = 200
	maxLinks  = 200
	maxURL    = 300
)

// View is one mail as it may be shown. All strings are cleaned with text.Reveal.
type View struct {
	Subject string
	From    []Mailbox
	To      []Mailbox
	Date    string // as the mail says
	Text    string // of the body, with line ends; made from the markup when there is no plain text
	Cut     bool   // the text is longer
	Plain   bool   // Text is a part of its own, not made from the markup
	HTML    bool   // there is markup: Document shows it
	Files   []File
	MoreFil int // so many files are not listed
	Links   []Link
	Fields  []Field
	MoreFld int
	// Anomalies are the names of what is malformed (package mime), for administrators.
	Anomalies []string
}

// Mailbox is a name that a mail claims and the address beside it.
type Mailbox struct {
	Name, Addr string
	// Disguised says that the name itself is written like an address, and of another domain.
	Disguised bool
}

// File is an attachment.
type File struct {
	Name   string // "" when it has none
	Others []string
	Type   string // as the mail says
	Size   int64
	Tricky bool // the name holds hidden or turning characters, a path, or two endings of which the last one runs
}

// Link is a target and the text that it was shown with.
type Link struct {
	Text, URL, Host string
	Differs         bool // the text names another host than the target
}

// Field is one header field.
type Field struct {
	Name, Raw string
	Decoded   string // "" when it is as Raw
}

// New reads a mail for showing. Time and memory are bounded as in mime.Parse.
func New(raw []byte) (View, *mail.Message) {
	m := mime.Parse(raw)
	v := View{
		Subject: text.Reveal(m.Subject, maxValue), From: mailboxes(m.From), To: mailboxes(m.To),
		Date: text.Reveal(mime.DecodeHeader(m.Get("Date")), 100), Anomalies: m.Anomalies,
	}
	v.body(m)
	v.files(m)
	v.links(m)
	v.fields(m)
	return v, m
}

func mailboxes(list []mail.Mailbox) []Mailbox {
	var out []Mailbox
	for _, b := range list {
		if len(out) == 50 {
			break
		}
		addr := b.Addr.String()
		if b.Addr.IsNull() {
			addr = b.Raw
		}
		out = append(out, Mailbox{Name: text.Reveal(b.Name, maxName), Addr: text.Reveal(addr, maxName), Disguised: disguised(b)})
	}
	return out
}

// disguised: "support@bank.example" <x@evil.example> is read as coming from the bank.
func disguised(b mail.Mailbox) bool {
	for _, other := range mime.ParseMailboxes(strings.ReplaceAll(strings.ReplaceAll(b.Name, "＠", "@"), "<", " <")) {
		if other.Addr.Domain != "" && strings.Contains(other.Addr.Domain, ".") && !strings.EqualFold(other.Addr.Domain, b.Addr.Domain) {
			return true
		}
	}
	return false
}

// body finds what a reader of mail would show: the text that stands outside of files and of mails within the mail.
func (v *View) body(m *mail.Message) {
	plain, markup := bodies(m)
	v.HTML = markup != nil
	var b strings.Builder
	for _, p := range plain {
		b.WriteString(p.Text)
		b.WriteByte('\n')
	}
	body := strings.TrimSpace(b.String())
	v.Plain = body != ""
	if body == "" && markup != nil {
		body = markup.Text
	}
	v.Cut = len([]rune(body)) > maxBody
	v.Text = text.RevealLines(body, maxBody)
}

// bodies returns the plain parts and the first markup of the mail itself.
func bodies(m *mail.Message) (plain []*mail.Part, markup *mail.Part) {
	inner := -1 // depth of a mail within the mail
	for i := range m.Parts {
		p := &m.Parts[i]
		if inner >= 0 && p.Depth > inner {
			continue
		}
		inner = -1
		if strings.HasPrefix(p.Type, "message/") {
			inner = p.Depth
			continue
		}
		switch {
		case p.Attached || p.Name != "" && i != 0:
		case p.HTML:
			if markup == nil {
				markup = p
			}
		case p.Text != "":
			plain = append(plain, p)
		}
	}
	return plain, markup
}

func (v *View) files(m *mail.Message) {
	for _, p := range m.Attachments() {
		if len(v.Files) == maxFiles {
			v.MoreFil++
			continue
		}
		f := File{Name: text.Reveal(p.Name, maxName), Type: text.Reveal(p.Type, 100), Size: mime.Size(m, p), Tricky: tricky(p.Name)}
		for _, o := range p.OtherNames {
			if len(f.Others) < 5 {
				f.Others = append(f.Others, text.Reveal(o, maxName))
			}
			f.Tricky = f.Tricky || tricky(o)
		}
		v.Files = append(v.Files, f)
	}
}

// runs are endings of files that a double click starts.
const runs = " exe scr com bat cmd pif js jse vbs vbe wsf wsh hta lnk ps1 jar msi cpl iso img vhd vhdx one chm reg url "

func tricky(name string) bool {
	if strings.ContainsFunc(name, text.Hidden) || strings.ContainsAny(name, `/\`) {
		return true
	}
	parts := strings.Split(strings.ToLower(strings.TrimRight(name, " .")), ".")
	return len(parts) > 1 && strings.Contains(runs, " "+parts[len(parts)-1]+" ")
}

func (v *View) links(m *mail.Message) {
	seen := map[Link]bool{}
	for i := range m.Parts {
		for _, l := range m.Parts[i].Links {
			k := link(l.Text, l.URL)
			if k.Text == "" && k.Host == "" || k.URL == "" || seen[k] || len(v.Links) == maxLinks {
				continue
			}
			seen[k] = true
			v.Links = append(v.Links, k)
		}
	}
}

func (v *View) fields(m *mail.Message) {
	for _, f := range m.Header {
		if len(v.Fields) == maxFields {
			v.MoreFld = len(m.Header) - maxFields
			break
		}
		raw := text.Reveal(f.Value, maxValue)
		k := Field{Name: text.Reveal(f.Name, 100), Raw: raw}
		if d := text.Reveal(mime.DecodeHeader(f.Value), maxValue); d != raw {
			k.Decoded = d
		}
		v.Fields = append(v.Fields, k)
	}
}
