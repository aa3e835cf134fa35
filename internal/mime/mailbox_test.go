package mime

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding/japanese"
)

func TestParseMailboxes(t *testing.T) {
	sjisName := encoded(t, japanese.ShiftJIS, "ソ表示") // its octets hold backslashes
	jisName := encoded(t, japanese.ISO2022JP, "高橋")
	tests := []struct{ in, want string }{
		{"a@ex.test", "|a@ex.test"},
		{"<a@ex.test>", "|a@ex.test"},
		{"Name <a@ex.test>", "Name|a@ex.test"},
		{`"Last, First" <a@ex.test>, b@ex.test`, "Last, First|a@ex.test; |b@ex.test"},
		{`"a \"b\" c" <a@ex.test>`, `a "b" c|a@ex.test`},
		{"=?utf-8?B?5pel5pys?= <a@ex.test>", "日本|a@ex.test"},
		{`"=?utf-8?B?5pel5pys?=" <a@ex.test>`, "日本|a@ex.test"},
		{"\"" + sjisName + "\" <a@ex.test>", "ソ表示|a@ex.test"},
		{jisName + " <a@ex.test>", "高橋|a@ex.test"},
		{"a@ex.test (Name (nested) here)", "Name (nested) here|a@ex.test"},
		{"(c) Name <a@ex.test> (d)", "Name|a@ex.test"},
		{"friends: a@ex.test, B <b@ex.test>;, c@ex.test", "|a@ex.test; B|b@ex.test; |c@ex.test"},
		{"undisclosed-recipients:;", ""},
		{"<@r1.test,@r2.test:a@ex.test>", "|a@ex.test"},
		{`"quoted local"@ex.test`, "|quoted local@ex.test"},
		{`<"a@b"@ex.test>`, "|a@b@ex.test"},
		{"a..b@docomo.ne.jp", "|a..b@docomo.ne.jp"},
		{"Name a@ex.test", "Name|a@ex.test"},
		{"a @ ex.test", "|a@ex.test"},
		{"x@evil.test <a@ex.test>", "x@evil.test|a@ex.test"},
		{"a@EX.Test.", "|a@ex.test"},
		{"a@日本.example", "|a@xn--wgv71a.example"},
		{"Name <a@ex.test", "Name|a@ex.test"},
		{"nonsense", "|"},
		{"", ""},
		{",,;,", ""},
	}
	for _, tt := range tests {
		var got []string
		for _, m := range ParseMailboxes(tt.in) {
			got = append(got, m.Name+"|"+m.Addr.String())
		}
		if s := strings.Join(got, "; "); s != tt.want {
			t.Errorf("%q: %q, want %q", tt.in, s, tt.want)
		}
	}
}

func TestMailboxesBounded(t *testing.T) {
	for _, unit := range []string{"a:", "(", "()", "\"", `x."a"`, "<", ",", "a@b.c,", "(a", "@", ":@", `\`, "=?a?q?", "a b "} {
		start := time.Now()
		if n := len(ParseMailboxes(strings.Repeat(unit, 200000))); n > maxMailboxes {
			t.Errorf("%q: %d mailboxes", unit, n)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("%q: %v", unit, took)
		}
	}
	if got := ParseMailboxes(strings.Repeat("a", 100)); len(got) != 1 || got[0].Raw == "" || !got[0].Addr.IsNull() {
		t.Errorf("%v", fmt.Sprint(got))
	}
}
