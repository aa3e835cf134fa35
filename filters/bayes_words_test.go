package filters

import (
	"testing"

	"sekimori/reputation"
)

func TestBayesWords(t *testing.T) {
	of := func(tokens ...string) string {
		var list []reputation.Word
		for _, t := range tokens {
			list = append(list, reputation.Word{Token: t, Weight: 1})
		}
		return bayesWords(list, 8)
	}
	for _, c := range []struct{ got, want string }{
		{of("ud:evil.test", "副業", "業の", "s:先着", "u=other", "is:9.a9", "n:textf", "h:list-id", "fn:none", "tree:0plain "), "副業の, 先着, evil.test"},
		{of("fo:evil.test", "fd:evil.test", "x:zip", "x:none", "m:mega mailer 3.0"), "evil.test, .zip, mega mailer 3.0"},
		{of("u=other", "n:textf", "long:f", "s:long:f", "sc:upper"), ""},
		{of("hid:pills", "a\u202eb"), "pills, ab"},
	} {
		if c.got != c.want {
			t.Errorf("%q, not %q", c.got, c.want)
		}
	}
}
