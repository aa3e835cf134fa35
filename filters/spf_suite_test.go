package filters

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"sekimori/internal/dns"
	"sekimori/internal/mail"
)

// spfSuite is one document of the openspf.org suite for RFC 7208, which the SPF library carries in its testdata.
type spfSuite struct {
	Description string
	Tests       map[string]spfSuiteTest
	ZoneData    map[string][]yaml.Node `yaml:"zonedata"`
}

type spfSuiteTest struct {
	Helo, Host string
	MailFrom   string    `yaml:"mailfrom"`
	Result     yaml.Node // one result or several
	Skip       string    // why the library does not run it
}

// TestSPFSuite allows no wrong result but those that the library itself does not claim: they are marked skip.
func TestSPFSuite(t *testing.T) {
	for file, least := range map[string]int{"rfc7208-tests.yml": 172, "pyspf-tests.yml": 13} {
		t.Run(file, func(t *testing.T) { runSPFSuite(t, file, least) })
	}
}

func runSPFSuite(t *testing.T, file string, least int) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "blitiri.com.ar/go/spf").Output()
	in, err2 := os.Open(filepath.Join(strings.TrimSpace(string(out)), "testdata", file))
	if err := errors.Join(err, err2); err != nil {
		t.Fatalf("the suite is in the zip of the module without which nothing builds: %v", err)
	}
	defer in.Close()
	right, skipped := 0, 0
	for dec := yaml.NewDecoder(in); ; {
		var s spfSuite
		if err := dec.Decode(&s); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		zone := s.zone(t)
		for name, test := range s.Tests {
			if test.Skip != "" {
				skipped++
				continue
			}
			want := strs(test.Result)
			if got := test.run(t, zone); !slices.Contains(want, got) {
				t.Errorf("%s/%s: %s, want %v", s.Description, name, got, want)
				continue
			}
			right++
		}
	}
	t.Logf("%d right, %d skipped by the library", right, skipped)
	if right < least {
		t.Errorf("only %d tests ran", right)
	}
}

// run sends the test's mail through the check; a failed check is a temperror.
func (test spfSuiteTest) run(t *testing.T, r dns.Resolver) string {
	t.Helper()
	var from mail.Address
	if i := strings.LastIndexByte(test.MailFrom, '@'); i >= 0 {
		from = mail.Address{Local: test.MailFrom[:i], Domain: test.MailFrom[i+1:]}
	} else {
		from.Local = test.MailFrom
	}
	c := &spfCheck{dns: r, maxQueries: 60}
	tx := &mail.Transaction{Stage: mail.Mail, From: from, Session: &mail.Session{Client: netip.MustParseAddr(test.Host), Helo: test.Helo}}
	res, err := c.Check(t.Context(), tx)
	if err != nil {
		return "temperror"
	}
	for _, f := range res.Findings {
		if f.Auth.Prop("smtp.mailfrom") != "" {
			return f.Auth.Result
		}
	}
	return "no result"
}

func strs(n yaml.Node) []string {
	var list []string
	if n.Decode(&list) == nil && n.Kind == yaml.SequenceNode {
		return list
	}
	return []string{n.Value}
}

// suiteZone answers as the suite's rules say: TIMEOUT and loops are temporary, and an old SPF record stands in for a
// TXT record where there is none. The suite's names hold octets that no master file does.
type suiteZone struct {
	txt, cname, ptr map[string][]string
	ips             map[string][]netip.Addr
	mx              map[string][]*net.MX
	bad             map[string]bool
}

func (s spfSuite) zone(t *testing.T) *suiteZone {
	t.Helper()
	z := &suiteZone{
		txt: map[string][]string{}, cname: map[string][]string{}, ptr: map[string][]string{},
		ips: map[string][]netip.Addr{}, mx: map[string][]*net.MX{}, bad: map[string]bool{},
	}
	for name, records := range s.ZoneData {
		key := strings.ToLower(strings.TrimSuffix(name, "."))
		var old []string
		for _, r := range records {
			if r.Kind == yaml.ScalarNode { // TIMEOUT
				z.bad[key] = true
				continue
			}
			var m map[string]yaml.Node
			if err := r.Decode(&m); err != nil {
				t.Fatal(err)
			}
			for kind, v := range m {
				z.add(t, key, kind, v, &old)
			}
		}
		if len(z.txt[key]) == 0 {
			z.txt[key] = old
		}
	}
	return z
}

func (z *suiteZone) add(t *testing.T, key, kind string, v yaml.Node, old *[]string) {
	t.Helper()
	switch kind {
	case "A", "AAAA":
		for _, a := range strs(v) {
			z.ips[key] = append(z.ips[key], netip.MustParseAddr(a))
		}
	case "TXT":
		z.txt[key] = append(z.txt[key], strs(v)...)
	case "SPF":
		*old = append(*old, strings.Join(strs(v), ""))
	case "MX":
		var mx []any
		if err := v.Decode(&mx); err != nil {
			t.Fatal(err)
		}
		z.mx[key] = append(z.mx[key], &net.MX{Host: fmt.Sprint(mx[1]), Pref: uint16(mx[0].(int))})
	case "PTR":
		z.ptr[key] = append(z.ptr[key], strs(v)...)
	case "CNAME":
		z.cname[key] = strs(v)
	case "TIMEOUT", "SERVFAIL", "CNAMELOOP":
		z.bad[key] = true
	default:
		t.Fatalf("record of type %s", kind)
	}
}

// find follows aliases to the name that has records.
func (z *suiteZone) find(name string) (string, error) {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	for range 10 {
		for label := range strings.SplitSeq(name, ".") {
			if label == "" || len(label) > 63 {
				return "", &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
			}
		}
		if z.bad[name] {
			return "", &net.DNSError{Err: "time is up", Name: name, IsTemporary: true, IsTimeout: true}
		}
		next, ok := z.cname[name]
		if !ok {
			return name, nil
		}
		name = strings.ToLower(strings.TrimSuffix(next[0], "."))
	}
	return "", &net.DNSError{Err: "too many aliases", Name: name, IsTemporary: true}
}

func answerOf[T any](z *suiteZone, name string, from map[string][]T) ([]T, error) {
	name, err := z.find(name)
	if err != nil {
		return nil, err
	}
	if len(from[name]) == 0 {
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	return from[name], nil
}

func (z *suiteZone) LookupTXT(_ context.Context, name string) ([]string, error) {
	return answerOf(z, name, z.txt)
}

func (z *suiteZone) LookupMX(_ context.Context, name string) ([]*net.MX, error) {
	return answerOf(z, name, z.mx)
}

func (z *suiteZone) LookupIPAddr(context.Context, string) ([]net.IPAddr, error) {
	return nil, errors.New("not used")
}

func (z *suiteZone) LookupNetIP(_ context.Context, network, name string) ([]netip.Addr, error) {
	all, err := answerOf(z, name, z.ips)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(slices.Clone(all), func(a netip.Addr) bool { return network == "ip4" && !a.Is4() || network == "ip6" && a.Is4() })
	if len(all) == 0 {
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	return all, nil
}

func (z *suiteZone) LookupAddr(_ context.Context, addr string) ([]string, error) {
	return answerOf(z, dns.ReverseName(netip.MustParseAddr(addr), suffixOf(addr)), z.ptr)
}

func suffixOf(addr string) string {
	if netip.MustParseAddr(addr).Is4() {
		return "in-addr.arpa"
	}
	return "ip6.arpa"
}
