package filters

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"time"

	"sekimori/internal/mail"
)

var dnsblSpec = Spec{
	Name:   "dnsbl",
	Stages: []mail.Stage{mail.Connect},
	// The weight of a finding is what the configuration gives for the list and the code.
	Symbols: []mail.Symbol{{Name: "DNSBL_LISTED", Score: 1}, {Name: "DNSBL_ALLOWED", Score: -1}},
	Facts: []mail.Fact{
		{Name: "dnsbl.count", Type: mail.Int, Stage: mail.Connect},
		{Name: "dnsbl.lists", Type: mail.Strings, Stage: mail.Connect},
		{Name: "dnsbl.codes", Type: mail.Strings, Stage: mail.Connect},
		{Name: "dnsbl.allow_lists", Type: mail.Strings, Stage: mail.Connect},
		{Name: "dnsbl.score", Type: mail.Float, Stage: mail.Connect},
		{Name: "dnsbl.allowed", Type: mail.Bool, Stage: mail.Connect},
	},
	Needs: []string{"dns"},
	New:   newDNSBL,
}

// dnsbl asks all lists for the client's address (RFC 5782).
type dnsbl struct {
	lists   []*blocklist
	timeout time.Duration // of one list
}

func newDNSBL(ctx context.Context, env Env) (Check, error) {
	cfg := dnsblConfig{}
	if err := env.Config.Decode(&cfg); err != nil {
		return nil, err
	}
	settings, err := cfg.read(env.Config)
	if err != nil {
		return nil, err
	}
	if len(settings) == 0 {
		env.Off("no list is configured")
		return nil, nil
	}
	d := &dnsbl{timeout: cfg.Timeout.D()}
	if d.timeout <= 0 {
		d.timeout = 3 * time.Second
	}
	for _, s := range settings {
		l := &blocklist{
			listSettings: s, dns: env.DNS, warn: env.Warn, timeout: d.timeout,
			woken: make(chan struct{}, 1), tested: make(chan struct{}),
		}
		if l.warn == nil {
			l.warn = func(string, string) {}
		}
		d.lists = append(d.lists, l)
		go l.watch(ctx)
	}
	return d, nil
}

// Check implements Check. It succeeds when one list answered; the others are named in Partial.
func (d *dnsbl) Check(ctx context.Context, tx *mail.Transaction) (mail.Result, error) {
	client := tx.Session.Client
	if !isPublic(client) {
		return mail.Result{Skipped: "private address"}, nil
	}
	asked := make([]*blocklist, 0, len(d.lists))
	for _, l := range d.lists {
		if client.Is4() || !l.only4 {
			asked = append(asked, l)
		}
	}
	if len(asked) == 0 {
		return mail.Result{Skipped: "no list for IPv6"}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	answers := make([]listAnswer, len(asked))
	var wg sync.WaitGroup
	for i, l := range asked[1:] {
		wg.Go(func() { answers[i+1] = l.ask(ctx, client) })
	}
	answers[0] = asked[0].ask(ctx, client)
	wg.Wait()
	return sumUp(client, asked, answers)
}

// listAnswer is what one list said of one address; failed is why it said nothing.
type listAnswer struct {
	listed bool
	points float64 // more than 0
	code   string
	text   string
	failed string
}

func sumUp(client netip.Addr, lists []*blocklist, answers []listAnswer) (mail.Result, error) {
	var res mail.Result
	names, codes, allows, score := []string{}, []string{}, []string{}, 0.0
	for i, a := range answers {
		l := lists[i]
		if a.failed != "" {
			res.Partial = append(res.Partial, l.name+": "+a.failed)
			continue
		}
		if !a.listed {
			continue
		}
		f := mail.Finding{Symbol: "DNSBL_LISTED", Weight: a.points, Evidence: []mail.Evidence{
			{Key: "ip", Value: client.String()}, {Key: "list", Value: l.name}, {Key: "code", Value: a.code},
		}}
		if a.text != "" {
			f.Evidence = append(f.Evidence, mail.Evidence{Key: "text", Value: a.text})
		}
		if l.allow {
			f.Symbol = "DNSBL_ALLOWED"
			allows = append(allows, l.name)
			score -= a.points
		} else {
			names = append(names, l.name)
			codes = append(codes, l.name+"="+a.code)
			score += a.points
		}
		res.Findings = append(res.Findings, f)
	}
	if len(res.Partial) == len(answers) {
		return mail.Result{}, errors.New(strings.Join(res.Partial, ", "))
	}
	res.Facts = []mail.FactValue{
		{Name: "dnsbl.count", Value: len(names)},
		{Name: "dnsbl.lists", Value: names},
		{Name: "dnsbl.codes", Value: codes},
		{Name: "dnsbl.allow_lists", Value: allows},
		{Name: "dnsbl.score", Value: score},
		{Name: "dnsbl.allowed", Value: len(allows) > 0},
	}
	return res, nil
}
