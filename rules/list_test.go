package rules

import (
	"path/filepath"
	"strings"
	"testing"

	"sekimori/internal/mail"
)

func TestList(t *testing.T) {
	text := "\xef\xbb\xbf# comment\r\nSato@Example.co.jp\r\n@one.example # only that\r\n.all.example\r\n*.star.example\r\nbare.example\r\n" +
		"192.0.2.0/24\r\n192.0.2.128/25\r\n198.51.100.7\r\n2001:db8::/32\r\n日本.example\r\na..b@docomo.ne.jp"
	d := &diagnostics{}
	l := newList("x")
	l.parse(newFile("x.txt", "x.txt", []byte(text)), anyEntries, d)
	if err := d.err(); err != nil {
		t.Fatal(err)
	}
	for s, want := range map[string]int{
		"sato@example.co.jp": 2, "SATO@EXAMPLE.CO.JP": 2, "suzuki@example.co.jp": 0, "example.co.jp": 0,
		"a@one.example": 3, "one.example": 3, "a@sub.one.example": 0,
		"a@all.example": 4, "x.y.all.example": 4, "a@notall.example": 0, "a@b.star.example": 5, "a@bare.example": 6,
		"192.0.2.1": 7, "192.0.2.200": 8, "::ffff:192.0.2.1": 7, "198.51.100.7": 9, "198.51.100.8": 0, "2001:db8:1::1": 10,
		"a@xn--wgv71a.example": 11, "A..b@docomo.ne.jp": 12, "": 0, "@": 0, ".": 0, "postmaster": 0,
	} {
		line, ok := l.find(s)
		if line != want || ok != (want > 0) {
			t.Errorf("%q: line %d %v, want %d", s, line, ok, want)
		}
	}
}

func TestListErrors(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "deny_clients.txt"), "192.0.2.0/24\n192.0.2.1/24\n  sato@example.jp # wrong list\n300.1.1.1\n2001:db8::/200\n")
	write(t, filepath.Join(dir, "allow_senders.txt"), "sato@example.jp\n192.0.2.0/24\nSato <sato@example.jp>\n\"a b\"@example.jp\na@b@c\n日本\n-x-\n")
	write(t, filepath.Join(dir, "deny_client.txt"), "192.0.2.0/24\n")
	o := fixtureOptions()
	o.Dir = dir
	_, err := Load(o)
	if err == nil {
		t.Fatal("it loads")
	}
	got := strings.ReplaceAll(err.Error(), dir+"/", "")
	for _, want := range []string{
		`deny_clients.txt:2:1: "192.0.2.1/24": the network has bits set below its mask; did you mean "192.0.2.0/24"?`,
		`deny_clients.txt:3:3: "sato@example.jp": lists.deny_clients holds IP addresses and networks`,
		`deny_clients.txt:4:1: `, `deny_clients.txt:5:1: `,
		`allow_senders.txt:2:1: "192.0.2.0/24": lists.allow_senders holds mail addresses and domains, no networks`,
		`allow_senders.txt:3:1: `, `allow_senders.txt:4:1: `, `allow_senders.txt:5:1: `, `allow_senders.txt:7:1: `,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

func TestMisspeltListIsNoted(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "deny_client.txt"), "192.0.2.0/24\n")
	write(t, filepath.Join(dir, "deny_senders"), "a@b.example\n")
	o := fixtureOptions()
	o.Dir = dir
	p, err := Load(o)
	if err != nil {
		t.Fatal(err)
	}
	w := p.Warnings().Error()
	for _, want := range []string{`deny_client.txt: no rule file names this list, so it is not read; did you mean "deny_clients.txt"?`, `did you mean "deny_senders.txt"?`} {
		if !strings.Contains(w, want) {
			t.Errorf("no %q in %s", want, w)
		}
	}
}

func TestListOfAnotherFile(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.toml"), simple("A", "from.address in lists.vip and not (rcpt.address not in lists.vip)", `action = "tag"`))
	write(t, filepath.Join(dir, "b.toml"), "[lists]\nvip = \"vip.txt\"\n")
	write(t, filepath.Join(dir, "vip.txt"), ".example.co.jp\n@example.jp\n")
	o := fixtureOptions()
	o.Dir = dir
	p, err := Load(o)
	if err != nil {
		t.Fatal(err)
	}
	if v := judge(p, fixtureTx(mail.Conclude)); v.RuleID != "A" {
		t.Errorf("%+v", v)
	}
}
