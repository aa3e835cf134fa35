package recipients

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/google/go-cmp/cmp"

	"sekimori/internal/config"
	"sekimori/internal/mail"
)

// sqlKinds are the databases.
var sqlKinds = map[string]func(testing.TB) *server{"postgres": startPostgres, "mysql": startMariaDB}

func sqlConfig(t testing.TB, driver string, s *server) config.SQL {
	t.Helper()
	host, p, err := net.SplitHostPort(s.addr)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(p)
	if err != nil {
		t.Fatal(err)
	}
	dbname, mark := "postgres", "$1"
	if driver == "mysql" {
		dbname, mark = "mail", "?"
	}
	return config.SQL{
		Name: "test", Driver: driver, Host: host, Port: port, User: "sekimori", Password: testPassword, DBName: dbname, TLS: "none",
		Query:          "SELECT address, owner, targets, internal, lang FROM recipients WHERE active",
		Lookup:         "SELECT address, owner, targets, internal, lang FROM recipients WHERE active AND lower(address) = " + mark,
		ChangedSince:   "SELECT address, owner, targets, internal, lang, NOT active AS deleted FROM recipients WHERE modified > " + mark,
		MaxConnections: 2, ConnectTimeout: config.Duration(time.Second), Timeout: config.Duration(5 * time.Second),
		LookupTimeout: config.Duration(time.Second), SyncEvery: config.Duration(time.Minute), FullEvery: config.Duration(time.Hour),
	}
}

func newSQL(t testing.TB, cfg config.SQL) *sqlSource {
	t.Helper()
	s, err := NewSQL(cfg, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s.(*sqlSource)
}

// sqlAdmin writes to the database as an administrator would.
func sqlAdmin(t testing.TB, cfg config.SQL, statements ...string) {
	t.Helper()
	connector, err := sqlConnector(cfg, Deps{}.filled())
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

const sqlTable = "CREATE TABLE recipients (address varchar(255), owner varchar(255), targets text, internal boolean, lang varchar(20), " +
	"active boolean NOT NULL DEFAULT true, modified timestamp NULL DEFAULT '2020-01-01 00:00:00')"

const sqlRows = "INSERT INTO recipients (address, owner, targets, internal, lang, active) VALUES " +
	"('yamada@example.jp', NULL, NULL, NULL, 'ja_JP', true), ('Taro@Example.JP', 'yamada@example.jp', '', false, 'ja', true), " +
	"('yamada@例え.jp', 'yamada@example.jp', NULL, false, NULL, true), ('山田@例え.jp', NULL, NULL, false, NULL, true), " +
	"('all@example.jp', NULL, 'yamada@example.jp, ito@example.jp,foo bar@', true, NULL, true), ('ito@example.jp', NULL, 'ito@example.jp', false, NULL, true), " +
	"('@catch.example.jp', NULL, 'yamada@example.jp', false, NULL, true), ('not an address', NULL, NULL, false, NULL, true), " +
	"(NULL, NULL, NULL, NULL, NULL, true), ('ito@example.jp', NULL, 'second@example.jp', false, NULL, true), " +
	"('gone@example.jp', NULL, NULL, false, NULL, false), ('O''Brien@example.jp', 'bad owner', NULL, false, NULL, true)"

func TestSQLReal(t *testing.T) {
	for driver, start := range sqlKinds {
		t.Run(driver, func(t *testing.T) {
			cfg := sqlConfig(t, driver, start(t))
			s := newSQL(t, cfg)
			if _, err := s.Fetch(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "recipients") {
				t.Errorf("without the table: %v", err)
			}
			sqlAdmin(t, cfg, sqlTable)
			if _, err := s.Fetch(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "no recipient") {
				t.Errorf("an empty table: %v", err)
			}
			sqlAdmin(t, cfg, sqlRows)
			b := fetch(t, s, "")
			want := strings.Join([]string{
				`{"id":"@catch.example.jp","address":"@catch.example.jp","targets":["yamada@example.jp"]}`,
				`{"id":"all@example.jp","address":"all@example.jp","targets":["yamada@example.jp","ito@example.jp"],"internal":true}`,
				`{"id":"ito@example.jp","address":"ito@example.jp","targets":["second@example.jp"]}`,
				`{"id":"o'brien@example.jp","address":"O'Brien@example.jp"}`,
				`{"id":"taro@example.jp","address":"Taro@example.jp","owner":"yamada@example.jp","lang":"ja"}`,
				`{"id":"yamada@example.jp","address":"yamada@example.jp","lang":"ja"}`,
				`{"id":"yamada@xn--r8jz45g.jp","address":"yamada@xn--r8jz45g.jp","owner":"yamada@example.jp"}`,
				`{"id":"山田@xn--r8jz45g.jp","address":"山田@xn--r8jz45g.jp"}`,
			}, "\n")
			if d := cmp.Diff(want, shown(b.Entries)); d != "" || !b.Full {
				t.Errorf("(-want +got)\n%s", d)
			}
			for _, p := range []string{`address "not an address"`, `address ""`, `owner "bad owner" of O'Brien@example.jp`, `target "bar@" of all@example.jp`} {
				if !strings.Contains(strings.Join(b.Problems, "\n"), p) {
					t.Errorf("%q is not among the problems: %q", p, b.Problems)
				}
			}
			for addr, want := range map[string]string{
				"yamada@例え.jp": "yamada@xn--r8jz45g.jp", "o'brien@example.jp": "O'Brien@example.jp", "TARO@example.jp": "Taro@example.jp",
				"gone@example.jp": "", "nobody@example.jp": "",
			} {
				if got := addresses(lookup(t, s, addr)); got != want {
					t.Errorf("%s: %q, not %q", addr, got, want)
				}
			}
			sqlChanges(t, cfg, s, b.Mark)
			sqlRefused(t, cfg)
		})
	}
}

func sqlChanges(t *testing.T, cfg config.SQL, s *sqlSource, mark string) {
	t.Helper()
	b := fetch(t, s, mark)
	if b.Full || len(b.Entries)+len(b.Gone) > 0 {
		t.Errorf("nothing changed: %+v", b)
	}
	sqlAdmin(t, cfg, "INSERT INTO recipients (address, active, modified) VALUES ('new@example.jp', true, now())",
		"UPDATE recipients SET active = false, modified = now() WHERE address = 'all@example.jp'")
	b = fetch(t, s, b.Mark)
	if b.Full || addresses(b.Entries) != "new@example.jp" || fmt.Sprint(b.Gone) != "[all@example.jp]" {
		t.Errorf("%+v", b)
	}
	other := cfg
	other.Query += " AND address <> 'new@example.jp'"
	if b := fetch(t, newSQL(t, other), b.Mark); !b.Full {
		t.Error("a mark of another query was used")
	}
	late := newSQL(t, cfg)
	late.now = func() time.Time { return time.Now().Add(2 * time.Hour) }
	if b := fetch(t, late, b.Mark); !b.Full {
		t.Error("full_every has passed, and only changes were read")
	}
}

// sqlRefused are queries that must fail, and say why.
func sqlRefused(t *testing.T, cfg config.SQL) {
	t.Helper()
	for want, change := range map[string]func(*config.SQL){
		`column "foo" is not understood`: func(c *config.SQL) { c.Query = "SELECT address, 1 AS foo FROM recipients" },
		"there is no column address":     func(c *config.SQL) { c.Query = "SELECT owner FROM recipients" },
		"cannot connect":                 func(c *config.SQL) { c.Password = "wrong" },
		"no answer within 300ms": func(c *config.SQL) {
			c.Timeout = config.Duration(300 * time.Millisecond)
			c.Query = "SELECT address, sleep(10) AS owner FROM recipients"
			if c.Driver == "postgres" {
				c.Query = "SELECT address, pg_sleep(10)::text AS owner FROM recipients"
			}
		},
		"read": func(c *config.SQL) { // read-only, read only
			c.Query = "WITH d AS (DELETE FROM recipients RETURNING address) SELECT address FROM d"
			if c.Driver == "mysql" {
				c.Query = "DELETE FROM recipients"
			}
		},
	} {
		c := cfg
		change(&c)
		begun := time.Now()
		_, err := newSQL(t, c).Fetch(t.Context(), "")
		if err == nil || !strings.Contains(strings.ToLower(err.Error()), want) || strings.Contains(err.Error(), testPassword) {
			t.Errorf("%v does not say %q", err, want)
		}
		if d := time.Since(begun); d > 3*time.Second {
			t.Errorf("%s: it took %v", want, d)
		}
	}
}

// passed is a context whose deadline is over and that has not noticed yet, as on a busy machine.
type passed struct{ context.Context }

func (passed) Deadline() (time.Time, bool) { return time.Now().Add(-time.Millisecond), true }

// TestSQLTimeIsUp: however a driver calls it, what failed behind the deadline failed because of it; nothing else did.
func TestSQLTimeIsUp(t *testing.T) {
	over, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	ended, end := context.WithTimeout(t.Context(), time.Hour)
	end()
	within, stop := context.WithTimeout(t.Context(), time.Hour)
	defer stop()
	for name, c := range map[string]struct {
		ctx  context.Context
		late bool
	}{
		"noticed": {over, true}, "not noticed yet": {passed{t.Context()}, true}, "ended by the caller": {ended, false},
		"in time": {within, false}, "ended by the caller, long ago": {passed{ended}, false},
	} {
		s := &sqlSource{cfg: config.SQL{Name: "test"}}
		err := s.failed(c.ctx, fmt.Errorf("query: %w", mysql.ErrInvalidConn), 300*time.Millisecond)
		if got := strings.Contains(err.Error(), "no answer within 300ms"); got != c.late || errors.Is(err, context.DeadlineExceeded) != c.late {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSQLHungReal stops the server, kills it, and starts it again.
func TestSQLHungReal(t *testing.T) {
	for driver, start := range sqlKinds {
		t.Run(driver, func(t *testing.T) {
			srv := start(t)
			cfg := sqlConfig(t, driver, srv)
			cfg.Timeout, cfg.LookupTimeout = config.Duration(400*time.Millisecond), config.Duration(400*time.Millisecond)
			sqlAdmin(t, cfg, sqlTable, sqlRows)
			s := newSQL(t, cfg)
			fetch(t, s, "")
			quick := func(what string) {
				t.Helper()
				begun := time.Now()
				_, err := s.Fetch(t.Context(), "")
				_, lerr := s.Lookup(t.Context(), mail.Address{Local: "ito", Domain: "example.jp"})
				if err == nil || lerr == nil {
					t.Errorf("%s: the list %v, one %v", what, err, lerr)
				}
				if d := time.Since(begun); d > 2*time.Second {
					t.Errorf("%s: it took %v", what, d)
				}
			}
			srv.signal(syscall.SIGSTOP)
			quick("hung, over a connection that waits")
			quick("hung, over a new connection")
			srv.signal(syscall.SIGCONT)
			eventually(t, func() error { _, err := s.Fetch(t.Context(), ""); return err })
			srv.signal(syscall.SIGKILL)
			quick("killed")
			time.Sleep(200 * time.Millisecond)
			srv.again()
			eventually(t, func() error { _, err := s.Fetch(t.Context(), ""); return err })
		})
	}
}

func eventually(t testing.TB, f func() error) {
	t.Helper()
	var err error
	for range 100 {
		if err = f(); err == nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Error(err)
}

// TestSQLTLSReal wants the certificate of PostgreSQL to be verified.
func TestSQLTLSReal(t *testing.T) {
	cert, key := certificate(t)
	other, _ := certificate(t)
	srv := startPostgresTLS(t, cert, key)
	cfg := sqlConfig(t, "postgres", srv)
	sqlAdmin(t, cfg, sqlTable, sqlRows)
	cfg.TLS, cfg.CAFile = "verify", cert
	cfg.Query += " AND (SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid())"
	if b := fetch(t, newSQL(t, cfg), ""); len(b.Entries) != 8 {
		t.Errorf("%d entries", len(b.Entries))
	}
	cfg.CAFile = other
	if _, err := newSQL(t, cfg).Fetch(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("with another authority: %v", err)
	}
}

// TestSQLDSNReal connects by connection strings.
func TestSQLDSNReal(t *testing.T) {
	for driver, start := range sqlKinds {
		t.Run(driver, func(t *testing.T) {
			srv := start(t)
			cfg := sqlConfig(t, driver, srv)
			sqlAdmin(t, cfg, sqlTable, sqlRows)
			cfg.DSN = config.Secret("postgres://sekimori:" + strings.ReplaceAll(testPassword, " ", "%20") + "@" + srv.addr + "/postgres?sslmode=disable")
			if driver == "mysql" {
				cfg.DSN = config.Secret("sekimori:" + testPassword + "@tcp(" + srv.addr + ")/mail")
			}
			cfg.Host, cfg.Port, cfg.User, cfg.Password, cfg.DBName = "", 0, "", "", ""
			if b := fetch(t, newSQL(t, cfg), ""); len(b.Entries) != 8 {
				t.Errorf("%d entries", len(b.Entries))
			}
			cfg.DSN = "sesame://" + testPassword + " ("
			if _, err := NewSQL(cfg, Deps{}); err == nil || strings.Contains(err.Error(), "sesame") {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestSQLCancelled(t *testing.T) {
	for driver := range sqlKinds {
		s := newSQL(t, sqlConfig(t, driver, &server{addr: hole(t)}))
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		begun := time.Now()
		if _, err := s.Lookup(ctx, mail.Address{Local: "a", Domain: "example.jp"}); err == nil || time.Since(begun) > time.Second {
			t.Errorf("%s: %v after %v", driver, err, time.Since(begun))
		}
		s.cfg.Lookup = ""
		if _, err := s.Lookup(t.Context(), mail.Address{Local: "a", Domain: "example.jp"}); !errors.Is(err, ErrNoLookup) {
			t.Errorf("%s: %v", driver, err)
		}
	}
}
