package bayes

import (
	"strings"

	netmail "net/mail"

	"golang.org/x/net/publicsuffix"

	"sekimori/internal/mail"
	"sekimori/internal/mime"
)

const maxHops = 5

// skipped are fields that are written behind us, that a filter wrote, or that differ with every mailbox.
func skipped(name string) bool {
	switch name {
	case "return-path", "delivered-to", "envelope-to", "x-original-to", "x-envelope-to", "apparently-to", "status", "x-status",
		"x-keywords", "x-uid", "x-uidl", "lines", "content-length", "x-gmail-labels", "received-spf", "authentication-results",
		"x-mozilla-status", "x-mozilla-status2", "x-evolution-source", "x-rcpt-to", "x-envelope-from", "x-virus-scanned",
		"x-scanned-by", "x-bogosity", "x-barracuda-spam-score", "x-imapbase", "x-received", "x-gm-message-state", "received":
		return true
	}
	for _, p := range [...]string{"x-spam", "x-sekimori-", "x-ms-exchange-", "arc-", "x-forefront", "x-microsoft-antispam", "x-quarantine", "x-rspamd"} {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

// headerFields adds tokens for which fields there are, and what some of them hold. Their order told mailers of 2002 from
// others of 2002 and nothing of those that came after.
func (c *collector) headerFields(header []mail.Field) {
	hops := 0
	for i := range header {
		f := &header[i]
		name := strings.ToLower(f.Name)
		if name == "received" {
			if hops < maxHops {
				c.received(f.Value)
			}
			hops++
		}
		if skipped(name) {
			continue
		}
		c.add("h:", name)
		c.value(name, f.Value)
	}
	c.add("hops:", class(hops))
}

func (c *collector) value(name, v string) {
	switch name {
	case "x-mailer", "user-agent":
		v = mime.DecodeHeader(v)
		c.addLower("m:", v)
		first, _, _ := strings.Cut(v, " ")
		c.addLower("m:", first)
	case "message-id":
		c.messageID(v)
	case "date":
		c.date(v)
	case "mime-version", "precedence", "x-priority", "x-msmail-priority", "importance", "list-id", "organization", "x-mimeole",
		"auto-submitted", "x-originating-ip", "list-unsubscribe-post", "in-reply-to", "references":
		if name == "in-reply-to" || name == "references" {
			c.addLower("v:"+name+"=", after(v, '@'))
			return
		}
		c.addLower("v:"+name+"=", v)
	case "content-type":
		c.contentType(v)
	}
}

// contentType adds the shape of a multipart's boundary, by which mailers and spam tools are known.
func (c *collector) contentType(v string) {
	const name = "boundary="
	for i := 0; i+len(name) <= len(v); i++ {
		if strings.EqualFold(v[i:i+len(name)], name) {
			b, _, _ := strings.Cut(strings.TrimLeft(v[i+len(name):], "\""), "\"")
			c.add("b:", shape(b))
			return
		}
	}
}

func after(s string, sep byte) string {
	if i := strings.LastIndexByte(s, sep); i >= 0 {
		return strings.Trim(s[i+1:], " <>\t")
	}
	return ""
}

func (c *collector) messageID(v string) {
	v = strings.Trim(v, "<> \t")
	local, domain, ok := strings.Cut(v, "@")
	if !ok {
		c.add("i:", "none")
	}
	c.add("is:", shape(local))
	domain = strings.ToLower(domain)
	c.domain("i", domain)
	c.related("i=", domain)
}

// shape writes a word by its kinds of characters, runs as one: "a9-a" for "Abc123-x"; signs stand for themselves.
func shape(s string) string {
	var b [32]byte
	n, last := 0, byte(0)
	for i := 0; i < len(s) && n < len(b); i++ {
		k := s[i]
		switch {
		case k >= '0' && k <= '9':
			k = '9'
		case k >= 'a' && k <= 'z':
			k = 'a'
		case k >= 'A' && k <= 'Z':
			k = 'A'
		case k >= 0x80 || k <= ' ':
			k = 'x'
		}
		if k != last {
			b[n] = k
			n++
		}
		last = k
	}
	return string(b[:n])
}

// domain adds a domain, its registrable domain and its top level.
func (c *collector) domain(prefix, d string) {
	if d == "" {
		return
	}
	if len(d) > 253 {
		d = d[len(d)-253:]
	}
	c.add(prefix+"d:", d)
	c.add(prefix+"o:", registrable(d))
	c.add(prefix+"t:", d[strings.LastIndexByte(d, '.')+1:])
}

// related says whether a domain is the author's; such tokens hold for senders that nobody has seen before.
func (c *collector) related(prefix, d string) {
	if c.from == "" {
		return
	}
	if registrable(d) == c.from {
		c.add(prefix, "from")
	} else {
		c.add(prefix, "other")
	}
}

func registrable(d string) string {
	if o, err := publicsuffix.EffectiveTLDPlusOne(d); err == nil {
		return o
	}
	return d
}

// date adds the time zone.
func (c *collector) date(v string) {
	t, err := netmail.ParseDate(v)
	if err != nil {
		c.add("date:", "bad")
		return
	}
	c.add("tz:", t.Format("-0700"))
	c.add("tzs:", zoneText(v))
}

// zoneText is what stands behind the numeric zone, such as "(JST)".
func zoneText(v string) string {
	if i := strings.IndexByte(v, '('); i >= 0 {
		return strings.Trim(v[i:], "() \t")
	}
	if i := strings.LastIndexByte(v, ' '); i >= 0 && !strings.ContainsAny(v[i:], "+-") {
		return v[i+1:]
	}
	return ""
}

// addresses adds tokens of the author, of where answers go and of the recipients' domains; local parts of recipients are
// left out.
func (c *collector) addresses(m *mail.Message) {
	for i := range m.From {
		if i >= 3 {
			break
		}
		c.author("f", m.From[i])
	}
	c.other("r", m.ReplyTo, m.From)
	c.other("s", m.Sender, m.From)
	c.add("to:", class(len(m.To)))
	for i := range m.To {
		if i >= 10 {
			break
		}
		c.add("td:", m.To[i].Addr.Domain)
		switch name := m.To[i].Name; {
		case name == "":
			c.add("tn:", "none")
		case strings.EqualFold(name, m.To[i].Addr.String()) || strings.EqualFold(name, m.To[i].Addr.Local):
			c.add("tn:", "address")
		default:
			c.add("tn:", "name")
		}
	}
}

func (c *collector) author(p string, b mail.Mailbox) {
	if b.Addr.IsNull() {
		c.add(p+":", "none")
	}
	c.addLower(p+"a:", b.Addr.String())
	c.domain(p, b.Addr.Domain)
	c.add(p+"s:", shape(b.Addr.Local))
	switch {
	case b.Name == "":
		c.add(p+"n:", "none")
	case strings.Contains(b.Name, "@"):
		c.add(p+"n:", "address")
	}
	c.share(maxSubject, func() { c.wordsOf(p+"n:", b.Name) })
}

func (c *collector) other(p string, list, from []mail.Mailbox) {
	if len(list) == 0 || len(from) == 0 {
		return
	}
	if strings.EqualFold(list[0].Addr.String(), from[0].Addr.String()) {
		c.add(p+"=", "from")
		return
	}
	if list[0].Addr.Domain == from[0].Addr.Domain {
		c.add(p+"=", "domain")
	} else {
		c.add(p+"=", "other")
	}
	c.addLower(p+"a:", list[0].Addr.String())
	c.domain(p, list[0].Addr.Domain)
}

func (c *collector) subject(s string) {
	s = c.fold(s)
	c.folds("s:", s)
	if s == "" {
		return
	}
	upper, lower := 0, 0
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] >= 'A' && s[i] <= 'Z':
			upper++
		case s[i] >= 'a' && s[i] <= 'z':
			lower++
		}
	}
	if upper > 4 && upper > 2*lower {
		c.add("sc:", "upper")
	}
	if strings.Contains(s, "    ") {
		c.add("sc:", "gap")
	}
	last := s[len(s)-1]
	if last == '!' || last == '?' || last >= '0' && last <= '9' {
		c.add("sc:end", shape(s[len(s)-1:]))
	}
	c.add("sl:", class(len(s)))
}
