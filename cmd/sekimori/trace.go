package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"regexp"
	"strings"

	"sekimori/internal/config"
	"sekimori/internal/history"
	"sekimori/internal/mail"
	"sekimori/internal/text"
)

type traceCmd struct {
	Query string `arg:"" optional:"" help:"An address, domain, id, Message-ID, IP address or network, or words of the subject."`

	Sender    string    `placeholder:"ADDRESS" help:"Sender (of the envelope or in From); a domain means everybody there."`
	Rcpt      string    `placeholder:"ADDRESS" help:"Recipient, or a domain."`
	Subject   string    `placeholder:"WORDS" help:"Words of the subject; of Japanese any part."`
	MessageID string    `placeholder:"ID" help:"Message-ID."`
	ID        string    `placeholder:"ID" help:"The id that a reply, a log line or the digest names."`
	Client    string    `placeholder:"IP" help:"Address or network of the client."`
	Since     timeValue `placeholder:"TIME" help:"Only since then: 09:00, 2026-11-20 or an age such as 2d."`
	Until     timeValue `placeholder:"TIME" help:"Only until then."`
	Limit     int       `default:"20" help:"How many mails at the most."`
	JSON      bool      `help:"Print JSON."`
	Lang      string    `enum:"en,ja" default:"en" help:"Language of the words: en or ja."`
}

// Help is the long help.
func (traceCmd) Help() string {
	return "Tells the whole story of mails: what the client was told, also when it was refused before the mail; what was found, which rule " +
		"decided, each try of delivery with the words of the backend, and what became of it in the quarantine. It reads the history of this " +
		"host, also while serve runs, to which events come at most a second late. Exit code 0 when something was found, 1 when not."
}

// traceResult is what trace --json prints.
type traceResult struct {
	Node string `json:"node"`
	*history.Answer

	Refused  []*history.Event `json:"refused_from_partner,omitempty"` // from networks that have sent for the sender before
	Networks []string         `json:"partner_networks,omitempty"`
	Exchange []string         `json:"exchange,omitempty"`
	Reply    []string         `json:"answer"`
}

// Run looks it up.
func (c traceCmd) Run(a *app) error {
	cfg, err := a.loadConfig()
	if err != nil {
		printErrors(a.err, err)
		return found
	}
	q, err := c.query()
	if err != nil {
		return err
	}
	r, err := readHistory(cfg)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no history in %s: serve never ran with this configuration", historyDir(cfg))
	}
	if err != nil {
		return err
	}
	defer r.Close()
	res := traceResult{Node: cfg.Hostname}
	if res.Answer, err = r.Stories(q, c.Limit); err != nil {
		return err
	}
	if len(res.Stories) == 0 && q.Address != "" && c.Query != "" { // a Message-ID looks like an address
		byID := q
		byID.Address, byID.MessageID = "", c.Query
		if other, err := r.Stories(byID, c.Limit); err == nil && len(other.Stories) > 0 {
			res.Answer = other
		}
	}
	for i := range res.Stories {
		res.Stories[i].Node = cfg.Hostname
	}
	if len(res.Stories) == 0 {
		partner(r, q, &res)
	}
	lang := text.Lang(c.Lang)
	res.Exchange = exchangeCommands(q, &res)
	res.Reply = replies(lang, &res)
	if c.JSON {
		if res.Stories == nil {
			res.Stories = []history.Story{}
		}
		if err := a.json(res); err != nil {
			return err
		}
	} else {
		c.print(a, lang, q, &res)
	}
	if len(res.Stories) == 0 {
		return found
	}
	return nil
}

var isID = regexp.MustCompile(`^[0-9a-v]{20}(-.*)?$`)

// query reads the operands.
func (c traceCmd) query() (history.Query, error) {
	q := history.Query{
		Since: c.Since.Time, Until: c.Until.Time, ID: c.ID, Sender: c.Sender, Rcpt: c.Rcpt, Subject: c.Subject, MessageID: c.MessageID,
	}
	if c.Limit < 1 {
		return q, usage("--limit must be above 0")
	}
	client := c.Client
	switch s := strings.TrimSpace(c.Query); {
	case s == "":
	case isNetwork(s):
		client = s
	case strings.HasPrefix(s, "<") && strings.HasSuffix(s, ">"):
		q.MessageID = s
	case isID.MatchString(s):
		q.ID = s
	case strings.Contains(s, "@") && !strings.Contains(s, " "):
		q.Address = s
	case isDomain(s):
		q.Domain = s
	default:
		q.Subject = s
	}
	if client != "" {
		if !isNetwork(client) {
			return q, usage("--client %s is neither an IP address nor a network such as 192.0.2.0/24", client)
		}
		q.Client = parseClient(client)
	}
	if q.IsZero() {
		return q, usage("say what to look for: an address, a domain, an id, a Message-ID, an IP address or words of the subject")
	}
	return q, nil
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

const (
	mostPartner  = 200 // mails of a partner whose networks are looked at
	mostNetworks = 20
	mostRefused  = 20
)

// whom is whose mail is asked for: a domain, or "".
func whom(q *history.Query) string {
	for _, s := range []string{q.Sender, q.Address, q.Domain} {
		if s != "" {
			return strings.ToLower(s[strings.LastIndexByte(s, '@')+1:])
		}
	}
	return ""
}

// partner looks for connections that were refused from the networks from which mail of the sender's domain has come.
func partner(r *history.Reader, q history.Query, res *traceResult) {
	domain := whom(&q)
	if domain == "" {
		return
	}
	var nets []netip.Prefix
	n := 0
	for e, err := range r.Search(history.Query{Sender: domain}) {
		if err != nil || !e.Client.IsValid() {
			continue
		}
		bits := 24
		if e.Client.Is6() {
			bits = 64
		}
		if p, err := e.Client.Prefix(bits); err == nil && !containsPrefix(nets, p) {
			nets = append(nets, p)
			res.Networks = append(res.Networks, p.String())
		}
		if n++; n >= mostPartner || len(nets) >= mostNetworks {
			break
		}
	}
	for _, p := range nets {
		refused := history.Query{Client: p, Since: q.Since, Until: q.Until, Kinds: []history.Kind{history.KindRefused, history.KindRcpt}}
		for e, err := range r.Search(refused) {
			if len(res.Refused) >= mostRefused {
				return
			}
			if err == nil {
				res.Refused = append(res.Refused, e)
			}
		}
	}
}

func containsPrefix(list []netip.Prefix, p netip.Prefix) bool {
	for _, x := range list {
		if x == p {
			return true
		}
	}
	return false
}

// historyLine is what `check` says of it.
func historyLine(cfg *config.Config) string {
	if !cfg.History.Enabled {
		return "history: off; trace and rules replay have nothing to read"
	}
	r, err := history.OpenReader(historyDir(cfg))
	if err != nil {
		return "history: nothing is recorded yet"
	}
	defer r.Close()
	p, err := r.Period(history.Stories)
	if err != nil {
		return "history: " + err.Error()
	}
	f, err := r.Period(history.Facts)
	if err != nil {
		return "history: " + err.Error()
	}
	if p.Records == 0 {
		return "history: nothing is recorded yet"
	}
	const day = "2006-01-02 15:04"
	s := fmt.Sprintf("history: %d events since %s", p.Records, p.From.Local().Format(day))
	if f.Records > 0 {
		s += fmt.Sprintf(", facts of %d mails since %s", f.Records, f.From.Local().Format(day))
	}
	return s
}
