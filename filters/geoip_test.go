package filters

import (
	"context"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sekimori/internal/mail"
)

func countryFile(t *testing.T, path, code string) {
	t.Helper()
	writeMMDB(t, path, "type GeoLite2-Country\n198.51.100.0/24 {\"country\": {\"iso_code\": \""+code+"\"}}\n")
	// The clock of the file system may be coarser than this test is fast.
	when := time.Now().Add(time.Duration(code[0])*time.Minute + time.Duration(code[1])*time.Second)
	if err := os.Chtimes(path, when, when); err != nil {
		t.Fatal(err)
	}
}

func countryOf(t *testing.T, c Check) string {
	t.Helper()
	r, err := c.Check(t.Context(), &mail.Transaction{Session: &mail.Session{Client: netip.MustParseAddr("198.51.100.7")}})
	if err != nil {
		t.Error(err)
		return ""
	}
	return r.Facts[0].Value.(string)
}

func discard() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// The file may be replaced, rewritten in place, broken, removed and put back while it is in use.
func TestGeoIPReload(t *testing.T) {
	path := filepath.Join(t.TempDir(), "country.mmdb")
	countryFile(t, path, "BR")
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		said := &warnings{}
		check, err := newGeoIP(ctx, Env{Config: section(t, "country = '"+path+"'"), Log: discard(), Warn: said.warn})
		if err != nil {
			t.Fatal(err)
		}
		later := func() { time.Sleep(geoipPoll + time.Second); synctest.Wait() }
		for _, step := range []struct {
			do   func()
			want string
			warn string // a part of what is said; "-" an end of the warning; "" nothing
		}{
			{func() {}, "BR", ""},
			{func() { countryFile(t, path, "JP") }, "JP", "-"},
			{func() {
				countryFile(t, path+".new", "FR")
				if err := os.Rename(path+".new", path); err != nil {
					t.Fatal(err)
				}
			}, "FR", "-"},
			{func() { writeMMDB(t, path, "broken") }, "FR", "not a usable database"},
			{func() {}, "FR", ""},
			{func() { writeMMDB(t, path, "type GeoLite2-ASN\n") }, "FR", "does not answer"},
			{func() { writeMMDB(t, path, "type Something-Else\n") }, "FR", "not a usable database"},
			{func() { _ = os.Remove(path) }, "FR", "no such file"},
			{func() { countryFile(t, path, "DE") }, "DE", "-"},
		} {
			step.do()
			later()
			if got := countryOf(t, check); got != step.want {
				t.Errorf("country %q, want %q", got, step.want)
			}
			w := strings.Join(said.take(), "\n")
			switch {
			case step.warn == "" && w != "", step.warn == "-" && w != "country=":
				t.Errorf("said %q", w)
			case !strings.Contains(w, strings.Trim(step.warn, "-")):
				t.Errorf("said %q, want %q", w, step.warn)
			}
		}
	})
}

// Look-ups go on while files are swapped.
func TestGeoIPLookupsDuringReload(t *testing.T) {
	path := filepath.Join(t.TempDir(), "country.mmdb")
	countryFile(t, path, "BR")
	check, err := newGeoIP(t.Context(), Env{Config: section(t, "country = '"+path+"'"), Log: discard(), Warn: func(string, string) {}})
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					if c := countryOf(t, check); len(c) != 2 {
						t.Errorf("country %q", c)
						return
					}
				}
			}
		})
	}
	for i := range 20 {
		countryFile(t, path, []string{"JP", "BR"}[i%2])
		check.(*geoip).country.reload()
	}
	close(stop)
	wg.Wait()
}

func TestGeoIPConfig(t *testing.T) {
	dir := t.TempDir()
	good, broken := filepath.Join(dir, "good.mmdb"), filepath.Join(dir, "broken.mmdb")
	countryFile(t, good, "BR")
	writeMMDB(t, broken, "broken")
	for _, c := range []struct {
		text string
		says []string
	}{
		{"country = '" + filepath.Join(dir, "none.mmdb") + "'\nasn = '" + broken + "'", []string{"1:", "none.mmdb", "2:", "not a usable database"}},
		{"asn = '" + good + "'", []string{"does not answer a look-up"}},
		{"country = '" + good + "'\nscores = { jp = 1.0 }", []string{"scores.jp", "not a country code"}},
		{"asn = '" + good + "'\nscores = { JP = 1.0 }", []string{"need a country database"}},
		{"contry = 'x'", []string{"contry"}},
	} {
		_, err := newGeoIP(t.Context(), Env{Config: section(t, c.text), Log: discard(), Warn: func(string, string) {}})
		if err == nil {
			t.Errorf("accepted:\n%s", c.text)
			continue
		}
		for _, s := range c.says {
			if !strings.Contains(err.Error(), s) {
				t.Errorf("%v\ndoes not say %q", err, s)
			}
		}
	}
}
