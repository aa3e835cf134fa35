package recipients

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/mail"
)

// sqlSource reads recipients from a database by the queries of the configuration, each in a read-only transaction.
type sqlSource struct {
	cfg config.SQL
	db  *sql.DB
	log *slog.Logger
	now func() time.Time
}

// clock asks for the time of the database, a while ago: what a long transaction writes appears late, with its old time. It
// goes back to the database as the text that came, so that no time zone is anybody's guess.
var clock = map[string]string{
	"postgres": "SELECT (now() - interval '5 minutes')::text",
	"mysql":    "SELECT CAST(NOW(6) - INTERVAL 5 MINUTE AS CHAR)",
}

// NewSQL makes a source of [sql.NAME]. It connects to nothing: a database that is away at the start comes back.
func NewSQL(cfg config.SQL, deps Deps) (Source, error) {
	deps = deps.filled()
	connector, err := sqlConnector(cfg, deps)
	if err != nil {
		return nil, fmt.Errorf("sql %s: %w", cfg.Name, err)
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(cfg.MaxConnections)
	db.SetMaxIdleConns(cfg.MaxConnections)
	db.SetConnMaxIdleTime(idleFor)
	db.SetConnMaxLifetime(30 * time.Minute)
	return &sqlSource{cfg: cfg, db: db, log: deps.Log.With("sql", cfg.Name), now: deps.Now}, nil
}

// Close ends the connections.
func (s *sqlSource) Close() error { return s.db.Close() }

// sqlMark is what a Mark says.
type sqlMark struct {
	Since string    `json:"since"` // by the database's clock
	Full  time.Time `json:"full"`
	Query uint64    `json:"query"` // of which queries
}

// fingerprint changes when a query does, so that a mark of other queries is not used.
func (s *sqlSource) fingerprint() uint64 {
	h := fnv.New64a()
	for _, q := range append([]string{s.cfg.Driver, s.cfg.Host, s.cfg.DBName, s.cfg.Query, s.cfg.ChangedSince}, s.cfg.RuleAttributes...) {
		h.Write([]byte(q))
		h.Write([]byte{0})
	}
	return h.Sum64()
}

// Fetch runs query, or changed_since when there is one and the mark is of the same queries and younger than full_every.
// Deletions that changed_since does not tell are found by the next full list.
func (s *sqlSource) Fetch(ctx context.Context, mark string) (Batch, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout.D())
	defer cancel()
	var last sqlMark
	known := mark != "" && json.Unmarshal([]byte(mark), &last) == nil && last.Query == s.fingerprint() && last.Since != "" &&
		s.cfg.ChangedSince != "" && s.now().Sub(last.Full) < s.cfg.FullEvery.D()
	var b Batch
	err := s.read(ctx, func(tx *sql.Tx) error {
		next := sqlMark{Full: s.now(), Query: s.fingerprint()}
		if s.cfg.ChangedSince != "" {
			if err := tx.QueryRowContext(ctx, clock[s.cfg.Driver]).Scan(&next.Since); err != nil {
				return fmt.Errorf("the database's clock: %w", err)
			}
		}
		var rows *rowReader
		var err error
		if known {
			next.Full = last.Full
			rows, err = s.query(ctx, tx, "changed_since", s.cfg.ChangedSince, last.Since)
		} else {
			rows, err = s.query(ctx, tx, "query", s.cfg.Query)
		}
		if err != nil {
			return err
		}
		b = Batch{Full: !known, Entries: rows.entries, Problems: rows.problems.all()}
		if s.cfg.ChangedSince != "" {
			m, err := json.Marshal(next)
			if err != nil {
				return err
			}
			b.Mark = string(m)
		}
		if known {
			b.Gone = rows.reallyGone()
		} else if len(b.Entries) == 0 {
			return errors.New("query gives no recipient: it, the database or the rights of the user are wrong")
		}
		return nil
	})
	if err != nil {
		return Batch{}, s.failed(ctx, err, s.cfg.Timeout.D())
	}
	return b, nil
}

// Lookup runs lookup for the address with A-labels and, where it differs, with U-labels. Without a lookup query nobody is
// found but by Fetch.
func (s *sqlSource) Lookup(ctx context.Context, a mail.Address) ([]Entry, error) {
	if s.cfg.Lookup == "" {
		return nil, ErrNoLookup
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.LookupTimeout.D())
	defer cancel()
	var list []Entry
	err := s.read(ctx, func(tx *sql.Tx) error {
		for _, spelling := range spellings(a) {
			rows, err := s.query(ctx, tx, "lookup", s.cfg.Lookup, spelling)
			if err != nil {
				return err
			}
			for _, p := range rows.problems.all() {
				s.log.Warn("a row of lookup is not understood", "row", p)
			}
			list = append(list, rows.entries...)
		}
		return nil
	})
	if err != nil {
		return nil, s.failed(ctx, err, s.cfg.LookupTimeout.D())
	}
	return list, nil
}

// ErrNoLookup says that a source cannot be asked for one address: what its last Fetch did not bring may be there or not.
var ErrNoLookup = errors.New("this source has no lookup query")

// failed names the source, and says so when the time was up: a driver may report that as a broken connection, and before the
// context has noticed itself.
func (s *sqlSource) failed(ctx context.Context, err error, limit time.Duration) error {
	end, limited := ctx.Deadline()
	if errors.Is(ctx.Err(), context.DeadlineExceeded) || limited && ctx.Err() == nil && !time.Now().Before(end) {
		return fmt.Errorf("sql %s: no answer within %v: %w", s.cfg.Name, limit, context.DeadlineExceeded)
	}
	return fmt.Errorf("sql %s: %w", s.cfg.Name, err)
}

// read runs f in a transaction that can change nothing.
func (s *sqlSource) read(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return fmt.Errorf("cannot connect: %w", err)
	}
	if err := f(tx); err != nil {
		_ = tx.Rollback() // the cause is err
		return err
	}
	return tx.Commit()
}

// query runs one query and reads all of its rows; an error half-way is an error, never a shorter list.
func (s *sqlSource) query(ctx context.Context, tx *sql.Tx, key, text string, args ...any) (*rowReader, error) {
	rows, err := tx.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	defer func() { _ = rows.Close() }() // its error is that of Err
	names, err := rows.Columns()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	r, err := newRowReader(names, s.cfg.RuleAttributes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	for rows.Next() {
		if err := rows.Scan(r.into...); err != nil {
			return nil, fmt.Errorf("%s: row %d: %w", key, r.row+1, err)
		}
		r.take()
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("%s: after %d rows: %w", key, r.row, err)
	}
	r.duplicates()
	return r, nil
}
