package live

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"golang.org/x/sys/unix"

	"zcp2kopano/runtime/host"
)

// mysqlSockets are where servers of Debian, RHEL and SLES put their socket; libmysqlclient's "localhost"
// means the socket, not TCP.
var mysqlSockets = []string{"/var/run/mysqld/mysqld.sock", "/var/lib/mysql/mysql.sock", "/var/run/mysql/mysql.sock", "/tmp/mysql.sock"}

const dialTimeout = 15 * time.Second

// database reaches MySQL servers.
type (
	database       struct{ m *machine }
	databaseWriter struct {
		m        *machine
		database database
		write    filesWriter
	}
)

// Query asks in a session that is set read-only where the server can (MySQL 5.6.5, MariaDB 10.0), and
// refuses anything but a SELECT or SHOW by itself, because older ones cannot.
func (v database) Query(ctx context.Context, conn host.DatabaseConn, query string) (host.Rows, error) {
	if err := checkQuery(query); err != nil {
		return host.Rows{}, err
	}
	conn = v.locate(conn)
	connector, err := v.mysqlConnector(conn)
	if err != nil {
		return host.Rows{}, err
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	rows, err := queryReadOnly(ctx, db, query)
	return rows, databaseError(conn, err)
}

// Revision asks.
func (v database) Revision(ctx context.Context, q host.RevisionQuery) (int64, error) {
	rows, err := v.Query(ctx, q.Conn, q.Query)
	if err != nil {
		return 0, err
	}
	return rows.Number()
}

func queryReadOnly(ctx context.Context, db *sql.DB, query string) (host.Rows, error) {
	session, err := db.Conn(ctx)
	if err != nil {
		return host.Rows{}, err
	}
	defer session.Close()
	for _, statement := range []string{"SET SESSION TRANSACTION READ ONLY", "START TRANSACTION READ ONLY"} {
		if _, err := session.ExecContext(ctx, statement); err != nil && !isSyntaxError(err) {
			return host.Rows{}, err
		}
	}
	defer session.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
	result, err := session.QueryContext(ctx, query)
	if err != nil {
		return host.Rows{}, err
	}
	defer result.Close()
	return readRows(result)
}

func readRows(result *sql.Rows) (host.Rows, error) {
	columns, err := result.Columns()
	if err != nil {
		return host.Rows{}, err
	}
	rows := host.Rows{Columns: columns}
	values := make([]sql.RawBytes, len(columns))
	targets := make([]any, len(columns))
	for i := range values {
		targets[i] = &values[i]
	}
	for result.Next() {
		if err := result.Scan(targets...); err != nil {
			return host.Rows{}, err
		}
		row := make([]string, len(values))
		for i, value := range values {
			row[i] = string(value)
		}
		rows.Rows = append(rows.Rows, row)
	}
	return rows, result.Err()
}

// Server error numbers (MySQL reference manual, server error messages).
const (
	errDatabaseAccessDenied = 1044
	errAccessDenied         = 1045
	errUnknownDatabase      = 1049
	errParse                = 1064
	errUnknownTable         = 1109
	errTableAccessDenied    = 1142
	errNoSuchTable          = 1146
	errSpecificAccessDenied = 1227
	errUnixSocketAuth       = 1698
)

func isSyntaxError(err error) bool {
	var me *mysql.MySQLError
	return errors.As(err, &me) && me.Number == errParse
}

// databaseError says which of the usual reasons it was, where, and as whom.
func databaseError(conn host.DatabaseConn, err error) error {
	if err == nil {
		return nil
	}
	where := fmt.Sprintf("MySQL server at %s", address(conn))
	var me *mysql.MySQLError
	if errors.As(err, &me) {
		switch me.Number {
		case errAccessDenied, errUnixSocketAuth:
			return fmt.Errorf("%s refuses user %q: wrong user name or password, or not allowed from here: %w", where, conn.User, err)
		case errDatabaseAccessDenied:
			return fmt.Errorf("%s: user %q may not use database %q: %w", where, conn.User, conn.Database, err)
		case errUnknownDatabase:
			return fmt.Errorf("%s has no database %q: %w", where, conn.Database, err)
		case errUnknownTable, errNoSuchTable, errTableAccessDenied, errSpecificAccessDenied:
			return refusal{fmt.Errorf("%s: %w", where, err)}
		}
		return fmt.Errorf("%s: %w", where, err)
	}
	var dial *net.OpError
	if errors.As(err, &dial) || errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("cannot connect to the %s (is it running?): %w", where, err)
	}
	return fmt.Errorf("%s: %w", where, err)
}

// refusal is an answer that the server gives each time: it does not know what was asked for, or not let
// this user have it.
type refusal struct{ error }

func (r refusal) Unwrap() error      { return r.error }
func (refusal) Is(target error) bool { return target == host.ErrUnsupported }

func address(conn host.DatabaseConn) string {
	if conn.Socket != "" {
		return "socket " + conn.Socket
	}
	return net.JoinHostPort(conn.Host, strconv.Itoa(conn.Port))
}

// locate completes a connection: an empty host or "localhost" is the socket, if there is one.
func (v database) locate(conn host.DatabaseConn) host.DatabaseConn {
	if conn.Socket != "" {
		return conn
	}
	if conn.Port == 0 {
		conn.Port = 3306
	}
	if conn.Host != "" && conn.Host != "localhost" {
		return conn
	}
	conn.Host = "localhost"
	for _, path := range mysqlSockets {
		if st, err := v.m.files.Stat(path); err == nil && st.Mode&os.ModeSocket != 0 {
			conn.Socket = path
			break
		}
	}
	return conn
}

func (v database) mysqlConnector(conn host.DatabaseConn) (driver.Connector, error) {
	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd, cfg.DBName = conn.User, conn.Password.Reveal(), conn.Database
	cfg.Net, cfg.Addr = "tcp", net.JoinHostPort(conn.Host, strconv.Itoa(conn.Port))
	cfg.Timeout = dialTimeout
	cfg.Logger = log.New(io.Discard, "", 0) // errors are returned; the terminal is not the driver's
	if conn.Socket != "" {
		cfg.Net, cfg.Addr = "unix", conn.Socket
	}
	cfg.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if network == "unix" {
			return v.m.files.dialSocket(ctx, addr)
		}
		var dialer net.Dialer
		return dialer.DialContext(ctx, network, addr)
	}
	return mysql.NewConnector(cfg)
}

// dialSocket connects to a Unix socket of the host. It is named by its directory's descriptor, which
// also keeps the name within the 108 bytes that unix(7) allows.
func (s *space) dialSocket(ctx context.Context, path string) (net.Conn, error) {
	p, err := s.resolve(path, lastTarget)
	if err != nil {
		return nil, pathError("connect", path, err)
	}
	defer p.close()
	if _, err := lstatAt(p.dir, p.name); err != nil {
		return nil, pathError("connect", path, err)
	}
	name := procPath(p.dir, p.name)
	if _, err := os.Lstat(procPath(p.dir, "")); errors.Is(err, unix.ENOENT) {
		name = s.path + path // without /proc, the plain path must do
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", name)
	var failed *net.OpError
	if errors.As(err, &failed) {
		failed.Addr = &net.UnixAddr{Name: path, Net: "unix"}
	}
	return conn, err
}

// checkQuery lets a single SELECT or SHOW pass that neither writes a file, nor sets variables, nor locks.
func checkQuery(query string) error {
	words, err := sqlWords(query)
	if err != nil {
		return fmt.Errorf("query refused: %w", err)
	}
	if len(words) == 0 || words[0] != "SELECT" && words[0] != "SHOW" {
		return errors.New("query refused: only SELECT and SHOW are allowed")
	}
	for i, word := range words {
		switch {
		case word == "INTO":
			return errors.New("query refused: SELECT ... INTO writes")
		case word == ":=":
			return errors.New("query refused: it sets a variable")
		case word == "FOR" && i+1 < len(words) && (words[i+1] == "UPDATE" || words[i+1] == "SHARE"),
			word == "LOCK" && i+1 < len(words) && words[i+1] == "IN":
			return errors.New("query refused: it locks rows")
		}
	}
	return nil
}

// sqlWords splits a statement into upper-case words, leaving out what is quoted and plain comments.
// Comments that MySQL executes, and a second statement, are errors.
func sqlWords(query string) ([]string, error) {
	var words []string
	for query != "" {
		switch c := query[0]; {
		case c == '\'' || c == '"' || c == '`':
			n := quotedLen(query)
			if n < 0 {
				return nil, errors.New("a quote is not closed")
			}
			words, query = append(words, string(c)), query[n:]
		case strings.HasPrefix(query, "/*!") || strings.HasPrefix(query, "/*M!"):
			return nil, errors.New("it has a comment that the server would execute")
		case strings.HasPrefix(query, "/*"):
			end := strings.Index(query, "*/")
			if end < 0 {
				return nil, errors.New("a comment is not closed")
			}
			query = query[end+2:]
		case c == '#' || strings.HasPrefix(query, "-- ") || strings.HasPrefix(query, "--\n"):
			_, query, _ = strings.Cut(query, "\n")
		case c == ';':
			if strings.Trim(query, "; \t\r\n") != "" {
				return nil, errors.New("only one statement is allowed")
			}
			query = ""
		case isWordByte(c):
			n := 1
			for n < len(query) && isWordByte(query[n]) {
				n++
			}
			words, query = append(words, strings.ToUpper(query[:n])), query[n:]
		case strings.HasPrefix(query, ":="):
			words, query = append(words, ":="), query[2:]
		default:
			query = query[1:]
		}
	}
	return words, nil
}

func isWordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '$' || c >= 0x80
}

// quotedLen is the length of the quoted text at the start, where a doubled quote stands for one and,
// except in backquotes, a backslash protects the next byte.
func quotedLen(query string) int {
	quote := query[0]
	for i := 1; i < len(query); i++ {
		switch {
		case query[i] == '\\' && quote != '`':
			i++
		case query[i] == quote && i+1 < len(query) && query[i+1] == quote:
			i++
		case query[i] == quote:
			return i + 1
		}
	}
	return -1
}
