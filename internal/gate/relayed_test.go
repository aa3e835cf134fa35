package gate

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sekimori/filters"
	"sekimori/internal/mail"
)

// seen remembers for whom a check was asked.
type seen struct {
	mu   sync.Mutex
	list []string
}

func (s *seen) check(name string, took time.Duration) scripted {
	return func(_ context.Context, tx *mail.Transaction) (mail.Result, error) {
		s.mu.Lock()
		s.list = append(s.list, name+" "+tx.Session.Client.String()+" "+tx.Rcpt.String())
		s.mu.Unlock()
		time.Sleep(took)
		bad := tx.Session.Client.String() == "198.51.100.66"
		r := mail.Result{Facts: []mail.FactValue{{Name: name + ".bad", Value: bad}}}
		if bad {
			r.Findings = []mail.Finding{{Symbol: strings.ToUpper(name) + "_BAD"}}
		}
		return r, nil
	}
}

func (s *seen) specs(took time.Duration) []filters.Spec {
	var all []filters.Spec
	for _, stage := range []mail.Stage{mail.Connect, mail.Helo, mail.Mail, mail.Rcpt, mail.Data} {
		name := "at" + stage.String()
		all = append(all, spec(name, stage, s.check(name, took)))
	}
	return all
}

// behind takes a mail of a relay to two recipients through the gate; client is the session that its header gives, nil for none.
func behind(t *testing.T, v *Visit, client *mail.Session) (*Judging, []mail.Verdict) {
	t.Helper()
	j := v.Begin("id", mail.Address{Local: "a", Domain: "partner.test"}, mail.Params{})
	for _, local := range []string{"x", "y"} {
		rcpt := mail.Address{Local: local, Domain: "example.test"}
		if at := j.Rcpt(t.Context(), rcpt, []mail.Address{{Local: "box", Domain: "example.test"}}); at.Action != mail.Deliver || at.Rcpt != rcpt {
			t.Errorf("at RCPT %+v", at)
		}
		j.Accept(rcpt)
	}
	if client != nil {
		j.Client(client)
	}
	return j, j.Conclude(t.Context(), &mail.Message{Raw: []byte("Subject: x\r\n\r\n")})
}

func relayVisit(t *testing.T, g *Gate) (*Visit, *mail.Session) {
	t.Helper()
	s := session()
	s.Relay = s.Client
	v := g.Accept(t.Context(), s)
	t.Cleanup(v.Close)
	if v.Suspect(t.Context()) || !v.Refuse(t.Context()).IsZero() {
		t.Error("the relay is suspected")
	}
	v.Helo(s)
	return v, s
}

func realClient(s *mail.Session, addr string) *mail.Session {
	next := *s
	next.Client, next.Helo = netip.MustParseAddr(addr), "mx.test"
	return &next
}

// TestRelayed judges each mail of one connection by its own client, and nothing by the relay's address.
func TestRelayed(t *testing.T) {
	s := &seen{}
	g := newGate(t, nil, s.specs(0)...)
	v, sess := relayVisit(t, g)
	_, good := behind(t, v, realClient(sess, "198.51.100.7"))
	if good[0].Action != mail.Deliver || good[1].Action != mail.Deliver || good[0].Score != 0 {
		t.Errorf("%+v", good)
	}
	j, bad := behind(t, v, realClient(sess, "198.51.100.66"))
	if bad[0].Action != mail.Reject || bad[0].Score < 28 || bad[1].Action != mail.Reject {
		t.Errorf("%+v", bad)
	}
	if box := j.Transaction().Mailbox(mail.Address{Local: "x", Domain: "example.test"}); box.Local != "box" {
		t.Errorf("the mailbox of x is %v", box)
	}
	facts := j.Transaction().Facts
	if facts["client.unknown"] != false {
		t.Error("the client is known")
	}
	own := realClient(sess, "192.0.2.1")
	own.Unknown = mail.FromRelay
	if j, _ := behind(t, v, own); j.Transaction().Facts["client.unknown"] != false {
		t.Error("the relay's own mail has no client that could be unknown")
	}
	s.list = slices.DeleteFunc(s.list, func(l string) bool { return strings.HasPrefix(l, "atdata 192.0.2.1") })
	if facts["client.ip"] != "198.51.100.66" || facts["client.relay"] != "192.0.2.1" || facts["client.helo"] != "mx.test" || facts["atconnect.bad"] != true {
		t.Errorf("%v", facts)
	}
	if _, known := facts["client.tls"]; known {
		t.Error("how the client spoke to the relay is not known")
	}
	var rcpts []string
	for _, l := range s.list {
		if strings.Contains(l, "192.0.2.1") {
			t.Errorf("a check was asked about the relay: %s", l)
		}
		if strings.HasPrefix(l, "atrcpt") {
			rcpts = append(rcpts, l)
		}
	}
	slices.Sort(rcpts)
	if len(rcpts) != 4 || len(s.list) != 12 || rcpts[0] != "atrcpt 198.51.100.66 x@example.test" {
		t.Errorf("%q", s.list)
	}
}

// TestRelayedUnknown skips what asks about a client nobody knows, says why, and still looks at the message.
func TestRelayedUnknown(t *testing.T) {
	for name, client := range map[string]func(*mail.Session) *mail.Session{
		"the relay wrote no Received field": func(s *mail.Session) *mail.Session {
			next := *s
			next.Unknown, next.Helo = "the relay wrote no Received field", ""
			return &next
		},
		"the header was not read": func(*mail.Session) *mail.Session { return nil },
	} {
		s := &seen{}
		v, sess := relayVisit(t, newGate(t, map[string]mail.Action{"dns": mail.Defer}, s.specs(0)...))
		j, got := behind(t, v, client(sess))
		if len(s.list) != 1 || !strings.HasPrefix(s.list[0], "atdata") {
			t.Errorf("%q", s.list)
		}
		if got[0].Action != mail.Deliver || !slices.Contains(got[0].Degraded, "atconnect: skipped: client not known: "+name) {
			t.Errorf("%+v", got[0])
		}
		if j.Transaction().Facts["client.unknown"] != true {
			t.Errorf("client.unknown: %v", j.Transaction().Facts["client.unknown"])
		}
		if _, known := j.Transaction().Facts["client.ip"]; known || j.Transaction().Facts["client.trusted"] != false {
			t.Errorf("%v", j.Transaction().Facts)
		}
	}
}

// TestRelayedTrusted: a printer behind the gateway is as trusted as one that comes itself.
func TestRelayedTrusted(t *testing.T) {
	s := &seen{}
	v, sess := relayVisit(t, newGate(t, nil, s.specs(0)...))
	client := realClient(sess, "198.51.100.66")
	client.Trusted = true
	j, _ := behind(t, v, client)
	if o, _ := j.Transaction().Outcome("atconnect"); o.Why != "trusted client" || j.Transaction().Facts["client.trusted"] != true {
		t.Errorf("%+v", o)
	}
}

// TestRelayedSideBySide: what was put off runs together with the checks of the message.
func TestRelayedSideBySide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &seen{}
		v, sess := relayVisit(t, newGate(t, nil, s.specs(2*time.Second)...))
		begun := time.Now()
		behind(t, v, realClient(sess, "198.51.100.7"))
		if took := time.Since(begun); took != 2*time.Second {
			t.Errorf("all checks of 2 s took %v", took)
		}
	})
}
