package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const signInLDIF = `dn: dc=example,dc=jp
objectClass: domain
dc: example

dn: uid=hanako,dc=example,dc=jp
objectClass: inetOrgPerson
uid: hanako
cn: hanako
sn: hanako
userPassword: open sesame

dn: cn=helpdesk,dc=example,dc=jp
objectClass: groupOfNames
cn: helpdesk
member: uid=hanako,dc=example,dc=jp
`

// TestDirectorySignIn: an administrator signs in with the password of a real directory; one that is dead is said, and the session goes on.
func TestDirectorySignIn(t *testing.T) {
	t.Parallel()
	slapd := needTool(t, "slapd")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr, data := l.Addr().String(), t.TempDir()
	l.Close()
	schemas := "/etc/ldap/schema"
	if !fileExists(schemas) {
		schemas = "/etc/openldap/schema"
	}
	conf, ldif := filepath.Join(data, "slapd.conf"), filepath.Join(data, "staff.ldif")
	text := fmt.Sprintf("include %[1]s/core.schema\ninclude %[1]s/cosine.schema\ninclude %[1]s/inetorgperson.schema\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\n"+
		"database mdb\nsuffix \"dc=example,dc=jp\"\ndirectory %[2]s\n", schemas, data)
	for file, s := range map[string]string{conf: text, ldif: signInLDIF} {
		if err := os.WriteFile(file, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	execute(t, slapd, "-T", "add", "-q", "-f", conf, "-l", ldif)
	stop := directoryServer(t, slapd, addr, data)
	dir := t.TempDir()
	p := startIn(t, dir, serveConfig(dir, fmt.Sprintf(`
[ldap.staff]
urls = ["ldap://%s"]
starttls = false
bases = ["DC=example,DC=jp"]
connect_timeout = "2s"
[console.ldap]
source = "staff"
[console.ldap.roles]
helpdesk = ["cn=helpdesk,dc=example,dc=jp"]
[[domain]]
names = ["example.test"]
recipients = "any"
backends = ["maildir:%s"]
`, addr, filepath.Join(dir, "maildir"))))
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Jar: jar}
	answer := func(r *http.Response, err error) (int, string) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		return r.StatusCode, string(b)
	}
	signIn := func(name, password string) (int, string) {
		t.Helper()
		return answer(c.PostForm("http://"+p.HTTP+"/admin/sign-in", url.Values{"name": {name}, "password": {password}}))
	}
	for name, password := range map[string]string{"hanako": "wrong", "*": "open sesame", "hanako)(uid=*": "open sesame"} {
		if code, page := signIn(name, password); code != 401 {
			t.Errorf("%s: %d\n%s", name, code, page)
		}
	}
	if code, page := signIn("hanako", "open sesame"); code != 200 || !strings.Contains(page, "hanako") {
		t.Fatalf("the right password: %d\n%s", code, page)
	}
	stop()
	if code, page := answer(c.Get("http://" + p.HTTP + "/admin/mails")); code != 200 || !strings.Contains(page, "hanako") {
		t.Errorf("the session without the directory: %d\n%s", code, page)
	}
	jar, err = cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c.Jar = jar
	if code, page := signIn("hanako", "open sesame"); code != 503 || !strings.Contains(page, "ディレクトリ") {
		t.Errorf("without the directory: %d\n%s", code, page)
	}
}
