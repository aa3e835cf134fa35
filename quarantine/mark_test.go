package quarantine

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/mail"
)

var marker = Marker{Key: "a key of more than sixteen octets", Token: "a-token-of-sixteen-octets"}

// marked releases a mail with the marker and returns what the backend gets.
func marked(t *testing.T, body string, rcpts ...mail.Address) ([]byte, time.Time) {
	t.Helper()
	g := newRig(t, config.Redis{}, func(o *Options) { o.Mark = func() Marker { return marker } })
	h := sample("m1", "")
	h.Rcpts, h.Body = rcpts, mail.Content{[]byte(body)}
	g.hold(t, h)
	if _, err := g.Release(t.Context(), "m1", nil, "taro@example.jp"); err != nil {
		t.Fatal(err)
	}
	g.Tick(t.Context())
	return g.out.only(t), g.clock.now()
}

func TestMark(t *testing.T) {
	sato, ito := addr("Sato@example.jp"), addr("ito@example.jp")
	body := "From: a@b.example\r\nSubject: x\r\n\r\n一行目\r\n\r\n三行目\r\n\r\n"
	raw, at := marked(t, body, sato, ito)
	if !bytes.HasSuffix(raw, []byte(body)) {
		t.Fatal("the octets are others")
	}
	for line := range strings.Lines(string(raw[:len(raw)-len(body)])) {
		if len(line) > 80 {
			t.Errorf("a line of %d octets: %s", len(line), line)
		}
	}
	if strings.Contains(string(raw), marker.Key) || strings.Contains(string(raw[:bytes.Index(raw, []byte("From:"))]), "ito@") {
		t.Error("the key or another recipient is told")
	}
	for _, r := range []mail.Address{sato, ito, addr("SATO@example.jp")} {
		m, err := VerifyMark(raw, r, []string{"another key of sixteen octets", marker.Key}, at, time.Hour)
		if err != nil || m.ID != "m1" || m.Rcpt != r.String() || !m.At.Equal(at.Truncate(time.Second)) {
			t.Errorf("%+v %v", m, err)
		}
	}
	// As a backend may have it: with fields on top, other line ends, and other folds.
	unix := bytes.ReplaceAll(append([]byte("Return-Path: <a@b.example>\r\nReceived: from us\r\n\tby them\r\n"), raw...), []byte("\r\n"), []byte("\n"))
	unix = bytes.Replace(unix, []byte(";\n "), []byte(";\n\t  "), 1)
	if _, err := VerifyMark(append(unix, "\n\n"...), sato, []string{marker.Key}, at, 0); err != nil {
		t.Error(err)
	}
	for name, c := range map[string]struct {
		change func([]byte) []byte
		rcpt   mail.Address
		key    string
		at     time.Time
	}{
		"the body":          {func(b []byte) []byte { return bytes.Replace(b, []byte("三"), []byte("四"), 1) }, sato, marker.Key, at},
		"a line more":       {func(b []byte) []byte { return append(b, "P.S.\r\n"...) }, sato, marker.Key, at},
		"the id":            {func(b []byte) []byte { return bytes.Replace(b, []byte("id=m1"), []byte("id=m2"), 1) }, sato, marker.Key, at},
		"the time":          {func(b []byte) []byte { return bytes.Replace(b, []byte("t=1"), []byte("t=2"), 1) }, sato, marker.Key, at},
		"the recipient":     {nil, addr("jiro@example.jp"), marker.Key, at},
		"the key":           {nil, sato, "another key of sixteen octets", at},
		"no key":            {nil, sato, "", at},
		"too old":           {nil, sato, marker.Key, at.Add(2 * time.Hour)},
		"from the future":   {nil, sato, marker.Key, at.Add(-time.Hour)},
		"cut off":           {func(b []byte) []byte { return bytes.Replace(b, []byte(" b="), []byte(" x="), 1) }, sato, marker.Key, at},
		"a second r=":       {func(b []byte) []byte { return bytes.Replace(b, []byte("r="), []byte("r=x; r="), 1) }, sato, marker.Key, at},
		"another on top":    {func(b []byte) []byte { return append([]byte(FieldSignature+": v=1; b=x\r\n"), b...) }, sato, marker.Key, at},
		"another algorithm": {func(b []byte) []byte { return bytes.Replace(b, []byte("hmac-sha256"), []byte("none"), 1) }, sato, marker.Key, at},
	} {
		b := bytes.Clone(raw)
		if c.change != nil {
			if b = c.change(b); bytes.Equal(b, raw) {
				t.Fatal(name, "changes nothing")
			}
		}
		if _, err := VerifyMark(b, c.rcpt, []string{c.key}, c.at, time.Hour); !errors.Is(err, ErrBadMark) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := VerifyMark([]byte(body), sato, []string{marker.Key}, at, 0); !errors.Is(err, ErrNoMark) {
		t.Error(err)
	}
	forged := "Subject: x\r\n\r\n" + FieldSignature + ": v=1\r\n"
	if _, err := VerifyMark([]byte(forged), sato, []string{marker.Key}, at, 0); !errors.Is(err, ErrNoMark) {
		t.Error("a field in the body counts", err)
	}
}

func TestMarkOfOddBodies(t *testing.T) {
	var many []mail.Address
	for i := range 40 {
		many = append(many, addr(fmt.Sprintf("r%d@example.jp", i)))
	}
	for _, body := range []string{"\r\nbody only\r\n", "From: a@b\r\n", "", "A: b\r\n\r\n", "A: b\r\n\r\n\r\n\r\nx", "A: b\n\nbare\n\nlf\r\n\r\n"} {
		raw, at := marked(t, body, many...)
		if _, err := VerifyMark(raw, many[39], []string{marker.Key}, at, time.Hour); err != nil {
			t.Errorf("%q: %v", body, err)
		}
	}
}

func FuzzVerifyMark(f *testing.F) {
	at := time.Unix(1795427974, 0)
	rcpt := addr("sato@example.jp")
	h := sample("m1", "x")
	good := append(marker.fields(&h, group{by: "x", at: at}, []mail.Address{rcpt}, h.Body), h.Body.Bytes()...)
	f.Add(good)
	f.Add([]byte(FieldSignature + ": v=1; a=hmac-sha256; k=; r=; b=\n\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := VerifyMark(raw, rcpt, []string{marker.Key}, at, time.Hour)
		if err == nil && (m.ID != "m1" || bodyHash(raw) != bodyHash(h.Body.Bytes())) {
			t.Errorf("%q is taken for released: %+v", raw, m)
		}
	})
}
