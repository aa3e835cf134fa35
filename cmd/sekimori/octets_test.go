package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// variedMails returns mails of many kinds by name: those of testdata/mail and made ones.
func variedMails(t *testing.T) map[string][]byte {
	t.Helper()
	mails := map[string][]byte{}
	files, err := filepath.Glob("../../testdata/mail/*.eml")
	if err != nil || len(files) < 10 {
		t.Fatal("testdata/mail is not there", err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		mails[strings.TrimSuffix(filepath.Base(f), ".eml")] = b
	}
	for name, m := range madeMails() {
		mails[name] = m
	}
	return mails
}

func madeMails() map[string][]byte {
	const head = "From: Sender <sender@partner.test>\r\nTo: taro@example.test\r\nSubject: made\r\n"
	mime := head + "MIME-Version: 1.0\r\n"
	random := rand.New(rand.NewPCG(1, 2))
	every := make([]byte, 0, 256)
	for b := range 256 {
		if b != '\r' && b != '\n' && b != 0 {
			every = append(every, byte(b))
		}
	}
	made := map[string]string{
		"empty body":              head + "\r\n",
		"no empty line":           head,
		"no header":               "\r\njust a body\r\n",
		"not a header":            "this is not a header field\r\n\r\nbody\r\n",
		"only a dot":              head + "\r\n.\r\n..\r\n...\r\n",
		"dots everywhere":         head + "\r\n" + strings.Repeat(".a\r\n..b\r\n", 200),
		"blank lines at the end":  head + "\r\nbody\r\n\r\n\r\n\r\n",
		"blank lines only":        head + "\r\n" + strings.Repeat("\r\n", 500),
		"trailing white space":    head + "\r\nbody  \t \r\n \t\r\n",
		"long lines":              head + "\r\n" + strings.Repeat("x", 998) + "\r\n" + strings.Repeat("y", 20000) + "\r\n",
		"long header":             head + "X-Long: " + strings.Repeat("z", 9000) + "\r\n\r\nbody\r\n",
		"folded header":           head + "X-Folded: a\r\n\tb\r\n c\r\n" + strings.Repeat(" d\r\n", 200) + "\r\nbody\r\n",
		"two subjects":            head + "Subject: again\r\n\r\nbody\r\n",
		"space before colon":      head + "X-Odd : value\r\nx-lower:none\r\nX-Empty:\r\n\r\nbody\r\n",
		"8 bit header":            head + "X-Eight: caf\xe9 \x80\xff\r\n\r\nbody\r\n",
		"every octet":             head + "\r\n" + string(every) + "\r\n",
		"tabs and form feeds":     head + "\r\na\tb\fc\vd\x1b[31m\r\n",
		"our names in the header": head + "X-Other: sekimori\r\nReceived: from a by b; Fri, 20 Nov 2026 14:32:00 +0900\r\n\r\nbody\r\n",
		"received":                strings.Repeat("Received: from a.test by b.test; Fri, 20 Nov 2026 14:32:00 +0900\r\n", 40) + head + "\r\nbody\r\n",
		"foreign auth results":    head + "Authentication-Results: other.test; spf=pass smtp.mailfrom=a@b.test\r\n\r\nbody\r\n",
		"dkim-like":               head + "DKIM-Signature: v=1; a=rsa-sha256; d=partner.test; s=s; h=from; bh=aaaa; b=bbbb\r\n\r\nbody\r\n",
		"html":                    mime + "Content-Type: text/html\r\n\r\n<html><body>" + strings.Repeat("<p>text</p>\r\n", 300) + "</body></html>\r\n",
		"alternative":             mime + "Content-Type: multipart/alternative; boundary=a\r\n\r\n--a\r\n\r\nplain\r\n--a\r\nContent-Type: text/html\r\n\r\n<b>html</b>\r\n--a--\r\n",
		"no closing boundary":     mime + "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\nplain\r\n",
		"boundary missing":        mime + "Content-Type: multipart/mixed\r\n\r\n--a\r\n\r\nplain\r\n--a--\r\n",
		"epilogue":                mime + "Content-Type: multipart/mixed; boundary=a\r\n\r\npreamble\r\n--a\r\n\r\nplain\r\n--a--\r\nepilogue\r\n",
		"nested":                  mime + nested(12),
		"base64 broken":           mime + "Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!!not base64====\r\n",
		"unknown encoding":        mime + "Content-Type: text/plain\r\nContent-Transfer-Encoding: x-what\r\n\r\nbody\r\n",
		"unknown charset":         mime + "Content-Type: text/plain; charset=x-klingon\r\n\r\nbody \xe9\xff\r\n",
		"uuencode":                head + "\r\nbegin 644 a.txt\r\n#0V%T\r\n`\r\nend\r\n",
		"smime":                   mime + "Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\r\nContent-Transfer-Encoding: base64\r\n\r\nMIAGCSqGSIb3DQEHA6CAMIACAQAxggE=\r\n",
		"calendar":                mime + "Content-Type: text/calendar; method=REQUEST\r\n\r\nBEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n",
		"many recipients shown":   "From: a@partner.test\r\nTo: " + strings.Repeat("u@example.test,\r\n ", 300) + "v@example.test\r\n\r\nbody\r\n",
		"smuggler's dots":         head + "\r\n\r\n.x\r\nMAIL FROM:<a@b>\r\n.\tx\r\n",
		"looks like commands":     head + "\r\nQUIT\r\nDATA\r\nRCPT TO:<x@y>\r\n",
	}
	out := map[string][]byte{}
	for n, m := range made {
		out[n] = []byte(m)
	}
	for _, size := range []int{70_000, 1_200_000, 6_000_000} {
		var b bytes.Buffer
		b.WriteString(mime + "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n")
		for b.Len() < size {
			for range 76 {
				b.WriteByte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[random.IntN(64)])
			}
			b.WriteString("\r\n")
		}
		out[fmt.Sprintf("%d octets", size)] = b.Bytes()
	}
	return out
}

func nested(depth int) string {
	var b strings.Builder
	for i := range depth {
		fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
	}
	b.WriteString("\r\ninside\r\n")
	for i := depth - 1; i >= 0; i-- {
		fmt.Fprintf(&b, "\r\n--b%d--\r\n", i)
	}
	return b.String()
}

// belowOurs returns what stands below the header fields that Sekimori puts on top.
func belowOurs(t *testing.T, got, sent []byte) {
	t.Helper()
	if !bytes.HasSuffix(got, sent) {
		t.Errorf("the octets are not those that were sent\n got %q\nsent %q", tail(got), tail(sent))
		return
	}
	top := got[:len(got)-len(sent)]
	for _, name := range []string{"Received: ", "Authentication-Results: ", "X-Sekimori-Verdict: ", "X-Sekimori-ID: ", "X-Sekimori-Score: "} {
		if !bytes.Contains(top, []byte(name)) {
			t.Errorf("no %sin what stands on top:\n%s", name, top)
		}
	}
}

func tail(b []byte) []byte { return b[max(0, len(b)-200):] }

func TestOctetsUnchanged(t *testing.T) {
	mails := variedMails(t)
	if len(mails) < 50 {
		t.Fatalf("only %d kinds of mail", len(mails))
	}
	dir := t.TempDir()
	p := start(t, serveConfig(dir, fmt.Sprintf(`
[[smtp.listener]]
listen = ["127.0.0.1:0"]
[[domain]]
names = ["example.test"]
recipients = "any"
backends = ["maildir:%s"]
[policy]
mode = "observe"
`, filepath.Join(dir, "maildir"))))
	sent := map[[32]byte]string{}
	for name, m := range mails {
		if r := send(t, p.SMTP, "", "client.test", "sender@partner.test", "taro@example.test", m); !strings.HasPrefix(r, "250") {
			t.Fatalf("%s: %s", name, r)
		}
		sent[sha256.Sum256(m)] = name
	}
	got := maildir(t, filepath.Join(dir, "maildir"), len(mails))
	if len(got) != len(mails) {
		t.Fatalf("%d mails came, %d were sent", len(got), len(mails))
	}
	for name, m := range mails {
		found := false
		for _, g := range got {
			if bytes.HasSuffix(g, m) && bytes.Contains(g[:len(g)-len(m)], []byte("X-Sekimori-ID:")) {
				found = true
				belowOurs(t, g, m)
			}
		}
		if !found {
			t.Errorf("%s did not arrive as it was sent", name)
		}
	}
	if code := p.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
