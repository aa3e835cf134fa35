package digest

import (
	"bytes"
	"fmt"
	"html/template"
	"slices"
	"strconv"
	"strings"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/mail"
	"sekimori/internal/people"
	"sekimori/internal/text"
	"sekimori/quarantine"
)

// Entry is one held mail of a digest, and those of its recipients whose copies are the person's to decide about.
type Entry struct {
	Item quarantine.Item
	To   []mail.Address
	// Again says that it stood in an earlier digest, of which nobody knows whether it arrived.
	Again bool
}

// Links makes the links of digests. Each only shows a page.
type Links interface {
	// Link opens a mail, or with an empty id the person's list; action is show, lang or stop.
	Link(person mail.Address, id, action string) (string, error)
}

// Digest is what one mail is made of. All but Requested must be set.
type Digest struct {
	ID       string // of the entry in the queue; the Message-ID is made of it
	Person   people.Person
	Mark     people.Mark
	Entries  []Entry
	Total    int // of mails that are told of; more than Entries when the list is cut
	Settings config.DigestOf
	URL      string // of the pages
	Now      time.Time
	Links    Links
	// Dangerous reports whether a class is one that the person cannot release.
	Dangerous func(class string) bool
	// Requested says that the person asked for a list of everything; it may be empty.
	Requested bool
}

// page is what the parts are made of.
type page struct {
	Lang, Subject, Intro string
	Groups               []section
	More                 string
	List, ListURL        string
	Mark, Password, Way  string
	Stop, StopURL        string
	Other, OtherURL      string
	OtherLang            string
	Auto                 string

	NameL, FromL, SubjectL, ToL, ArrivedL, SizeL, FilesL, WhyL string
}

type section struct {
	Heading string
	Items   []view
}

// page says everything once, for both parts.
func (d *Digest) page() (*page, error) {
	lang := d.Person.Lang
	contact := d.Settings.Contact
	if lang == text.En {
		contact = d.Settings.ContactEn
	}
	v := &viewer{lang: lang, loc: d.Settings.Location(), contact: contact, dangerous: d.Dangerous}
	n := strconv.Itoa(d.Total)
	p := &page{
		Lang: string(lang), Subject: v.say("subject", "n", n), Intro: v.say("intro", "address", d.Person.Address.String(), "n", n),
		List: v.say("list"), Mark: v.say("mark", "mark", d.Mark.Words(lang), "contact", contact), Password: v.say("password"), Way: d.way(v),
		Stop: v.say("stop"), Other: v.say("other_language"), OtherLang: string(other(lang)), Auto: v.say("auto"),
		NameL: v.say("name"), FromL: v.say("from_address"), SubjectL: v.say("subject_line"), ToL: v.say("to"), ArrivedL: v.say("arrived"),
		SizeL: v.say("size"), FilesL: v.say("files"), WhyL: v.say("why"),
	}
	switch {
	case d.Requested && d.Total == 0:
		p.Subject, p.Intro = v.say("subject.list", "n", n), v.say("intro.none", "address", d.Person.Address.String())
	case d.Requested:
		p.Subject, p.Intro = v.say("subject.list", "n", n), v.say("intro.list", "address", d.Person.Address.String(), "n", n)
	case d.Total == 1:
		p.Subject, p.Intro = v.say("subject.one"), v.say("intro.one", "address", d.Person.Address.String())
	}
	if more := d.Total - len(d.Entries); more > 0 {
		p.More = v.say("more", "n", strconv.Itoa(more))
	}
	return p, d.fill(p, v)
}

func other(lang text.Lang) text.Lang {
	if lang == text.Ja {
		return text.En
	}
	return text.Ja
}

// way is how the list is found without a link.
func (d *Digest) way(v *viewer) string {
	portal := d.Settings.Portal
	if v.lang == text.En {
		portal = d.Settings.PortalEn
	}
	if portal != "" {
		return v.say("portal", "portal", portal)
	}
	return v.say("address", "url", d.URL)
}

// fill adds the mails and the links.
func (d *Digest) fill(p *page, v *viewer) error {
	entries := slices.Clone(d.Entries)
	sortItems(entries)
	for i := range entries {
		e := &entries[i]
		link, err := d.Links.Link(d.Person.Address, e.Item.ID, "show")
		if err != nil {
			return err
		}
		w := v.view(&e.Item, e.To, i+1, d.Total, link)
		if e.Again {
			w.Again = v.say("again")
		}
		if last := len(p.Groups) - 1; last < 0 || p.Groups[last].Items[0].Group != w.Group {
			p.Groups = append(p.Groups, section{Heading: v.say("group." + w.Group)})
		}
		last := &p.Groups[len(p.Groups)-1]
		last.Items = append(last.Items, w)
	}
	for _, l := range []struct {
		to     *string
		action string
	}{{&p.ListURL, "show"}, {&p.StopURL, "stop"}, {&p.OtherURL, "lang"}} {
		var err error
		if *l.to, err = d.Links.Link(d.Person.Address, "", l.action); err != nil {
			return err
		}
	}
	return nil
}

// plain writes the text part.
func (p *page) plain() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", p.Intro)
	for _, s := range p.Groups {
		fmt.Fprintf(&b, "\n%s\n%s\n", p.heading(s.Heading), strings.Repeat("-", 60))
		for i := range s.Items {
			b.WriteString("\n")
			p.item(&b, &s.Items[i])
		}
	}
	if p.More != "" {
		fmt.Fprintf(&b, "\n%s\n", p.More)
	}
	fmt.Fprintf(&b, "\n%s\n%s\n\n%s\n", strings.Repeat("-", 60), p.link(p.List, p.ListURL), p.Mark)
	fmt.Fprintf(&b, "%s%s%s\n\n%s\n%s\n\n%s\n", p.Password, p.gap(), p.Way, p.link(p.Stop, p.StopURL), p.link(p.Other, p.OtherURL), p.Auto)
	return b.String()
}

func (p *page) heading(s string) string {
	if p.Lang == string(text.Ja) {
		return "■ " + s
	}
	return "* " + s
}

func (p *page) gap() string {
	if p.Lang == string(text.Ja) {
		return ""
	}
	return " "
}

// link writes words and their URL, which stands on a line of its own so that nothing is taken for a part of it.
func (p *page) link(words, url string) string {
	if p.Lang == string(text.Ja) {
		return words + "：\n" + url
	}
	return words + ":\n" + url
}

// labelWidth is that of the longest label in the Japanese text, in wide characters.
const labelWidth = 10

func (p *page) item(b *strings.Builder, w *view) {
	line := func(label, value string) {
		switch {
		case value == "":
		case p.Lang == string(text.Ja):
			fmt.Fprintf(b, "%s%s：%s\n", label, strings.Repeat("　", max(0, labelWidth-len([]rune(label)))), defuse(value))
		default:
			fmt.Fprintf(b, "%-15s %s\n", label+":", defuse(value))
		}
	}
	fmt.Fprintf(b, "%s\n", w.Title)
	if w.Again != "" {
		fmt.Fprintf(b, "%s\n", w.Again)
	}
	line(p.NameL, w.Name)
	line(p.FromL, w.From)
	line(p.SubjectL, w.Subject)
	line(p.ToL, w.To)
	if p.Lang == string(text.Ja) {
		line(p.ArrivedL, w.Arrived+"　"+p.SizeL+"："+w.Size+"　"+p.FilesL+"："+w.Files)
		line(p.WhyL, w.Why)
		fmt.Fprintf(b, "\n・%s\n・%s\n　%s\n　%s：\n　%s\n", w.Nothing, w.Business, w.Safe, w.Show, w.Link)
		return
	}
	line(p.ArrivedL, w.Arrived)
	line(p.SizeL, w.Size)
	line(p.FilesL, w.Files)
	line(p.WhyL, w.Why)
	fmt.Fprintf(b, "\n- %s\n- %s\n  %s\n  %s:\n  %s\n", w.Nothing, w.Business, w.Safe, w.Show, w.Link)
}

// defuse keeps programs from making a link of a URL that came from a mail.
func defuse(s string) string {
	s = strings.ReplaceAll(s, "://", ": //")
	return strings.ReplaceAll(s, "www.", "www .")
}

// html writes the HTML part.
func (p *page) html() (string, error) {
	var b bytes.Buffer
	if err := htmlPart().Execute(&b, p); err != nil {
		return "", fmt.Errorf("digest: %w", err)
	}
	return b.String(), nil
}

// soft lets long words break, and keeps programs from making links of addresses that came from a mail: after each dot, slash, colon
// and at-sign stands a <wbr>.
func soft(s string) template.HTML {
	var b strings.Builder
	for _, r := range defuse(s) {
		b.WriteString(template.HTMLEscapeString(string(r)))
		if strings.ContainsRune("./:@-_?&=", r) {
			b.WriteString("<wbr>")
		}
	}
	return template.HTML(b.String()) //nolint:gosec // every character was escaped
}
