package filters

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"sekimori/internal/mail"
)

func TestParseDMARC(t *testing.T) {
	for _, c := range []struct {
		txt    string
		p, sp  string
		broken bool
	}{
		{"v=DMARC1; p=reject", "reject", "", false},
		{"v=DMARC1;p=REJECT;", "reject", "", false},
		{" v = DMARC1 ; P = Quarantine ; SP=None", "quarantine", "none", false},
		{"v=DMARC1; p=reject; pct=abc; rf=iodef; ri=x; rua=mailto:a@b!10m", "reject", "", false},
		{"v=DMARC1; p=reject; pct=0", "reject", "", false},
		{"v=DMARC1; rua=mailto:a@b; p=reject", "reject", "", false},
		{"v=DMARC1; p=reject; p=none", "reject", "", false},
		{"v=DMARC1; p=reject; junk; =; x=y=z", "reject", "", false},
		{"v=DMARC1; p=reject; sp=rejct; adkim=strict; t=maybe; psd=q", "reject", "", false},
		{"v=DMARC1", "none", "", false},
		{"v=DMARC1; sp=reject", "none", "reject", false},
		{"v=DMARC1; p=rejct", "none", "", true},
		{"v=DMARC1; p=", "none", "", true},
		{"v=DMARC1; p=reject v=x", "none", "", true},
	} {
		r, ok := parseDMARC("a.example", c.txt)
		if !ok || r.p != c.p || r.sp != c.sp || (r.broken != "") != c.broken || r.strictDKIM || r.testing || r.psd != "u" {
			t.Errorf("%q: %+v %v", c.txt, r, ok)
		}
	}
	for _, txt := range []string{"", ";", "v=DMARC1x; p=reject", "v=DMARC2; p=reject", "p=reject; v=DMARC1", "v=spf1 -all", "v=dmarc1; p=none", "DMARC1"} {
		if _, ok := parseDMARC("a.example", txt); ok {
			t.Errorf("%q is taken for a record", txt)
		}
	}
}

func TestDMARCWalk(t *testing.T) {
	deep := "a.b.c.d.e.f.g.h.i.j.mail.example.com"
	for _, c := range []struct{ name, zone, domain, org, policyAt string }{
		{"none", "", "a.example.com", "a.example.com", ""},
		{"own", `_dmarc.example.com. TXT "v=DMARC1; p=none"`, "example.com", "example.com", "example.com"},
		{"parent", `_dmarc.example.com. TXT "v=DMARC1; p=none"`, "a.b.example.com", "example.com", "example.com"},
		{"fewest labels", "_dmarc.example.com. TXT \"v=DMARC1; p=none\"\n_dmarc.b.example.com. TXT \"v=DMARC1; p=reject\"", "a.b.example.com", "example.com", "example.com"},
		{"psd=n", "_dmarc.example.com. TXT \"v=DMARC1; p=none\"\n_dmarc.b.example.com. TXT \"v=DMARC1; p=reject; psd=n\"", "a.b.example.com", "b.example.com", "b.example.com"},
		{"psd=y", `_dmarc.bank.test. TXT "v=DMARC1; p=reject; psd=y"`, "a.b.bank.test", "b.bank.test", "bank.test"},
		{"psd=y itself", `_dmarc.bank.test. TXT "v=DMARC1; p=reject; psd=y"`, "bank.test", "bank.test", "bank.test"},
		{"suffix without psd", `_dmarc.co.jp. TXT "v=DMARC1; p=reject"`, "a.example.co.jp", "example.co.jp", "co.jp"},
		{"two records", "_dmarc.example.com. TXT \"v=DMARC1; p=none\"\n_dmarc.example.com. TXT \"v=DMARC1; p=reject\"", "example.com", "example.com", ""},
		{"beside others", "_dmarc.example.com. TXT \"v=spf1 -all\"\n_dmarc.example.com. TXT \"v=DMARC1; p=reject\"", "example.com", "example.com", "example.com"},
		{"deep", `_dmarc.example.com. TXT "v=DMARC1; p=none"`, deep, "example.com", "example.com"},
		{"not asked", `_dmarc.d.e.f.g.h.i.j.mail.example.com. TXT "v=DMARC1; p=none"`, deep, deep, ""},
	} {
		z := zoneOf(t, c.zone)
		w := &dmarcWalker{dns: z, cache: map[string]dmarcAnswer{}}
		tree := w.walk(context.Background(), c.domain)
		at := ""
		if r := tree.policy(); r != nil {
			at = r.domain
		}
		if tree.err != nil || tree.organisation() != c.org || at != c.policyAt {
			t.Errorf("%s: organisation %s, policy at %q, %v", c.name, tree.organisation(), at, tree.err)
		}
		if n := len(z.Asked()); n > maxDMARCWalk {
			t.Errorf("%s: %d queries", c.name, n)
		}
		if c.domain == deep && z.Asked()[1] != "TXT _dmarc.g.h.i.j.mail.example.com." {
			t.Errorf("%v", z.Asked())
		}
	}
}

// dmarcCase is what spf and dkim found, in short: "pass example.com".
type dmarcCase struct{ from, spf, dkim, zone, want string }

func (c dmarcCase) run(t *testing.T) string {
	t.Helper()
	auth := func(check, prop, short string) mail.Outcome {
		o := mail.Outcome{Check: check}
		switch short {
		case "":
		case "TEMPERROR":
			o.State = mail.StateTempError
		case "SKIPPED":
			o.State = mail.StateSkipped
		default:
			result, domain, _ := strings.Cut(short, " ")
			o.Findings = []mail.Finding{{Auth: &mail.AuthResult{Method: check, Result: result, Props: []mail.Evidence{{Key: prop, Value: domain}}}}}
		}
		return o
	}
	tx := &mail.Transaction{
		Session: &mail.Session{}, Stage: mail.Conclude, From: mail.Address{Local: "x", Domain: "example.com"},
		Message:  &mail.Message{From: []mail.Mailbox{{Addr: mail.Address{Local: "a", Domain: c.from}}}},
		Outcomes: []mail.Outcome{auth("spf", "smtp.mailfrom", c.spf), auth("dkim", "header.d", c.dkim)},
	}
	check := &dmarcCheck{dns: zoneOf(t, c.zone)}
	res, err := check.Check(t.Context(), tx)
	switch {
	case err != nil:
		return "error"
	case res.Skipped != "":
		return "skipped"
	}
	return res.Findings[0].Symbol
}

func TestDMARC(t *testing.T) {
	const reject = "_dmarc.example.com. TXT \"v=DMARC1; p=reject\"\n"
	const strict = "_dmarc.example.com. TXT \"v=DMARC1; p=reject; adkim=s; aspf=s\"\n"
	for i, c := range []dmarcCase{
		{"example.com", "", "", "", "DMARC_NO_RECORD"},
		{"example.com", "pass a@example.com", "", reject, "DMARC_PASS"},
		{"example.com", "", "pass example.com", reject, "DMARC_PASS"},
		{"example.com", "pass a@b.example.com", "", reject, "DMARC_PASS"},
		{"a.example.com", "", "pass b.example.com", reject, "DMARC_PASS"},
		{"a.example.com", "", "pass example.com", reject, "DMARC_PASS"},
		{"example.com", "pass a@b.example.com", "pass b.example.com", strict, "DMARC_REJECT"},
		{"example.com", "pass a@example.com", "", strict, "DMARC_PASS"},
		{"example.com", "pass a@other.example", "pass notexample.com", reject, "DMARC_REJECT"},
		{"example.com", "softfail a@example.com", "fail example.com", reject, "DMARC_REJECT"},
		{"example.com", "fail a@example.com", "policy example.com", reject, "DMARC_REJECT"},
		// What did not answer and could have vouched is no failure; what could not have, is none of its business.
		{"example.com", "temperror a@example.com", "", reject, "error"},
		{"example.com", "temperror a@other.example", "", reject, "DMARC_REJECT"},
		{"example.com", "TEMPERROR", "", reject, "error"},
		{"other.example", "TEMPERROR", "", "_dmarc.other.example. TXT \"v=DMARC1; p=reject\"", "DMARC_REJECT"},
		{"example.com", "TEMPERROR", "pass example.com", reject, "DMARC_PASS"},
		{"example.com", "", "temperror example.com", reject, "error"},
		{"example.com", "", "temperror b.example.com", reject, "error"},
		{"example.com", "", "temperror b.example.com", strict, "DMARC_REJECT"},
		{"example.com", "", "temperror other.example", reject, "DMARC_REJECT"},
		{"example.com", "", "TEMPERROR", reject, "error"},
		{"example.com", "pass a@example.com", "TEMPERROR", reject, "DMARC_PASS"},
		{"example.com", "TEMPERROR", "TEMPERROR", "", "DMARC_NO_RECORD"},
		{"example.com", "SKIPPED", "", reject, "skipped"},
		{"example.com", "SKIPPED", "pass example.com", reject, "DMARC_PASS"},
		// The DNS of the domain itself.
		{"example.com", "", "", "_dmarc.example.com. SERVFAIL", "error"},
		{"a.example.com", "", "", "_dmarc.example.com. TIMEOUT", "error"},
		{"example.com", "pass a@example.com", "", reject + "_dmarc.com. TIMEOUT", "DMARC_PASS"},
		{"example.com", "fail a@example.com", "", reject + "_dmarc.com. TIMEOUT", "DMARC_REJECT"},
		{"example.com", "", "pass a.example.com", reject + "_dmarc.com. TIMEOUT", "error"},
		{"example.com", "", "pass other.example", reject + "_dmarc.com. TIMEOUT", "DMARC_REJECT"},
		// Choice of the policy.
		{"a.example.com", "", "", "_dmarc.example.com. TXT \"v=DMARC1; p=reject; sp=none\"\na.example.com. A 192.0.2.1", "DMARC_NONE_FAIL"},
		{"a.example.com", "", "", "_dmarc.example.com. TXT \"v=DMARC1; p=none; sp=quarantine; np=reject\"", "DMARC_REJECT"},
		{"a.example.com", "", "", "_dmarc.example.com. TXT \"v=DMARC1; p=none; sp=quarantine; np=reject\"\na.example.com. MX 1 m.example.", "DMARC_QUARANTINE"},
		{"a.example.com", "", "", "_dmarc.example.com. TXT \"v=DMARC1; p=none; sp=quarantine; np=reject\"\na.example.com. SERVFAIL", "DMARC_QUARANTINE"},
		{"example.com", "", "", "_dmarc.example.com. TXT \"v=DMARC1; p=none; sp=quarantine; np=reject\"", "DMARC_NONE_FAIL"},
		{"a.example.com", "", "", "_dmarc.example.com. TXT \"v=DMARC1; p=none; np=reject\"", "DMARC_REJECT"},
		{"example.com", "", "", "_dmarc.example.com. TXT \"v=DMARC1; p=reject; t=y\"", "DMARC_QUARANTINE"},
		{"example.com", "", "", "_dmarc.example.com. TXT \"v=DMARC1; p=quarantine; t=y\"", "DMARC_NONE_FAIL"},
		{"example.com", "", "", "_dmarc.example.com. TXT \"v=DMARC1; p=rejekt\"", "DMARC_PERMERROR"},
		{"example.com", "", "pass example.com", "_dmarc.example.com. TXT \"v=DMARC1; p=rejekt\"", "DMARC_PASS"},
		{"a.bank.test", "", "", "_dmarc.bank.test. TXT \"v=DMARC1; p=none; sp=reject; psd=y\"\na.bank.test. A 192.0.2.1", "DMARC_REJECT"},
		{"a.bank.test", "", "pass b.bank.test", "_dmarc.bank.test. TXT \"v=DMARC1; p=reject; psd=y\"", "DMARC_REJECT"},
		{"a.co.jp", "", "pass b.co.jp", "_dmarc.co.jp. TXT \"v=DMARC1; p=reject\"", "DMARC_REJECT"},
		{"a.example.com", "", "pass example.com", "_dmarc.a.example.com. TXT \"v=DMARC1; p=reject; psd=n\"\n" + reject, "DMARC_REJECT"},
	} {
		if got := c.run(t); got != c.want {
			t.Errorf("%d %+v: %s", i, c, got)
		}
	}
}

// TestDMARCQueries: whatever the signatures are named, the queries of one mail stay few.
func TestDMARCQueries(t *testing.T) {
	z := zoneOf(t, "_dmarc.example.com. TXT \"v=DMARC1; p=reject\"")
	o := mail.Outcome{Check: "dkim"}
	for i := range 8 {
		d := fmt.Sprintf("a.b.c.d.e.f.g.h%d.x%d.example.com", i, i)
		o.Findings = append(o.Findings, mail.Finding{Auth: &mail.AuthResult{Method: "dkim", Result: "temperror", Props: []mail.Evidence{{Key: "header.d", Value: d}}}})
	}
	tx := &mail.Transaction{
		Session: &mail.Session{}, Message: &mail.Message{From: []mail.Mailbox{{Addr: mail.Address{Domain: "example.com"}}}},
		Outcomes: []mail.Outcome{{Check: "spf"}, o},
	}
	_, _ = (&dmarcCheck{dns: z}).Check(t.Context(), tx)
	if n := len(z.Asked()); n > 8*maxDMARCWalk {
		t.Errorf("%d queries", n)
	}
}

func FuzzParseDMARC(f *testing.F) {
	f.Add("v=DMARC1; p=reject; sp=none; np=quarantine; t=y; psd=n; adkim=s; pct=x")
	f.Add("v=DMARC1;;;=;p")
	f.Fuzz(func(t *testing.T, txt string) {
		r, ok := parseDMARC("a.example", txt)
		if !ok {
			return
		}
		if !isDMARCPolicy(r.p) || r.sp != "" && !isDMARCPolicy(r.sp) || r.np != "" && !isDMARCPolicy(r.np) {
			t.Fatalf("%+v", r)
		}
		for _, exists := range []bool{true, false} {
			for _, d := range []string{"a.example", "b.a.example"} {
				if !isDMARCPolicy(r.policyFor(d, exists)) {
					t.Fatalf("%+v for %s", r, d)
				}
			}
		}
	})
}
