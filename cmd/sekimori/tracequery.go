package main

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"sekimori/internal/history"
	"sekimori/internal/mail"
	"sekimori/internal/mime"
)

// reading is one way to understand what is asked for.
type reading struct {
	As    []string      `json:"as"` // of the words: address | sender | rcpt | domain | id | message_id | client | subject | day
	Query history.Query `json:"query"`
}

var (
	isID  = regexp.MustCompile(`^([0-9a-v]{20}(-.*)?|(digest|list|alert|ask)-[0-9a-z-]{16,})$`)
	isDay = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}$`)
)

// readings reads the operands. What can be understood in several ways has several readings, the likeliest first.
func (c traceCmd) readings() ([]reading, error) {
	base := history.Query{
		Since: c.Since.Time, Until: c.Until.Time, ID: c.ID, Sender: bare(c.Sender), Rcpt: bare(c.Rcpt), Subject: decoded(c.Subject), MessageID: c.MessageID,
	}
	switch {
	case c.Limit < 1 || c.Limit > history.MostFound:
		return nil, usage("--limit must be from 1 to %d", history.MostFound)
	case !base.Since.IsZero() && !base.Until.IsZero() && base.Until.Before(base.Since):
		return nil, usage("--until is before --since")
	case c.Client != "" && !isNetwork(c.Client):
		return nil, usage("--client %s is neither an IP address nor a network such as 192.0.2.0/24", c.Client)
	case c.Client != "":
		base.Client = parseClient(c.Client)
	}
	list := understand(base, strings.TrimSpace(strings.Join(c.Query, " ")))
	for i := range list {
		q := &list[i].Query
		if !q.IsZero() {
			continue
		}
		if q.Since.IsZero() && q.Until.IsZero() {
			return nil, usage("say what to look for: an address, a domain, an id, a Message-ID, an IP address, words of the subject, or a time (--since, --until)")
		}
		q.Kinds = []history.Kind{history.KindMail, history.KindRcpt, history.KindRefused} // all of that time
	}
	return list, nil
}

// understand says in which ways words can be read beside what the options say.
func understand(base history.Query, words string) []reading {
	if words == "" {
		return []reading{{[]string{}, base}}
	}
	if name, value, ok := strings.Cut(words, ":"); ok { // a line of a header, pasted
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "message-id":
			return alternatives(base, value, "message_id")
		case "subject":
			return alternatives(base, value, "subject")
		case "from":
			return alternatives(base, value, "sender")
		case "to", "cc":
			return alternatives(base, value, "rcpt")
		}
	}
	if at := strings.LastIndexByte(words, '<'); at > 0 && strings.HasSuffix(words, ">") && strings.Contains(words[at:], "@") { // Name <address>
		return alternatives(base, words[at:], "address", "message_id")
	}
	kinds := kindsOf(words)
	if parts := strings.Fields(words); len(parts) > 1 && slices.ContainsFunc(parts, func(p string) bool { return isExact(kindsOf(p)[0]) }) {
		return together(base, parts)
	}
	return alternatives(base, words, kinds...)
}

// kindsOf says as what one word, or a text, can be read.
func kindsOf(s string) []string {
	switch {
	case isNetwork(s):
		return []string{"client"}
	case strings.HasPrefix(s, "<") && strings.HasSuffix(s, ">"):
		return []string{"message_id", "address"}
	case isID.MatchString(s):
		return []string{"id", "subject"}
	case isDay.MatchString(s):
		return []string{"day", "subject"}
	case strings.ContainsAny(s, " \t\u3000"):
	case strings.HasPrefix(s, "@") && isDomain(s[1:]):
		return []string{"domain"}
	case strings.Contains(s, "@"):
		return []string{"address", "message_id", "subject"}
	case isDomain(s):
		return []string{"domain", "subject"}
	}
	return []string{"subject"}
}

func isExact(kind string) bool { return kind != "subject" && kind != "domain" }

// alternatives has one reading for each kind.
func alternatives(base history.Query, s string, kinds ...string) []reading {
	var list []reading
	for _, k := range kinds {
		q := base
		put(&q, k, strings.TrimSpace(s))
		list = append(list, reading{[]string{k}, q})
	}
	return list
}

// together reads several words, of which at least one is no word of a subject, as what must all be true. Two addresses are those of sender
// and recipient, in either order.
func together(base history.Query, parts []string) []reading {
	var kinds, addresses, words []string
	for _, p := range parts {
		switch k := kindsOf(p)[0]; k {
		case "subject", "domain":
			words = append(words, p)
		case "address":
			addresses = append(addresses, p)
		default:
			kinds = append(kinds, k)
			put(&base, k, p)
		}
	}
	if len(words) > 0 {
		kinds = append(kinds, "subject")
		put(&base, "subject", strings.Join(words, " "))
	}
	switch len(addresses) {
	case 0:
		return []reading{{kinds, base}}
	case 1:
		put(&base, "address", addresses[0])
		return []reading{{append(kinds, "address"), base}}
	}
	var list []reading
	for _, pair := range [][2]string{{addresses[0], addresses[1]}, {addresses[1], addresses[0]}} {
		q := base
		put(&q, "sender", pair[0])
		put(&q, "rcpt", pair[1])
		list = append(list, reading{append(slices.Clone(kinds), "sender", "rcpt"), q})
	}
	return list
}

// put sets what is asked for.
func put(q *history.Query, kind, s string) {
	switch kind {
	case "client":
		q.Client = parseClient(s)
	case "message_id":
		q.MessageID = s
	case "id":
		q.ID = s
	case "address":
		q.Address = bare(s)
	case "sender":
		q.Sender = bare(s)
	case "rcpt":
		q.Rcpt = bare(s)
	case "domain":
		q.Domain = strings.TrimPrefix(s, "@")
	case "day":
		if t, err := time.ParseInLocation(time.DateOnly, s, time.Local); err == nil {
			q.Since, q.Until = t, t.AddDate(0, 0, 1).Add(-time.Microsecond)
		}
	default:
		q.Subject = decoded(s)
	}
}

// bare takes the address out of a pasted "Name <address>".
func bare(s string) string {
	if at := strings.LastIndexByte(s, '<'); at >= 0 {
		s = s[at+1:]
	}
	return strings.Trim(s, "<> \t")
}

// decoded decodes what was pasted as it stands in a header: =?UTF-8?B?…?=.
func decoded(s string) string {
	if !strings.Contains(s, "=?") {
		return s
	}
	return mime.Parse([]byte("Subject: " + strings.ReplaceAll(s, "\n", "\r\n ") + "\r\n\r\n")).Subject
}

func isNetwork(s string) bool { return parseClient(s).IsValid() }

func parseClient(s string) netip.Prefix {
	if a, err := netip.ParseAddr(s); err == nil {
		a = a.Unmap().WithZone("")
		return netip.PrefixFrom(a, a.BitLen())
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}
	}
	return p.Masked()
}

func isDomain(s string) bool {
	_, err := mail.ParseDomain(s)
	return err == nil && strings.Contains(s, ".") && !strings.ContainsAny(s, " []")
}
