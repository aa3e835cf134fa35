package config

import (
	"strings"
	"testing"
)

// TestLinkLife: whoever keeps mail for longer than its link opens is told, with the key to change.
func TestLinkLife(t *testing.T) {
	const domain = "[[domain]]\nnames = [\"example.jp\"]\nrecipients = \"any\"\nbackends = [\"maildir:/var/mail\"]\n"
	const digest = "[http]\npublic_url = \"https://g.example.jp\"\n[digest]\nenabled = true\n"
	for text, want := range map[string]string{
		digest: "",
		digest + "[quarantine]\nretention = \"30d\"\n":                                                            `quarantine.link_lifetime: links of a digest open for 14d, but quarantine.retention keeps mail for 30d`,
		digest + "[quarantine]\nlink_lifetime = \"30d\"\nretention = \"30d\"\n":                                   "",
		digest + "[quarantine]\nlink_lifetime = \"7d\"\n":                                                         `x.toml:6:17: quarantine.link_lifetime: links of a digest open for 7d, but quarantine.retention keeps mail for 14d`,
		digest + "[[quarantine.keep]]\nclass = \"malware\"\nretention = \"60d\"\n":                                `but quarantine.keep[0].retention keeps mail for 60d`,
		"[digest]\nenabled = false\n[quarantine]\nretention = \"30d\"\n":                                          "",
		digest + "[quarantine]\nretention = \"7d\"\n[[quarantine.keep]]\nclass = \"spam\"\nretention = \"10d\"\n": "",
	} {
		c, err := Parse("x.toml", []byte(text+domain), Options{SkipFiles: true})
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		got := ""
		for _, w := range c.Warnings {
			if strings.Contains(w.Error(), "link_lifetime") {
				got = w.Error()
			}
		}
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}
