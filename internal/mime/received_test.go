package mime

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestParseReceived has what servers write, and what clients make of it where a server lets them.
func TestParseReceived(t *testing.T) {
	for value, want := range map[string]string{
		// Postfix
		"from mx.partner.test (mail.partner.test [198.51.100.7]) by gw.example.jp (Postfix) with ESMTPS id 4X for <a@example.jp>; Fri, 27 Nov 2026 10:00:00 +0900 (JST)":                                                                             "198.51.100.7 mx.partner.test mail.partner.test by gw.example.jp",
		"from mx.partner.test (unknown [IPv6:2001:db8:5::7]) (using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange X25519) (Client CN \"x [1.2.3.4]\", Issuer \"y\" (not verified)) by gw (Postfix) with ESMTPS id 4X; date": "2001:db8:5::7 mx.partner.test - by gw",
		"from [203.0.113.9] (unknown [198.51.100.7]) by gw (Postfix) with SMTP id 1; date":                                                                                                                                                           "198.51.100.7 [203.0.113.9] - by gw",
		"from unknown (HELO missing) (198.51.100.7) by gw with SMTP; date":                                                                                                                                                                           "198.51.100.7 - - by gw",
		"by gw.example.jp (Postfix, from userid 1001) id 4X; date":                                                                                                                                                                                   "local by gw.example.jp",
		"from localhost (localhost [127.0.0.1]) by gw (Postfix) with ESMTP id 4X; date":                                                                                                                                                              "127.0.0.1 localhost localhost by gw",
		"from gw.example.jp ([127.0.0.1]) by localhost (gw.example.jp [127.0.0.1]) (amavisd-new, port 10024) with ESMTP id x; date":                                                                                                                  "127.0.0.1 gw.example.jp - local by localhost",
		// Sendmail
		"from mx.partner.test (mail.partner.test [198.51.100.7] (may be forged)) by gw (8.17.1/8.17.1) with ESMTPS id x (version=TLSv1.3 verify=NO); date": "198.51.100.7 mx.partner.test mail.partner.test by gw",
		"from mx.partner.test (IDENT:user@mail.partner.test [198.51.100.7]) by gw (8.12) with ESMTP id x; date":                                            "198.51.100.7 mx.partner.test mail.partner.test by gw",
		"from mx.partner.test ([198.51.100.7]) by gw (8.12) with ESMTP id x; date":                                                                         "198.51.100.7 mx.partner.test - by gw",
		"(from root@localhost) by gw.example.jp (8.17.1/8.17.1/Submit) id x; date":                                                                         "local by gw.example.jp",
		// qmail
		"from unknown (HELO mx.partner.test) (198.51.100.7) by gw with SMTP; 27 Nov 2026 01:00:00 -0000":              "198.51.100.7 mx.partner.test - by gw",
		"from mail.partner.test (HELO mx.partner.test) (user@198.51.100.7) by gw with (DHE-RSA encrypted) SMTP; date": "198.51.100.7 mx.partner.test mail.partner.test by gw",
		"from mail.partner.test (198.51.100.7) by gw with SMTP; date":                                                 "198.51.100.7 mail.partner.test - by gw",
		"(qmail 1234 invoked by uid 0); 27 Nov 2026 01:00:00 -0000":                                                   "local by ",
		"(qmail 1234 invoked from network); 27 Nov 2026 01:00:00 -0000":                                               "local by ",
		// Exim
		"from [198.51.100.7] (helo=mx.partner.test) by gw with esmtp (Exim 4.96) (envelope-from <a@b.test>) id x for c@d.test; date": "198.51.100.7 mx.partner.test - by gw",
		"from mail.partner.test ([198.51.100.7] helo=mx.partner.test) by gw with esmtps (TLS1.3) tls X (Exim 4.96) id x; date":       "198.51.100.7 mx.partner.test mail.partner.test by gw",
		"from mail.partner.test ([198.51.100.7]:4321 helo=[203.0.113.9]) by gw with esmtp (Exim 4.96) id x; date":                    "198.51.100.7 [203.0.113.9] mail.partner.test by gw",
		"from mail.partner.test ([2001:db8:5::7]) by gw with esmtp (Exim 4.96) id x; date":                                           "2001:db8:5::7 mail.partner.test - by gw",
		"from [198.51.100.7] (port=4321 helo=mx.partner.test) by gw with esmtp (Exim 4.96) id x; date":                               "198.51.100.7 mx.partner.test - by gw",
		"from [198.51.100.7] by gw with smtp (Exim 4.96) id x; date":                                                                 "198.51.100.7 - - by gw",
		"from root by gw.example.jp with local (Exim 4.96) (envelope-from <root@gw>) id x; date":                                     "local by gw.example.jp",
		// Exchange
		"from mx.partner.test (198.51.100.7) by EX01.corp.example.jp (10.0.0.5) with Microsoft SMTP Server (version=TLS1_2, cipher=X) id 15.2.1; date": "198.51.100.7 mx.partner.test - by ex01.corp.example.jp",
		"from EX01.corp.example.jp (10.0.0.5) by EX01.corp.example.jp (10.0.0.5) with Microsoft SMTP Server id 15.2.1 via Frontend Transport; date":    "10.0.0.5 ex01.corp.example.jp - local by ex01.corp.example.jp",
		"from EX01.corp.example.jp ([fe80::1234:5%12]) by EX01.corp.example.jp ([fe80::1234:5%12]) with mapi id 15.02; date":                           "fe80::1234:5 ex01.corp.example.jp - local by ex01.corp.example.jp",
		"from mx.partner.test (2001:db8:5::7) by X.prod.outlook.com (2603:1096:404::15) with Microsoft SMTP Server id 15.20; date":                     "2001:db8:5::7 mx.partner.test - by x.prod.outlook.com",
		// Appliances and others
		"from unknown (HELO mx.partner.test) ([198.51.100.7]) by esa1.example.jp with ESMTP/TLS/ECDHE; date":                                "198.51.100.7 mx.partner.test - by esa1.example.jp",
		"from mx.partner.test (mail.partner.test [198.51.100.7]) by barracuda.example.jp with ESMTP id X (version=TLSv1.2) for <a@b>; date": "198.51.100.7 mx.partner.test mail.partner.test by barracuda.example.jp",
		"from mx.partner.test ([198.51.100.7]) by gw (Lotus Domino Release 9.0.1) with ESMTP id 2026-1; date":                               "198.51.100.7 mx.partner.test - by gw",
		"from mx.partner.test (mail.partner.test [::ffff:198.51.100.7]) (TLS: TLSv1.2) by gw with esmtp; date":                              "198.51.100.7 mx.partner.test mail.partner.test by gw",
		"from [198.51.100.7] (HELO mx.partner.test) by gw (CommuniGate Pro SMTP 6.2) with ESMTP id 1; date":                                 "198.51.100.7 mx.partner.test - by gw",
		"from mx.partner.test (mail.partner.test [198.51.100.7])\tby gw.example.jp with ESMTP id id1;\tdate":                                "198.51.100.7 mx.partner.test mail.partner.test by gw.example.jp",
		// What a client has put into its HELO, or what says nothing
		"from x (y [203.0.113.9]) (mail.partner.test [198.51.100.7]) by gw with SMTP; date":      "names two addresses",
		"from mail.partner.test ([198.51.100.7] helo=x) (y [203.0.113.9]) by gw with smtp; date": "names two addresses",
		"from [198.51.100.7] (helo=x) (y [203.0.113.9]) by gw with smtp (Exim 4.96); date":       "names two addresses",
		"from [203.0.113.9] by gw with SMTP id x; date":                                          "does not say from which address",
		"from x by y (mail.partner.test [198.51.100.7]) by gw with SMTP; date":                   "names two addresses",
		"from x by gw with local (mail.partner.test [198.51.100.7]) by gw with SMTP; date":       "names two addresses",
		"from x by gw with local; (mail.partner.test [198.51.100.7]) by gw with SMTP; date":      "names two addresses",
		"from x by gw with local ( (mail.partner.test [198.51.100.7]) by gw with SMTP; date":     "names two addresses",
		"from [203.0.113.9] by gw (Exim 4) (m [198.51.100.7]) by gw with SMTP; date":             "names two addresses",
		"from mx.partner.test by gw (MDaemon PRO v20) with ESMTP id x; date":                     "does not say from which address",
		"from mx.partner.test (mail [300.1.1.1]) by gw; date":                                    "does not say from which address",
		"from mx.partner.test (mail [198.51.100.7] by gw; date":                                  "has a form that is not known",
		"from mx.partner.test mail [198.51.100.7] by gw; date":                                   "has a form that is not known",
		"from mx.partner.test (mail [198.51.100.7]) for x; date":                                 "has a form that is not known",
		"from ; by gw": "has a form that is not known",
		"from by gw":   "has a form that is not known",
		"by":           "has a form that is not known",
		"":             "has a form that is not known",
		"from x (a)(b)(c)(d)(e)(f)(g)(h)(i [198.51.100.7]) by gw": "has a form that is not known",
		"from " + strings.Repeat("(", 5000):                       "is too long",
		"from x!y (mail.partner.test [198.51.100.7]) by gw; date": "198.51.100.7 - mail.partner.test by gw",
	} {
		if got := describe(ParseReceived(value)); got != want {
			t.Errorf("%s\n got %s\nwant %s", value, got, want)
		}
	}
}

func describe(h Hop, err error) string {
	if err != nil {
		return err.Error()
	}
	or := func(s string) string {
		if s == "" {
			return "-"
		}
		return s
	}
	by := "by " + h.By
	if h.Local {
		by = "local " + by
	}
	if !h.Addr.IsValid() {
		return by
	}
	return fmt.Sprintf("%s %s %s %s", h.Addr, or(strings.ToLower(h.Helo)), or(h.Name), by)
}

// FuzzParseReceived has whatever HELO go into what servers write around it: the address is that of the connection, or none.
func FuzzParseReceived(f *testing.F) {
	for _, helo := range []string{"mx.test", "[203.0.113.9]", "x (y [203.0.113.9])", "x) (y [203.0.113.9]", "a by b", "a by b with local", "[203.0.113.9] by gw (Exim 4)", "(", ")", "\\", "x;y", "HELO x", "helo=x", "x helo=y", "[1.2.3.4]:25", ")([0.0.0.0]", ") (0.0.0.0", ") (x [0.0.0.0]"} {
		f.Add(helo)
	}
	forms := []string{
		"from %s (mail.partner.test [198.51.100.7]) by gw (Postfix) with ESMTP id 1; date",
		"from %s (unknown [IPv6:2001:db8:5::7]) by gw (Postfix) with ESMTP id 1; date",
		"from mail.partner.test (HELO %s) (198.51.100.7) by gw with SMTP; date",
		"from [198.51.100.7] (helo=%s) by gw with esmtp (Exim 4.96) id 1; date",
		"from mail.partner.test ([198.51.100.7] helo=%s) by gw with esmtp (Exim 4.96) id 1; date",
		"from %s (198.51.100.7) by EX01 (10.0.0.5) with Microsoft SMTP Server id 1; date",
	}
	f.Fuzz(func(t *testing.T, helo string) {
		for _, form := range forms {
			h, err := ParseReceived(fmt.Sprintf(form, helo))
			if got := h.Addr.String(); err == nil && h.Addr.IsValid() && got != "198.51.100.7" && got != "2001:db8:5::7" {
				t.Fatalf("HELO %q in %q: the client is %s", helo, form, got)
			}
			if err == nil && !h.Addr.IsValid() && !h.Local {
				t.Fatalf("HELO %q in %q: neither an address nor an error", helo, form)
			}
			if err == nil && h.Local {
				t.Fatalf("HELO %q in %q: it is taken for a mail of the host's own", helo, form)
			}
		}
		if h, err := ParseReceived(helo); err == nil && !h.Addr.IsValid() && !h.Local {
			t.Fatalf("%q: neither an address nor an error", helo)
		}
	})
}

func TestParseReceivedTime(t *testing.T) {
	begun := time.Now()
	for _, piece := range []string{"(", ")", "\\", "[", " ", "(a)", "a ", "helo=", "@", "by ", ":"} {
		for range 1000 {
			if _, err := ParseReceived(("from " + strings.Repeat(piece, 4096))[:4096]); errors.Is(err, ErrReceivedLong) {
				t.Fatal(err)
			}
		}
	}
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("11,000 hostile fields took %v", took)
	}
}
