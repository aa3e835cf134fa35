package dns

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"

	miekg "github.com/miekg/dns"
)

// Zone is a Resolver that answers from a text, for tests. Names that are not in it do not exist. It keeps a list of what
// was asked, so that budgets can be tested.
type Zone struct {
	lookups
	data *zoneData
}

type zoneData struct {
	records map[string][]miekg.RR
	pseudo  map[string]string // name, or name and type, -> SERVFAIL | TIMEOUT | HANG

	mu    sync.Mutex
	asked []string
}

// ParseZone reads master-file lines (RFC 1035 section 5; names are absolute, the TTL and the class may be left out;
// *.name is a wildcard) and pseudo records:
//
//	name. SERVFAIL        a server failure for every type
//	name. TIMEOUT         a time-out, at once
//	name. HANG            no answer before the context ends
//	name. TIMEOUT TXT     the same for one type
//
// The error names the line.
func ParseZone(text string) (*Zone, error) {
	d := &zoneData{records: map[string][]miekg.RR{}, pseudo: map[string]string{}}
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		f := strings.Fields(line)
		if len(f) < 2 || len(f) > 3 || !slices.Contains([]string{"SERVFAIL", "TIMEOUT", "HANG"}, f[1]) {
			continue
		}
		key := canonical(miekg.Fqdn(f[0]))
		if len(f) == 3 {
			if _, ok := miekg.StringToType[f[2]]; !ok {
				return nil, fmt.Errorf("zone line %d: %s is no record type", i+1, f[2])
			}
			key += " " + f[2]
		}
		d.pseudo[key] = f[1]
		lines[i] = ""
	}
	zp := miekg.NewZoneParser(strings.NewReader(strings.Join(lines, "\n")), ".", "zone")
	zp.SetDefaultTTL(300)
	for rr, ok := zp.Next(); ok; rr, ok = zp.Next() {
		name := canonical(rr.Header().Name)
		d.records[name] = append(d.records[name], rr)
	}
	if err := zp.Err(); err != nil {
		return nil, err
	}
	return &Zone{lookups: lookups{d}, data: d}, nil
}

// Asked returns the questions so far as "TYPE name.", in the order they came.
func (z *Zone) Asked() []string {
	z.data.mu.Lock()
	defer z.data.mu.Unlock()
	return slices.Clone(z.data.asked)
}

func (d *zoneData) ask(ctx context.Context, name string, qtype uint16) (*answer, error) {
	name = canonical(name)
	d.mu.Lock()
	d.asked = append(d.asked, miekg.TypeToString[qtype]+" "+name)
	d.mu.Unlock()
	a := &answer{}
	for range maxChain {
		if ctx.Err() != nil {
			return nil, canceled(ctx, name)
		}
		if err := d.fault(ctx, name, qtype); err != nil {
			return nil, err
		}
		next := ""
		for _, rr := range d.at(name) {
			if c, ok := rr.(*miekg.CNAME); ok {
				next = canonical(c.Target)
			} else if rr.Header().Rrtype == qtype {
				a.add(rr)
			}
		}
		if next == "" || !a.empty() {
			return a, nil
		}
		name = next
	}
	return nil, temporary(name, "too many aliases")
}

// fault plays the pseudo records.
func (d *zoneData) fault(ctx context.Context, name string, qtype uint16) error {
	kind, ok := d.pseudo[name+" "+miekg.TypeToString[qtype]]
	if !ok {
		kind = d.pseudo[name]
	}
	var err *net.DNSError
	switch kind {
	case "":
		return nil
	case "SERVFAIL":
		err = temporary(name, "server failure")
	case "TIMEOUT":
		err = timeout(name, "time is up")
	case "HANG":
		<-ctx.Done()
		err = canceled(ctx, name)
	}
	return err
}

// at returns the records of a name, or of the closest wildcard above it (RFC 4592 in little).
func (d *zoneData) at(name string) []miekg.RR {
	if rr, ok := d.records[name]; ok {
		return rr
	}
	for {
		_, parent, ok := strings.Cut(name, ".")
		if !ok || parent == "" {
			return nil
		}
		if rr, ok := d.records["*."+parent]; ok {
			return rr
		}
		if _, ok := d.records[parent]; ok {
			return nil
		}
		name = parent
	}
}
