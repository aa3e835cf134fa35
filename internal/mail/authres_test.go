package mail

import (
	"strings"
	"testing"
	"time"
)

func TestFormatAuthResults(t *testing.T) {
	got := FormatAuthResults("mx.example.jp", []AuthResult{
		{Method: "dmarc", Result: "pass", Props: []Evidence{{"header.from", "ex.test"}}},
		{Method: "dkim", Result: "fail", Reason: "body hash did not verify", Props: []Evidence{{"header.d", "ex.test"}, {"header.s", "s"}, {"header.b", "ab/d+8=="}}},
		{Method: "dkim", Result: "pass", Props: []Evidence{{"header.d", "list.test"}}},
		{Method: "spf", Result: "pass", Props: []Evidence{{"smtp.mailfrom", "a+b@ex.test"}}},
		{Method: "iprev", Result: "pass", Props: []Evidence{{"policy.iprev", "2001:db8::1"}}},
	})
	want := "mx.example.jp;\r\n\tiprev=pass policy.iprev=\"2001:db8::1\";\r\n\tspf=pass smtp.mailfrom=a+b@ex.test;" +
		"\r\n\tdkim=fail reason=\"body hash did not verify\" header.d=ex.test\r\n\t header.s=s header.b=\"ab/d+8==\";" +
		"\r\n\tdkim=pass header.d=list.test;\r\n\tdmarc=pass header.from=ex.test"
	if got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if got := FormatAuthResults("mx.example.jp", nil); got != "mx.example.jp; none" {
		t.Errorf("%q", got)
	}
	if got := FormatAuthResults("mx.example.jp", []AuthResult{{Method: "x;y", Result: "pass"}, {Method: "spf", Result: "pa ss"}}); got != "mx.example.jp; none" {
		t.Errorf("%q", got)
	}
}

func TestFormatAuthResultsInjection(t *testing.T) {
	for value, want := range map[string]string{
		"a\r\nX-Evil: 1@ex.test":        `"a??X-Evil: 1@ex.test"`,
		`a\"; dkim=pass x="b@ex.test`:   `"a??; dkim=pass x=?b@ex.test"`,
		"a; dmarc=pass@ex.test":         `"a; dmarc=pass@ex.test"`,
		"a@ex.test; dmarc=pass":         `"a@ex.test; dmarc=pass"`,
		"a@b@ex.test":                   `"a@b@ex.test"`,
		"a..b@docomo.ne.jp":             `"a..b@docomo.ne.jp"`,
		"日本@ex.test":                    `"??@ex.test"`,
		"":                              `""`,
		"(comment)":                     `"(comment)"`,
		"@ex.test":                      "@ex.test",
		"[192.0.2.1]":                   `"[192.0.2.1]"`,
		"\x00\x7f\xff":                  `"???"`,
		strings.Repeat("x", 300):        `"` + strings.Repeat("x", 256) + `"`,
		strings.Repeat("x", 300) + "\"": `"` + strings.Repeat("x", 256) + `"`,
	} {
		got := FormatAuthResults("mx", []AuthResult{{Method: "spf", Result: "pass", Props: []Evidence{{"smtp.mailfrom", value}, {"bad key.x", "y"}, {"nodot", "y"}}}})
		got = strings.ReplaceAll(got, "\r\n\t ", " ")
		if got != "mx;\r\n\tspf=pass smtp.mailfrom="+want {
			t.Errorf("%q: %q", value, got)
		}
	}
}

func TestForeignAuthResults(t *testing.T) {
	for value, claims := range map[string]bool{
		"mx.example.jp; spf=pass":                    true,
		"MX.Example.JP; spf=pass":                    true,
		"mx.example.jp 1; spf=pass":                  true,
		"mx.example.jp/1; spf=pass":                  true,
		"mx.example.jp.; none":                       true,
		"mx.example.jp":                              true,
		"\"mx.example.jp\"; spf=pass":                true,
		"\"mx.exa\\mple.jp\" 1; spf=pass":            true,
		"\"mx\".example.jp; spf=pass":                true,
		"(hi (there) \\) ) mx.example.jp (x) ; none": true,
		"\r\n\tmx.example.jp\r\n\t; spf=pass":        true,
		"(a)mx.example.jp(b)1; none":                 true,
		"mx(x).example.jp; none":                     true,
		"(open mx.example.jp; spf=pass":              true,
		"\"open mx.example.jp; spf=pass":             true,
		"mx.example.jp;":                             true,
		"mx.example.jp=1; none":                      false,
		"other.example; spf=pass":                    false,
		"other.example (mx.example.jp); spf=pass":    false,
		"sub.mx.example.jp; none":                    false,
		"mx.example.jp.evil.example; none":           false,
		"(mx.example.jp) other.example; none":        false,
		"":                                           false,
		"(":                                          false,
	} {
		m := &Message{Header: []Field{
			{Name: "From", Value: "mx.example.jp"},
			{Name: "authentication-RESULTS", Value: value, Start: 7, End: 9},
			{Name: "ARC-Authentication-Results", Value: "mx.example.jp; none"},
		}}
		got := ForeignAuthResults(m, "mx.example.jp")
		if (len(got) == 1) != claims || claims && (got[0].Start != 7 || got[0].End != 9) {
			t.Errorf("%q: %v", value, got)
		}
	}
	m := &Message{Header: []Field{{Name: "Authentication-Results", Value: "例え.example.jp; none"}}}
	if len(ForeignAuthResults(m, "xn--r8jz45g.example.jp")) == 0 {
		t.Error("U-labels are not known again")
	}
}

// TestForeignAuthResultsLong: a name that is none costs no time.
func TestForeignAuthResultsLong(t *testing.T) {
	var b strings.Builder
	for i := range 60_000 {
		b.WriteRune(rune(0x4E00 + i%20_000))
	}
	m := &Message{Header: []Field{{Name: "Authentication-Results", Value: b.String()}, {Name: "Authentication-Results", Value: strings.Repeat("().", 100_000)}}}
	start := time.Now()
	if n := len(ForeignAuthResults(m, "mx.example.jp")); n != 0 || time.Since(start) > time.Second {
		t.Errorf("%d fields after %v", n, time.Since(start))
	}
}

func FuzzAuthResults(f *testing.F) {
	f.Add("mx.example.jp", "spf", "pass", "why", "smtp.mailfrom", "a@b")
	f.Add("a\r\nb", "dkim", "fail", "\\\"", "header.d", "x\\\"\r\n")
	f.Fuzz(func(t *testing.T, id, method, result, reason, key, value string) {
		r := AuthResult{Method: method, Result: result, Reason: reason, Props: []Evidence{{key, value}, {"header.d", value}}}
		got := FormatAuthResults(id, []AuthResult{r, r})
		if got != FormatAuthResults(id, []AuthResult{r, r}) {
			t.Fatal("not the same twice")
		}
		quoted := false
		for line := range strings.SplitSeq(strings.ReplaceAll(got, "\r\n\t", "\n"), "\n") {
			if len(line) > 990 {
				t.Fatalf("line of %d octets", len(line))
			}
			for i := 0; i < len(line); i++ {
				switch c := line[i]; {
				case c == '"':
					quoted = !quoted
				case c < ' ' || c >= 0x7F || c == '\\':
					t.Fatalf("%q in %q", c, got)
				}
			}
		}
		if quoted {
			t.Fatalf("a quote stays open in %q", got)
		}
		// What we write, we know again.
		if clean, ok := authservID(got); !ok && id != "" {
			t.Fatalf("%q from %q", clean, got)
		}
		_ = ForeignAuthResults(&Message{Header: []Field{{Name: "Authentication-Results", Value: value}}}, id)
	})
}
