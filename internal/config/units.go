package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// UnmarshalText reads "15s", "10m", "1h30m", "5d" or "1w". A day is 24 hours.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := ParseDuration(string(b))
	if err != nil {
		return err
	}
	*d = Duration(v)
	return nil
}

// MarshalText is the inverse of UnmarshalText.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// String gives whole weeks and days as such ("14d"), everything else as time.Duration does.
func (d Duration) String() string {
	const day = 24 * time.Hour
	if v := d.D(); v > 0 && v%day == 0 {
		return strconv.FormatInt(int64(v/day), 10) + "d"
	}
	return d.D().String()
}

// ParseDuration reads what time.ParseDuration reads, and d for days and w for weeks, which stand first. Negative values
// are refused.
func ParseDuration(s string) (time.Duration, error) {
	rest, total := strings.TrimSpace(s), 0.0
	bad := fmt.Errorf("%q is not a duration such as \"15s\", \"10m\" or \"14d\"", s)
	for _, unit := range []struct {
		letter string
		hours  float64
	}{{"w", 7 * 24}, {"d", 24}} {
		before, after, found := strings.Cut(rest, unit.letter)
		if !found {
			continue
		}
		n, err := strconv.ParseFloat(before, 64)
		if err != nil || !(n >= 0) {
			return 0, bad
		}
		total += n * unit.hours * float64(time.Hour)
		rest = after
		if rest == "" {
			rest = "0"
		}
	}
	v, err := time.ParseDuration(rest)
	if err != nil || v < 0 || total+float64(v) >= math.MaxInt64 {
		return 0, bad
	}
	return time.Duration(total) + v, nil
}

var sizeUnits = map[string]float64{
	"": 1, "B": 1,
	"kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12,
	"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40,
}

// UnmarshalText reads "36MiB" (2^20), "25MB" (10^6) or a number of octets.
func (z *Size) UnmarshalText(b []byte) error {
	s := strings.TrimSpace(string(b))
	digits := strings.TrimRight(s, "BkKMGTi ")
	factor, known := sizeUnits[strings.TrimSpace(s[len(digits):])]
	n, err := strconv.ParseFloat(digits, 64)
	if err != nil || !known || !(n >= 0) || n*factor >= math.MaxInt64 {
		return fmt.Errorf("%q is not a size such as \"36MiB\" or \"25MB\"", s)
	}
	*z = Size(n * factor)
	return nil
}

// MarshalText is the inverse of UnmarshalText.
func (z Size) MarshalText() ([]byte, error) { return []byte(z.String()), nil }

// String gives the size in the largest unit of 2^10 that divides it.
func (z Size) String() string {
	for _, unit := range []string{"TiB", "GiB", "MiB", "KiB"} {
		if f := Size(sizeUnits[unit]); z >= f && z%f == 0 {
			return strconv.FormatInt(int64(z/f), 10) + unit
		}
	}
	return strconv.FormatInt(int64(z), 10)
}

// Rate is how often something may happen: "100/1m". The zero Rate is "off": there is no limit.
type Rate struct {
	Count  int
	Period time.Duration
}

// UnmarshalText reads "COUNT/DURATION" or "off".
func (r *Rate) UnmarshalText(b []byte) error {
	s := strings.TrimSpace(string(b))
	if s == "off" {
		*r = Rate{}
		return nil
	}
	count, per, ok := strings.Cut(s, "/")
	n, err := strconv.Atoi(strings.TrimSpace(count))
	if !ok || err != nil || n < 1 || n > 1e9 {
		return fmt.Errorf(`%q is not a rate such as "100/1m", or "off"`, s)
	}
	d, err := ParseDuration(strings.TrimSpace(per))
	if err != nil {
		return err
	}
	if d < time.Second || d > 31*24*time.Hour {
		return errors.New("the duration of a rate is from 1s to 31d")
	}
	*r = Rate{n, d}
	return nil
}

// String is the inverse of UnmarshalText.
func (r Rate) String() string {
	if r.Count == 0 {
		return "off"
	}
	per := Duration(r.Period).String()
	if strings.HasSuffix(per, "m0s") { // "1m0s"
		per = strings.TrimSuffix(per, "0s")
	}
	if strings.HasSuffix(per, "h0m") {
		per = strings.TrimSuffix(per, "0m")
	}
	return strconv.Itoa(r.Count) + "/" + per
}
