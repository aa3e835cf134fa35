package front

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/mail"
	"sekimori/internal/mime"
)

func prefixes(list ...string) (all []netip.Prefix) {
	for _, p := range list {
		all = append(all, netip.MustParsePrefix(p))
	}
	return all
}

// TestRelayLimits: what protects against one client must not throttle the gateway that stands for all of them.
func TestRelayLimits(t *testing.T) {
	for name, set := range map[string]func(*config.SMTP){
		"trusted_relays": func(c *config.SMTP) { c.TrustedRelays = prefixes("10.9.0.0/16") },
		"mynetworks":     func(c *config.SMTP) { c.MyNetworks = prefixes("10.0.0.0/8") },
		"both": func(c *config.SMTP) {
			c.MyNetworks, c.TrustedRelays = prefixes("10.0.0.0/8"), prefixes("10.9.9.9/32")
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				set(&w.cfg.SMTP)
				w.cfg.SMTP.MaxConnectionsPerClient, w.cfg.SMTP.MaxFailedRecipients = 1, 2
				w.cfg.SMTP.EarlyTalkerPause = config.Duration(4 * time.Second)
				w.suspects, w.refusal = true, mail.Permanent(554, 7, 1, "no")
				w.start()
				begun := time.Now()
				for range 3 {
					c := w.dialTo("10.9.9.9", config.Listener{}, "EHLO gw.example.jp\r\n")
					c.want("", "220 ")
					c.want("", "250")
					c.want("MAIL FROM:<a@sender.example>", "250")
					for range 10 {
						c.want("RCPT TO:<x@elsewhere.example>", "550")
					}
					c.want("RCPT TO:<x@example.jp>", "250")
				}
				if time.Since(begun) > 0 {
					t.Errorf("it was made to wait %v", time.Since(begun))
				}
				for _, s := range w.sessions {
					if s.Early {
						t.Error("taken for an early talker")
					}
				}
			})
		})
	}
}

// TestRelayRecord: log and record name the client and the relay.
func TestRelayRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.cfg.SMTP.TrustedRelays = prefixes("192.0.2.10/32")
		w.start()
		c := w.dial("192.0.2.10").hello().envelope("x@example.jp")
		c.want("DATA", "354")
		c.want("Received: from a.test (a.test [198.51.100.7]) by gw with SMTP; x\r\n"+plainMail+".", "250")
		r := w.records[0]
		if r.Session.Client.String() != "198.51.100.7" || r.Session.Relay.String() != "192.0.2.10" || r.Session.Helo != "a.test" {
			t.Errorf("%+v", r.Session)
		}
		if !strings.Contains(w.logged(), "client=198.51.100.7 helo=a.test") || !strings.Contains(w.logged(), "relay=192.0.2.10") {
			t.Error(w.logged())
		}
		c.envelope("x@example.jp").want("DATA", "354")
		c.want(plainMail+".", "250")
		if r := w.records[1]; r.Session.Unknown == "" || !strings.Contains(w.logged(), "client_unknown=") {
			t.Errorf("%+v", r.Session)
		}
	})
}

// TestInternalListenerRelay: on an internal listener there are only one's own servers; an address that is a relay as well is one of
// them.
func TestInternalListenerRelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.cfg.SMTP.MyNetworks, w.cfg.SMTP.TrustedRelays = prefixes("10.0.0.0/8"), prefixes("10.9.9.9/32", "192.0.2.10/32")
		w.start()
		l := config.Listener{Purpose: "internal"}
		w.dialTo("192.0.2.10", l, "").want("", "554 5.7.1")
		w.dialTo("10.9.9.9", l, "").hello()
		if s := w.sessions[0]; !s.Trusted || s.Relayed() {
			t.Errorf("%+v", s)
		}
	})
}

func TestWalkIsBounded(t *testing.T) {
	c := &config.SMTP{TrustedRelays: prefixes("192.0.2.10/32")}
	hop := "Received: from a (a [192.0.2.10]) by b with SMTP; x\r\n"
	m := mime.Parse([]byte(strings.Repeat(hop, maxHops+1) + "\r\n"))
	s := BehindRelay(c, &mail.Session{Client: netip.MustParseAddr("192.0.2.10"), Relay: netip.MustParseAddr("192.0.2.10")}, m)
	if !strings.Contains(s.Unknown, "too many") {
		t.Errorf("%+v", s)
	}
}

// FuzzBehindRelay puts any text below what the relay wrote: the client stays the one whom the relay names.
func FuzzBehindRelay(f *testing.F) {
	f.Add("Received: from x (y [203.0.113.9]) by gw.example.jp; z\r\n")
	f.Add(" folded (a [203.0.113.9])\r\n\r\n")
	c := &config.SMTP{TrustedRelays: prefixes("192.0.2.10/32"), MyNetworks: prefixes("10.0.0.0/8")}
	relay := &mail.Session{Client: netip.MustParseAddr("192.0.2.10"), Relay: netip.MustParseAddr("192.0.2.10")}
	f.Fuzz(func(t *testing.T, below string) {
		top := "Received: from mx.test (mx.test [198.51.100.7]) by gw.example.jp (Postfix) with SMTP id 1;\r\n\tx\r\nX-End: 1"
		s := BehindRelay(c, relay, mime.Parse([]byte(top+below)))
		if s.Client.String() != "198.51.100.7" || s.Unknown != "" || s.Trusted || s.Helo != "mx.test" {
			t.Fatalf("%q: %+v", below, s)
		}
	})
}
