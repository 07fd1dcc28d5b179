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
	"time"

	"github.com/go-sql-driver/mysql"
	"golang.org/x/sys/unix"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/query"
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
func (v database) Query(ctx context.Context, conn host.DatabaseConn, statement string) (host.Rows, error) {
	if err := errors.Join(query.Check(statement), conn.Check()); err != nil {
		return host.Rows{}, err
	}
	conn = v.locate(conn)
	connector, err := v.mysqlConnector(conn)
	if err != nil {
		return host.Rows{}, err
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	rows, err := queryReadOnly(ctx, db, statement)
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

func queryReadOnly(ctx context.Context, db *sql.DB, question string) (host.Rows, error) {
	return queryUpTo(ctx, db, question, largestAnswer)
}

func queryUpTo(ctx context.Context, db *sql.DB, question string, most int64) (rows host.Rows, err error) {
	// What a server sends that breaks off, or goes on for ever, is not read to its end: the connection goes.
	ctx, giveUp := context.WithCancel(ctx)
	defer giveUp()
	defer func() { // the client panics at lengths that are not what comes
		if recover() != nil {
			rows, err = host.Rows{}, errors.New("it answers what no server of MySQL does; see that one listens there")
		}
	}()
	session, err := db.Conn(ctx)
	if err != nil {
		return host.Rows{}, err
	}
	rows, err = askIn(ctx, session, question, most, giveUp)
	session.Close() // not deferred: a panic leaves it locked for ever, and who opened db closes that
	return rows, err
}

func askIn(ctx context.Context, session *sql.Conn, question string, most int64, giveUp func()) (rows host.Rows, err error) {
	for _, statement := range []string{"SET SESSION sql_mode = '" + query.Mode + "'", "SET SESSION TRANSACTION READ ONLY", "START TRANSACTION READ ONLY"} {
		if _, err := session.ExecContext(ctx, statement); err != nil && !isSyntaxError(err) {
			return host.Rows{}, err
		}
	}
	result, err := session.QueryContext(ctx, question)
	if err == nil {
		if rows, err = readRows(result, most); err != nil {
			giveUp()
		}
		result.Close()
	}
	if err == nil || errors.As(err, new(*mysql.MySQLError)) { // it still talks
		end, stop := context.WithTimeout(context.WithoutCancel(ctx), dialTimeout)
		defer stop()
		_, _ = session.ExecContext(end, "ROLLBACK")
	}
	return rows, err
}

// largestAnswer is what one question may bring. A runbook could not be given more, and a server that never ends would
// fill the memory of the machine.
const largestAnswer = 256 << 20

// perValue is what a value takes beside its bytes.
const perValue = 16

func readRows(result *sql.Rows, most int64) (host.Rows, error) {
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
			most -= int64(len(value)) + perValue
		}
		if most < 0 {
			return host.Rows{}, fmt.Errorf("the answer is larger than %d MiB", largestAnswer>>20)
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
	return mysql.NewConnector(v.mysqlConfig(conn))
}

func (v database) mysqlConfig(conn host.DatabaseConn) *mysql.Config {
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
	return cfg
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
