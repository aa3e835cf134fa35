package mime

import (
	"bytes"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"sekimori/internal/mail"
)

const top = "From: a@ex.test\r\nTo: b@ex.test\r\nSubject: test\r\nDate: Fri, 20 Nov 2026 14:32:00 +0900\r\nMIME-Version: 1.0\r\n"

const (
	mixed = top + "Content-Type: multipart/mixed; boundary=x\r\n\r\n"
	exe   = "--x\r\nContent-Type: application/x-msdownload; name=a.exe\r\n\r\nMZ\r\n--x--\r\n"
)

func TestHostileIsBounded(t *testing.T) {
	rep := strings.Repeat
	nest := func(n int, boundary func(int) string) string {
		var b strings.Builder
		b.WriteString(top)
		for i := range n {
			fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=%q\r\n\r\n--%[1]s\r\n", boundary(i))
		}
		return b.String() + "Content-Type: text/plain\r\n\r\nhello\r\n"
	}
	letters := nest(28, func(i int) string { return string(rune('a' + i)) })
	page := top + "Content-Type: text/html\r\n\r\n"
	tests := map[string]string{
		"nested":             nest(10000, func(i int) string { return fmt.Sprint("b", i) }),
		"nested, one name":   nest(1000, func(int) string { return "x" }),
		"many near misses":   letters + rep("--\xff\n", 1_000_000),
		"unused boundaries":  nest(28, func(i int) string { return fmt.Sprint("b", i) }) + rep("\n--", 2_000_000),
		"rfc822":             top + rep("Content-Type: message/rfc822\r\n\r\nFrom: a@ex.test\r\n", 10000),
		"fields":             top + rep("A: b\r\n", 1_000_000) + "\r\nbody\r\n",
		"long field":         top + "X: " + rep("y", 10_000_000) + "\r\n\r\nbody\r\n",
		"folds":              top + "X: y\r\n" + rep(" z\r\n", 1_000_000) + "\r\nbody\r\n",
		"parts":              mixed + rep("--x\r\n\r\n", 3_000_000) + "--x--\r\n",
		"parameters":         top + "Content-Type: text/plain" + rep("; a=b", 200_000) + "\r\n\r\nbody\r\n",
		"open comments":      top + "Content-Type: text/plain; a=b" + rep(" (", 200_000) + "\r\n\r\nbody\r\n",
		"comment values":     top + "Content-Type: text/plain" + rep(";a=b (", 200_000) + "\r\n\r\nbody\r\n",
		"continuations":      top + "Content-Disposition: attachment" + rep(";filename*1*=%41", 30_000) + "\r\n\r\nbody\r\n",
		"broken words":       "Subject: " + rep("=?utf-8?B?", 80_000) + "\r\n\r\nbody\r\n",
		"comments in To":     "To: " + rep("(", 400_000) + "\r\n\r\nbody\r\n",
		"deep html":          top + "Content-Type: text/html\r\n\r\n" + rep("<div>", 2_000_000),
		"one tag":            top + "Content-Type: text/html\r\n\r\n<a " + rep("x=y ", 2_000_000),
		"links":              top + "Content-Type: text/html\r\n\r\n" + rep(`<a href="http://x.test/">link</a>`, 500_000),
		"plain links":        top + "\r\n" + rep("http://www.x.test/ ", 500_000),
		"uuencode":           top + "\r\n" + rep("begin 644 a\r\n", 1_000_000),
		"begins":             top + "\r\n" + rep("begin ", 3_000_000),
		"long line":          mixed + "--x\r\n\r\n" + rep("a", 20_000_000),
		"preamble":           mixed + rep("pre\r\n", 4_000_000) + exe,
		"dashes":             mixed + "--x\r\n\r\n" + rep("--\r\n", 4_000_000),
		"empty boundaries":   top + "Content-Type: multipart/mixed; boundary=\"\"\r\n\r\n" + rep("--\r\n", 4_000_000),
		"big base64":         mixed + "--x\r\nContent-Transfer-Encoding: base64\r\n\r\n" + rep("aGVsbG8gd29ybGQgaGVsbG8g\r\n", 1_000_000),
		"quoted-printable":   mixed + "--x\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" + rep("=   ", 5_000_000),
		"authentication":     rep("Authentication-Results: x\r\n", 500_000) + "\r\nbody\r\n",
		"css comments":       page + "<style>" + rep("/**/", 16_000) + "</style>" + rep(`<p style="`+rep("/**/", 1000)+`">x</p>`, 100),
		"css selectors":      mixed + rep("--x\r\nContent-Type: text/html\r\n\r\n<style>"+rep("b,", 16_000)+"b{"+rep("!importanu", 3000)+"!important}</style>\r\n", 50),
		"css classes":        page + "<style>.a{" + rep("x:y;", 1000) + "}</style>" + rep(`<p class="`+rep("a ", 2000)+`">x</p>`, 100),
		"nothing":            "",
		"zeros":              rep("\x00", 1_000_000),
		"escapes everywhere": top + "\r\n" + rep("\x1b$B", 1_000_000),
	}
	for name, text := range tests {
		raw := []byte(text)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := time.Now()
		m := Parse(raw)
		took := time.Since(start)
		runtime.ReadMemStats(&after)
		checkInvariants(t, name, m)
		// Generous, for slow machines under load: what is quadratic takes minutes.
		if took > time.Minute {
			t.Errorf("%s: %v for %d octets", name, took, len(raw))
		}
		if used := (after.TotalAlloc - before.TotalAlloc) >> 20; used > 16 {
			t.Errorf("%s: %d MiB allocated", name, used)
		}
	}
}

func names(m *mail.Message) []string {
	var all []string
	for _, p := range m.Parts {
		if p.Name != "" {
			all = append(all, p.Name)
		}
		all = append(all, p.OtherNames...)
	}
	return all
}

// In each of these a reader of mail may find the program; so must we.
func TestNothingHides(t *testing.T) {
	tests := []struct{ name, mail, flag string }{
		{"usual", mixed + exe, ""},
		{"no end", mixed + strings.TrimSuffix(exe, "--x--\r\n"), "multipart_unended"},
		{"LF only", strings.ReplaceAll(mixed+exe, "\r\n", "\n"), ""},
		{"white space behind", mixed + strings.ReplaceAll(exe, "--x\r", "--x \t\r"), ""},
		{"boundary with a space", strings.Replace(mixed, "=x", `="x "`, 1) + exe, ""},
		{"no boundary", strings.Replace(mixed, "; boundary=x", "", 1) + exe, "boundary_missing"},
		{"another boundary", strings.Replace(mixed, "=x", "=y", 1) + exe, "boundary_guessed"},
		{"two boundaries", strings.Replace(mixed, "=x", "=y; boundary=x", 1) + exe, "boundary_multiple"},
		{"two boundaries, other order", strings.Replace(mixed, "=x", "=x; boundary=y", 1) + exe, "boundary_multiple"},
		{"empty boundary", strings.Replace(mixed, "=x", `=""`, 1) + strings.ReplaceAll(exe, "--x", "--"), "boundary_empty"},
		{"behind the end", mixed + "--x\r\n\r\nhi\r\n--x--\r\n" + exe, "boundary_reopened"},
		{"inner boundary prolongs the outer", mixed + "--x\r\nContent-Type: multipart/alternative; boundary=xx\r\n\r\n--xx\r\n\r\nhi\r\n--xx--\r\n" + exe, ""},
		{"two types", top + "Content-Type: text/plain\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n" + exe, "type_multiple"},
		{"two types, other order", strings.Replace(mixed, "\r\n\r\n", "\r\nContent-Type: text/plain\r\n\r\n", 1) + exe, "type_multiple"},
		{"bad parameters", strings.Replace(mixed, "=x", "=x;;; =", 1) + exe, ""},
		{"comments", strings.Replace(mixed, "; boundary=x", " (c); boundary=x (d)", 1) + exe, ""},
		{"bad line in the header", "From: a@ex.test\r\nno header\r\n" + mixed + exe, "header_malformed"},
		{"bad first line", "no header\r\n" + mixed + exe, "header_malformed"},
		{"mbox line", "From a@ex.test Fri Nov 20 2026\r\n" + mixed + exe, "header_mbox"},
		{"space before the colon", strings.Replace(mixed, "Content-Type:", "Content-Type :", 1) + exe, "header_space"},
		{"bad line in the part", mixed + strings.Replace(exe, "--x\r\n", "--x\r\nbroken line\r\n", 1), "header_malformed"},
		{"after many fields", strings.Replace(mixed, "MIME-", strings.Repeat("A: b\r\n", 3000)+"MIME-", 1) + exe, "header_many"},
		{"after a long field", strings.Replace(mixed, "MIME-", "A: "+strings.Repeat("b", 2<<20)+"\r\nMIME-", 1) + exe, "header_long"},
		{"after many parameters", strings.Replace(mixed, "; boundary", strings.Repeat("; a=b", 500)+"; boundary", 1) + exe, "params_many"},
		{"in a message", top + "Content-Type: message/rfc822\r\n\r\n" + mixed + exe, ""},
		{"name only in the type", mixed + exe, ""},
		{"two names", mixed + strings.Replace(exe, "name=a.exe", "name=b.txt\r\nContent-Disposition: attachment; filename=a.exe", 1), "name_conflict"},
		{"two names, other order", mixed + strings.Replace(exe, "name=a.exe", "name=a.exe\r\nContent-Disposition: attachment; filename=b.txt", 1), "name_conflict"},
		{"uuencode", top + "\r\nsee\r\nbegin 644 a.exe\r\n#0V%T\r\n`\r\nend\r\nbye\r\n", "uuencode"},
		{"yEnc", top + "\r\n=ybegin line=128 size=2 name=a.exe\r\nMZ\r\n=yend size=2\r\n", "yenc"},
	}
	for _, tt := range tests {
		m := Parse([]byte(tt.mail))
		checkInvariants(t, tt.name, m)
		if !slices.Contains(names(m), "a.exe") {
			t.Errorf("%s: names %q, anomalies %q", tt.name, names(m), m.Anomalies)
		}
		if tt.flag != "" && !slices.Contains(m.Anomalies, tt.flag) {
			t.Errorf("%s: anomalies %q lack %s", tt.name, m.Anomalies, tt.flag)
		}
	}
}

// What cannot be taken apart is read as raw text.
func TestRawText(t *testing.T) {
	deep := top
	for i := range 100 {
		deep += fmt.Sprintf("Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%[1]d\r\n", i)
	}
	for name, text := range map[string]string{
		"no header":       "buy viagra now\r\nsecond line\r\n",
		"too deep":        deep + "\r\nviagra",
		"too many":        mixed + strings.Repeat("--x\r\n\r\n", 2000) + "viagra",
		"no such parts":   mixed + "viagra\r\n",
		"encoded parts":   top + "Content-Type: multipart/mixed; boundary=x\r\nContent-Transfer-Encoding: base64\r\n\r\ndmlhZ3Jh\r\n",
		"unknown coding":  top + "Content-Transfer-Encoding: x-foo\r\n\r\nviagra\r\n",
		"bad type":        top + "Content-Type: text\r\n\r\nviagra\r\n",
		"bad base64":      top + "Content-Transfer-Encoding: base64\r\n\r\ndm!lh*Z3=\r\nJh===\r\n",
		"bare CR":         "From: a@ex.test\rSubject: x\r\rviagra\r",
		"html attachment": mixed + "--x\r\nContent-Type: application/octet-stream; name=x.HTM\r\n\r\n<p>via<b></b>gra</p>\r\n",
		"utf-7":           top + "Content-Type: text/plain; charset=utf-7\r\n\r\nvi+AGE-gra\r\n",
	} {
		m := Parse([]byte(text))
		if !strings.Contains(m.Text(), "viagr") && name != "bad base64" {
			t.Errorf("%s: text %q, anomalies %q", name, m.Text(), m.Anomalies)
		}
		if len(m.Anomalies) == 0 {
			t.Errorf("%s: no anomaly", name)
		}
	}
}

func TestOffsets(t *testing.T) {
	raw := []byte("From: a@ex.test\r\nX-Folded: one\r\n two\r\nSubject : x\r\n\r\nbody\r\n")
	m := Parse(raw)
	if got := string(raw[m.Header[1].Start:m.Header[1].End]); got != "X-Folded: one\r\n two\r\n" || m.Header[1].Value != "one two" {
		t.Errorf("%q %q", got, m.Header[1].Value)
	}
	if m.Header[2].Name != "Subject" || m.Subject != "x" || string(raw[m.HeaderLen:]) != "body\r\n" {
		t.Errorf("%+v, header of %d", m.Header[2], m.HeaderLen)
	}
	m = Parse([]byte(mixed + exe))
	if p := m.Parts[1]; string(m.Raw[p.Start:p.End]) != "MZ" || p.Depth != 1 {
		t.Errorf("part %q", m.Raw[p.Start:p.End])
	}
	if !bytes.HasPrefix(m.Raw[m.Parts[0].Start:], []byte("--x")) {
		t.Error("multipart's start")
	}
}
