package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"gopkg.in/yaml.v3"
)

// spfSuite is one document of the RFC 7208 test suite.
type spfSuite struct {
	Description string
	Tests       map[string]spfCase
	ZoneData    map[string][]yaml.Node `yaml:"zonedata"`
}

type spfCase struct {
	Helo, Host string
	MailFrom   string    `yaml:"mailfrom"`
	Result     yaml.Node `yaml:"result"`
	Skip       string
}

// oneOrMany reads a YAML scalar or list.
func oneOrMany(n *yaml.Node) []string {
	var many []string
	if n.Decode(&many) == nil && len(many) > 0 {
		return many
	}
	var one string
	_ = n.Decode(&one)
	return []string{one}
}

func spfSuites(t *testing.T) []spfSuite {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "blitiri.com.ar/go/spf").Output()
	if err != nil {
		need(t, "the go command does not find the module with the RFC 7208 suite")
	}
	f, err := os.Open(filepath.Join(strings.TrimSpace(string(dir)), "testdata", "rfc7208-tests.yml"))
	if err != nil {
		need(t, "the RFC 7208 suite is not there: "+err.Error())
	}
	defer f.Close()
	var all []spfSuite
	for d := yaml.NewDecoder(f); ; {
		var s spfSuite
		if d.Decode(&s) != nil {
			return all
		}
		all = append(all, s)
	}
}

// load fills a zone server with a suite's zone; names of TXT records of old type SPF stand as TXT where no TXT is given.
func (z *zoneServer) load(t *testing.T, zone map[string][]yaml.Node) {
	t.Helper()
	z.mu.Lock()
	defer z.mu.Unlock()
	z.rrs, z.mute = map[string][]dns.RR{}, map[string]bool{}
	for name, records := range zone {
		owner := strings.ReplaceAll(strings.ToLower(dns.Fqdn(name)), " ", `\ `)
		z.rrs[owner] = nil
		hasTXT := slices.ContainsFunc(records, func(n yaml.Node) bool { m := map[string]yaml.Node{}; _ = n.Decode(&m); _, ok := m["TXT"]; return ok })
		for _, n := range records {
			if n.Kind == yaml.ScalarNode { // TIMEOUT
				z.mute[owner] = true
				continue
			}
			m := map[string]yaml.Node{}
			if err := n.Decode(&m); err != nil {
				t.Fatal(err)
			}
			for kind, v := range m {
				z.rrs[owner] = append(z.rrs[owner], suiteRecords(owner, kind, &v, hasTXT)...)
				if kind == "TIMEOUT" {
					z.mute[owner] = true
				}
			}
		}
	}
}

func suiteRecords(owner, kind string, v *yaml.Node, hasTXT bool) []dns.RR {
	h := func(t uint16) dns.RR_Header { return dns.RR_Header{Name: owner, Rrtype: t, Class: dns.ClassINET} }
	values := oneOrMany(v)
	switch kind {
	case "A", "AAAA":
		rr, err := dns.NewRR(owner + " 0 IN " + kind + " " + values[0])
		if err != nil {
			return nil
		}
		return []dns.RR{rr}
	case "MX":
		var prio uint16
		_, _ = fmt.Sscan(values[0], &prio)
		return []dns.RR{&dns.MX{Hdr: h(dns.TypeMX), Preference: prio, Mx: dns.Fqdn(values[1])}}
	case "PTR":
		return []dns.RR{&dns.PTR{Hdr: h(dns.TypePTR), Ptr: dns.Fqdn(values[0])}}
	case "CNAME":
		return []dns.RR{&dns.CNAME{Hdr: h(dns.TypeCNAME), Target: dns.Fqdn(values[0])}}
	case "SPF", "TXT":
		if kind == "SPF" && hasTXT || len(values) == 1 && values[0] == "NONE" {
			return nil
		}
		for i, s := range values {
			values[i] = strings.ReplaceAll(s, `\`, `\\`)
		}
		return []dns.RR{&dns.TXT{Hdr: h(dns.TypeTXT), Txt: values}}
	}
	return nil
}

// TestSPFSuiteOverSMTP sends a mail for every case of the RFC 7208 suite through the running server, with the PROXY
// header for the client's address and a zone server for the suite's zone, and reads the result in the header that
// arrives. Addresses that the front refuses have no result to be wrong.
func TestSPFSuiteOverSMTP(t *testing.T) {
	suites := spfSuites(t)
	right, refused, skipped := 0, 0, 0
	for _, s := range suites {
		// A server of its own for each part: the parts use the same names, and answers are cached.
		g := startGateway(t, gatewayOptions{on: []string{"spf"}, extra: "[policy]\nmode = \"observe\"\n"})
		g.zone.load(t, s.ZoneData)
		for name, c := range s.Tests {
			if c.Skip != "" {
				skipped++
				continue
			}
			reply := send(t, g.SMTP, c.Host, c.Helo, c.MailFrom, "taro@example.test", []byte(plainMail))
			if strings.HasPrefix(reply, "5") {
				refused++
				continue
			}
			if !strings.HasPrefix(reply, "250") {
				t.Errorf("%s/%s: %s", s.Description, name, reply)
				continue
			}
			id := reply[strings.LastIndex(reply, "id=")+3:]
			got := spfResult(t, g, strings.TrimSpace(id), c.MailFrom == "")
			if want := oneOrMany(&c.Result); !slices.Contains(want, got) {
				t.Errorf("%s/%s: %s from <%s> helo %s: got %s, want %v", s.Description, name, c.Host, c.MailFrom, c.Helo, got, want)
				continue
			}
			right++
		}
	}
	t.Logf("%d right, %d refused by the front before there was a result, %d skipped by the library itself", right, refused, skipped)
	if right < 150 {
		t.Errorf("only %d results were right", right)
	}
}

// spfResult finds the mail with that ID and returns its SPF result.
func spfResult(t *testing.T, g *gateway, id string, null bool) string {
	t.Helper()
	result := ""
	eventually(t, "the mail "+id+" arrives", func() bool {
		for _, m := range maildir(t, g.maildir, 0) {
			head, _, _ := strings.Cut(string(m), "\r\n\r\n")
			if !strings.Contains(field(head, "X-Sekimori-ID"), id) {
				continue
			}
			for part := range strings.SplitSeq(field(head, "Authentication-Results"), ";") {
				part = strings.TrimSpace(part)
				prop := "smtp.mailfrom"
				if null {
					prop = "smtp.helo"
				}
				if rest, ok := strings.CutPrefix(part, "spf="); ok && (strings.Contains(part, prop) || result == "") {
					result, _, _ = strings.Cut(rest, " ")
				}
			}
			return true
		}
		return false
	})
	_ = os.RemoveAll(g.maildir + "/new") // keep the walk short
	_ = os.MkdirAll(g.maildir+"/new", 0o700)
	return result
}
