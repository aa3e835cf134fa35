package mail

import "strings"

func addMessageFacts(facts map[string]any, tx *Transaction) {
	m := tx.Message
	facts["message.size"] = len(m.Raw)
	facts["message.rcpts"] = len(tx.Rcpts)
	facts["message.subject"] = m.Subject
	facts["message.id"] = m.MessageID
	facts["message.text"] = clip(m.Text(), maxTextFact)
	facts["message.received"] = m.CountHeader("Received")
	anomalies := m.Anomalies
	if anomalies == nil {
		anomalies = []string{}
	}
	facts["message.anomalies"] = anomalies
	addPeopleFacts(facts, m)
	addPartFacts(facts, m)
}

// addPeopleFacts says who the header names.
func addPeopleFacts(facts map[string]any, m *Message) {
	from, reply, sender := firstOf(m.From), firstOf(m.ReplyTo), firstOf(m.Sender)
	facts["message.from"] = from.Addr.String()
	facts["message.from_domain"] = from.Addr.Domain
	facts["message.from_name"] = from.Name
	facts["message.from_all"] = addressesOf(m.From)
	facts["message.sender"] = sender.Addr.String()
	facts["message.reply_to"] = reply.Addr.String()
	facts["message.reply_to_domain"] = reply.Addr.Domain
	facts["message.reply_to_name"] = reply.Name
	facts["message.to"] = addressesOf(m.To)
	facts["message.cc"] = addressesOf(m.Cc)
	names := []string{}
	for i := range m.To {
		if m.To[i].Name != "" {
			names = appendMax(names, m.To[i].Name)
		}
	}
	facts["message.to_names"] = names
}

func firstOf(list []Mailbox) Mailbox {
	if len(list) == 0 {
		return Mailbox{}
	}
	return list[0]
}

// addressesOf gives the addresses; what could not be read as one is given as it was written.
func addressesOf(list []Mailbox) []string {
	all := make([]string, 0, min(len(list), maxListFact))
	for i := range list {
		s := list[i].Addr.String()
		if s == "" {
			s = list[i].Raw
		}
		if s != "" {
			all = appendMax(all, s)
		}
	}
	return all
}

// addPartFacts says what the mail is made of.
func addPartFacts(facts map[string]any, m *Message) {
	links, hosts, names, exts, types, charsets := []string{}, []string{}, []string{}, []string{}, []string{}, []string{}
	html := false
	for i := range m.Parts {
		p := &m.Parts[i]
		html = html || p.HTML || p.Type == "text/html"
		for _, l := range p.Links {
			links = appendMax(links, l.URL)
			hosts = appendNew(hosts, linkHost(l.URL))
		}
		for _, n := range append([]string{p.Name}, p.OtherNames...) {
			if n != "" {
				names = appendMax(names, n)
				exts = appendNew(exts, Extension(n))
			}
		}
		types = appendMax(types, p.Type)
		charsets = appendNew(charsets, p.Charset)
	}
	kinds, size, files := []string{}, 0, m.Attachments()
	for _, p := range files {
		kinds = appendNew(kinds, p.Type)
		size += p.Size()
	}
	addFileFacts(facts, files)
	facts["message.html"] = html
	facts["message.charsets"] = charsets
	facts["message.links"] = links
	facts["message.link_hosts"] = hosts
	facts["message.attachments"] = names
	facts["message.extensions"] = exts
	facts["message.types"] = types
	facts["message.attachment_types"] = kinds
	facts["message.attachment_count"] = len(files)
	facts["message.attachment_size"] = size
}

// appendNew adds what is neither empty nor there.
func appendNew(list []string, s string) []string {
	if s == "" || len(list) >= maxListFact {
		return list
	}
	for _, have := range list {
		if have == s {
			return list
		}
	}
	return append(list, s)
}

// Extension is what follows the last dot of a file's name, in lower case: what a double click goes by. Windows drops dots and
// spaces at the end.
func Extension(name string) string {
	name = strings.TrimRight(name, ". \t\u3000")
	dot := strings.LastIndexByte(name, '.')
	if dot < 0 || dot == len(name)-1 || len(name)-dot > 20 {
		return ""
	}
	return strings.ToLower(strings.TrimSpace(name[dot+1:]))
}

// linkHost is the host of a URL in lower case, without user, port and the dot at the end; "" for URLs without one.
func linkHost(url string) string {
	_, rest, ok := strings.Cut(url, "://")
	if !ok {
		return ""
	}
	// A backslash is a slash to browsers.
	if end := strings.IndexAny(rest, "/\\?#"); end >= 0 {
		rest = rest[:end]
	}
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		rest = rest[at+1:]
	}
	if strings.HasPrefix(rest, "[") {
		host, _, _ := strings.Cut(rest[1:], "]")
		return strings.ToLower(host)
	}
	host, _, _ := strings.Cut(rest, ":")
	return strings.ToLower(strings.TrimSuffix(host, "."))
}
