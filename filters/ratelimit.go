package filters

import (
	"context"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/mail"
	"sekimori/reputation"
)

var ratelimitSpec = Spec{
	Name:   "ratelimit",
	Stages: []mail.Stage{mail.Mail, mail.Rcpt},
	Symbols: []mail.Symbol{
		{Name: "RATELIMIT_CLIENT", Score: 2},
		{Name: "RATELIMIT_NETWORK", Score: 1},
		{Name: "RATELIMIT_SENDER_DOMAIN", Score: 1},
		{Name: "RATELIMIT_RECIPIENT", Score: 1},
	},
	Facts: []mail.Fact{
		{Name: "ratelimit.client", Type: mail.Bool, Stage: mail.Mail},
		{Name: "ratelimit.network", Type: mail.Bool, Stage: mail.Mail},
		{Name: "ratelimit.sender_domain", Type: mail.Bool, Stage: mail.Mail},
		{Name: "ratelimit.recipient", Type: mail.Bool, Stage: mail.Rcpt, PerRcpt: true},
		// How much of each limit is used up, this one counted: unknown where the limit is off.
		{Name: "ratelimit.client_used", Type: mail.Int, Stage: mail.Mail},
		{Name: "ratelimit.network_used", Type: mail.Int, Stage: mail.Mail},
		{Name: "ratelimit.sender_domain_used", Type: mail.Int, Stage: mail.Mail},
		{Name: "ratelimit.recipient_used", Type: mail.Int, Stage: mail.Rcpt, PerRcpt: true},
	},
	Needs: []string{"redis"},
	New:   newRatelimit,
}

// ratelimitConfig is [filters.ratelimit]. recipient counts recipients, the others mails, so that it makes no difference over
// how many connections they come; mail of one's own networks is not counted.
type ratelimitConfig struct {
	Client       config.Rate `toml:"client"`
	Network      config.Rate `toml:"network"` // IPv4 /24, IPv6 /64
	SenderDomain config.Rate `toml:"sender_domain"`
	Recipient    config.Rate `toml:"recipient"`
}

// ratelimit counts in the store that all hosts share. It is one Take, and so one round trip, per stage.
type ratelimit struct {
	cfg    ratelimitConfig
	memory reputation.Memory
}

func newRatelimit(_ context.Context, env Env) (Check, error) {
	cfg := ratelimitConfig{
		Client:  config.Rate{Count: 100, Period: time.Minute},
		Network: config.Rate{Count: 300, Period: time.Minute},
		// The large mailbox providers send everybody very much.
		SenderDomain: config.Rate{Count: 1000, Period: time.Minute},
		Recipient:    config.Rate{Count: 100, Period: time.Minute},
	}
	if err := env.Config.Decode(&cfg); err != nil {
		return nil, err
	}
	if cfg == (ratelimitConfig{}) {
		env.Off("every limit is off")
		return nil, nil
	}
	return &ratelimit{cfg: cfg, memory: env.Memory}, nil
}

// meter is one thing that is counted at a stage.
type meter struct {
	name  string // of the fact and of the evidence
	value string // "": there is nothing to count, and so it is not exceeded
	rate  config.Rate
	rcpt  mail.Address
}

// Check implements Check. What is off, and the domain of the null reverse-path, counts as not exceeded.
func (r *ratelimit) Check(ctx context.Context, tx *mail.Transaction) (mail.Result, error) {
	if tx.Session.Trusted {
		return mail.Result{Skipped: "trusted client"}, nil
	}
	return r.take(ctx, r.meters(tx))
}

func (r *ratelimit) meters(tx *mail.Transaction) []meter {
	switch tx.Stage {
	case mail.Mail:
		ip := tx.Session.Client
		return []meter{
			{name: "client", value: ip.String(), rate: r.cfg.Client},
			{name: "network", value: networkOf(ip), rate: r.cfg.Network},
			{name: "sender_domain", value: tx.From.Domain, rate: r.cfg.SenderDomain},
		}
	case mail.Rcpt:
		return []meter{{name: "recipient", value: tx.Rcpt.Key(), rate: r.cfg.Recipient, rcpt: tx.Rcpt}}
	}
	return nil
}

func (r *ratelimit) take(ctx context.Context, meters []meter) (mail.Result, error) {
	var limits []reputation.Limit
	for _, m := range meters {
		if m.counts() {
			limits = append(limits, reputation.Limit{Key: m.name + ":" + m.value, Burst: m.rate.Count, Period: m.rate.Period})
		}
	}
	var taken []reputation.Taken
	if len(limits) > 0 {
		var err error
		if taken, err = r.memory.Take(ctx, limits); err != nil {
			return mail.Result{}, err
		}
	}
	var res mail.Result
	for _, m := range meters {
		exceeded := false
		if m.counts() {
			if exceeded = taken[0].Exceeded; exceeded {
				res.Findings = append(res.Findings, m.finding(taken[0]))
			}
			res.Facts = append(res.Facts, mail.FactValue{Name: "ratelimit." + m.name + "_used", Value: taken[0].Used})
			taken = taken[1:]
		}
		res.Facts = append(res.Facts, mail.FactValue{Name: "ratelimit." + m.name, Value: exceeded})
	}
	return res, nil
}

func (m meter) counts() bool { return m.value != "" && m.rate.Count > 0 }

func (m meter) finding(t reputation.Taken) mail.Finding {
	return mail.Finding{
		Symbol: "RATELIMIT_" + strings.ToUpper(m.name),
		Evidence: []mail.Evidence{
			{Key: m.name, Value: m.value},
			{Key: "limit", Value: m.rate.String()},
			{Key: "used", Value: strconv.Itoa(t.Used)},
			{Key: "retry", Value: max(t.Retry, 0).Round(time.Millisecond).String()},
		},
		Rcpt: m.rcpt,
	}
}

// networkOf is what one sender usually has to himself: a /24 of IPv4, a /64 of IPv6.
func networkOf(ip netip.Addr) string {
	bits := 64
	if ip.Unmap().Is4() {
		bits = 24
	}
	p, err := ip.Unmap().WithZone("").Prefix(bits)
	if err != nil {
		return ""
	}
	return p.String()
}
