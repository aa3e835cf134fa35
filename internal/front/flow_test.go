package front

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"sekimori/internal/config"
	"sekimori/internal/mail"
)

// TestFlow runs the dialogues of testdata/flow. A file has these parts, all but the first optional:
//
//	-- dialogue --  "C: line", "R: \"raw octets\"" (a Go string), "S: reply line" with * as a wildcard, "S: EOF"
//	-- gate --      "rcpt|data ADDRESS ACTION [class=C] [score=N] [rule=ID] [would=WORD] [redirect=A] [copy=A] [discard=1] [strip=PART] [original=AGE] [header=NAME:VALUE] [keep=AGE] [reply=CODE S.D TEXT]", "suspect"
//	-- relay --     "ADDRESS refused|queued [CODE S.D TEXT]", "fails", "full"
//	-- config --    "key value": max_recipients, max_errors, max_failed, max_size, normalize, recipients PATH-CONTENT,
//	                utf8, client ADDRESS, journal FORMAT, relays and mynetworks NETWORK,NETWORK, relays_reject
//	                max_per_network RATE, subaddress CHARACTERS, internal_only ADDRESSES
//	                drop_spam and drop_ham ADDRESSES, drop_from NETWORK, drop_says TEXT, drop_answers CODE S.D TEXT, no_drop
//	-- recipients -- the recipient file of example.jp (default: any)
//	-- aliases --   its alias file
//	-- directory -- instead of the recipient file: "ADDRESS [internal]", "away"
//	-- want --      "delivered|queued|held[:class] ID FROM -> RCPTS", in the order delivered, queued, held; then
//	                "discarded|redirected ID RCPT by rule …" as they stand written down
//	-- client --    for each mail of a trusted relay: "ADDRESS HELO [trusted]" (HELO - for none), or "unknown: WHY"
//	-- content --   what the first copy holds below our header fields
//	-- header --    lines with wildcards that our header fields hold
func TestFlow(t *testing.T) {
	paths, err := filepath.Glob("../../testdata/flow/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatal("no dialogues", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			parts := map[string]string{}
			for _, f := range a.Files {
				parts[f.Name] = string(f.Data)
			}
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) { runFlow(t, parts, dir) })
		})
	}
}

func runFlow(t *testing.T, parts map[string]string, dir string) {
	w := newWorld(t)
	from := flowConfig(t, w, parts["config"])
	if text, ok := parts["recipients"]; ok {
		path := filepath.Join(dir, "recipients")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		w.cfg.Domains[0].Recipients = "file:" + path
	}
	if text, ok := parts["aliases"]; ok {
		path := filepath.Join(dir, "aliases")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		w.cfg.Domains[0].Aliases = []string{path}
	}
	if text, ok := parts["directory"]; ok {
		flowDirectory(t, w, text)
	}
	flowGate(t, w, parts["gate"])
	flowRelay(t, w, parts["relay"])
	w.start()
	flowTalk(t, w.dial(from), parts["dialogue"])
	w.stop()
	flowWant(t, w, parts)
}

func flowConfig(t *testing.T, w *world, text string) (from string) {
	from = "192.0.2.1"
	for line := range flowLines(text) {
		key, value, _ := strings.Cut(line, " ")
		n, _ := strconv.Atoi(value)
		switch key {
		case "public_url":
			w.cfg.HTTP.PublicURL = value
		case "max_recipients":
			w.cfg.SMTP.MaxRecipients = n
		case "max_errors":
			w.cfg.SMTP.MaxErrors = n
		case "max_failed":
			w.cfg.SMTP.MaxFailedRecipients = n
		case "max_size":
			w.cfg.SMTP.MaxMessageSize = config.Size(n)
		case "normalize":
			w.cfg.SMTP.NormalizeBareLF = true
		case "utf8":
			w.utf8 = true
		case "client":
			from = value
		case "journal":
			w.cfg.Journal = config.Journal{To: "archive@vault.example", Format: value}
		case "relays":
			w.cfg.SMTP.TrustedRelays = flowNetworks(t, value)
		case "mynetworks":
			w.cfg.SMTP.MyNetworks = flowNetworks(t, value)
		case "relays_reject":
			w.cfg.SMTP.TrustedRelaysReject = true
		default:
			if flowRecipients(t, w, key, value) {
				continue
			}
			if strings.Contains(key, "drop") {
				flowDrop(t, w, key, value)
				continue
			}
			t.Fatalf("config: %q", line)
		}
	}
	return from
}

func flowNetworks(t *testing.T, list string) (all []netip.Prefix) {
	for text := range strings.SplitSeq(list, ",") {
		p, err := config.ParseNetwork(text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

// flowClients says whom the gate was given for the mails of a trusted relay.
func flowClients(w *world) string {
	var all []string
	for _, s := range w.clients {
		helo := s.Helo
		if helo == "" {
			helo = "-"
		}
		line := s.Client.String() + " " + helo
		switch {
		case s.Unknown != "":
			line = "unknown: " + s.Unknown
		case s.Trusted:
			line += " trusted"
		}
		all = append(all, line)
	}
	return strings.Join(all, "\n")
}

func flowLines(text string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for line := range strings.Lines(text) {
			if line = strings.TrimSpace(line); line != "" && !yield(line) {
				return
			}
		}
	}
}

func flowReply(text string) mail.Reply {
	f := strings.SplitN(text, " ", 3)
	code, _ := strconv.Atoi(f[0])
	var s, d int
	_, _ = fmt.Sscanf(f[1], "%d.%d", &s, &d)
	if code >= 500 {
		return mail.Permanent(code, s, d, f[2])
	}
	return mail.Transient(code, s, d, f[2])
}

func flowGate(t *testing.T, w *world, text string) {
	for line := range flowLines(text) {
		if line == "suspect" {
			w.suspects = true
			continue
		}
		line, reply, hasReply := strings.Cut(line, " reply=")
		f := strings.Fields(line)
		action, ok := mail.ParseAction(f[2])
		if !ok {
			t.Fatalf("gate: %q", line)
		}
		v := mail.Verdict{Action: action}
		if hasReply {
			v.Reply = flowReply(reply)
		}
		for _, o := range f[3:] {
			key, value, _ := strings.Cut(o, "=")
			switch key {
			case "class":
				v.Class = value
			case "score":
				v.Score, _ = strconv.ParseFloat(value, 64)
				v.Counted = []mail.Counted{{Name: "TEST_FOUND", Points: v.Score, Evidence: []mail.Evidence{{Key: "seen", Value: "関守\r\nX: y"}}}}
				v.Degraded = []string{"dnsbl: bl.example: timeout"}
			case "rule":
				v.RuleID = value
			case "keep":
				v.Keep, _ = time.ParseDuration(value)
			case "strip":
				n, _ := strconv.Atoi(value)
				v.Strip = append(v.Strip, n)
			case "original":
				v.Original, _ = time.ParseDuration(value)
			case "header":
				name, text, _ := strings.Cut(value, ":")
				v.Header = append(v.Header, mail.Field{Name: name, Value: strings.ReplaceAll(text, "_", " ")})
			case "discard":
				v.Discard = true
			case "would":
				v.Would = value
			case "redirect":
				v.Redirect, _ = mail.ParseAddress(value, false)
			case "copy":
				a, _ := mail.ParseAddress(value, false)
				v.Copies = append(v.Copies, a)
			}
		}
		if f[0] == "rcpt" {
			w.atRcpt[f[1]] = v
		} else {
			w.atData[f[1]] = v
		}
	}
}

func flowRelay(t *testing.T, w *world, text string) {
	for line := range flowLines(text) {
		f := strings.SplitN(line, " ", 3)
		switch {
		case line == "fails":
			w.relayErr = errTest
		case line == "no stage":
			w.stageErr = errTest
		case line == "no hold":
			w.holdErr = errTest
		case line == "no ledger":
			w.endsErr = errTest
		case line == "full":
			w.full = errTest
		case len(f) > 1:
			a := Answer{State: f[1]}
			if len(f) == 3 {
				a.Reply = flowReply(f[2])
			}
			w.answers[f[0]] = a
		default:
			t.Fatalf("relay: %q", line)
		}
	}
}

func flowTalk(t *testing.T, c *client, text string) {
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case line == "" || line[0] == '#':
		case line == "C:":
			c.send("\r\n")
			synctest.Wait()
		case strings.HasPrefix(line, "C: "):
			c.send(line[3:] + "\r\n")
			synctest.Wait()
		case strings.HasPrefix(line, "R: "):
			raw, err := strconv.Unquote(line[3:])
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			c.send(raw)
			synctest.Wait()
		case strings.HasPrefix(line, "S: "):
			if got := c.line(); !glob(line[3:], got) {
				t.Fatalf("the server says\n\t%q, want\n\t%q", got, line[3:])
			}
		default:
			t.Fatalf("dialogue: %q", line)
		}
	}
	_ = c.conn.Close()
	synctest.Wait()
}

// glob matches * with anything.
func glob(pattern, s string) bool {
	head, rest, more := strings.Cut(pattern, "*")
	if !strings.HasPrefix(s, head) {
		return false
	}
	if s = s[len(head):]; !more {
		return s == ""
	}
	for i := 0; i <= len(s); i++ {
		if glob(rest, s[i:]) {
			return true
		}
	}
	return false
}

func flowWant(t *testing.T, w *world, parts map[string]string) {
	var got []string
	var first []byte
	add := func(what, id string, from mail.Address, rcpts []mail.Address, content []byte) {
		texts := make([]string, len(rcpts))
		for i, r := range rcpts {
			texts[i] = r.String()
		}
		got = append(got, fmt.Sprintf("%s %s <%s> -> %s", what, id, from, strings.Join(texts, " ")))
		if first == nil {
			first = content
		}
	}
	for _, e := range w.delivered {
		add("delivered", e.ID, e.From, e.Rcpts, e.Content.Bytes())
	}
	for _, e := range w.queued {
		add("queued", e.ID, e.From, e.Rcpts, e.Content.Bytes())
	}
	for _, h := range w.held {
		if h.Refused {
			h.Class += " for " + h.Keep.String()
		}
		add("held:"+h.Class, h.ID, h.From, h.Rcpts, append(append([]byte{}, h.Trace...), h.Body.Bytes()...))
	}
	got = append(got, w.direct...)
	if want := strings.TrimSpace(parts["want"]); strings.Join(got, "\n") != want {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), want)
	}
	if got, want := flowClients(w), strings.TrimSpace(parts["client"]); got != want {
		t.Errorf("the gate got\n%s\nwant\n%s", got, want)
	}
	const end = "05:32:00 +0000\r\n"
	head, below, _ := strings.Cut(string(first), end)
	if want, ok := parts["content"]; ok && strings.ReplaceAll(below, "\r\n", "\n") != want {
		t.Errorf("content\n%q\nwant\n%q", below, want)
	}
	for want := range flowLines(parts["header"]) {
		found := false
		for line := range strings.Lines(head + end) {
			found = found || glob(want, strings.TrimSpace(line))
		}
		if !found {
			t.Errorf("no %q in\n%s", want, head+end)
		}
	}
}
