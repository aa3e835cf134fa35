package filters

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/oschwald/geoip2-golang/v2"

	"sekimori/internal/mail"
)

var geoipSpec = Spec{
	Name:   "geoip",
	Stages: []mail.Stage{mail.Connect},
	// A country weighs what [filters.geoip.scores] says of it, by default nothing.
	Symbols: []mail.Symbol{{Name: "GEOIP_COUNTRY", Score: 1}, {Name: "GEOIP_ASN", Score: 0}},
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
	g := &geoip{scores: map[string]float64{}}
	for code, points := range cfg.Scores {
		if len(code) != 2 || strings.ToUpper(code) != code {
			return nil, env.Config.Errorf("scores."+code, "%q is not a country code such as JP", code)
		}
		g.scores[code] = points
	}
	var errs []error
	open := func(key, path string, try func(*geoip2.Reader) error) *mmdb {
		if path == "" {
			return nil
		}
		m := &mmdb{path: env.Config.Path(path), try: try, log: env.Log, warn: env.Warn}
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
	if g.country != nil {
		c, err := g.country.reader.Load().Country(addr)
		if err != nil {
			return res, fmt.Errorf("country: %w", err)
		}
		code := c.Country.ISOCode
		res.Facts = append(res.Facts, mail.FactValue{Name: "geoip.country", Value: code},
			mail.FactValue{Name: "geoip.registered", Value: c.RegisteredCountry.ISOCode})
		if points := g.scores[code]; code != "" && points != 0 {
			res.Findings = append(res.Findings, mail.Finding{Symbol: "GEOIP_COUNTRY", Weight: points,
				Evidence: []mail.Evidence{{Key: "ip", Value: addr.String()}, {Key: "country", Value: code}}})
		}
	}
	if g.asn != nil {
		a, err := g.asn.reader.Load().ASN(addr)
		if err != nil {
			return res, fmt.Errorf("asn: %w", err)
		}
		res.Facts = append(res.Facts, mail.FactValue{Name: "geoip.asn", Value: int(a.AutonomousSystemNumber)},
			mail.FactValue{Name: "geoip.as_org", Value: a.AutonomousSystemOrganization})
		if a.AutonomousSystemNumber != 0 {
			res.Findings = append(res.Findings, mail.Finding{Symbol: "GEOIP_ASN", Evidence: []mail.Evidence{
				{Key: "ip", Value: addr.String()}, {Key: "asn", Value: strconv.FormatUint(uint64(a.AutonomousSystemNumber), 10)},
				{Key: "org", Value: a.AutonomousSystemOrganization},
			}})
		}
	}
	return res, nil
}

// mmdb is one database file. The library must not read a file that may be rewritten in place, so it is read into memory
// whole, tried, and swapped in; the old one is left to the garbage collector, since look-ups may still be in it.
type mmdb struct {
	path   string
	try    func(*geoip2.Reader) error
	log    *slog.Logger
	warn   func(key, message string)
	reader atomic.Pointer[geoip2.Reader]
	seen   fileMark // of the last attempt to load
}

// fileMark tells whether a file has changed.
type fileMark struct {
	size int64
	time time.Time
	ino  os.FileInfo
}

func markOf(st os.FileInfo) fileMark { return fileMark{st.Size(), st.ModTime(), st} }

func (m fileMark) same(o fileMark) bool {
	return m.size == o.size && m.time.Equal(o.time) && m.ino != nil && o.ino != nil && os.SameFile(m.ino, o.ino)
}

func (m *mmdb) load() error {
	st, err := os.Stat(m.path)
	if err != nil {
		return err
	}
	m.seen = markOf(st)
	data, err := os.ReadFile(m.path)
	if err != nil {
		return err
	}
	r, err := geoip2.OpenBytes(slices.Clip(data))
	if err != nil {
		return fmt.Errorf("%s is not a usable database: %w", m.path, err)
	}
	if err := m.try(r); err != nil {
		return fmt.Errorf("%s does not answer a look-up: %w", m.path, err)
	}
	m.reader.Store(r)
	return nil
}

// reload loads the file when it has changed. One that does not load leaves the old one in force and is said.
func (m *mmdb) reload() {
	if m == nil {
		return
	}
	if st, err := os.Stat(m.path); err == nil && markOf(st).same(m.seen) {
		return
	}
	if err := m.load(); err != nil {
		m.warn(m.path, "the database in use is kept: "+err.Error())
		return
	}
	m.warn(m.path, "")
	m.log.Info("database loaded", "path", m.path)
}
