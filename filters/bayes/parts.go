package bayes

import (
	"net/netip"
	"strconv"
	"strings"

	"sekimori/internal/mail"
)

const maxTreeParts = 20

// parts adds the tree of MIME parts, their charsets and names, what HTML uses, and classes of counts.
func (c *collector) parts(m *mail.Message) {
	tree := make([]byte, 0, MaxToken)
	text, html, links, images, attached := 0, 0, 0, 0, 0
	for i := range m.Parts {
		p := &m.Parts[i]
		if i < maxTreeParts {
			c.add("t:", p.Type)
			c.add("cs:", p.Charset)
			c.add("ce:", p.Encoding)
			tree = append(append(strconv.AppendInt(tree, int64(p.Depth), 10), p.Type[strings.IndexByte(p.Type, '/')+1:]...), ' ')
		}
		if p.Name != "" {
			c.addLower("x:", extension(p.Name))
		}
		if p.Attached {
			attached++
		}
		text += len(p.Text)
		if p.HTML {
			html += len(p.Text)
		}
		links += len(p.Links)
		for _, tag := range p.Tags {
			c.add("g:", tag)
			if tag == "img" {
				images++
			}
		}
	}
	c.buf = append(append(c.buf[:0], "tree:"...), tree...)
	c.commit()
	c.add("n:parts", class(len(m.Parts)))
	c.add("n:text", class(text))
	c.add("n:html", class(html))
	c.add("n:links", class(links))
	c.add("n:img", class(images))
	c.add("n:att", class(attached))
	for _, a := range m.Anomalies {
		c.add("an:", a)
	}
}

func extension(name string) string {
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		return name[i+1:]
	}
	return "none"
}

// links adds hosts, registrable domains, top levels and words of paths, and anchors that show another host than they
// lead to.
func (c *collector) links(p *mail.Part) {
	for _, l := range p.Links {
		if len(c.list) >= c.most {
			return
		}
		scheme, rest, ok := strings.Cut(l.URL, ":")
		if !ok {
			c.add("u:", "relative")
			continue
		}
		if !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") {
			c.addLower("us:", scheme)
			if strings.EqualFold(scheme, "mailto") {
				c.domain("um", strings.ToLower(after(cutAny(rest, "?&"), '@')))
			}
			continue
		}
		host := c.url(strings.TrimLeft(rest, "/\\"))
		c.anchor(host, l.Text)
	}
}

// url adds the tokens of a URL without its scheme and returns its host.
func (c *collector) url(rest string) (host string) {
	host = cutAny(rest, "/?#\\")
	path := rest[len(host):]
	if i := strings.LastIndexByte(host, '@'); i >= 0 {
		c.add("u:", "user")
		host = host[i+1:]
	}
	if h, port, ok := strings.Cut(host, ":"); ok {
		if port != "" && port != "80" && port != "443" {
			c.add("u:", "port")
		}
		host = h
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if host == "" {
		return ""
	}
	c.host(host)
	c.path(path)
	return host
}

// host adds the tokens of the host of a URL. Most links of a mail go to the same one, which says nothing new.
func (c *collector) host(host string) {
	if host == c.linked {
		return
	}
	c.linked = host
	if _, err := netip.ParseAddr(host); err == nil {
		c.add("u:", "ip")
		c.add("ud:", host)
		return
	}
	c.domain("u", host)
	c.related("u=", host)
}

func (c *collector) path(path string) {
	const longest = 300
	if len(path) > longest {
		path = path[:longest]
		c.add("u:", "long")
	}
	for n := 0; path != "" && n < 12; n++ {
		start := 0
		for start < len(path) && pathSign(path[start]) {
			start++
		}
		end := start
		for end < len(path) && !pathSign(path[end]) {
			end++
		}
		w := path[start:end]
		path = path[end:]
		if len(w) >= 2 && len(w) <= maxWord {
			c.addLower("up:", w)
		}
	}
}

// pathSign are the signs between the words of a path.
func pathSign(b byte) bool {
	switch b {
	case '/', '?', '&', '=', '#', '.', '+', ';', '%', '~', ':', ',', '_', '-':
		return true
	}
	return false
}

// anchor adds a token when the text of an anchor names another host than its target.
func (c *collector) anchor(host, text string) {
	if text == "" || host == "" {
		return
	}
	t := strings.ToLower(text)
	t = strings.TrimPrefix(strings.TrimPrefix(t, "https://"), "http://")
	shown := cutAny(t, "/?#: ")
	if !strings.Contains(shown, ".") || !mail.IsHostname(shown) || strings.HasSuffix(shown, ".") {
		return
	}
	if registrable(shown) != registrable(host) {
		c.add("a:", "other")
	} else {
		c.add("a:", "same")
	}
}

func cutAny(s, chars string) string {
	if i := strings.IndexAny(s, chars); i >= 0 {
		return s[:i]
	}
	return s
}
