package filters

import (
	"context"
	"errors"
	"net/netip"
	"strconv"
	"time"

	"github.com/oschwald/geoip2-golang/v2"

	"sekimori/internal/mail"
)

var geoipSpec = Spec{
	Name:   "geoip",
	Stages: []mail.Stage{mail.Connect},
	// Where a mail comes from is said of every mail and weighs nothing; GEOIP_SCORE weighs what [filters.geoip.scores] says
	// of the country.
	Symbols: []mail.Symbol{{Name: "GEOIP_COUNTRY"}, {Name: "GEOIP_SCORE", Score: 1}, {Name: "GEOIP_ASN"}},
	Facts: []mail.Fact{
		{Name: "geoip.country", Type: mail.String, Stage: mail.Connect},
		{Name: "geoip.registered", Type: mail.String, Stage: mail.Connect},
		{Name: "geoip.asn", Type: mail.Int, Stage: mail.Connect},
		{Name: "geoip.as_org", Type: mail.String, Stage: mail.Connect},
	},
	New: newGeoIP,
}

// geoipConfig is [filters.geoip].
type geoipConfig struct {
	Country string             `toml:"country"` // mmdb files
	ASN     string             `toml:"asn"`
	Scores  map[string]float64 `toml:"scores"` // points by country code
}

// geoipPoll is how often the files are looked at.
const geoipPoll = 30 * time.Second

// geoip looks the client's address up in files that may be replaced at any time.
type geoip struct {
	country *mmdb // nil: not configured
	asn     *mmdb
	scores  map[string]float64
}

func newGeoIP(ctx context.Context, env Env) (Check, error) {
	var cfg geoipConfig
	if err := env.Config.Decode(&cfg); err != nil {
		return nil, err
	}
	if cfg.Country == "" && cfg.ASN == "" {
		env.Off("no database is configured")
		return nil, nil
	}
	scores, err := cfg.scores(env)
	if err != nil {
		return nil, err
	}
	g := &geoip{scores: scores}
	var errs []error
	open := func(key, path string, try func(*geoip2.Reader) error) *mmdb {
		if path == "" {
			return nil
		}
		m := &mmdb{key: key, path: env.Config.Path(path), try: try, log: env.Log, warn: env.Warn}
		if err := m.load(); err != nil {
			errs = append(errs, env.Config.Errorf(key, "%v", err))
		}
		return m
	}
	probe := netip.MustParseAddr("192.0.2.1")
	g.country = open("country", cfg.Country, func(r *geoip2.Reader) error { _, err := r.Country(probe); return err })
	g.asn = open("asn", cfg.ASN, func(r *geoip2.Reader) error { _, err := r.ASN(probe); return err })
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	go g.watch(ctx)
	return g, nil
}

// scores checks the points by country: codes are those of ISO 3166-1, in upper case as the databases have them.
func (c geoipConfig) scores(env Env) (map[string]float64, error) {
	if len(c.Scores) > 0 && c.Country == "" {
		return nil, env.Config.Errorf("scores", "need a country database: give country")
	}
	var errs []error
	for code := range c.Scores {
		if len(code) != 2 || code[0] < 'A' || code[0] > 'Z' || code[1] < 'A' || code[1] > 'Z' {
			errs = append(errs, env.Config.Errorf("scores."+code, "%q is not a country code such as JP", code))
		}
	}
	return c.Scores, errors.Join(errs...)
}

func (g *geoip) watch(ctx context.Context) {
	t := time.NewTicker(geoipPoll)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			g.country.reload()
			g.asn.reload()
		}
	}
}

// Check implements Check. The facts of a file that is not configured are unknown.
func (g *geoip) Check(_ context.Context, tx *mail.Transaction) (mail.Result, error) {
	var res mail.Result
	addr := tx.Session.Client
	if !isPublic(addr) {
		return mail.Result{Skipped: "private address"}, nil
	}
	if g.country != nil {
		if err := g.addCountry(&res, addr); err != nil {
			return mail.Result{}, err
		}
	}
	if g.asn != nil {
		if err := g.addASN(&res, addr); err != nil {
			return mail.Result{}, err
		}
	}
	return res, nil
}

func (g *geoip) addCountry(res *mail.Result, addr netip.Addr) error {
	c, err := g.country.reader.Load().Country(addr)
	if err != nil {
		return g.country.damaged(err)
	}
	code := c.Country.ISOCode
	res.Facts = append(res.Facts, mail.FactValue{Name: "geoip.country", Value: code},
		mail.FactValue{Name: "geoip.registered", Value: c.RegisteredCountry.ISOCode})
	if code == "" {
		return nil
	}
	ev := []mail.Evidence{{Key: "ip", Value: addr.String()}, {Key: "country", Value: code}}
	res.Findings = append(res.Findings, mail.Finding{Symbol: "GEOIP_COUNTRY", Evidence: ev})
	if points := g.scores[code]; points != 0 {
		res.Findings = append(res.Findings, mail.Finding{Symbol: "GEOIP_SCORE", Weight: points, Evidence: ev})
	}
	return nil
}

func (g *geoip) addASN(res *mail.Result, addr netip.Addr) error {
	a, err := g.asn.reader.Load().ASN(addr)
	if err != nil {
		return g.asn.damaged(err)
	}
	res.Facts = append(res.Facts, mail.FactValue{Name: "geoip.asn", Value: int(a.AutonomousSystemNumber)},
		mail.FactValue{Name: "geoip.as_org", Value: a.AutonomousSystemOrganization})
	if a.AutonomousSystemNumber != 0 {
		res.Findings = append(res.Findings, mail.Finding{Symbol: "GEOIP_ASN", Evidence: []mail.Evidence{
			{Key: "ip", Value: addr.String()},
			{Key: "asn", Value: strconv.FormatUint(uint64(a.AutonomousSystemNumber), 10)},
			{Key: "org", Value: a.AutonomousSystemOrganization},
		}})
	}
	return nil
}
