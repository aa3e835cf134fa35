package main

import (
	"cmp"
	"strings"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/history"
	"sekimori/internal/history/nodes"
	"sekimori/internal/text"
)

type traceCmd struct {
	Query []string `arg:"" optional:"" help:"An address, domain, id, Message-ID, IP address or network, a day (2026-11-20), words of the subject, or several of them."`

	Sender     string    `placeholder:"ADDRESS" help:"Sender (of the envelope or in From); a domain means everybody there."`
	Rcpt       string    `placeholder:"ADDRESS" help:"Recipient, or a domain."`
	Subject    string    `placeholder:"WORDS" help:"Words of the subject; of Japanese any part."`
	MessageID  string    `placeholder:"ID" help:"Message-ID."`
	ID         string    `placeholder:"ID" help:"The id that a reply, a log line or the digest names."`
	Client     string    `placeholder:"IP" help:"Address or network of the client."`
	Since      timeValue `placeholder:"TIME" help:"Only since then: 09:00, 2026-11-20 or an age such as 2d."`
	Until      timeValue `placeholder:"TIME" help:"Only until then."`
	Limit      int       `default:"20" help:"How many mails at the most."`
	Wait       ageValue  `default:"5s" placeholder:"TIME" help:"How long to wait for the other hosts, at most 1m (default: 5s)."`
	JSON       bool      `help:"Print JSON."`
	ForgetHost string    `placeholder:"HOST" help:"Do not ask a host any more that is gone for good; it looks nothing up."`
	Lang       string    `enum:"en,ja" default:"en" help:"Language of the words: en or ja."`
}

// Help is the long help.
func (traceCmd) Help() string {
	return "Tells the whole story of mails: what the client was told, also when it was refused before the mail; attempts that were put off; " +
		"what was found, which rule decided, each try of delivery with the words of the backend, which digest named it to whom, and what became " +
		"of it in the quarantine. It joins the histories of this host and of all that share its Redis, also while serve runs, to which events " +
		"come at most a second late; a host that does not answer is named. When nothing is found it says where and in which time was looked, and " +
		"which connections were refused from the networks of the sender's domain. Exit code 0 when something was found and every host has " +
		"answered, 1 when not."
}

// ageValue is a duration on the command line.
type ageValue struct{ time.Duration }

// UnmarshalText reads one.
func (v *ageValue) UnmarshalText(b []byte) (err error) {
	v.Duration, err = config.ParseDuration(string(b))
	return err
}

func checkWait(v ageValue) error {
	if v.Duration < time.Second || v.Duration > nodes.MostWait {
		return usage("--wait must be from 1s to %s", nodes.MostWait)
	}
	return nil
}

// traceResult is what trace --json prints.
type traceResult struct {
	Node    string          `json:"node"`
	Read    *reading        `json:"understood"`      // as what the words were read
	Others  []reading       `json:"tried,omitempty"` // as what else, which found nothing
	Stories []history.Story `json:"stories"`
	More    bool            `json:"more"`     // there are older ones
	Whole   bool            `json:"complete"` // every host has said all that it knows
	Hosts   []hostTold      `json:"hosts"`
	Unknown string          `json:"unknown_hosts,omitempty"` // why it is not known which other hosts there are

	Held  map[string]heldNow `json:"held,omitempty"`  // how it stands in the quarantine, by id
	Notes []string           `json:"notes,omitempty"` // what could not be looked up beside the histories

	Partner  string           `json:"partner,omitempty"`              // the sender's domain, when nothing was found
	Refused  []*history.Event `json:"refused_from_partner,omitempty"` // from networks of the sender's domain
	Networks []network        `json:"partner_networks,omitempty"`
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
	if c.ForgetHost != "" {
		return a.forgetHost(cfg, c.ForgetHost)
	}
	readings, err := c.readings()
	if err != nil {
		return err
	}
	if err := checkWait(c.Wait); err != nil {
		return err
	}
	in, err := a.inquire(cfg, readings[0].Query.Since, c.Wait.Duration)
	if err != nil {
		return err
	}
	defer in.close()
	res := &traceResult{Node: cfg.Hostname, Stories: []history.Story{}}
	c.look(a, in, readings, res)
	lang := text.Lang(c.Lang)
	res.Hosts, res.Unknown, res.Whole = in.hosts, in.Unknown, in.whole()
	res.Exchange = exchangeCommands(cfg, in.behind(a.ctx, res), res)
	res.Reply = replies(lang, res)
	if c.JSON {
		if err := a.json(res); err != nil {
			return err
		}
	} else {
		c.print(a, lang, res)
	}
	if len(res.Stories) == 0 || !res.Whole {
		return found
	}
	return nil
}

// look asks all hosts for every reading at once. The first that finds something counts; of none, the first.
func (c traceCmd) look(a *app, in *inquiry, readings []reading, res *traceResult) {
	asks := make([]history.Ask, len(readings))
	for i := range readings {
		asks[i] = history.Ask{Query: readings[i].Query, Most: c.Limit, Whole: true}
	}
	res.Read, res.Others = &readings[0], readings[1:]
	for i, parts := range in.ask(a.ctx, asks...) {
		if list, more := history.JoinStories(parts, c.Limit); len(list) > 0 {
			res.Read, res.Others = &readings[i], readings[:i]
			res.Stories, res.More = list, more
			break
		}
	}
	if len(res.Stories) == 0 {
		a.partner(in, res)
		return
	}
	a.gather(in, res)
}

// whom is whose mail is asked for: a domain, or "".
func whom(q *history.Query) string {
	s := cmp.Or(q.Sender, q.Address, q.Domain)
	return strings.ToLower(s[strings.LastIndexByte(s, '@')+1:])
}
