package live

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"zcp2kopano/runtime/host"
)

// CheckDump reads a dump's file and what is compressed in it, to the end of both.
func (h databaseWriter) CheckDump(ctx context.Context, path, compression string, progress func(read int64)) (host.DumpResult, error) {
	if compression == host.ParallelDump {
		_, result, err := h.readParallel(ctx, path, progress)
		return result, err
	}
	d, err := h.openDump(ctx, path, compression, progress)
	if err != nil {
		return host.DumpResult{}, err
	}
	defer d.close()
	if _, err := io.Copy(io.Discard, d); err != nil {
		return host.DumpResult{}, fmt.Errorf("dump %s: %w", path, err)
	}
	return d.result()
}

// dumpReader reads the SQL of a dump, and keeps what a judge of it needs.
type dumpReader struct {
	ctx    context.Context
	file   host.File
	hash   hash.Hash
	bytes  int64
	plain  io.Reader
	scan   *dumpScanner
	closer func()
}

func (h databaseWriter) openDump(ctx context.Context, path, compression string, progress func(int64)) (*dumpReader, error) {
	f, err := h.m.files.Open(path)
	if err != nil {
		return nil, err
	}
	d := &dumpReader{ctx: ctx, file: f, hash: sha256.New(), closer: func() {}}
	d.scan = &dumpScanner{progress: progress}
	switch compression {
	case "zstd":
		var z *zstd.Decoder
		if z, err = zstd.NewReader(packed{d}); err == nil {
			d.plain, d.closer = z, z.Close
		}
	case "gzip":
		d.plain, err = gzip.NewReader(packed{d})
	case "none":
		d.plain = packed{d}
	default:
		err = host.CheckCompression(compression)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("dump %s: %w", path, err)
	}
	return d, nil
}

// packed is the file of a dump as it lies on the disk; what is read of it is hashed.
type packed struct{ d *dumpReader }

func (p packed) Read(b []byte) (int, error) {
	if err := context.Cause(p.d.ctx); err != nil {
		return 0, err
	}
	n, err := p.d.file.Read(b)
	p.d.hash.Write(b[:n])
	p.d.bytes += int64(n)
	return n, err
}

// Read gives the SQL.
func (d *dumpReader) Read(b []byte) (int, error) {
	n, err := d.plain.Read(b)
	if _, e := d.scan.Write(b[:n]); e != nil {
		return n, e
	}
	return n, err
}

// readAhead is how much of the SQL waits for the client, in how many parts.
const (
	aheadPart  = 256 << 10
	aheadParts = 8
)

// WriteTo gives the SQL to the client. What comes next is read, unpacked and looked at while that works.
func (d *dumpReader) WriteTo(w io.Writer) (int64, error) {
	widen(w)
	free, full, stop := make(chan []byte, aheadParts), make(chan []byte, aheadParts), make(chan struct{})
	for range aheadParts {
		free <- make([]byte, aheadPart)
	}
	var failed error
	go func() {
		defer close(full)
		for failed == nil {
			var b []byte
			select {
			case b = <-free:
			case <-stop:
				return
			}
			n := 0
			for n < cap(b) && failed == nil {
				var more int
				more, failed = d.Read(b[n:cap(b)])
				n += more
			}
			full <- b[:n]
		}
	}()
	var written int64
	var err error
	for b := range full {
		if err == nil {
			var n int
			n, err = w.Write(b)
			written += int64(n)
			if err != nil {
				close(stop)
			}
		}
		free <- b
	}
	if err == nil && failed != io.EOF {
		err = failed
	}
	return written, err
}

// result is what was read; the file is read on to its end, behind which nothing may stand.
func (d *dumpReader) result() (host.DumpResult, error) {
	if _, err := io.Copy(io.Discard, packed{d}); err != nil {
		return host.DumpResult{}, err
	}
	d.scan.finish()
	return host.DumpResult{
		RawBytes: d.scan.bytes, Bytes: d.bytes, SHA256: hex.EncodeToString(d.hash.Sum(nil)),
		Tables: d.scan.tables, Views: d.scan.views, Closed: d.scan.closed, Definers: d.scan.definers,
	}, nil
}

func (d *dumpReader) close() {
	d.closer()
	d.file.Close()
}

// LoadDatabase has the mysql client read a dump that is decompressed in this process. The password goes
// by way of an option file that only root can read.
func (h databaseWriter) LoadDatabase(ctx context.Context, req host.LoadRequest, progress func(read int64)) error {
	if err := req.Conn.Check(); err != nil {
		return err
	}
	if req.Compression == host.ParallelDump {
		return h.loadParallel(ctx, req, progress)
	}
	conn := h.database.locate(req.Conn)
	tool, err := h.m.program(host.LoadPrograms...)
	if err != nil {
		return err
	}
	d, err := h.openDump(ctx, req.Path, req.Compression, progress)
	if err != nil {
		return err
	}
	defer d.close()
	options, remove, err := h.options(conn)
	if err != nil {
		return err
	}
	defer remove()
	told := func() {
		if progress != nil {
			progress(0)
		}
	}
	if err := h.emptyDatabase(ctx, conn, req.Standing, told); err != nil {
		return databaseError(conn, err)
	}
	_, err = h.m.run(ctx, command{
		Path: tool, Args: loadArgs(options, conn.Database),
		Secrets: []string{conn.Password.Reveal()}, Stdin: d,
	})
	err = withoutLoose(err)
	if err == nil {
		err = h.loaded(ctx, conn, d, req.SHA256)
	}
	if err == nil {
		err = h.raiseNumbers(ctx, conn, req)
	}
	if err != nil {
		return fmt.Errorf("loading %s into database %q: %w; the database is now incomplete, and the dump is still there", req.Path, conn.Database, err)
	}
	return nil
}

// loadArgs make the client stop at the first error and take the dump as the server wrote it. The loose
// option is unknown to MySQL 5.5. The dump itself says in what characters it is written (SET NAMES). The client goes
// through it byte by byte: told of characters of several bytes, it looks at each byte for whether one begins there, and
// takes a quarter as long again (client/mysql.cc, add_line); of those of UTF-8 none has a byte that could be a quote.
func loadArgs(optionFile, database string) []string {
	return []string{
		"--defaults-file=" + optionFile,
		"--batch", "--loose-binary-mode", "--local-infile=0",
		"--default-character-set=binary",
		"--max-allowed-packet=1G",
		"--", database,
	}
}

// loaded judges a load by what went in and by what is there: the client's exit status says nothing of
// a dump that ended early.
func (h databaseWriter) loaded(ctx context.Context, conn host.DatabaseConn, d *dumpReader, want string) error {
	read, err := d.result()
	switch {
	case err != nil:
		return err
	case want != "" && read.SHA256 != want:
		return errors.New("the dump was changed while it was read")
	case !read.Closed:
		return errors.New("the dump ends early")
	}
	there, err := h.database.Query(ctx, conn, "SHOW TABLES")
	if err != nil {
		return err
	}
	var missing []string
	for _, table := range read.Tables {
		if !slices.ContainsFunc(there.Rows, func(row []string) bool { return row[0] == table }) {
			missing = append(missing, table)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("the tables %s are not there", strings.Join(missing, ", "))
	}
	return nil
}

// raiseNumbers makes tables number their next rows, and counters stand, no lower than asked for.
func (h databaseWriter) raiseNumbers(ctx context.Context, conn host.DatabaseConn, req host.LoadRequest) error {
	connector, err := h.database.mysqlConnector(conn)
	if err != nil {
		return err
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	for _, table := range slices.Sorted(maps.Keys(req.Next)) {
		if err := raiseNext(ctx, db, table, req.Next[table]); err != nil {
			return fmt.Errorf("the next number of table %s: %w", table, err)
		}
	}
	for _, c := range req.Counters {
		if err := raiseCounter(ctx, db, c); err != nil {
			return fmt.Errorf("counter %s in table %s: %w", c.Name, c.Table, err)
		}
	}
	return nil
}

func raiseNext(ctx context.Context, db *sql.DB, table string, next uint64) error {
	var name, create string
	err := db.QueryRowContext(ctx, "SHOW CREATE TABLE "+host.QuoteName(table)).Scan(&name, &create)
	if noSuchTable(err) {
		return nil
	}
	if err == nil && host.NextNumber(create) < next {
		_, err = db.ExecContext(ctx, fmt.Sprintf("ALTER TABLE %s AUTO_INCREMENT = %d", host.QuoteName(table), next))
	}
	return err
}

func raiseCounter(ctx context.Context, db *sql.DB, c host.Counter) error {
	var digits string
	err := db.QueryRowContext(ctx, c.Query()).Scan(&digits)
	if noSuchTable(err) || errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	is, known := c.Number(digits)
	if least, ok := c.Number(c.Least); !ok || !known || is >= least {
		return nil
	}
	_, err = db.ExecContext(ctx, c.Raise())
	return err
}

func noSuchTable(err error) bool {
	var me *mysql.MySQLError
	return errors.As(err, &me) && me.Number == errNoSuchTable
}

// sessionsPatience is how long sessions that are about to end may take.
const sessionsPatience = 10 * time.Second

// emptyDatabase drops all that is in a database but what stands. The database itself stays, with its rights and its
// default character set, which no dump of its content holds.
func (h databaseWriter) emptyDatabase(ctx context.Context, conn host.DatabaseConn, standing []string, told func()) error {
	connector, err := h.database.mysqlConnector(conn)
	if err != nil {
		return err
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	session, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer session.Close()
	if err := h.refuseSessions(ctx, session, conn.Database, told); err != nil {
		return err
	}
	if _, err := session.ExecContext(ctx, "SET SESSION foreign_key_checks = 0"); err != nil {
		return err
	}
	for _, query := range []string{
		"SELECT 'EVENT', event_name FROM information_schema.events WHERE event_schema = DATABASE()",
		"SELECT routine_type, routine_name FROM information_schema.routines WHERE routine_schema = DATABASE()",
		"SELECT IF(table_type = 'VIEW', 'VIEW', 'TABLE'), table_name FROM information_schema.tables WHERE table_schema = DATABASE()",
	} {
		rows, err := session.QueryContext(ctx, query)
		if err != nil {
			return err
		}
		things, err := readRows(rows, largestAnswer)
		rows.Close()
		if err != nil {
			return err
		}
		for _, thing := range things.Rows {
			if slices.Contains(standing, thing[0]+" "+thing[1]) {
				continue
			}
			if _, err := session.ExecContext(ctx, "DROP "+thing[0]+" "+host.QuoteName(thing[1])); err != nil {
				return fmt.Errorf("drop %s %s: %w", thing[0], thing[1], err)
			}
		}
	}
	return nil
}

// changes reports whether a session is at a statement that changes something. The database's server goes on
// with one, an ALTER TABLE say, whose client was killed, and notices that at its end only.
func changes(session []string) bool {
	command, statement := session[3], strings.ToUpper(strings.TrimSpace(session[4]))
	reads := strings.HasPrefix(statement, "SELECT") || strings.HasPrefix(statement, "SHOW")
	return command == "Killed" || command == "Query" && statement != "" && !reads
}

// refuseSessions refuses while others use the database. Those that have just ended get some time, and those that are
// at a change what that takes.
func (h databaseWriter) refuseSessions(ctx context.Context, session *sql.Conn, database string, told func()) error {
	deadline := time.Now().Add(sessionsPatience)
	for {
		rows, err := session.QueryContext(ctx, "SELECT id, user, host, command, COALESCE(info, '') FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()")
		if err != nil {
			return err
		}
		others, err := readRows(rows, largestAnswer)
		rows.Close()
		if err != nil || len(others.Rows) == 0 {
			return err
		}
		if slices.ContainsFunc(others.Rows, changes) {
			deadline = time.Now().Add(sessionsPatience)
			told() // the wait has no end of its own
		}
		if time.Now().After(deadline) {
			var who []string
			for _, row := range others.Rows {
				who = append(who, fmt.Sprintf("%s from %s (connection %s)", row[1], row[2], row[0]))
			}
			return fmt.Errorf("database %q is in use by %s: stop what uses it, then try again; nothing in it was changed", database, strings.Join(who, ", "))
		}
		if err := sleep(ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
}
