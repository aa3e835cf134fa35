package filters

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"sekimori/internal/mail"
)

// testKeyPEM signs the mails of these tests and of the scenario files; it guards nothing.
const testKeyPEM = `-----BEGIN PRIVATE KEY-----
MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQDgPktw+UC0OzCA
Z9Su3qkzMPcZ4rsj8DKP856cfWR0jozUEbTtzFS7njMc0hlBzgHCRYWlO0GloSTA
CMCezTQeyxYUGBlO80RWyN0IWOc09/arZaIcbZ22Ljumi1EmcaY8ZLsqI92gR8gy
lDCAzKaxEYB8NMyX9UMKk1uwEOBpOp6rJs/mYUsUihk2GPGR870Yd40EJbDyKcos
vmoKN89YH7DI7yMg3dI5VEZ4rKmeO7tsatMjo852f01xdykEe/fezBA9qMhGcHjQ
OIB/QW4tkpKuyb+L7KUtS1teO/uxVemAFfIuWJ/1UVRaRrZ9f7voRwpjC8gNiHWd
UdPJmQRFAgMBAAECggEAENeU7ngGDFNavfYucvDdx+7ATGUrVZRrk8TCL7I6SofP
W3k1+9tKLOpBoANGqtrYZnk2w7V65YAAJN0zbGnwpXRu5NT3h6a9RgBhm4gj22ZZ
VD+2qIhyHTYFPGm/z1GfYO9W4GAfu/NQPb5EE1Rrm6Z7HjkP+cTNw3xUWVm3JSgC
KmLd3aH95lVAzQ++O/jDT3q0bL5nZ6PqNJGSIE5kGEzqI4OS1a/dnxibzOADJuyQ
cyljHxfwz3sLENiVxCSyQ3L+0oKEmIHsbeh7QugAQiRcvUx1vWLnJ8kSilzsPLFP
9k9zw7dOJ+3FtcfTUgIuS7rEWCCv64+zgHxl/wHLUQKBgQD8yBeeVtoTTzYhCK7G
0lYLKDrGGIGoI0y1ljx+b0yAkNFxGaIDcnye4eNJ0swtI4RATvHH5jZNIY/JVVDC
6PLQuyMjY9OVEE4Yg1jnckzCnfM+LG7m2qR8armWccjZEebtSWBcH/84fdnNvSp1
6gPv9VB3Hino1bk3lfq0np8TEQKBgQDjGS+OUXnm5LG/Shu1nRhoc1MbVVTX55Bq
IVFE3x1fDBzbTHKXRlNm9lQ+lTfEvF3TDNaobKKtFpWxzi5ZsQzAuf2beE/OHj+O
bYN38/BbnbyKB+PSjOubhUCUY8x30fHHdRx7RpsmXZVR0nTbXNyBDFPCEcTjOQaC
5DoCw1V19QKBgCD8W1imLL7oTz/wSh5XxDKghUrkV8cBFDl96Vb2Xx1HyIzhs2qP
vgNdprMzdsFNKSzbIGHdgKiAAKtdHrTQgR8LzIIJvMpu3kIEoc1R9QJQajVqxu4J
Cf3ST3V6U6M/2sqMEK703fEZOxrF3IyWhP0DHgTtQrrHaOv//j8jk86BAoGARYaQ
aKHJEEczo7ysfw15S4EDEHsvXmombFeG6e7krxSmQP1Gl8mP/xWq9P359OE2WEa1
8RpRM2yWp7jXt93caaSHX/GVfSUFkDU26qJkE6hW8Gs59FvwRcyl2Mg08Pn1a3sP
HS6gkT5VWJd17zKez2NWwTNvc6EhvTDiEbZ7k4ECgYEApnDdPfKuO5MdCTVuEwAv
dyXO4aCIIF+8xJQuj6V423HP3LSaJAq34dux38CJezkIBzTkuKDhJ062ZPBaS0yV
V527Wtv22mFbfZAf5tCmX6f+fKgCFpE3wJZyQHHIs1yE5o0HaHk/0hSpAkPWlo9f
ZqRWKmaFQPJ2h87v9Fx/oKo=
-----END PRIVATE KEY-----`

func testKey(t testing.TB) *rsa.PrivateKey {
	t.Helper()
	block, _ := pem.Decode([]byte(testKeyPEM))
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return key.(*rsa.PrivateKey)
}

func keyRecord(t testing.TB, public crypto.PublicKey) string {
	t.Helper()
	if ed, ok := public.(ed25519.PublicKey); ok {
		return "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(ed)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der)
}

func sign(t testing.TB, raw []byte, o dkim.SignOptions) []byte {
	t.Helper()
	if o.Domain == "" {
		o.Domain, o.Selector = "ex.test", "s"
	}
	if o.Signer == nil {
		o.Signer = testKey(t)
	}
	var b bytes.Buffer
	if err := dkim.Sign(&b, bytes.NewReader(raw), &o); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// signByHand makes a signature with whatever tags, of From and the body, relaxed/relaxed.
func signByHand(t testing.TB, raw []byte, tags string) []byte {
	t.Helper()
	head, body, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
	bh, _ := hashBody(body, true)
	field := "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=ex.test; s=s; h=From; " + tags +
		"bh=" + base64.StdEncoding.EncodeToString(bh) + "; b="
	m := readDKIM(slices.Concat([]byte(field+"\r\n"), raw))
	sum := m.hashHeader(m.sigs[0], true)
	b, err := rsa.SignPKCS1v15(rand.Reader, testKey(t), crypto.SHA256, sum)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Concat([]byte(field+base64.StdEncoding.EncodeToString(b)+"\r\n"), head, []byte("\r\n\r\n"), body)
}

const plainMail = "From: a@ex.test\r\nTo: b@example.jp\r\nSubject:  Hello \t World\r\n\r\nline  one \r\n\r\n\tline two\r\n\r\n\r\n"

var testNow = time.Date(2026, 11, 20, 5, 32, 0, 0, time.UTC)

func testZone(t testing.TB) map[string][]string {
	return map[string][]string{"s._domainkey.ex.test": {keyRecord(t, testKey(t).Public())}}
}

// TestDKIMOwnAgainstLibrary holds our verifier to the answers of go-msgauth for signatures that both can do.
func TestDKIMOwnAgainstLibrary(t *testing.T) {
	rng := mathrand.New(mathrand.NewPCG(1, 2))
	zone := testZone(t)
	for i := range 300 {
		raw := randomMail(rng)
		can := []dkim.Canonicalization{dkim.CanonicalizationSimple, dkim.CanonicalizationRelaxed}
		signed := sign(t, raw, dkim.SignOptions{HeaderCanonicalization: can[i%2], BodyCanonicalization: can[i/2%2]})
		if i%3 == 0 { // break it, or not: white space may not matter
			at := len(signed) - 1 - rng.IntN(len(raw))
			if signed[at] != '\r' && signed[at] != '\n' { // bare CR and LF do not get past the front
				signed[at] = "a \t"[rng.IntN(3)]
			}
		}
		m := readDKIM(signed)
		fetchKeys(t.Context(), onlyTXT{zone}, m.sigs)
		library := m.runLibrary()
		own := m.verifyOwn(m.sigs[0], testNow)
		if len(library) != 1 || (library[0].Err == nil) != (own.result == "pass") {
			t.Fatalf("%q: library %v, own %+v", signed, library[0].Err, own)
		}
	}
}

func randomMail(rng *mathrand.Rand) []byte {
	var b bytes.Buffer
	b.WriteString("From: a@ex.test\r\n")
	words := []string{"a", "B ", "\t c", "  ", "\r\n ", "日本", ":", "\r\n\t", "x=y;"}
	for i := range rng.IntN(5) {
		fmt.Fprintf(&b, "X-%d%s:%s.\r\n", i%3, []string{"", " "}[rng.IntN(2)], words[rng.IntN(len(words))])
	}
	b.WriteString("\r\n")
	for range rng.IntN(8) {
		b.WriteString([]string{"a  b", " ", "\t", "", "text\t", " lead", "\r\n"}[rng.IntN(7)] + "\r\n")
	}
	return b.Bytes()
}

// TestDKIMRepaired are the valid signatures that go-msgauth fails.
func TestDKIMRepaired(t *testing.T) {
	body := strings.SplitN(plainMail, "\r\n\r\n", 2)[1]
	_, length := hashBody([]byte(body), true)
	for tags, want := range map[string]string{
		"i=bounce+b=ex.test@ex.test; ":   "pass",
		"z=Subject:b=1|From:a@ex.test; ": "pass",
		"ab=1; ":                         "pass",
		"i=a@EX.Test; ":                  "pass",
		"i=a@sub.EX.Test; ":              "pass",
		"i=a@notex.test; ":               "permerror",
		"i=b=x@other.test; ":             "permerror",
		fmt.Sprintf("l=%d; ", length):    "pass",
		fmt.Sprintf("l=%d; ", length-1):  "policy",
		"l=0; ":                          "policy",
		fmt.Sprintf("l=%d; ", length+1):  "permerror",
		"l=x; ":                          "permerror",
		"q=foo; i=b=@ex.test; ":          "permerror",
		"x=1795000000; i=b=@ex.test; ":   "permerror",
		"x=1995000000; i=b=@ex.test; ":   "pass",
		"z=a:b=1; v=1; ":                 "permerror", // twice
	} {
		got := dkimResults(dkimOver(t, signByHand(t, []byte(plainMail), tags), testZone(t), testNow))
		if len(got) != 1 || got[0] != want {
			t.Errorf("%s: %v, want %s", tags, got, want)
		}
	}
	broken := signByHand(t, []byte(plainMail), "i=b=1@ex.test; ")
	broken = bytes.Replace(broken, []byte("From: a@"), []byte("From: x@"), 1)
	if got := dkimResults(dkimOver(t, broken, testZone(t), testNow)); got[0] != "fail" {
		t.Errorf("changed From: %v", got)
	}
}

// TestDKIMExpiryByOurClock: the library reads the machine's clock, a replay does not.
func TestDKIMExpiryByOurClock(t *testing.T) {
	signed := sign(t, []byte(plainMail), dkim.SignOptions{Expiration: time.Unix(1_600_000_000, 0)})
	for now, want := range map[int64]string{1_599_999_999: "pass", 1_600_000_001: "permerror"} {
		if got := dkimResults(dkimOver(t, signed, testZone(t), time.Unix(now, 0))); got[0] != want {
			t.Errorf("at %d: %v, want %s", now, got, want)
		}
	}
}

func TestDKIMKeys(t *testing.T) {
	good := keyRecord(t, testKey(t).Public())
	p := good[strings.Index(good, "p="):]
	small := "v=DKIM1; p=MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBANvpUiYeSuNZtv0Tyu5hapn6b0EkbD1LRdaew2fkdXPBwHJmDggX7qu4i0goyIlYVdo3q0u7CmRXzEoidxq7q9UCAwEAAQ=="
	for _, c := range []struct {
		want string
		txt  []string
	}{
		{"pass", []string{good}},
		{"pass", []string{"v=spf1 -all", good}},
		{"pass", []string{"v=DKIM1; k=rsa; n=a b; junk; " + p[:40] + " \t " + p[40:]}},
		{"pass", []string{good + "; t=y:s"}},
		{"permerror", []string{good, good}},
		{"permerror", []string{"v=DKIM1; p="}},
		{"permerror", []string{"v=DKIM2; " + p}},
		{"permerror", []string{"hello"}},
		{"permerror", []string{"v=DKIM1; s=tlsrpt; " + p}},
		{"permerror", nil},
		{"policy", []string{small}},
	} {
		got := dkimResults(dkimOver(t, sign(t, []byte(plainMail), dkim.SignOptions{}), map[string][]string{"s._domainkey.ex.test": c.txt}, testNow))
		if len(got) != 1 || got[0] != c.want {
			t.Errorf("%.60q: %v, want %s", c.txt, got, c.want)
		}
	}
}

func TestDKIMManySignatures(t *testing.T) {
	raw := []byte(plainMail)
	for range maxDKIMSignatures + 3 {
		raw = sign(t, raw, dkim.SignOptions{HeaderKeys: []string{"From"}})
	}
	res := dkimOver(t, raw, testZone(t), testNow)
	if n := len(dkimResults(res)); n != maxDKIMSignatures {
		t.Errorf("%d results", n)
	}
	last := res.Findings[len(res.Findings)-1]
	if last.Symbol != "DKIM_TOO_COMPLEX" || len(res.Partial) != 1 {
		t.Errorf("%v, partial %v", last, res.Partial)
	}
	sum := 0.0
	for _, f := range res.Findings[:maxDKIMSignatures] {
		sum += f.Factor()
	}
	if sum < 0.999 || sum > 1.001 {
		t.Errorf("weights sum up to %v", sum)
	}
}

// TestDKIMAttacks: what would keep go-msgauth busy for seconds is refused, and said.
func TestDKIMAttacks(t *testing.T) {
	sig := string(sign(t, []byte(plainMail), dkim.SignOptions{}))
	sigField := sig[:strings.Index(sig, "From:")]
	names := strings.Repeat("x:", 20_000)
	long := "DKIM-Signature: v=1; a=rsa-sha256; d=ex.test; s=s; h=" + names + "from; bh=; b=\r\n"
	for name, raw := range map[string]string{
		"names":         long + "From: a@ex.test\r\n\r\nx\r\n",
		"fields, names": long + strings.Repeat("x: y\r\n", 20_000) + "From: a@ex.test\r\n\r\nx\r\n",
		"fields":        sigField + strings.Repeat("x: y\r\n", 20_000) + "\r\nx\r\n",
		"folds":         sigField + "x: y\r\n" + strings.Repeat(" y\r\n", 500_000) + "\r\nx\r\n",
		"folds, no end": sigField + "x: y\r\n" + strings.Repeat(" y\r\n", 500_000),
		"empty lines":   sigField + "From: a@ex.test\r\n\r\n" + strings.Repeat("\r\n", 2_000_000) + "x",
		"one long line": sigField + "x: " + strings.Repeat("y", 3<<20) + "\r\n\r\nx\r\n",
		"8 x names":     strings.Repeat(long, 8) + "From: a@ex.test\r\n\r\nx\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			res := dkimOver(t, []byte(raw), testZone(t), testNow)
			if took := time.Since(start); took > 2*time.Second {
				t.Errorf("took %v", took)
			}
			if !slices.ContainsFunc(res.Findings, func(f mail.Finding) bool { return f.Symbol == "DKIM_TOO_COMPLEX" }) || len(res.Partial) == 0 {
				t.Errorf("%v, partial %v", res.Findings, res.Partial)
			}
		})
	}
}

// TestDKIMAttackWithinBounds: as bad as the bounds allow, the work stays small.
func TestDKIMAttackWithinBounds(t *testing.T) {
	raw := []byte("From: a@ex.test\r\n" + strings.Repeat("x: y\r\n", 800) + "\r\n" + strings.Repeat("a\r\n"+strings.Repeat("\r\n", 9_000), 50))
	keys := []string{"From"}
	for range maxDKIMNames - 1 {
		keys = append(keys, "x")
	}
	for range maxDKIMSignatures {
		raw = sign(t, raw, dkim.SignOptions{HeaderKeys: keys})
	}
	start := time.Now()
	res := dkimOver(t, raw, testZone(t), testNow)
	if took := time.Since(start); took > 4*time.Second {
		t.Errorf("took %v", took)
	} else {
		t.Logf("took %v", took)
	}
	if got := dkimResults(res); len(got) != maxDKIMSignatures || slices.Contains(got, "fail") {
		t.Errorf("%v", got)
	}
}

func FuzzDKIMRead(f *testing.F) {
	f.Add([]byte(plainMail))
	f.Add([]byte("DKIM-Signature: v=1; b=x; i=b=y; h=a:b;;\r\n\tz=1\r\nfrom\r\n\n\r\nx"))
	f.Add([]byte(" \r\nDKIM-Signature:"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		before := bytes.Clone(raw)
		m := readDKIM(raw)
		if !bytes.Equal(before, raw) {
			t.Fatal("the message was changed")
		}
		if len(m.sigs) > maxDKIMSignatures || m.over == "" && len(m.fields) > maxDKIMLines {
			t.Fatalf("%d signatures, %d fields", len(m.sigs), len(m.fields))
		}
		for _, s := range m.sigs {
			if n := len(s.unsigned()); n > len(s.text) {
				t.Fatal("unsigned is longer than the field")
			}
			_ = s.unlike()
		}
		if m.over != "" {
			return
		}
		// The library must see the same signatures in the same order, or results would be taken for others'.
		v, err := dkim.VerifyWithOptions(bytes.NewReader(m.raw), &dkim.VerifyOptions{
			LookupTXT: func(string) ([]string, error) { return nil, io.EOF }, MaxVerifications: maxDKIMSignatures,
		})
		if err != nil && err != dkim.ErrTooManySignatures || len(v) != len(m.sigs) {
			t.Fatalf("library: %d signatures (%v), here %d", len(v), err, len(m.sigs))
		}
	})
}

func TestEmptyRun(t *testing.T) {
	for body, want := range map[string]int{"": 0, "\r\n": 1, "a\r\n\r\n\n b": 2, "a\r\n": 0, "\n\na\n\n\n": 2, " \r\n \r\n": 0} {
		if got := emptyRun([]byte(body)); got != want {
			t.Errorf("%q: %d, want %d", body, got, want)
		}
	}
	if sum, n := hashBody(nil, true); n != 0 || !bytes.Equal(sum, sha256.New().Sum(nil)) {
		t.Error("empty body, relaxed")
	}
}
