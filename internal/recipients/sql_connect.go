package recipients

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"sekimori/internal/config"
)

// sqlConnector makes connections as the configuration says.
func sqlConnector(cfg config.SQL, deps Deps) (driver.Connector, error) {
	t, err := sqlTLS(cfg)
	if err != nil {
		return nil, err
	}
	switch cfg.Driver {
	case "postgres":
		return postgresConnector(cfg, deps, t)
	case "mysql":
		return mysqlConnector(cfg, deps, t)
	}
	return nil, fmt.Errorf("driver %q is not known: postgres or mysql", cfg.Driver)
}

func postgresConnector(cfg config.SQL, deps Deps, t *tls.Config) (driver.Connector, error) {
	dsn := string(cfg.DSN)
	if dsn == "" {
		// What is not set here pgx would take from PG* variables and ~/.pgpass.
		dsn = "sslmode=disable passfile=/dev/null host=localhost port=5432 user=x password=x dbname=x"
	}
	c, err := pgx.ParseConfig(dsn)
	if err != nil {
		// The error of pgx shows the DSN, with the password crossed out if it finds it.
		return nil, errors.New("dsn_file holds no connection string such as postgres://user:password@host/dbname or host=… user=… dbname=…")
	}
	if cfg.DSN == "" {
		c.Host, c.Port, c.User, c.Password, c.Database = cfg.Host, uint16(cfg.Port), cfg.User, string(cfg.Password), cfg.DBName
		c.TLSConfig, c.Fallbacks = t, nil
	}
	c.ConnectTimeout = cfg.ConnectTimeout.D()
	c.RuntimeParams["application_name"] = "sekimori"
	c.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if network == "unix" {
			return (&net.Dialer{}).DialContext(ctx, network, addr)
		}
		return deps.Dial(ctx, network, addr)
	}
	// Prepared statements stay in a pooler's connection that is not ours any more.
	c.DefaultQueryExecMode = pgx.QueryExecModeExec
	return stdlib.GetConnector(*c), nil
}

func mysqlConnector(cfg config.SQL, deps Deps, t *tls.Config) (driver.Connector, error) {
	c := mysql.NewConfig()
	if cfg.DSN != "" {
		var err error
		if c, err = mysql.ParseDSN(string(cfg.DSN)); err != nil {
			return nil, errors.New("dsn_file holds no connection string such as user:password@tcp(host:3306)/dbname")
		}
	} else {
		c.User, c.Passwd, c.DBName = cfg.User, string(cfg.Password), cfg.DBName
		c.Net, c.Addr, c.TLS = "tcp", net.JoinHostPort(cfg.Host, strconv.Itoa(cfg.Port)), t
		if cfg.Socket() {
			c.Net, c.Addr = "unix", cfg.Host
		}
	}
	// The context ends a query in time and says so; the driver's own limits, which it calls a broken connection, come after it.
	backstop := cfg.Timeout.D() + time.Second
	c.Timeout, c.ReadTimeout, c.WriteTimeout = cfg.ConnectTimeout.D(), backstop, backstop
	c.InterpolateParams = false // the server puts the parameter in place
	c.AllowCleartextPasswords = false
	c.MultiStatements = false
	c.Logger = &mysql.NopLogger{}
	if c.Net == "tcp" {
		c.DialFunc = deps.Dial
	}
	return mysql.NewConnector(c)
}

// sqlTLS is nil for connections in clear text.
func sqlTLS(cfg config.SQL) (*tls.Config, error) {
	if cfg.TLS == "none" || cfg.DSN != "" || cfg.Socket() {
		return nil, nil
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: cfg.TLSName}
	if t.ServerName == "" {
		t.ServerName = cfg.Host
	}
	if cfg.CAFile != "" {
		pem, err := os.ReadFile(cfg.CAFile)
		if err != nil {
			return nil, fmt.Errorf("ca_file: %w", err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca_file: %s holds no certificate in PEM", cfg.CAFile)
		}
	}
	return t, nil
}
