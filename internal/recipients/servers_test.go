package recipients

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// realTool returns the path of a real server, or skips; with SEKIMORI_REQUIRE_REAL=1 it fails.
func realTool(t testing.TB, name string, dirs ...string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	for _, pattern := range append(dirs, "/usr/sbin", "/usr/lib/postgresql/*/bin") {
		if found, _ := filepath.Glob(filepath.Join(pattern, name)); len(found) > 0 {
			return found[len(found)-1]
		}
	}
	if os.Getenv("SEKIMORI_REQUIRE_REAL") == "1" {
		t.Fatalf("there is no %s, and SEKIMORI_REQUIRE_REAL=1", name)
	}
	t.Skipf("there is no %s on this machine", name)
	return ""
}

// server is a real server that the test started, in a process group of its own.
type server struct {
	addr string
	dir  string
	pid  int
	cred *syscall.Credential

	again func() // starts it once more in the same place
}

// signal sends to the server and its children, which may be groups of their own (PostgreSQL), and waits until a stop has
// reached every thread.
func (s *server) signal(sig syscall.Signal) {
	pids := append(children(s.pid), s.pid)
	for _, pid := range pids {
		_ = syscall.Kill(pid, sig)
	}
	for range 200 {
		if sig != syscall.SIGSTOP || !slices.ContainsFunc(pids, runs) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func children(pid int) []int {
	var list []int
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, f := range files {
		b, _ := os.ReadFile(f)
		_, rest, _ := strings.Cut(string(b), ") ")
		if fields := strings.Fields(rest); len(fields) > 1 && fields[1] == strconv.Itoa(pid) {
			if n, err := strconv.Atoi(filepath.Base(filepath.Dir(f))); err == nil {
				list = append(list, n)
			}
		}
	}
	return list
}

// runs reports whether a thread of the process is not stopped.
func runs(pid int) bool {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	for _, f := range files {
		b, _ := os.ReadFile(f)
		if _, rest, ok := strings.Cut(string(b), ") "); ok && rest[0] != 'T' && rest[0] != 't' {
			return true
		}
	}
	return false
}

// privateDir is a folder of its own, owned by whom the server runs as: some refuse to run as root.
func privateDir(t testing.TB, users ...string) (string, *syscall.Credential) {
	t.Helper()
	dir, err := os.MkdirTemp("", "sekimori-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if os.Getuid() != 0 {
		return dir, nil
	}
	for _, name := range append(users, "nobody") {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		if err := os.Chown(dir, uid, gid); err != nil {
			t.Fatal(err)
		}
		return dir, &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	t.Fatal("there is no user whom the server could run as")
	return "", nil
}

func run(t testing.TB, cred *syscall.Credential, dir string, argv ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: cred}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", argv, err, out)
	}
}

// start runs a server and waits until its port answers.
func (s *server) start(t testing.TB, argv ...string) {
	t.Helper()
	s.again = func() { s.start(t, argv...) }
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = s.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.cred, Setpgid: true}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := cmd.Process.Pid
	s.pid = pid
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		_ = syscall.Kill(-pid, syscall.SIGKILL)
		_ = syscall.Kill(-pid, syscall.SIGCONT)
		<-ended
	})
	for range 400 {
		select {
		case <-ended:
			t.Fatalf("%s ended:\n%s", argv[0], out.String())
		default:
		}
		if c, err := net.Dial("tcp", s.addr); err == nil {
			c.Close()
			return
		}
		time.Sleep(25 * time.Millisecond)
	}
	t.Fatalf("%s does not listen on %s", argv[0], s.addr)
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

const (
	ldapAdmin    = "cn=admin,dc=example,dc=jp"
	testPassword = "open sesame"
)

// startSlapd runs OpenLDAP with the schema of testdata/recipients and loads LDIF. With a certificate it also serves ldaps on
// the port after.
func startSlapd(t testing.TB, cert, key string, extra string, ldif ...string) *server {
	t.Helper()
	slapd := realTool(t, "slapd")
	core := "/etc/ldap/schema"
	if _, err := os.Stat(core); err != nil {
		core = "/etc/openldap/schema"
	}
	dir := t.TempDir()
	schema, err := filepath.Abs("../../testdata/recipients/ad.schema")
	if err != nil {
		t.Fatal(err)
	}
	var conf strings.Builder
	for _, s := range []string{core + "/core.schema", core + "/cosine.schema", core + "/inetorgperson.schema", core + "/misc.schema", schema} {
		fmt.Fprintf(&conf, "include %s\n", s)
	}
	fmt.Fprintf(&conf, "pidfile %s/pid\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\n", dir)
	if cert != "" {
		fmt.Fprintf(&conf, "TLSCertificateFile %s\nTLSCertificateKeyFile %s\nTLSCACertificateFile %s\n", cert, key, cert)
	}
	fmt.Fprintf(&conf, "sizelimit size.soft=500 size.hard=500 size.prtotal=unlimited\n%s\n", extra)
	fmt.Fprintf(&conf, "database mdb\nsuffix \"dc=example,dc=jp\"\nrootdn %q\nrootpw %q\ndirectory %s\nmaxsize 536870912\ndbnosync\n",
		ldapAdmin, testPassword, dir)
	conf.WriteString("index objectClass,uSNChanged,entryUUID,proxyAddresses,mail eq\nindex isDeleted eq\n")
	file := filepath.Join(dir, "slapd.conf")
	if err := os.WriteFile(file, []byte(conf.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	for i, text := range ldif {
		f := filepath.Join(dir, fmt.Sprintf("%d.ldif", i))
		if err := os.WriteFile(f, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		run(t, nil, dir, slapd, "-T", "add", "-q", "-f", file, "-l", f)
	}
	s := &server{dir: dir}
	port := freePort(t)
	s.addr = fmt.Sprintf("127.0.0.1:%d", port)
	listen := "ldap://" + s.addr
	if cert != "" {
		listen += fmt.Sprintf(" ldaps://127.0.0.1:%d", port+1)
	}
	s.start(t, slapd, "-d", "0", "-f", file, "-h", listen)
	return s
}

func startPostgres(t testing.TB) *server { return startPostgresTLS(t, "", "") }

func startPostgresTLS(t testing.TB, cert, key string) *server {
	t.Helper()
	postgres, initdb := realTool(t, "postgres"), realTool(t, "initdb")
	dir, cred := privateDir(t, "postgres")
	s := &server{dir: dir, cred: cred}
	pw := filepath.Join(dir, "pw")
	if err := os.WriteFile(pw, []byte(testPassword), 0o644); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "data")
	run(t, cred, dir, initdb, "-D", data, "-U", "sekimori", "-A", "scram-sha-256", "--pwfile="+pw, "--no-sync", "-E", "UTF8", "--locale=C.UTF-8")
	port := freePort(t)
	s.addr = fmt.Sprintf("127.0.0.1:%d", port)
	tls := "ssl=off"
	if cert != "" {
		tls = "ssl=on"
		for from, to := range map[string]string{cert: "server.crt", key: "server.key"} {
			copyTo(t, from, filepath.Join(data, to), cred)
		}
	}
	s.start(t, postgres, "-c", tls, "-D", data, "-p", strconv.Itoa(port), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="+dir,
		"-c", "fsync=off", "-c", "timezone=Asia/Tokyo")
	src := newSQL(t, sqlConfig(t, "postgres", s))
	eventually(t, func() error { return src.db.PingContext(t.Context()) })
	return s
}

func copyTo(t testing.TB, from, to string, owner *syscall.Credential) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o600)
	}
	if err == nil && owner != nil {
		err = os.Chown(to, int(owner.Uid), int(owner.Gid))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func startMariaDB(t testing.TB) *server {
	t.Helper()
	mariadbd, install := realTool(t, "mariadbd"), realTool(t, "mariadb-install-db")
	dir, cred := privateDir(t, "mysql")
	s := &server{dir: dir, cred: cred}
	data := filepath.Join(dir, "data")
	run(t, cred, dir, install, "--no-defaults", "--datadir="+data, "--auth-root-authentication-method=normal", "--skip-test-db")
	initial := filepath.Join(dir, "init.sql")
	text := "CREATE DATABASE mail CHARACTER SET utf8mb4;\nCREATE USER sekimori@'127.0.0.1' IDENTIFIED BY '" + testPassword + "';\n" +
		"GRANT ALL ON mail.* TO sekimori@'127.0.0.1';\n"
	if err := os.WriteFile(initial, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	s.addr = fmt.Sprintf("127.0.0.1:%d", port)
	s.start(t, mariadbd, "--no-defaults", "--datadir="+data, "--port="+strconv.Itoa(port), "--bind-address=127.0.0.1",
		"--socket="+filepath.Join(dir, "sock"), "--init-file="+initial, "--default-time-zone=+09:00", "--innodb-flush-log-at-trx-commit=0")
	return s
}

// hole is a TCP listener that takes connections and never says a word.
func hole(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
			go func() { _, _ = io.Copy(io.Discard, c) }()
		}
	}()
	return l.Addr().String()
}
