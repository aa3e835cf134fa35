package main

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/dkim"
	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
)

// held returns what `quarantine list --json` prints.
func (g *gateway) held() []map[string]any {
	g.t.Helper()
	out, code := g.command("quarantine", "list", "--json", "--limit", "0")
	if code != 0 {
		g.t.Fatalf("quarantine list: exit %d\n%s", code, out)
	}
	var list []map[string]any
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		g.t.Fatalf("quarantine list --json: %v\n%s", err, out)
	}
	return list
}

// signingKey is for tests only.
const signingKey = `-----BEGIN PRIVATE KEY-----
MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQDAAgNtTzUDbmNF
g82UE9x4eTQlcIMuYAQbddI3sgXDlz3f6qDSv33rpsVUwdSxtP8d+Eo2mukBcQnm
Kju9XOMdMReTqv2diXUDgRFcl4Wxhumg0TTgcq2SOFlfWf3ezUCEpr9GKvA4VtF3
0m5v2f81rP8YLSuc2qxWHoTsJlPbynJDELslZeV7bxcummjzAnROutj36WuUf9eq
l6IQxeSiL+m4YF3k7ygZdDiaN9b7wx0ci2A4xVdTfdQqyAN1EkIkMLAaT4Ixy91T
0WSRLyg5YnJ+noxxcW3uBmaTMTmQSWwXICthN7ykrJUnLXwE9GdRIth26IL/peIw
UPi1oB4vAgMBAAECggEADoP4c1qSFOzS923j7EZmG/t5vDzZxfc/SD4rgsdkFSnJ
ZTStLNGKOPb2Ixa2OCsJQGBFaARlChVcHLjjpEix6MKN2D2Mh8zc+kNXJytTUZzz
65L1TuSMh6nX49P/U8krj/u1KR5U48V4d3kCnVUbLJkj/dVoXybO8YHEJcAuBccS
MvEKisusbFXOVfAU21evxXwPyV3R8PUy675bpiWH2tvkM/VmkvZJxXA71vUB9H9X
vZhQSO1FSLb0tItsiKCV8L8UlAldz2DUi4FoolXbT0yBKHX7AWYisqilm40sioVz
GcaSmsdv8yWWdN0sXNMt6/ndqiKuv1yAVBjKB9trvQKBgQDqHqwAJOkjLtRN5L9W
kEJtFHZjMED5O6+EQ8rUPnwRcqKqaWkFbAhGcz26t6KH90cEB//q6PjhtciVn0kK
UCqolckyNisiTViqy/rIjjkec8BV5xDPyaCmqOzkE5u2br8X7Ja8O2e/4aoTNtak
GPgfYxA0KPqBxX8WchXNnJ3jGwKBgQDR88+jD6rPyOKtMXIj5+bnd6kFqMeP4075
yFbE2z5ufHnXiV++WN+cFufCAJyMCi3OKWQQ4NWEQ+sqkwh9Sb1HR7fmT4P/imhM
h3qhFqXdRqMy8O+aHsdlL0bqAmX/J73CmX1Zes7JgCWI3XkQMNV2ws9cJZvoKjLM
pGpwo2JOfQKBgFF6SzHhpqFv8sMJEO33VqbPsEPkzzft5a+KSFSFSnhoBOR5uusA
JgEeqiUJM69OB5EHl7ERU0x6D0zDGpBURgRV3Kd04p4VfP4z7xtNI+PNNOqwd9FY
wmg98fOOP2rGMAsLc4oewoSs7JuzQg/qALArsb/1Yvk22nvdSGk+UFRxAoGBAIvL
UITdaLmjo7L4Smy3+5pBpaxb/kzDaJGOoJ/A7+f3P9WQ5cxDNtiis7wMVjA0kt1D
2BoY6nKAGrSlZDCwCbTNfxh994EOMnZKew+JmfUlFINVw+QV/GRWP1yPLkTfvE03
kCwlRk0K43MnLHXoXioOeq17aT0D5AE4tJq9XzatAoGARD2EvRj2y2coMfDa5JxV
9aUs2zNVD2QYBCwCdPoeMNtzzYFPs1OI1JHZJb3gjT7NdP0NNjRfXIXiUp2OCWUk
NcGZF9F0oPjlw98fZxlwoeaawUDaHHoQmVQA478yZI2sEdeW7x9qCGVx5J7Xs83B
nAViA9z4vWl0GFmt4pIPhnc=
-----END PRIVATE KEY-----`

const dkimZone = "s1._domainkey.partner.test. TXT \"v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAwAIDbU81A25jRYPNlBPceHk0JXCDLmAEG3XSN7IFw5c93+qg0r9966bFVMHUsbT/HfhKNprpAXEJ5io7vVzjHTEXk6r9nYl1A4ERXJeFsYbpoNE04HKtkjhZX1n93s1AhKa/RirwOFbRd9Jub9n/Naz/GC0r\" \"nNqsVh6E7CZT28pyQxC7JWXle28XLppo8wJ0TrrY9+lrlH/XqpeiEMXkoi/puGBd5O8oGXQ4mjfW+8MdHItgOMVXU33UKsgDdRJCJDCwGk+CMcvdU9FkkS8oOWJyfp6McXFt7gZmkzE5kElsFyArYTe8pKyVJy18BPRnUSLYduiC/6XiMFD4taAeLwIDAQAB\"\n"

func testMail(t *testing.T, kind string) []byte {
	t.Helper()
	switch kind {
	case "signed":
		return sign(t, []byte(plainMail), "partner.test")
	case "broken":
		return append(sign(t, []byte(plainMail), "partner.test"), "changed on the way\r\n"...)
	case "ham":
		return bayesMail(rand.New(rand.NewPCG(9, 9)), false)
	case "spam":
		return bayesMail(rand.New(rand.NewPCG(9, 9)), true)
	}
	return []byte(plainMail)
}

func sign(t *testing.T, msg []byte, domain string) []byte {
	t.Helper()
	block, _ := pem.Decode([]byte(signingKey))
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	err = dkim.Sign(&out, bytes.NewReader(msg), &dkim.SignOptions{
		Domain: domain, Selector: "s1", Signer: key.(crypto.Signer), Hash: crypto.SHA256,
		HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed,
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// countryDatabase writes a small GeoIP database: 192.0.2.0/24 is in Japan, 198.51.100.0/24 in Brazil.
func countryDatabase(t *testing.T) string {
	t.Helper()
	w, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: "GeoLite2-Country", IncludeReservedNetworks: true})
	if err != nil {
		t.Fatal(err)
	}
	for network, country := range map[string]string{"192.0.2.0/24": "JP", "198.51.100.0/24": "BR"} {
		_, n, err := net.ParseCIDR(network)
		if err != nil {
			t.Fatal(err)
		}
		entry := mmdbtype.Map{"iso_code": mmdbtype.String(country)}
		if err := w.Insert(n, mmdbtype.Map{"country": entry, "registered_country": entry}); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "country.mmdb")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := w.WriteTo(f); err != nil {
		t.Fatal(err)
	}
	return path
}

var (
	hamWords  = strings.Fields("meeting minutes project schedule review colleague invoice attached quarterly budget agenda deadline report customer delivery warehouse engineer drawing tolerance shipment 見積 会議 資料 納期 打合せ")
	spamWords = strings.Fields("casino jackpot winner viagra lottery miracle bitcoin doubling unlimited guaranteed cheap replica exclusive urgent prize 副業 先着 無料 当選 稼げる")
)

func bayesMail(r *rand.Rand, spam bool) []byte {
	words, subject := hamWords, "minutes"
	if spam {
		words, subject = spamWords, "winner"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "From: Someone <someone%d@partner.test>\r\nTo: taro@example.test\r\nSubject: %s %d\r\nMessage-ID: <%d@partner.test>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n",
		r.IntN(50), subject, r.IntN(1000), r.Uint64())
	for range 40 {
		b.WriteString(words[r.IntN(len(words))] + " ")
	}
	b.WriteString("\r\n")
	return []byte(b.String())
}

// trainBayes teaches the running server with files, as an administrator would.
func trainBayes(t *testing.T, g *gateway) {
	t.Helper()
	r := rand.New(rand.NewPCG(3, 4))
	for _, class := range []string{"ham", "spam"} {
		dir := filepath.Join(g.dir, "train", class)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for i := range 60 {
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.eml", i)), bayesMail(r, class == "spam"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if out, code := g.command("learn", class, dir); code != 0 {
			t.Fatalf("learn %s: exit %d\n%s", class, code, out)
		}
	}
	eventually(t, "the running server has the new model", func() bool {
		out, code := g.command("scan", filepath.Join(g.dir, "train", "spam", "0.eml"), "--client", "192.0.2.9", "--helo", "h.test",
			"--from", "a@partner.test", "--rcpt", "taro@example.test")
		return code <= 1 && strings.Contains(out, "BAYES_SPAM")
	})
}
