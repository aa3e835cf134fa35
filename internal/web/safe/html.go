package safe

import (
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/microcosm-cc/bluemonday"
	"golang.org/x/net/html"

	"sekimori/internal/text"
)

const (
	maxMarkup = 1 << 20 // octets that are written
	maxNest   = 150     // elements within each other
	maxTags   = 20_000
)

// structure is all that is let through. No style, no class, no id, no name, no target, no address but that of a link, which
// the second pass takes out as well.
var structure = []string{
	"p", "div", "br", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "pre", "code", "span", "b", "strong", "i", "em", "u", "s",
	"sub", "sup", "small", "ul", "ol", "li", "dl", "dt", "dd", "table", "thead", "tbody", "tfoot", "tr", "td", "th", "caption",
}

// policy is made once and is safe for concurrent use when it is no longer changed.
var policy = sync.OnceValue(func() *bluemonday.Policy {
	p := bluemonday.NewPolicy()
	p.AllowElements(structure...)
	p.AllowNoAttrs().OnElements(structure...)
	small := regexp.MustCompile(`^[0-9]{1,2}$`)
	p.AllowAttrs("colspan", "rowspan").Matching(small).OnElements("td", "th")
	p.AllowAttrs("align").Matching(regexp.MustCompile(`(?i)^(left|right|center)$`)).OnElements("td", "th", "p", "div", "table")
	// Every scheme: the target is shown and not kept.
	p.AllowAttrs("href").OnElements("a")
	p.AllowNoAttrs().OnElements("a")
	p.AllowURLSchemesMatching(regexp.MustCompile(`.`))
	p.AllowRelativeURLs(true)
	p.RequireParseableURLs(false)
	// Of the addresses only those of the mail's own pictures matter; open puts others out.
	p.AllowAttrs("alt", "src").OnElements("img")
	p.AllowNoAttrs().OnElements("img")
	p.AddSpaceWhenStrippingTag(true)
	// What stands in them is text that some reader shows: a start tag without its end must not hide the rest of the mail.
	p.AllowElementsContent("object", "frame", "frameset", "nostyle")
	return p
})

// Words are what the document says by itself, in the reader's language.
type Words struct {
	Lang    text.Lang
	Title   string // of the document
	Image   string // stands in front of a picture's name
	Target  string // stands in front of a link's target
	Differs string // warns of a link whose text names another host
	Cut     string // says that the mail goes on
}

// clean turns the markup of a mail into markup that does nothing.
func clean(source string, w Words, pictures *album) string {
	c := cleaner{words: w, pictures: pictures}
	z := html.NewTokenizer(strings.NewReader(policy().Sanitize(noscript.ReplaceAllString(source, " "))))
	for c.out.Len()-c.drawn < maxMarkup && c.tags < maxTags {
		switch z.Next() {
		case html.ErrorToken:
			c.closeAll()
			return c.out.String()
		case html.TextToken:
			c.text(z.Token().Data)
		case html.StartTagToken, html.SelfClosingTagToken:
			c.tags++
			c.open(z.Token())
		case html.EndTagToken:
			c.close(z.Token().Data)
		}
	}
	c.closeAll()
	c.out.WriteString(`<p class="cut">` + html.EscapeString(w.Cut) + "</p>")
	return c.out.String()
}

// noscript is what readers without scripts show; the first pass would take its content for raw text.
var noscript = regexp.MustCompile(`(?i)</?noscript[^>]*>?`)

type cleaner struct {
	words Words
	// pictures of the mail; nil: none are shown
	pictures *album
	drawn    int // octets of out that are pictures: they have bounds of their own
	out      strings.Builder
	stack    []string
	tags     int
	href     string
	anchor   bool
	shown    strings.Builder // text of the open link
}

func (c *cleaner) text(s string) {
	s = text.RevealLines(s, maxMarkup)
	if c.anchor {
		c.shown.WriteString(s)
	}
	c.out.WriteString(html.EscapeString(s))
}

func (c *cleaner) open(t html.Token) {
	switch t.Data {
	case "a":
		c.endLink()
		c.anchor, c.href = false, ""
		if href, ok := attribute(t, "href"); ok {
			c.anchor, c.href = true, href
			c.out.WriteString(`<span class="link">`)
			c.stack = append(c.stack, "a")
		}
		return
	case "img":
		alt, _ := attribute(t, "alt")
		source, _ := attribute(t, "src")
		if data := c.pictures.find(source); data != "" {
			c.out.WriteString(`<img src="` + data + `" alt="` + html.EscapeString(text.Reveal(alt, maxName)) + `">`)
			c.drawn += len(data)
			return
		}
		c.out.WriteString(`<span class="image">[` + html.EscapeString(c.words.Image+text.Reveal(alt, maxName)) + "]</span>")
		return
	case "br", "hr":
		c.out.WriteString("<" + t.Data + ">")
		return
	}
	if !slices.Contains(structure, t.Data) || len(c.stack) >= maxNest {
		return
	}
	c.out.WriteString("<" + t.Data)
	for _, name := range []string{"colspan", "rowspan", "align"} {
		if v, ok := attribute(t, name); ok {
			c.out.WriteString(" " + name + `="` + html.EscapeString(v) + `"`)
		}
	}
	c.out.WriteString(">")
	c.stack = append(c.stack, t.Data)
}

func attribute(t html.Token, name string) (string, bool) {
	for _, a := range t.Attr {
		if a.Key == name {
			return a.Val, true
		}
	}
	return "", false
}

// close ends an element and all that were opened in it and not closed; an end without a beginning is dropped.
func (c *cleaner) close(name string) {
	at := -1
	for i := len(c.stack) - 1; i >= 0; i-- {
		if c.stack[i] == name {
			at = i
			break
		}
	}
	if at < 0 {
		return
	}
	for len(c.stack) > at {
		c.pop()
	}
}

func (c *cleaner) pop() {
	last := c.stack[len(c.stack)-1]
	c.stack = c.stack[:len(c.stack)-1]
	if last != "a" {
		c.out.WriteString("</" + last + ">")
		return
	}
	c.out.WriteString("</span>")
	c.target()
}

// target names where a link leads behind its text.
func (c *cleaner) target() {
	l := link(c.shown.String(), c.href)
	c.anchor, c.href = false, ""
	c.shown.Reset()
	if l.URL == "" {
		return
	}
	class, warn := "target", ""
	if l.Differs {
		class, warn = "target differs", c.words.Differs+" "
	}
	c.out.WriteString(` <span class="` + class + `">[` + html.EscapeString(warn+c.words.Target+l.URL) + "]</span>")
}

func (c *cleaner) endLink() {
	if slices.Contains(c.stack, "a") {
		c.close("a")
	}
}

func (c *cleaner) closeAll() {
	for len(c.stack) > 0 {
		c.pop()
	}
}
