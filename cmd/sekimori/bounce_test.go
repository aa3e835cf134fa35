package main

import (
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// bounceGateway is a gateway whose backend and whose way out is one real Postfix, which knows no nobody@example.test.
func bounceGateway(t *testing.T, extra string) (g *gateway, box string) {
	t.Helper()
	needTool(t, "postfix")
	port := freePort(t)
	dir := postfix(t, port, `virtual_mailbox_domains = example.test partner.test forged.test
smtpd_recipient_restrictions = check_recipient_access inline:{nobody@example.test=REJECT}, permit_mynetworks, reject
`)
	g = startGateway(t, gatewayOptions{
		on: []string{"spf", "dkim", "dmarc"}, backend: fmt.Sprintf("smtp://127.0.0.1:%d", port),
		zone:  "partner.test. TXT \"v=spf1 ip4:192.0.2.9 -all\"\nforged.test. TXT \"v=spf1 -all\"\n_dmarc.forged.test. TXT \"v=DMARC1; p=none\"\n",
		extra: fmt.Sprintf("[policy]\nthresholds = {}\n[bounce]\nrelay = \"smtp://127.0.0.1:%d\"\n%s", port, extra),
	})
	return g, filepath.Join(dir, "box")
}

// both sends one mail to a recipient that the backend takes and to one that it refuses: the client is told 250.
func both(t *testing.T, g *gateway, from, msg string) {
	t.Helper()
	c := dial(t, g.SMTP, "192.0.2.9")
	c.want("250", "EHLO mx.partner.test")
	c.want("250", "MAIL FROM:<%s>", from)
	c.want("250", "RCPT TO:<taro@example.test>")
	c.want("250", "RCPT TO:<nobody@example.test>")
	if r := c.data([]byte(msg)); !strings.HasPrefix(r, "250") {
		t.Fatal(r)
	}
}

// TestReportRead lets a real MTA take a report, and reads what it wrote into a mailbox.
func TestReportRead(t *testing.T) {
	g, box := bounceGateway(t, "")
	both(t, g, "sender@partner.test", strings.Replace(plainMail, "\r\n\r\nhello", "\r\n\r\nSECRET BODY", 1))
	var report string
	for _, m := range maildir(t, box, 2) {
		if strings.Contains(string(m), "multipart/report") {
			report = string(m)
		}
	}
	if report == "" {
		t.Fatalf("no report arrived; the log says %v", g.log("undeliverable"))
	}
	m, err := mail.ReadMessage(strings.NewReader(report))
	if err != nil {
		t.Fatal(err)
	}
	if m.Header.Get("Return-Path") != "<>" || m.Header.Get("X-Original-To") != "sender@partner.test" || m.Header.Get("Auto-Submitted") != "auto-replied" ||
		m.Header.Get("In-Reply-To") != "<1@partner.test>" {
		t.Errorf("%v", m.Header)
	}
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || params["report-type"] != "delivery-status" {
		t.Fatal(params, err)
	}
	mr := multipart.NewReader(m.Body, params["boundary"])
	var parts []string
	for {
		p, err := mr.NextPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(p)
		parts = append(parts, p.Header.Get("Content-Type")+"\n"+string(b))
	}
	if len(parts) != 3 || !strings.HasPrefix(parts[1], "message/delivery-status") || !strings.HasPrefix(parts[2], "text/rfc822-headers") {
		t.Fatalf("%q", parts)
	}
	for _, want := range []string{"Reporting-MTA: dns; ", "\nFinal-Recipient: rfc822; nobody@example.test\n", "\nAction: failed\n", "\nStatus: 5.7.1\n", "\nRemote-MTA: dns; [127.0.0.1]\n", "\nDiagnostic-Code: smtp; 554 5.7.1 "} {
		if !strings.Contains(parts[1], want) {
			t.Errorf("no %q in\n%s", want, parts[1])
		}
	}
	if strings.Contains(parts[1], "taro@") || strings.Contains(parts[2], "Sekimori") || !strings.Contains(parts[2], "Subject: hello") || strings.Contains(report, "SECRET") {
		t.Errorf("%s\n%s", parts[1], parts[2])
	}
	eventually(t, "the queue empty", func() bool { out, _ := g.command("queue", "list"); return strings.Contains(out, "empty") })
	if n := len(g.held()); n != 0 {
		t.Errorf("%d mails are held beside the report", n)
	}
}

// TestNoBackscatter sends what must not be answered: each is held with the reason, and nothing leaves.
func TestNoBackscatter(t *testing.T) {
	g, box := bounceGateway(t, "")
	with := func(field string) string { return field + "\r\n" + plainMail }
	cases := []struct{ from, msg, why string }{
		{"sender@forged.test", plainMail, "spf=fail"},
		{"sender@forged.test", strings.Replace(plainMail, "sender@partner.test", "sender@forged.test", 1), "spf=fail dmarc=fail"},
		{"sender@nothing.test", plainMail, "spf=none"},
		{"", plainMail, "the sender is empty"},
		{"sender@partner.test", with("Auto-Submitted: auto-generated"), "Auto-Submitted"},
		{"sender@partner.test", with("Precedence: bulk"), "Precedence: bulk"},
		{"sender@partner.test", with("List-Id: <l.partner.test>"), "List-Id"},
	}
	for _, c := range cases {
		both(t, g, c.from, c.msg)
	}
	eventually(t, "all held", func() bool { return len(g.held()) == len(cases) })
	var reasons []string
	for _, l := range g.log("undeliverable") {
		reasons = append(reasons, fmt.Sprint(l["no_report"]))
	}
	all := strings.Join(reasons, "\n")
	for _, c := range cases {
		if !strings.Contains(all, c.why) {
			t.Errorf("no %q in\n%s", c.why, all)
		}
	}
	time.Sleep(500 * time.Millisecond)
	for _, m := range maildir(t, box, len(cases)) {
		if strings.Contains(string(m), "multipart/report") {
			t.Errorf("a report left:\n%s", m)
		}
	}
	if n := len(maildir(t, box, len(cases))); n != len(cases) {
		t.Errorf("%d mails arrived, want %d", n, len(cases))
	}
}

// TestRoutedAndJournaled sends mail through rules that redirect, copy and discard, with an archive that gets what was accepted, also
// when the program is killed while the archive is away.
func TestRoutedAndJournaled(t *testing.T) {
	archive := filepath.Join(t.TempDir(), "archive")
	rule := func(id, rcpt, what string) string {
		return fmt.Sprintf("[[rule]]\nid = %q\ndescribe = { ja = \"試験です。\", en = \"A test.\" }\nwhen = 'rcpt.address == \"%s@example.test\"'\n%s\n", id, rcpt, what)
	}
	port := freePort(t)
	g := startGateway(t, gatewayOptions{
		on:    []string{"spf"},
		rules: rule("LEFT_US", "left", `redirect = "boss@example.test"`) + rule("WATCH", "watched", `bcc = "audit@example.test"`) + rule("NOISE", "noise", `action = "discard"`) + rule("KEPT", "kept", `action = "hold"`),
		extra: fmt.Sprintf("[relay]\nretry = [\"1s\"]\n[journal]\nto = \"all@archive.test\"\nbackend = \"smtp://127.0.0.1:%d\"\n", port),
	})
	for _, to := range []string{"taro", "left", "watched", "noise", "kept"} {
		if r := send(t, g.SMTP, "192.0.2.9", "mx.partner.test", "sender@partner.test", to+"@example.test", []byte(plainMail)); !strings.HasPrefix(r, "250") {
			t.Fatalf("%s: %s", to, r)
		}
	}
	var to []string
	for _, m := range maildir(t, g.maildir, 4) {
		h, err := mail.ReadMessage(strings.NewReader(string(m)))
		if err != nil {
			t.Fatal(err)
		}
		to = append(to, h.Header.Get("Delivered-To"))
	}
	all := " " + strings.Join(to, " ") + " "
	if len(to) != 4 || !strings.Contains(all, " boss@example.test ") || !strings.Contains(all, " audit@example.test ") || strings.Contains(all, "left@") || strings.Contains(all, "noise@") {
		t.Errorf("delivered to %s", all)
	}
	// The archive is away: its copies wait, and survive a kill.
	g.kill()
	g.run()
	start(t, serveConfig(t.TempDir(), fmt.Sprintf("[[smtp.listener]]\nlisten = [\"127.0.0.1:%d\"]\n[[domain]]\nnames = [\"archive.test\"]\nrecipients = \"any\"\nbackends = [\"maildir:%s\"]\n[policy]\nmode = \"observe\"\n", port, archive)))
	// The archive of this test is a gateway of ours, which takes the X-Sekimori fields off: what counts is that each mail is there once.
	if got := maildir(t, archive, 3); len(got) != 3 {
		t.Errorf("the archive has %d mails, want those to taro, boss and watched", len(got))
	}
}
