package recipients

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
	"github.com/google/go-cmp/cmp"

	"sekimori/internal/config"
	"sekimori/internal/mail"
)

func adLDIF(t testing.TB) string {
	t.Helper()
	b, err := os.ReadFile("../../testdata/recipients/ad.ldif")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func ldapConfig(urls ...string) config.LDAP {
	return config.LDAP{
		Name: "test", URLs: urls, BindDN: ldapAdmin, Password: testPassword, Kind: "auto", Scope: "sub",
		Bases: []string{"DC=example,DC=jp"}, PageSize: 4, ConnectTimeout: config.Duration(2 * time.Second),
		Timeout: config.Duration(20 * time.Second), LookupTimeout: config.Duration(10 * time.Second),
		SyncEvery: config.Duration(time.Minute), FullEvery: config.Duration(time.Hour), StaleAfter: config.Duration(time.Hour),
	}
}

func newLDAP(t testing.TB, cfg config.LDAP) *ldapSource {
	t.Helper()
	s, err := NewLDAP(cfg, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s.(*ldapSource)
}

func fetch(t testing.TB, s Source, mark string) Batch {
	t.Helper()
	b, err := s.Fetch(t.Context(), mark)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func lookup(t testing.TB, s Source, addr string) []Entry {
	t.Helper()
	a, err := mail.ParseAddress(addr, true)
	if err != nil {
		t.Fatal(err)
	}
	list, err := s.Lookup(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// shown writes entries one a line, sorted.
func shown(entries []Entry) string {
	var lines []string
	for _, e := range entries {
		b, err := json.Marshal(e)
		if err != nil {
			panic(err)
		}
		lines = append(lines, string(b))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func addresses(entries []Entry) string {
	var list []string
	for _, e := range entries {
		list = append(list, e.Address.String())
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

const guidTail = "-0000-0000-0000-0000000000"

// TestADReal reads everything that the schema of Active Directory can say out of a real slapd, over several pages.
func TestADReal(t *testing.T) {
	p := startLDAPProxy(t, startSlapd(t, "", "", "", adLDIF(t)).addr)
	s := newLDAP(t, ldapConfig("ldap://"+p.addr))
	b := fetch(t, s, "")
	id := func(n string) string { return `{"id":"000000` + n + guidTail + n + `",` }
	want := strings.Join([]string{
		id("01") + `"address":"yamada.taro@example.jp","lang":"ja"}`,
		id("01") + `"address":"yamada@example.jp","owner":"yamada.taro@example.jp","lang":"ja"}`,
		id("01") + `"address":"yamada@xn--r8jz45g.jp","owner":"yamada.taro@example.jp","lang":"ja"}`,
		id("02") + `"address":"John.Smith@example.jp","lang":"en"}`,
		id("04") + `"address":"info@example.jp"}`,
		id("05") + `"address":"plain@example.jp"}`,
		id("07") + `"address":"partner@example.jp","owner":"partner@partner.example"}`,
		id("07") + `"address":"partner@partner.example"}`,
		id("08") + `"address":"public@example.jp"}`,
		id("11") + `"address":"eigyo@example.jp","targets":["yamada.taro@example.jp","John.Smith@example.jp"],"owner":"sales@example.jp"}`,
		id("11") + `"address":"sales@example.jp","targets":["yamada.taro@example.jp","John.Smith@example.jp"]}`,
		id("13") + `"address":"board@example.jp","targets":["yamada.taro@example.jp"],"internal":true}`,
	}, "\n")
	if d := cmp.Diff(want, shown(b.Entries)); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if !b.Full || len(b.Problems) != 1 || !strings.Contains(b.Problems[0], `"not an address@example.jp"`) {
		t.Errorf("full %v, problems %q", b.Full, b.Problems)
	}

	for addr, want := range map[string]string{
		"YAMADA@example.jp":       "yamada.taro@example.jp yamada@example.jp yamada@xn--r8jz45g.jp",
		"yamada@例え.jp":            "yamada.taro@example.jp yamada@example.jp yamada@xn--r8jz45g.jp",
		"sales@example.jp":        "eigyo@example.jp sales@example.jp",
		"retired@example.jp":      "",
		"nobody@example.jp":       "",
		"*@example.jp":            "",
		"nobody*@example.jp":      "",
		"plain@example.jp":        "plain@example.jp",
		"partner@partner.example": "partner@example.jp partner@partner.example",
	} {
		if got := addresses(lookup(t, s, addr)); got != want {
			t.Errorf("%s: %q, not %q", addr, got, want)
		}
	}

	// Before the first Fetch, members are asked for one by one.
	early := lookup(t, newLDAP(t, ldapConfig("ldap://"+p.addr)), "eigyo@example.jp")
	if len(early) != 2 || fmt.Sprint(early[0].Targets) != "[yamada.taro@example.jp John.Smith@example.jp]" {
		t.Errorf("without a copy: %s", shown(early))
	}
}

// admin changes the directory behind the source's back.
type admin struct {
	t testing.TB
	*ldap.Conn
	p *ldapProxy
}

func newAdmin(t testing.TB, addr string, p *ldapProxy) *admin {
	t.Helper()
	c, err := ldap.DialURL("ldap://" + addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.Bind(ldapAdmin, testPassword); err != nil {
		t.Fatal(err)
	}
	return &admin{t, c, p}
}

func (a *admin) nextUSN() []string {
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	a.p.usn++
	return []string{fmt.Sprint(a.p.usn)}
}

func (a *admin) replace(dn, attr string, values ...string) {
	a.t.Helper()
	m := ldap.NewModifyRequest(dn, nil)
	m.Replace(attr, values)
	if a.p != nil {
		m.Replace("uSNChanged", a.nextUSN())
	}
	if err := a.Modify(m); err != nil {
		a.t.Fatal(err)
	}
}

func (a *admin) create(dn, class, cn, address string, guid byte) {
	a.t.Helper()
	r := ldap.NewAddRequest(dn, nil)
	r.Attribute("objectClass", []string{class})
	r.Attribute("cn", []string{cn})
	if class == "user" || class == "inetOrgPerson" {
		r.Attribute("sn", []string{cn})
	}
	r.Attribute("mail", []string{address})
	if a.p != nil {
		r.Attribute("objectGUID", []string{strings.Repeat(string(rune(guid)), 16)})
		r.Attribute("uSNChanged", a.nextUSN())
	}
	if err := a.Add(r); err != nil {
		a.t.Fatal(err)
	}
}

const honsha = ",OU=本社,DC=example,DC=jp"

// TestADChangesReal follows one directory through its changes and compares the sum of the batches with a full list each time.
func TestADChangesReal(t *testing.T) {
	slapd := startSlapd(t, "", "", "", adLDIF(t))
	p := startLDAPProxy(t, slapd.addr)
	s, a := newLDAP(t, ldapConfig("ldap://"+p.addr)), newAdmin(t, slapd.addr, p)
	state := replica{}
	b := fetch(t, s, "")
	state.apply(b)
	step := func(name, want string, change func()) {
		t.Helper()
		change()
		b = fetch(t, s, b.Mark)
		if b.Full {
			t.Errorf("%s: everything was read", name)
		}
		if got := addresses(b.Entries) + " gone " + fmt.Sprint(len(b.Gone)); got != want {
			t.Errorf("%s: %s, not %s", name, got, want)
		}
		state.apply(b)
		if d := cmp.Diff(shown(fetch(t, newLDAP(t, ldapConfig("ldap://"+p.addr)), "").Entries), state.shown()); d != "" {
			t.Errorf("%s: (-full +changes)\n%s", name, d)
		}
	}
	step("nothing", " gone 0", func() {})
	step("new", "new@example.jp gone 0", func() { a.create("CN=new"+honsha, "user", "new", "new@example.jp", 'n') })
	step("a member's address", "board@example.jp eigyo@example.jp sales@example.jp yamada.new@example.jp gone 0", func() {
		a.replace("CN=山田 太郎"+honsha, "proxyAddresses", "SMTP:yamada.new@example.jp")
	})
	step("a member of a nested group", "eigyo@example.jp sales@example.jp gone 0", func() {
		a.replace("CN=内側"+honsha, "member", "CN=new"+honsha, "CN=plain"+honsha)
	})
	step("switched off", "eigyo@example.jp sales@example.jp gone 1", func() { a.replace("CN=plain"+honsha, "userAccountControl", "514") })
	step("without an address", " gone 1", func() {
		a.replace("CN=受付"+honsha, "proxyAddresses")
		a.replace("CN=受付"+honsha, "mail")
	})
	step("internal only", "eigyo@example.jp sales@example.jp gone 0", func() { a.replace("CN=営業部"+honsha, "msExchRequireAuthToSendTo", "TRUE") })
	step("deleted", "eigyo@example.jp sales@example.jp gone 1", func() {
		// Active Directory keeps a deleted object, without its addresses, where only a search with a control finds it.
		if err := a.Del(ldap.NewDelRequest("CN=new"+honsha, nil)); err != nil {
			t.Fatal(err)
		}
		r := ldap.NewAddRequest("CN=gone,CN=Deleted Objects,DC=example,DC=jp", nil)
		for k, v := range map[string][]string{
			"objectClass": {"user"}, "cn": {"gone"}, "sn": {"gone"}, "isDeleted": {"TRUE"}, "uSNChanged": a.nextUSN(),
			"objectGUID": {strings.Repeat("n", 16)},
		} {
			r.Attribute(k, v)
		}
		if err := a.Add(r); err != nil {
			t.Fatal(err)
		}
	})

	for name, change := range map[string]func(){
		"another mark":   func() { b.Mark = strings.Replace(b.Mark, `"n":`, `"n":9`, 1) },
		"another server": func() { p.mu.Lock(); p.invocation = "fedcba9876543210"; p.mu.Unlock() },
		"restored":       func() { p.mu.Lock(); p.usn = 1500; p.mu.Unlock() },
		"no mark":        func() { b.Mark = "" },
	} {
		b = fetch(t, s, b.Mark)
		change()
		if b = fetch(t, s, b.Mark); !b.Full {
			t.Errorf("%s: only changes were read", name)
		}
	}
}

// replica does with batches what a snapshot does.
type replica map[string][]Entry

func (r replica) apply(b Batch) {
	if b.Full {
		clear(r)
	}
	for _, id := range b.Gone {
		delete(r, id)
	}
	fresh := map[string][]Entry{}
	for _, e := range b.Entries {
		fresh[e.ID] = append(fresh[e.ID], e)
	}
	for id, list := range fresh {
		r[id] = list
	}
}

func (r replica) shown() string {
	var all []Entry
	for _, list := range r {
		all = append(all, list...)
	}
	return shown(all)
}

// TestOpenLDAPReal follows a directory that has times of change and no numbers.
func TestOpenLDAPReal(t *testing.T) {
	base := "dn: dc=example,dc=jp\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: example\n"
	slapd := startSlapd(t, "", "", "", base)
	a := newAdmin(t, slapd.addr, nil)
	for i, n := range []string{"aoki", "ito", "ueda", "endo", "ono"} {
		a.create("cn="+n+",dc=example,dc=jp", "inetOrgPerson", n, n+"@example.jp", byte(i))
	}
	r := ldap.NewAddRequest("cn=all,dc=example,dc=jp", nil)
	r.Attribute("objectClass", []string{"groupOfNames", "inetLocalMailRecipient"})
	r.Attribute("cn", []string{"all"})
	r.Attribute("mailLocalAddress", []string{"all@example.jp"})
	r.Attribute("member", []string{"cn=AOKI, dc=example, dc=jp", "cn=ito,dc=example,dc=jp"})
	if err := a.Add(r); err != nil {
		t.Fatal(err)
	}
	cfg := ldapConfig("ldap://" + slapd.addr)
	s := newLDAP(t, cfg)
	state := replica{}
	b := fetch(t, s, "")
	state.apply(b)
	if got := addresses(b.Entries); got != "all@example.jp aoki@example.jp endo@example.jp ito@example.jp ono@example.jp ueda@example.jp" {
		t.Errorf("all: %s", got)
	}
	for _, e := range b.Entries {
		if e.Address.Local == "all" && fmt.Sprint(e.Targets) != "[aoki@example.jp ito@example.jp]" {
			t.Errorf("all: %v", e.Targets)
		}
	}
	steps := []struct {
		name, want string
		change     func()
	}{
		{"nothing", " gone 0", func() {}},
		{"address", "all@example.jp ito2@example.jp gone 0", func() { a.replace("cn=ito,dc=example,dc=jp", "mail", "ito2@example.jp") }},
		{"renamed", " gone 0", func() {
			if err := a.ModifyDN(ldap.NewModifyDNRequest("cn=ueda,dc=example,dc=jp", "cn=ueda2", false, "")); err != nil {
				t.Fatal(err)
			}
		}},
		{"deleted", "all@example.jp gone 1", func() {
			if err := a.Del(ldap.NewDelRequest("cn=aoki,dc=example,dc=jp", nil)); err != nil {
				t.Fatal(err)
			}
		}},
	}
	for _, step := range steps {
		step.change()
		b = fetch(t, s, b.Mark)
		if got := addresses(b.Entries) + " gone " + fmt.Sprint(len(b.Gone)); got != step.want || b.Full {
			t.Errorf("%s: %s, not %s (full: %v)", step.name, got, step.want, b.Full)
		}
		state.apply(b)
		if d := cmp.Diff(shown(fetch(t, newLDAP(t, cfg), "").Entries), state.shown()); d != "" {
			t.Errorf("%s: (-full +changes)\n%s", step.name, d)
		}
	}
	for _, n := range []string{"ito", "endo", "ono", "ueda2"} {
		if err := a.Del(ldap.NewDelRequest("cn="+n+",dc=example,dc=jp", nil)); err != nil {
			t.Fatal(err)
		}
	}
	if b = fetch(t, s, b.Mark); !b.Full {
		t.Error("most are gone, and it is told as a change, past the guard of the copy")
	}
}

// TestLDAPBrokenOffReal breaks off in the middle of a list: an error, and never a shorter list.
func TestLDAPBrokenOffReal(t *testing.T) {
	for name, sig := range map[string]syscall.Signal{"killed": syscall.SIGKILL, "hung": syscall.SIGSTOP} {
		t.Run(name, func(t *testing.T) {
			slapd := startSlapd(t, "", "", "", adLDIF(t))
			p := startLDAPProxy(t, slapd.addr)
			p.breaks = func() { slapd.signal(sig) }
			p.breakAt.Store(7)
			cfg := ldapConfig("ldap://" + p.addr)
			cfg.Timeout = config.Duration(500 * time.Millisecond)
			s := newLDAP(t, cfg)
			begun := time.Now()
			b, err := s.Fetch(t.Context(), "")
			if err == nil || len(b.Entries) > 0 {
				t.Fatalf("%d entries, %v", len(b.Entries), err)
			}
			if d := time.Since(begun); d > 3*time.Second {
				t.Errorf("it took %v to notice", d)
			}
			begun = time.Now()
			if _, err := s.Lookup(t.Context(), mail.Address{Local: "info", Domain: "example.jp"}); err == nil {
				t.Error("a directory that is away has answered")
			}
			if d := time.Since(begun); d > 100*time.Millisecond {
				t.Errorf("the failure was known, and asking again took %v", d)
			}
		})
	}
}

// TestLDAPNextServerReal passes over dead servers: one that refuses, one that says nothing.
func TestLDAPNextServerReal(t *testing.T) {
	slapd := startSlapd(t, "", "", "", adLDIF(t))
	p := startLDAPProxy(t, slapd.addr)
	cfg := ldapConfig("ldap://"+hole(t), fmt.Sprintf("ldap://127.0.0.1:%d", freePort(t)), "ldap://"+p.addr)
	cfg.ConnectTimeout = config.Duration(300 * time.Millisecond)
	s := newLDAP(t, cfg)
	if b := fetch(t, s, ""); len(b.Entries) != 12 {
		t.Errorf("%d entries", len(b.Entries))
	}
	begun := time.Now()
	if got := addresses(lookup(t, s, "info@example.jp")); got != "info@example.jp" {
		t.Error(got)
	}
	if d := time.Since(begun); d > 200*time.Millisecond {
		t.Errorf("the dead servers were tried again: %v", d)
	}
}

// TestLDAPTLSReal wants STARTTLS and ldaps to work with the right authority and to fail with another.
func TestLDAPTLSReal(t *testing.T) {
	cert, key := certificate(t)
	other, _ := certificate(t)
	slapd := startSlapd(t, cert, key, "security simple_bind=128", adLDIF(t))
	host, port, _ := net.SplitHostPort(slapd.addr)
	var n int
	fmt.Sscan(port, &n)
	secure := fmt.Sprintf("ldaps://%s:%d", host, n+1)
	for name, c := range map[string]struct {
		url, ca  string
		startTLS bool
		password config.Secret
		want     string
	}{
		"starttls":       {url: "ldap://" + slapd.addr, ca: cert, startTLS: true},
		"ldaps":          {url: secure, ca: cert},
		"other ca":       {url: secure, ca: other, want: "certificate"},
		"starttls other": {url: "ldap://" + slapd.addr, ca: other, startTLS: true, want: "certificate"},
		"clear":          {url: "ldap://" + slapd.addr, want: "wants TLS"},
		"password":       {url: secure, ca: cert, password: "wrong", want: "bind_dn or the password is wrong"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := ldapConfig(c.url)
			cfg.CAFile, cfg.StartTLS, cfg.Kind = c.ca, c.startTLS, "ad"
			if c.password != "" {
				cfg.Password = c.password
			}
			b, err := newLDAP(t, cfg).Fetch(t.Context(), "")
			switch {
			case c.want == "" && (err != nil || len(b.Entries) != 12):
				t.Errorf("%d entries, %v", len(b.Entries), err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("%v does not say %q", err, c.want)
			case err != nil && strings.Contains(err.Error(), testPassword):
				t.Error("the password is shown")
			}
		})
	}
}

// TestLDAPLimitsReal wants an error where a list was cut short, and where there is nobody at all.
func TestLDAPLimitsReal(t *testing.T) {
	slapd := startSlapd(t, "", "", "access to * by * read\n", adLDIF(t))
	cfg := ldapConfig("ldap://" + slapd.addr)
	cfg.Kind, cfg.BindDN, cfg.Password = "ad", "", ""
	limited := startSlapd(t, "", "", "sizelimit size.prtotal=5", adLDIF(t))
	for name, c := range map[string]struct {
		change func(*config.LDAP)
		want   string
	}{
		"cut short": {func(c *config.LDAP) { c.URLs = []string{"ldap://" + limited.addr} }, "nothing of it was used"},
		"nobody":    {func(c *config.LDAP) { c.Filter = "(mail=nobody@example.jp)" }, ""},
		"no base":   {func(c *config.LDAP) { c.Bases = []string{"DC=elsewhere,DC=jp"} }, "does not exist"},
		"no place":  {func(c *config.LDAP) { c.Bases = []string{"OU=none,DC=example,DC=jp"} }, "does not exist"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := cfg
			c.change(&cfg)
			b, err := newLDAP(t, cfg).Fetch(t.Context(), "")
			if name == "nobody" {
				// Groups still have addresses where the filter finds nobody.
				if err != nil || strings.Contains(addresses(b.Entries), "yamada") {
					t.Errorf("%s %v", addresses(b.Entries), err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%d entries, %v does not say %q", len(b.Entries), err, c.want)
			}
		})
	}
}

// TestLDAPManyReal states how long 20,000 people take, all of them and a few changes.
func TestLDAPManyReal(t *testing.T) {
	many := 20_000
	if testing.Short() {
		many = 2_000
	}
	var ldif strings.Builder
	ldif.WriteString(adLDIF(t))
	for i := range many {
		guid := fmt.Sprintf("%016d", i)
		fmt.Fprintf(&ldif, "\ndn: CN=user%d%s\nobjectClass: user\ncn: user%d\nsn: user\nmail: user%d@example.jp\nproxyAddresses: SMTP:user%d@example.jp\n"+
			"proxyAddresses: smtp:u%d@example.jp\nuserAccountControl: 512\nobjectGUID: %s\nuSNChanged: %d\n", i, honsha, i, i, i, i, guid, 1100)
	}
	ldif.WriteString("\ndn: CN=everybody" + honsha + "\nobjectClass: group\ncn: everybody\nmail: all@example.jp\nobjectGUID: everybody-1234567\nuSNChanged: 1100\n")
	for i := range many {
		fmt.Fprintf(&ldif, "member: CN=user%d%s\n", i, honsha)
	}
	slapd := startSlapd(t, "", "", "", ldif.String())
	p := startLDAPProxy(t, slapd.addr)
	for kind, addr := range map[string]string{"ad": p.addr, "openldap": slapd.addr} {
		cfg := ldapConfig("ldap://" + addr)
		cfg.PageSize, cfg.Kind, cfg.Timeout = 1000, kind, config.Duration(20*time.Second)
		if kind == "openldap" {
			cfg.Attributes = config.LDAPAttributes{Proxy: "proxyAddresses"}
		}
		s, a := newLDAP(t, cfg), newAdmin(t, slapd.addr, p)
		begun := time.Now()
		b := fetch(t, s, "")
		full := time.Since(begun)
		if len(b.Entries) < 2*many {
			t.Fatalf("%d entries", len(b.Entries))
		}
		begun = time.Now()
		b = fetch(t, s, b.Mark)
		nothing := time.Since(begun)
		if kind == "ad" {
			a.replace("CN=user7"+honsha, "proxyAddresses", "SMTP:seven@example.jp")
		} else {
			a.replace("CN=user7"+honsha, "proxyAddresses", "SMTP:sieben@example.jp")
		}
		begun = time.Now()
		b = fetch(t, s, b.Mark)
		t.Logf("%s, %d objects: everything %v, nothing changed %v, one changed %v", kind, many, full, nothing, time.Since(begun))
		if b.Full || len(b.Entries) != 2 { // the person and the group that holds everybody
			t.Errorf("%s: full %v, %s", kind, b.Full, addresses(b.Entries))
		}
		begun = time.Now()
		for range 200 {
			lookup(t, s, "u99@example.jp")
		}
		t.Logf("%s: %v for one question", kind, time.Since(begun)/200)
	}
}

// TestRanges reads a group of 4,001 from a directory that shows 1,500 members at a time, and fails when the rest does not come.
func TestRanges(t *testing.T) {
	const many = 4001
	p := startLDAPProxy(t, "")
	broken := false
	member := func(i int) string { return fmt.Sprintf("CN=u%d,DC=example,DC=jp", i) }
	slice := func(from int) (string, []string) {
		var list []string
		for i := from; i < min(from+1500, many); i++ {
			list = append(list, member(i))
		}
		end := fmt.Sprint(from + len(list) - 1)
		if from+len(list) == many {
			end = "*"
		}
		return fmt.Sprintf("member;range=%d-%s", from, end), list
	}
	p.reply = func(base, filter string, attrs []string, paging *ldap.ControlPaging) *reply {
		if strings.HasPrefix(base, "CN=all") {
			var from int
			if _, err := fmt.Sscanf(attrs[0], "member;range=%d-*", &from); err != nil {
				t.Errorf("asked for %q", attrs)
			}
			if broken && from == 3000 {
				return &reply{}
			}
			name, list := slice(from)
			return &reply{entries: []*ldap.Entry{ldap.NewEntry(base, map[string][]string{name: list})}}
		}
		// Three pages: the group, the people, nothing.
		switch cookie := string(paging.Cookie); cookie {
		case "":
			name, list := slice(0)
			return &reply{cookie: "2", entries: []*ldap.Entry{ldap.NewEntry("CN=all,DC=example,DC=jp", map[string][]string{
				"objectClass": {"group"}, "mail": {"all@example.jp"}, "objectGUID": {"gggggggggggggggg"}, "member": {}, name: list,
			})}}
		case "2":
			var people []*ldap.Entry
			for i := range many {
				people = append(people, ldap.NewEntry(member(i), map[string][]string{
					"objectClass": {"user"}, "mail": {fmt.Sprintf("u%d@example.jp", i)}, "objectGUID": {fmt.Sprintf("%016d", i)},
				}))
			}
			return &reply{cookie: "3", entries: people, referrals: []string{"ldap://sub.example.jp/DC=sub", "ldap://DomainDnsZones.example.jp/DC=DomainDnsZones,DC=example,DC=jp"}}
		}
		return &reply{}
	}
	cfg := ldapConfig("ldap://" + p.addr)
	b := fetch(t, newLDAP(t, cfg), "")
	i := slices.IndexFunc(b.Entries, func(e Entry) bool { return e.Address.Local == "all" })
	if len(b.Entries) != many+1 || len(b.Entries[i].Targets) != many {
		t.Errorf("%d entries, the group has %d", len(b.Entries), len(b.Entries[i].Targets))
	}
	if fmt.Sprint(b.Problems) != "[ldap://sub.example.jp/DC=sub was not followed: what lies there needs a table [ldap.NAME] of its own]" {
		t.Errorf("%q", b.Problems)
	}
	p.mu.Lock()
	broken = true
	p.mu.Unlock()
	if b, err := newLDAP(t, cfg).Fetch(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "announced more than 3000") {
		t.Errorf("%d entries, %v", len(b.Entries), err)
	}
}

// TestLDAPCancelled ends with the context, though the directory says nothing.
func TestLDAPCancelled(t *testing.T) {
	s := newLDAP(t, ldapConfig("ldap://"+hole(t)))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	begun := time.Now()
	if _, err := s.Lookup(ctx, mail.Address{Local: "a", Domain: "example.jp"}); err == nil || time.Since(begun) > time.Second {
		t.Errorf("%v after %v", err, time.Since(begun))
	}
}
