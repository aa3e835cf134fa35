package filters

import (
	"context"
	"strconv"
	"strings"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/mail"
	"sekimori/reputation"
)

// greylistSpec notes who tries to send what to whom (RFC 6647), and says who has not waited yet. It only knows; a rule defers.
var greylistSpec = Spec{
	Name:    "greylist",
	Stages:  []mail.Stage{mail.Rcpt},
	Needs:   []string{"redis"},
	Symbols: []mail.Symbol{{Name: "GREYLIST_WAIT"}, {Name: "GREYLIST_PASSED"}},
	Facts: []mail.Fact{
		{Name: "greylist.result", Type: mail.String, Stage: mail.Rcpt, PerRcpt: true, Values: greyWords},
		{Name: "greylist.wait", Type: mail.Bool, Stage: mail.Rcpt, PerRcpt: true},
		{Name: "greylist.seconds", Type: mail.Int, Stage: mail.Rcpt, PerRcpt: true},
	},
	New: newGreylist,
}

var greyWords = []string{"new", "early", "passed", "known"}

// greylistConfig is [filters.greylist].
type greylistConfig struct {
	Delay    config.Duration `toml:"delay"`    // absent: the check is off
	Window   config.Duration `toml:"window"`   // in which the sender has to come again
	Remember config.Duration `toml:"remember"` // for how long who has waited need not again
	Known    int             `toml:"known"`    // mails after which a client need not wait for a sender domain
}

type greylist struct {
	rule   reputation.GreyRule
	memory reputation.Memory
}

func newGreylist(_ context.Context, env Env) (Check, error) {
	c := greylistConfig{Window: config.Duration(12 * time.Hour), Remember: config.Duration(36 * 24 * time.Hour), Known: 5}
	if err := env.Config.Decode(&c); err != nil {
		return nil, err
	}
	switch {
	case c.Delay == 0:
		env.Off("no delay is configured")
		return nil, nil
	case c.Delay.D() < time.Second || c.Delay.D() > time.Hour:
		return nil, env.Config.Errorf("delay", "must be between 1s and 1h, not %s", c.Delay.D())
	case c.Window.D() < 2*c.Delay.D() || c.Window.D() > 7*24*time.Hour:
		return nil, env.Config.Errorf("window", "must be at least twice the delay and at most 7d, not %s", c.Window.D())
	case c.Remember.D() < c.Window.D() || c.Remember.D() > 400*24*time.Hour:
		return nil, env.Config.Errorf("remember", "must be at least the window and at most 400d, not %s", c.Remember.D())
	case c.Known < 0:
		return nil, env.Config.Errorf("known", "must be 0 (never) or more, not %d", c.Known)
	}
	return &greylist{reputation.GreyRule{Delay: c.Delay.D(), Window: c.Window.D(), Remember: c.Remember.D(), Known: c.Known}, env.Memory}, nil
}

// Check implements [Check].
func (g *greylist) Check(ctx context.Context, tx *mail.Transaction) (mail.Result, error) {
	switch s := tx.Session; {
	case s.Trusted:
		return mail.Result{Skipped: "trusted client"}, nil
	case s.Relayed():
		return mail.Result{Skipped: "a relay of ours would wait, not the sender"}, nil
	}
	try := reputation.GreyTry{Client: greyClient(tx), Sender: greySender(tx.From), SenderDomain: tx.From.Domain, Rcpt: tx.Rcpt.Key()}
	grey, age, err := g.memory.Try(ctx, try, g.rule)
	if err != nil {
		return mail.Result{}, err
	}
	wait := grey == reputation.GreyNew || grey == reputation.GreyEarly
	res := mail.Result{Facts: []mail.FactValue{
		{Name: "greylist.result", Value: greyWords[grey]}, {Name: "greylist.wait", Value: wait}, {Name: "greylist.seconds", Value: int(age / time.Second)},
	}}
	f := mail.Finding{Symbol: "GREYLIST_PASSED", Rcpt: tx.Rcpt, Evidence: []mail.Evidence{{Key: "client", Value: try.Client}, {Key: "waited", Value: age.Round(time.Second).String()}}}
	switch {
	case wait:
		f.Symbol = "GREYLIST_WAIT"
		f.Evidence = append(f.Evidence, mail.Evidence{Key: "delay", Value: g.rule.Delay.String()})
	case grey == reputation.GreyKnown:
		return res, nil
	}
	res.Findings = []mail.Finding{f}
	return res, nil
}

// greyClient is whoever has to come again: large senders do so from another address of theirs, so that the domain of a confirmed name
// stands for all of them, and else the network.
func greyClient(tx *mail.Transaction) string {
	if host := mail.ProofOf(tx).Host; host != "" {
		return strings.ToLower(host)
	}
	return networkOf(tx.Session.Client)
}

// greySender is the sender without what differs between mails of one sender: runs of digits, as in the addresses of mailing lists and
// forwarders. The null sender is "<>".
func greySender(a mail.Address) string {
	if a.IsNull() {
		return "<>"
	}
	var b strings.Builder
	last := false
	for _, r := range strings.ToLower(a.Local) {
		digit := r >= '0' && r <= '9'
		switch {
		case !digit:
			b.WriteRune(r)
		case !last:
			b.WriteByte('#')
		}
		last = digit
	}
	return b.String() + "@" + a.Domain
}

func number(key string, n int) mail.Evidence {
	return mail.Evidence{Key: key, Value: strconv.Itoa(n)}
}
