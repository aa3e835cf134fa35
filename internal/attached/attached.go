// Package attached finds the mails that are attached to another: what people hand in when they forward mail as an attachment.
//
// Programs attach a mail in several ways: as message/rfc822 (Thunderbird, Apple Mail, Gmail, Outlook through Exchange), the same in
// base64, which RFC 2046 section 5.2.1 does not allow, or as a file NAME.eml of any type. What cannot be read (Outlook's own formats,
// archives) is listed with the reason. A mail quoted in the text of another is not found: its header is gone, and it would teach the
// words of the one who forwards it.
package attached

import (
	"slices"
	"strings"

	"sekimori/internal/mail"
	"sekimori/internal/mime"
)

// Options say what Find takes.
type Options struct {
	Mails int // at most so many; more are Found.Many
	Size  int // octets of one mail; a larger one is listed in Found.Unread
	// Ours reports whether an address is of one's own people. A mail of theirs that has mails attached is taken for a forward of a
	// forward: those are what was meant. nil: nobody's is.
	Ours func(mail.Address) bool
	// Digests reports whether an address is the sender of mails of this gateway's own; nil: none is.
	Digests func(mail.Address) bool
}

// Why a mail is not read.
const (
	Outlook = "outlook" // .msg or winmail.dat
	Archive = "archive" // a zip with mails in it
	Large   = "large"   // more than Options.Size
	NoMail  = "no mail" // named .eml, and is none
)

// Unread is an attachment that seems to hold a mail and is not read.
type Unread struct {
	Name string // of the file, as the sender chose it; may be empty
	Why  string
}

// Found is what is attached to a mail.
type Found struct {
	// Mails begin with their header, without what this gateway and those behind it have put on top. They may be parts of the octets of
	// the mail, and have no room behind them.
	Mails  [][]byte
	Unread []Unread
	Own    int  // digests and other mails of this gateway's own, which are left out
	Many   bool // more than Options.Mails, or so many parts that not all were looked at; Mails are then not all
}

// Find looks into a mail that mime.Parse has read.
func Find(m *mail.Message, o Options) Found {
	f := finder{o: o}
	f.look(m, true)
	return f.Found
}

type finder struct {
	o Options
	Found
}

// look finds what is attached to m itself. open says that a forward in it is opened, too.
func (f *finder) look(m *mail.Message, open bool) {
	if slices.Contains(m.Anomalies, "parts_exceeded") || slices.Contains(m.Anomalies, "depth_exceeded") {
		f.Many = true
	}
	end := 0 // of the attached mail that was passed last
	for i := range m.Parts {
		p := &m.Parts[i]
		if i > 0 && p.Head < end || strings.HasPrefix(p.Type, "multipart/") {
			continue
		}
		if isMessage(p.Type) || named(p, ".eml") {
			end = max(end, p.End)
			f.take(m, p, open)
			continue
		}
		if why := unreadable(p); why != "" {
			f.Unread = append(f.Unread, Unread{p.Name, why})
		}
	}
}

func isMessage(ctype string) bool { return ctype == "message/rfc822" || ctype == "message/global" }

// named reports whether a part is a file with that extension by one of its names: readers of mail differ in which they show.
func named(p *mail.Part, ext string) bool {
	has := func(n string) bool { return len(n) >= len(ext) && strings.EqualFold(n[len(n)-len(ext):], ext) }
	return has(p.Name) || slices.ContainsFunc(p.OtherNames, has)
}

// unreadable says why a part that is no mail seems to hold one all the same.
func unreadable(p *mail.Part) string {
	switch {
	case named(p, ".msg"), p.Type == "application/vnd.ms-outlook", p.Type == "application/ms-tnef", p.Type == "application/vnd.ms-tnef",
		named(p, "winmail.dat"):
		return Outlook
	case slices.ContainsFunc(p.File.InsideTypes, func(ext string) bool { return ext == "eml" || ext == "msg" }):
		return Archive
	}
	return ""
}

// take takes one attached mail.
func (f *finder) take(m *mail.Message, p *mail.Part, open bool) {
	raw := m.Raw[p.Start:p.End]
	if p.Encoding == "base64" || p.Encoding == "quoted-printable" {
		raw = mime.Octets(m, p, f.o.Size+1)
	}
	if len(raw) > f.o.Size {
		f.Unread = append(f.Unread, Unread{p.Name, Large})
		return
	}
	inner := mime.Parse(raw)
	switch {
	case !isMail(inner):
		f.Unread = append(f.Unread, Unread{p.Name, NoMail})
	case f.digest(inner):
		f.Own++
	case open && f.forward(inner):
		f.look(inner, false)
	case len(f.Mails) >= f.o.Mails:
		f.Many = true
	default:
		f.Mails = append(f.Mails, slices.Clip(raw[ours(inner):]))
	}
}

// isMail reports whether there is a header that a mail would have, and not just any text.
func isMail(m *mail.Message) bool {
	known := 0
	for i := range m.Header {
		switch strings.ToLower(m.Header[i].Name) {
		case "from", "date", "subject", "message-id", "received", "to", "mime-version", "return-path":
			known++
		}
	}
	return known >= 2
}

// forward reports whether one of our own people has sent the mail from inside, with mails attached. What has passed this gateway came
// from elsewhere, whoever it says it is from.
func (f *finder) forward(m *mail.Message) bool {
	if f.o.Ours == nil || len(m.From) != 1 || !f.o.Ours(m.From[0].Addr) || passed(m) {
		return false
	}
	return slices.ContainsFunc(m.Parts, func(p mail.Part) bool { return isMessage(p.Type) || named(&p, ".eml") })
}

const ourPrefix = "x-sekimori-"

// passed reports whether the mail came in by this gateway, on any host: such fields of others are taken away there.
func passed(m *mail.Message) bool { return lastOurs(m) >= 0 }

// lastOurs is the position of the last header field of ours; -1: there is none.
func lastOurs(m *mail.Message) int {
	last := -1
	for i := range m.Header {
		if name := m.Header[i].Name; len(name) > len(ourPrefix) && strings.EqualFold(name[:len(ourPrefix)], ourPrefix) {
			last = i
		}
	}
	return last
}

// digest reports whether the mail is one of this gateway's own, such as a digest. A forged one has passed it.
func (f *finder) digest(m *mail.Message) bool {
	return f.o.Digests != nil && len(m.From) == 1 && f.o.Digests(m.From[0].Addr) && m.Get("Auto-Submitted") != "" && !passed(m)
}

// ours returns the length of what was written on top of the header by this gateway, on any of its hosts, and by the servers behind it:
// our fields end in our Received. Where a program has put the fields into another order, all of them stay.
func ours(m *mail.Message) int {
	last := lastOurs(m)
	if last < 0 {
		return 0
	}
	written := func(f mail.Field) bool { // by whoever wrote the mail
		return slices.Contains([]string{"from", "to", "subject", "date", "message-id"}, strings.ToLower(f.Name))
	}
	for i := last + 1; i < len(m.Header); i++ {
		if !strings.EqualFold(m.Header[i].Name, "Received") {
			continue
		}
		if slices.ContainsFunc(m.Header[:i], written) || !slices.ContainsFunc(m.Header[i:], written) {
			return 0
		}
		return m.Header[i].End
	}
	return 0
}
