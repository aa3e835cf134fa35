package relay

import (
	"testing"

	"sekimori/internal/config"
	"sekimori/internal/mail"
)

// TestRoutes says where recipients go: an address before a pattern, patterns in the order of the file, case and the form of an
// international name without meaning.
func TestRoutes(t *testing.T) {
	c, err := config.Parse("x.toml", []byte(`
hostname = "mx.test"
[[domain]]
names = ["example.jp", "日本語.jp"]
recipients = "any"
backends = ["smtp://192.0.2.1"]
[[domain.route]]
match = ["ml-*@example.jp", "Ml-*@日本語.jp"]
backend = "lmtp://192.0.2.2"
[[domain.route]]
match = ["ml-edi@example.jp", "関@日本語.jp"]
backends = ["smtp://192.0.2.3", "smtp://192.0.2.4"]
[[domain.route]]
match = ["*-old@example.jp", "ml-*-old@example.jp"]
backend = "smtp://192.0.2.1"
[[domain]]
names = ["example.net"]
recipients = "any"
subaddress = "+"
backends = ["smtp://192.0.2.9"]
[[domain.route]]
match = ["edi@example.net", "x-*-edi@example.net", "other+tag@example.net"]
backend = "smtp://192.0.2.8"
`), config.Options{SkipFiles: true})
	if err != nil {
		t.Fatal(err)
	}
	routes, err := (&Relay{Counters: &Counters{}}).buildRouter(c)
	if err != nil {
		t.Fatal(err)
	}
	for to, want := range map[string]string{
		"taro@example.jp":        "smtp://192.0.2.1:25",
		"Taro@EXAMPLE.jp":        "smtp://192.0.2.1:25",
		"ml-x@example.jp":        "lmtp://192.0.2.2:24",
		"ML-X@Example.JP":        "lmtp://192.0.2.2:24",
		"ml-@example.jp":         "lmtp://192.0.2.2:24",
		"ml@example.jp":          "smtp://192.0.2.1:25",
		"ml-edi@example.jp":      "smtp://192.0.2.3:25 smtp://192.0.2.4:25",
		"ML-EDI@example.jp":      "smtp://192.0.2.3:25 smtp://192.0.2.4:25",
		"ml-x-old@example.jp":    "lmtp://192.0.2.2:24",
		"x-old@example.jp":       "smtp://192.0.2.1:25",
		"ml-a@日本語.jp":            "lmtp://192.0.2.2:24",
		"ml-a@xn--wgv71a119e.jp": "lmtp://192.0.2.2:24",
		"関@日本語.jp":               "smtp://192.0.2.3:25 smtp://192.0.2.4:25",
		"関@xn--wgv71a119e.jp":    "smtp://192.0.2.3:25 smtp://192.0.2.4:25",
		"ml-edi@日本語.jp":          "lmtp://192.0.2.2:24",
		"ml-x@example.net":       "smtp://192.0.2.9:25",
		"edi@example.net":        "smtp://192.0.2.8:25",
		"Edi+2026@example.net":   "smtp://192.0.2.8:25",
		"edi+a+b@example.net":    "smtp://192.0.2.8:25",
		"x-1-edi+a@example.net":  "smtp://192.0.2.8:25",
		"other+tag@example.net":  "smtp://192.0.2.8:25",
		"other@example.net":      "smtp://192.0.2.9:25",
		"ml-edi+x@example.jp":    "lmtp://192.0.2.2:24",
		"ml-x@elsewhere.example": "",
		"ml-x@sub.example.jp":    "",
	} {
		a, err := mail.ParseAddress(to, true)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for i, m := range routes.router.of(a).members {
			if i > 0 {
				got += " "
			}
			got += m.b.name()
		}
		if got != want {
			t.Errorf("%s goes to %q, want %q", to, got, want)
		}
	}
	// The same server under a route and under the domain is one set: one delivery takes both.
	if a, b := routes.router.of(mail.Address{Local: "x-old", Domain: "example.jp"}), routes.router.of(mail.Address{Local: "x", Domain: "example.jp"}); a != b {
		t.Error("x-old@ and x@ are delivered apart")
	}
}
