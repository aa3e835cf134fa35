package main

import (
	"net/url"
	"strings"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/history"
)

// exchange is which Exchange stands behind.
type exchange int

const (
	noExchange exchange = iota
	onPremises          // Exchange Server: the message tracking log
	online              // Exchange Online: the message trace
)

// exchangeOf tells by where mail goes and what was answered to it. Exchange answers the final dot with
// "250 2.6.0 <message-id> [InternalId=…, Hostname=…] Queued mail for delivery".
func exchangeOf(backend, words string) exchange {
	host := backend
	if u, err := url.Parse(backend); err == nil && u.Host != "" {
		host = u.Hostname()
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	words = strings.ToLower(words)
	switch {
	case strings.HasSuffix(host, ".mail.protection.outlook.com"), strings.HasSuffix(host, ".mx.microsoft"), strings.Contains(words, ".prod.outlook.com"):
		return online
	case strings.Contains(words, "[internalid="), strings.Contains(words, "queued mail for delivery"):
		return onPremises
	}
	return noExchange
}

// exchangeOfTries tells by tries of delivery.
func exchangeOfTries(events []*history.Event) exchange {
	for _, e := range events {
		if e.Kind != history.KindTry {
			continue
		}
		for _, r := range e.Rcpts {
			if x := exchangeOf(e.Backend, r.Words); x != noExchange {
				return x
			}
		}
	}
	return noExchange
}

// exchangeOfConfig tells by where the configuration says that mail goes.
func exchangeOfConfig(cfg *config.Config) exchange {
	for i := range cfg.Domains {
		for _, b := range cfg.Domains[i].Backends {
			if x := exchangeOf(b.URL, ""); x != noExchange {
				return x
			}
		}
	}
	return noExchange
}

// sought is what Exchange is asked for.
type sought struct {
	messageID, sender, rcpt string
	from, to                time.Time
}

// commands are for PowerShell. By Message-ID is surest; the sender is asked for beside it, because some servers write another one.
func (x exchange) commands(s sought) []string {
	var by []string
	id, rcpt, sender := "", "", ""
	if s.messageID != "" {
		id = " -MessageId " + shellQuote("<"+strings.Trim(s.messageID, "<> \t")+">")
	}
	if strings.Contains(s.sender, "@") {
		sender = map[exchange]string{onPremises: " -Sender ", online: " -SenderAddress "}[x] + shellQuote(s.sender)
	}
	if strings.Contains(s.rcpt, "@") {
		rcpt = map[exchange]string{onPremises: " -Recipients ", online: " -RecipientAddress "}[x] + shellQuote(s.rcpt)
	}
	if id != "" {
		by = append(by, id)
	}
	if sender+rcpt != "" {
		by = append(by, sender+rcpt)
	}
	for i := range by {
		if x == online {
			by[i] = "Get-MessageTraceV2" + by[i] + s.span(" -StartDate ", " -EndDate ", "2006-01-02 15:04:05Z", time.UTC) +
				" | Format-List Received,SenderAddress,RecipientAddress,Subject,Status,MessageId,MessageTraceId"
		} else {
			by[i] = "Get-TransportService | Get-MessageTrackingLog -ResultSize Unlimited" + by[i] + s.span(" -Start ", " -End ", traceTime, time.Local) +
				" | Sort-Object Timestamp | Format-List Timestamp,EventId,Source,Sender,Recipients,RecipientStatus,MessageSubject"
		}
	}
	return by
}

func (s *sought) span(start, end, layout string, in *time.Location) string {
	words := ""
	if !s.from.IsZero() {
		words = start + shellQuote(s.from.In(in).Format(layout))
	}
	if !s.to.IsZero() {
		words += end + shellQuote(s.to.In(in).Format(layout))
	}
	return words
}

const (
	beforeMail = time.Hour
	afterMail  = 24 * time.Hour
	mostTrace  = 10 * 24 * time.Hour // that Get-MessageTraceV2 takes
)

// exchangeCommands are the commands for what Exchange knows further: of mail that was delivered there, and of mail that never came here,
// because it may have come there on another way. behind is which Exchange there is, as the last deliveries told.
func exchangeCommands(cfg *config.Config, behind exchange, res *traceResult) []string {
	if behind == noExchange {
		behind = exchangeOfConfig(cfg)
	}
	if len(res.Stories) == 0 {
		if behind == noExchange {
			return nil
		}
		q := &res.Read.Query
		s := sought{messageID: q.MessageID, sender: q.Sender, rcpt: q.Rcpt, from: q.Since, to: q.Until}
		if s.sender == "" && s.rcpt == "" && !ours(cfg, q.Address) {
			s.sender = q.Address
		} else if s.rcpt == "" && s.sender == "" {
			s.rcpt = q.Address
		}
		return behind.commands(s.within())
	}
	var lines []string
	for i := range res.Stories {
		s := &res.Stories[i]
		head := headOf(s)
		if head == nil {
			continue
		}
		for _, e := range s.Events {
			if e.Kind != history.KindTry || len(e.Rcpts) == 0 || e.Rcpts[0].End != "delivered" {
				continue
			}
			if x := exchangeOf(e.Backend, e.Rcpts[0].Words); x != noExchange {
				lines = append(lines, x.commands(sought{head.MessageID, head.From, e.Rcpts[0].Addr, head.Time.Add(-beforeMail), e.Time.Add(afterMail)})...)
				break
			}
		}
	}
	return lines
}

// within makes the time one that the message trace takes.
func (s sought) within() sought {
	switch {
	case s.from.IsZero():
	case s.to.IsZero() || s.to.Sub(s.from) > mostTrace:
		s.to = s.from.Add(mostTrace)
	}
	return s
}

// ours reports whether an address, or a domain, is one for which mail is taken here.
func ours(cfg *config.Config, address string) bool {
	domain := address[strings.LastIndexByte(address, '@')+1:]
	for i := range cfg.Domains {
		for _, n := range cfg.Domains[i].Names {
			if domain != "" && strings.EqualFold(n, domain) {
				return true
			}
		}
	}
	return false
}

// shellQuote quotes for PowerShell. What is pasted there must do nothing but what it says: control characters go, and so do the
// curly quotes that PowerShell takes for straight ones.
func shellQuote(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7F || r == '‘' || r == '’' || r == '‚' || r == '‛' {
			return -1
		}
		return r
	}, s)
	return "'" + strings.ReplaceAll(s, "'", "''") + "'"
}
