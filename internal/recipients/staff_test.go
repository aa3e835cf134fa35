package recipients

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"sekimori/internal/config"
)

// staffLDIF has people with passwords and groups of every kind. Its two suzuki are under different branches.
func staffLDIF() string {
	var b strings.Builder
	b.WriteString("dn: dc=example,dc=jp\nobjectClass: domain\ndc: example\n")
	for _, ou := range []string{"people", "guests", "groups"} {
		fmt.Fprintf(&b, "\ndn: ou=%s,dc=example,dc=jp\nobjectClass: organizationalUnit\nou: %s\n", ou, ou)
	}
	person := func(uid, ou, more string) {
		fmt.Fprintf(&b, "\ndn: uid=%s,ou=%s,dc=example,dc=jp\nobjectClass: inetOrgPerson\n%suid: %s\ncn: %s\nsn: %s\nuserPassword: pw of %s %s\nmail: %s@example.jp\n",
			uid, ou, more, uid, uid, uid, uid, ou, uid)
	}
	person("Hanako", "people", "employeeType: gatekeeper\n")
	person("taro", "people", "objectClass: posixAccount\nuidNumber: 1000\ngidNumber: 1000\nhomeDirectory: /\n")
	person("jiro", "people", "")
	person("saburo", "people", "")
	person("shiro", "people", "")
	person("suzuki", "people", "")
	person("suzuki", "guests", "")
	b.WriteString("\ndn: uid=mute,ou=people,dc=example,dc=jp\nobjectClass: inetOrgPerson\nuid: mute\ncn: mute\nsn: mute\n")
	group := func(cn, class, members string) {
		fmt.Fprintf(&b, "\ndn: cn=%s,ou=groups,dc=example,dc=jp\nobjectClass: %s\ncn: %s\n%s", cn, class, cn, members)
	}
	dn := func(attr, uid string) string { return attr + ": uid=" + uid + ",ou=people,dc=example,dc=jp\n" }
	group("mail admins", "groupOfNames", dn("member", "hanako")+dn("member", "suzuki")+dn("member", "mute"))
	group("helpdesk", "posixGroup", "gidNumber: 1\nmemberUid: taro\nmemberUid: shiro\n")
	group("team", "groupOfUniqueNames", dn("uniqueMember", "jiro"))
	group("department", "groupOfNames", "member: cn=team,ou=groups,dc=example,dc=jp\nmember: cn=auditors,ou=groups,dc=example,dc=jp\n")
	group("auditors", "groupOfNames", "member: cn=department,ou=groups,dc=example,dc=jp\n")
	return b.String()
}

func startStaff(t *testing.T, cert, key string) *server {
	t.Helper()
	nis := "/etc/ldap/schema/nis.schema"
	if _, err := os.Stat(nis); err != nil {
		nis = "/etc/openldap/schema/nis.schema"
	}
	return startSlapd(t, cert, key, "include "+nis, staffLDIF())
}

func staffConfig() config.ConsoleLDAP {
	return config.ConsoleLDAP{
		Source: "test", Timeout: config.Duration(10 * time.Second),
		Roles: config.ConsoleRoles{
			Admin:    []string{"CN=Mail Admins, OU=Groups, DC=example, DC=jp", "cn=gone,ou=groups,dc=example,dc=jp"},
			Helpdesk: []string{"cn=helpdesk,ou=groups,dc=example,dc=jp"},
			Auditor:  []string{"cn=auditors,ou=groups,dc=example,dc=jp"},
		},
	}
}

func newStaff(t *testing.T, cfg config.ConsoleLDAP, src config.LDAP) *Staff {
	t.Helper()
	s, err := NewStaff(cfg, src, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStaffFind(t *testing.T) {
	t.Parallel()
	srv := startStaff(t, "", "")
	src := ldapConfig("ldap://" + srv.addr)
	s := newStaff(t, staffConfig(), src)
	for _, c := range []struct{ name, want, why string }{
		{"hanako", "Hanako admin", ""},
		{"HANAKO", "Hanako admin", ""},
		{"taro", "taro helpdesk", ""},
		{"jiro", "jiro auditor", ""},                         // by way of two other groups, which are in a circle
		{"shiro", "", "none of the groups"},                  // memberUid is for accounts of machines
		{"saburo", "", "cn=gone,ou=groups,dc=example,dc=jp"}, // what is wrong with the roles is said
		{"suzuki", "", "several of that name"},               // one of them is an administrator
		{"nobody", "", "nobody of that name"},
		{"*", "", "nobody of that name"},
		{"hanak*", "", "nobody of that name"},
		{"hanako)(uid=*", "", "nobody of that name"},
		{"x)(|(uid=hanako", "", "nobody of that name"},
		{`hanako\2a`, "", "nobody of that name"},
		{"ｈanako", "", "spelt differently"}, // the directory compares by compatibility (RFC 4518)
		{"ha\u00adnako", "", "characters that no name has"},
		{"hanako ", "", "characters that no name has"},
		{"ha\x00nako", "", "characters that no name has"},
		{"\xff", "", "characters that no name has"},
		{strings.Repeat("x", 300), "", "characters that no name has"},
	} {
		who, err := s.Find(t.Context(), c.name, true)
		got := strings.TrimSpace(who.Name + " " + who.Role)
		if got != c.want || c.want == "" && (!errors.Is(err, ErrNotStaff) || !strings.Contains(err.Error(), c.why)) || c.want != "" && err != nil {
			t.Errorf("%q: %q %v, not %q %s", c.name, got, err, c.want, c.why)
		}
	}

	one := staffConfig()
	one.Bases = []string{"ou=people,dc=example,dc=jp", "OU=people, DC=example, DC=jp"}
	if who, err := newStaff(t, one, src).Find(t.Context(), "suzuki", true); err != nil || who.Role != "admin" {
		t.Errorf("in one branch, named twice: %+v %v", who, err)
	}
	byValue := staffConfig()
	byValue.Filter, byValue.RoleAttribute = "(&(objectClass=person)(mail={name}@example.jp))", "employeeType"
	byValue.Roles = config.ConsoleRoles{Auditor: []string{"GateKeeper"}}
	s = newStaff(t, byValue, src)
	if who, err := s.Find(t.Context(), "hanako", true); err != nil || who.Role != "auditor" || who.Name != "Hanako" {
		t.Errorf("by an attribute: %+v %v", who, err)
	}
	if who, err := s.Find(t.Context(), "taro", true); !errors.Is(err, ErrNotStaff) || who != (StaffMember{}) {
		t.Errorf("without the attribute: %+v %v", who, err)
	}
	nowhere := staffConfig()
	nowhere.Bases = []string{"ou=elsewhere,dc=example,dc=jp"}
	if _, err := newStaff(t, nowhere, src).Find(t.Context(), "hanako", true); err == nil || errors.Is(err, ErrNotStaff) || !strings.Contains(err.Error(), "bases names a place") {
		t.Errorf("below nothing: %v", err)
	}
	stranger := src
	stranger.Password = "wrong"
	if _, err := newStaff(t, staffConfig(), stranger).Find(t.Context(), "hanako", true); err == nil || errors.Is(err, ErrNotStaff) || errors.Is(err, ErrPassword) {
		t.Errorf("with a wrong bind password: %v", err)
	}
	bad := staffConfig()
	bad.Filter = "(uid={name})(x=y)"
	if _, err := NewStaff(bad, src, Deps{}); err == nil {
		t.Error("a filter that is none is taken")
	}
}

func TestStaffBind(t *testing.T) {
	t.Parallel()
	srv := startStaff(t, "", "")
	src := ldapConfig("ldap://"+hole(t), "ldap://"+srv.addr)
	src.ConnectTimeout = config.Duration(time.Second)
	s := newStaff(t, staffConfig(), src)
	hanako := "uid=hanako,ou=people,dc=example,dc=jp"
	for _, c := range []struct{ dn, password string }{
		{hanako, "wrong"},
		{hanako, ""},
		{hanako, "pw of hanako people"},
		{hanako, "\x00"},
		{hanako, " "},
		{"", "pw of Hanako people"},
		{"uid=mute,ou=people,dc=example,dc=jp", "x"},
		{"not a dn", "x"},
	} {
		if err := s.Bind(t.Context(), c.dn, c.password); !errors.Is(err, ErrPassword) {
			t.Errorf("%s, %q: %v", c.dn, c.password, err)
		}
	}
	if err := s.Bind(t.Context(), hanako, "pw of Hanako people"); err != nil {
		t.Errorf("the right password: %v", err)
	}
	if who, err := s.Find(t.Context(), "hanako", false); err != nil || who.Role != "admin" { // still as the account of the configuration
		t.Errorf("after that: %+v %v", who, err)
	}

	srv.signal(syscall.SIGKILL)
	eventually(t, func() error {
		if err := s.Bind(t.Context(), hanako, "pw of Hanako people"); err == nil || errors.Is(err, ErrPassword) {
			return fmt.Errorf("away: %w", err)
		}
		return nil
	})
	if _, err := s.Find(t.Context(), "hanako", true); err == nil || errors.Is(err, ErrNotStaff) {
		t.Errorf("away: %v", err)
	}
	srv.again()
	if err := s.Bind(t.Context(), hanako, "pw of Hanako people"); err != nil {
		t.Errorf("there again: %v", err)
	}
	if _, err := s.Find(t.Context(), "hanako", true); err != nil {
		t.Errorf("there again: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Bind(ended, hanako, "pw of Hanako people"); err == nil || errors.Is(err, ErrPassword) {
		t.Errorf("after the end: %v", err)
	}
}

// TestStaffTLS: the password is sent only after STARTTLS to a server that has the right certificate.
func TestStaffTLS(t *testing.T) {
	t.Parallel()
	cert, key := certificate(t)
	srv := startStaff(t, cert, key)
	src := ldapConfig("ldap://" + srv.addr)
	src.StartTLS, src.CAFile = true, cert
	who, err := newStaff(t, staffConfig(), src).Find(t.Context(), "hanako", true)
	if err == nil {
		err = newStaff(t, staffConfig(), src).Bind(t.Context(), who.DN, "pw of Hanako people")
	}
	if err != nil {
		t.Errorf("STARTTLS: %v", err)
	}
	src.TLSName = "elsewhere.test"
	if err := newStaff(t, staffConfig(), src).Bind(t.Context(), who.DN, "pw of Hanako people"); err == nil || errors.Is(err, ErrPassword) {
		t.Errorf("the certificate of another name: %v", err)
	}
}
