package sim

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/query"
)

// database answers recorded queries; a query that was not recorded is not answered.
type database struct {
	down      string // why the server does not answer; empty if it does
	user      string // the only account that may log in; empty for any
	password  string
	variables map[string]string
	tables    []dbTable
	order     []string // recorded queries as written, in order
	answers   map[string]host.Rows
	changed   map[string]host.Rows // what services that were started in the simulation made of it
	known     bool                 // the fixture says something of a database
	dumps     map[string]simulatedDump
}

// simulatedDump is a dump that a simulation made.
type simulatedDump struct {
	host.DumpResult
	compression string
}

// databaseServer answers from recorded queries, or passes them to the machine below.
type databaseServer struct {
	mu       *sync.Mutex
	files    *files
	gaps     *gaps
	services *services // which may bring the database to another revision
	below    host.View

	data *database
}

func newDatabaseServer(below host.View) *databaseServer {
	return &databaseServer{below: below, data: newDatabase()}
}

// dbTable is a row of information_schema.TABLES.
type dbTable struct {
	name, engine, collation string
	rows, data, index       int64
}

func newDatabase() *database {
	return &database{variables: map[string]string{}, answers: map[string]host.Rows{}, changed: map[string]host.Rows{}, dumps: map[string]simulatedDump{}}
}

func (d *database) record(query string, rows host.Rows) {
	key := normalQuery(query)
	if _, ok := d.answers[key]; !ok {
		d.order = append(d.order, query)
	}
	d.answers[key] = rows
	d.known = true
}

// normalQuery makes queries equal that differ in blanks, the case of words outside quotes, back
// quotes and a final semicolon.
func normalQuery(query string) string {
	var out strings.Builder
	var quote rune
	blank := false
	for _, r := range strings.TrimRight(strings.TrimSpace(query), "; \t\n") {
		if quote != 0 {
			out.WriteRune(r)
			if r == quote {
				quote = 0
			}
			continue
		}
		switch {
		case r == '`':
			continue
		case r == ' ' || r == '\t' || r == '\n' || r == '\r':
			blank = true
			continue
		case r == '\'' || r == '"':
			quote = r
		}
		last := lastByte(out.String())
		if blank && !strings.ContainsRune("(,=)", r) && !strings.ContainsRune("(,=", rune(last)) {
			out.WriteByte(' ')
		}
		blank = false
		if quote == 0 {
			out.WriteString(strings.ToLower(string(r)))
			continue
		}
		out.WriteRune(r)
	}
	return out.String()
}

func lastByte(s string) byte {
	if s == "" {
		return '('
	}
	return s[len(s)-1]
}

// Query answers by what a simulated service has made of the database, with a recorded answer, or passes it to the machine below.
func (sq *databaseServer) Query(ctx context.Context, conn host.DatabaseConn, statement string) (host.Rows, error) {
	if err := errors.Join(ctx.Err(), query.Check(statement), conn.Check()); err != nil {
		return host.Rows{}, err
	}
	sq.mu.Lock()
	changed, ok := sq.data.changed[normalQuery(statement)]
	sq.mu.Unlock()
	if ok {
		return changed, nil
	}
	if sq.below != nil {
		return sq.below.Query(ctx, conn, statement)
	}
	sq.mu.Lock()
	defer sq.mu.Unlock()
	if err := sq.data.login(conn); err != nil {
		return host.Rows{}, err
	}
	if rows, ok := sq.data.answer(statement, conn.Database); ok {
		return rows, nil
	}
	return host.Rows{}, fmt.Errorf("the database query %q: %w; add it with its answer to the section \"database\" of the fixture", statement, host.ErrUnknown)
}

// login asks the machine below whether it lets an account in, or the fixture.
func (sq *databaseServer) login(ctx context.Context, conn host.DatabaseConn) error {
	if sq.below != nil {
		_, err := sq.below.Query(ctx, conn, "SELECT 1")
		return err
	}
	sq.mu.Lock()
	defer sq.mu.Unlock()
	return sq.data.login(conn)
}

func (d *database) login(conn host.DatabaseConn) error {
	if err := conn.Check(); err != nil {
		return err
	}
	switch {
	case d.down != "":
		return errors.New("connect to the database: " + d.down)
	case d.user == "":
		return nil
	case conn.User != d.user || conn.Password.Reveal() != d.password:
		return fmt.Errorf("connect to the database: Error 1045 (28000): Access denied for user '%s' (using password: %s)", conn.User, yesNo(!conn.Password.Empty()))
	}
	return nil
}

func yesNo(b bool) string {
	if b {
		return "YES"
	}
	return "NO"
}

func (d *database) answer(query, name string) (host.Rows, bool) {
	key := normalQuery(query)
	if rows, ok := d.answers[key]; ok {
		return rows, true
	}
	if rows, ok := d.showVariables(key); ok {
		return rows, true
	}
	if rows, ok := d.selectVariables(key); ok {
		return rows, true
	}
	return d.showTables(key, name)
}

var (
	versionPattern = regexp.MustCompile(`^select version\(\)(?: as ([a-z_]+))?$`)
	tablesPattern  = regexp.MustCompile(`^select (.*) from information_schema\.tables where table_schema=(?:database\(\)|'[^']*')(?: and table_type='BASE TABLE')?(?: order by table_name)?$`)
)

// showTables answers the questions for tables of the database of that name from those that the fixture lists, in
// order of name.
func (d *database) showTables(key, database string) (host.Rows, bool) {
	if len(d.tables) == 0 {
		return host.Rows{}, false
	}
	columns := []string{"table_name as Tables_in_" + database}
	if m := tablesPattern.FindStringSubmatch(key); m != nil {
		columns = strings.Split(m[1], ",")
	} else if key != "show tables" {
		return host.Rows{}, false
	}
	rows := host.Rows{Rows: make([][]string, len(d.tables))}
	for _, c := range columns {
		name, alias, renamed := strings.Cut(c, " as ")
		if !renamed {
			alias = name
		}
		rows.Columns = append(rows.Columns, alias)
		for i, t := range d.tables {
			value, ok := t.column(name)
			if !ok {
				return host.Rows{}, false
			}
			rows.Rows[i] = append(rows.Rows[i], value)
		}
	}
	return rows, true
}

func (t dbTable) column(name string) (string, bool) {
	switch name {
	case "table_name":
		return t.name, true
	case "engine":
		return t.engine, true
	case "row_format":
		return "", true // a fixture does not say
	case "table_collation":
		return t.collation, true
	case "table_rows":
		return strconv.FormatInt(t.rows, 10), true
	case "data_length":
		return strconv.FormatInt(t.data, 10), true
	case "index_length":
		return strconv.FormatInt(t.index, 10), true
	case "data_length+index_length", "data_length + index_length":
		return strconv.FormatInt(t.data+t.index, 10), true
	}
	return "", false
}

var (
	likePattern = regexp.MustCompile(`^show (?:global |session )?variables like ['"]([^'"]*)['"]$`)
	inPattern   = regexp.MustCompile(`^show (?:global |session )?variables where variable_name in ?\((.*)\)$`)
	selPattern  = regexp.MustCompile(`^select ((?:,?@@[a-z_.]+)+)$`)
)

// showVariables answers SHOW VARIABLES with LIKE, or WHERE Variable_name IN, if all are recorded.
func (d *database) showVariables(key string) (host.Rows, bool) {
	rows := host.Rows{Columns: []string{"Variable_name", "Value"}}
	var names []string
	if key == "show variables" || key == "show global variables" {
		names = slices.Sorted(maps.Keys(d.variables))
	} else if m := likePattern.FindStringSubmatch(key); m != nil {
		names = d.matching(m[1])
	} else if m := inPattern.FindStringSubmatch(key); m != nil {
		for _, word := range strings.Split(m[1], ",") {
			names = append(names, strings.Trim(strings.TrimSpace(word), `'"`))
		}
	}
	for _, name := range names {
		value, ok := d.variables[strings.ToLower(name)]
		if !ok {
			return rows, false
		}
		rows.Rows = append(rows.Rows, []string{strings.ToLower(name), value})
	}
	return rows, len(names) > 0
}

func (d *database) matching(like string) []string {
	if !strings.Contains(like, "%") {
		return []string{strings.ReplaceAll(like, `\_`, "_")}
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(d.variables)) {
		glob := strings.ReplaceAll(strings.ReplaceAll(strings.ToLower(like), `\_`, "_"), "%", "*")
		if ok, _ := path.Match(glob, name); ok {
			names = append(names, name)
		}
	}
	return names
}

// selectVariables answers SELECT @@a, @@global.b if all are recorded.
func (d *database) selectVariables(key string) (host.Rows, bool) {
	if m := versionPattern.FindStringSubmatch(key); m != nil && d.variables["version"] != "" {
		return host.Rows{Columns: []string{cmp.Or(m[1], "version()")}, Rows: [][]string{{d.variables["version"]}}}, true
	}
	m := selPattern.FindStringSubmatch(key)
	if m == nil {
		return host.Rows{}, false
	}
	rows := host.Rows{Rows: [][]string{nil}}
	for _, word := range strings.Split(m[1], ",") {
		name := word[strings.LastIndexAny(word, "@.")+1:]
		value, ok := d.variables[name]
		if !ok {
			return host.Rows{}, false
		}
		rows.Columns = append(rows.Columns, word)
		rows.Rows[0] = append(rows.Rows[0], value)
	}
	return rows, true
}

// tableNames lists the tables of the database: as the fixture says, or as a recorded answer shows
// them in a column of table names.
func (d *database) tableNames() []string {
	if len(d.tables) > 0 {
		var names []string
		for _, t := range d.tables {
			names = append(names, t.name)
		}
		return names
	}
	for _, query := range d.order {
		if names := tableColumn(d.answers[normalQuery(query)]); len(names) > 0 {
			return names
		}
	}
	return nil
}

func tableColumn(rows host.Rows) []string {
	for i, c := range rows.Columns {
		if !namesTables(strings.ToLower(c), rows.Columns) {
			continue
		}
		var names []string
		for _, r := range rows.Rows {
			names = append(names, r[i])
		}
		return names
	}
	return nil
}

// namesTables reports whether a column holds names of tables: by its own name, or as the name beside an
// engine.
func namesTables(column string, all []string) bool {
	if column == "name" {
		return slices.Contains(all, "engine")
	}
	return column == "table_name" || column == "tables" || strings.HasPrefix(column, "tables_in_")
}

// DumpDatabase makes a file of the largest size that the dump can have, so that a disk that is full in a
// simulation may be just enough in truth, and not the other way round.
func (sq *databaseServer) DumpDatabase(ctx context.Context, req host.DumpRequest, progress func(written int64)) (host.DumpResult, error) {
	if err := cmp.Or(ctx.Err(), host.CheckCompression(req.Compression)); err != nil {
		return host.DumpResult{}, err
	}
	objects, err := host.LookBeforeDump(req.Conn.Database, func(query string) (host.Rows, error) { return sq.Query(ctx, req.Conn, query) })
	if err != nil && !errors.Is(err, host.ErrUnknown) { // a host may be described without the answers
		return host.DumpResult{}, err
	}
	sq.mu.Lock()
	defer sq.mu.Unlock()
	tables, err := sq.dumpTables(ctx, req.Conn)
	if err != nil {
		return host.DumpResult{}, err
	}
	programs := host.DumpPrograms
	if req.Compression == host.ParallelDump {
		programs = host.ParallelDumpPrograms
	}
	if _, err := host.FindProgram(sq.files, programs...); err != nil {
		return host.DumpResult{}, err
	}
	res := host.DumpResult{Tables: tables, Closed: true, Tool: "not run: simulated", Standing: objects.Standing, Held: objects.Held}
	res.RawBytes, res.Bytes = host.LargestDump(req.MostBytes, req.Compression)
	if err := sq.create(req, res.Bytes); err != nil {
		return host.DumpResult{}, err
	}
	if progress != nil {
		progress(res.RawBytes)
	}
	final := cmp.Or(req.Final, req.Path)
	sq.data.dumps[final] = simulatedDump{res, req.Compression}
	why := "a simulation dumps nothing; the size is an upper guess from the size of the data"
	if req.Doubt != "" {
		why = "a simulation dumps nothing; the size is a guess from the size of the data, and the dump may be larger: " + req.Doubt
	}
	if req.Compression == host.ParallelDump { // which files it makes is mydumper's
		sq.gaps.add(host.Unpredicted{What: "the files in the dump " + final, Why: why, Check: "the run reads each of them", Path: final + "/*"})
	}
	sq.gaps.add(host.Unpredicted{
		What:  fmt.Sprintf("content and size of the dump %s", final),
		Why:   why,
		Check: "the run checks the closing line, the tables and the size of the dump before anything else is changed",
		Path:  final, Aspect: "content",
	})
	return res, nil
}

// create makes the file of a dump, or the directory of one with a file that stands for all that will be in it.
func (sq *databaseServer) create(req host.DumpRequest, size int64) error {
	if req.Compression != host.ParallelDump {
		return sq.files.CreateSized(req.Path, size, 0o600)
	}
	if err := sq.files.Mkdir(req.Path, 0o700); err != nil {
		return err
	}
	err := sq.files.CreateSized(req.Path+"/metadata", size, 0o600)
	if err == nil {
		return nil
	}
	return errors.Join(err, sq.files.Rmdir(req.Path))
}

func (sq *databaseServer) dumpTables(ctx context.Context, conn host.DatabaseConn) ([]string, error) {
	if sq.below != nil {
		rows, err := sq.below.Query(ctx, conn, "SHOW TABLES")
		if err != nil {
			return nil, err
		}
		var names []string
		for _, r := range rows.Rows {
			names = append(names, r[0])
		}
		return names, nil
	}
	if err := sq.data.login(conn); err != nil {
		return nil, err
	}
	if !sq.data.known {
		return nil, fmt.Errorf("database %s: %w; describe it in the section \"database\" of the fixture", conn.Database, host.ErrUnknown)
	}
	return sq.data.tableNames(), nil
}

// CheckDump knows the dumps that the simulation made.
func (sq *databaseServer) CheckDump(ctx context.Context, path, compression string, progress func(read int64)) (host.DumpResult, error) {
	sq.mu.Lock()
	defer sq.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return host.DumpResult{}, err
	}
	held := path
	if compression == host.ParallelDump {
		held += "/metadata"
	}
	st, err := sq.files.Lstat(held)
	if err != nil {
		return host.DumpResult{}, err
	}
	made, ok := sq.data.dumps[path]
	switch {
	case !ok || made.Bytes != st.Size:
		return host.DumpResult{}, fmt.Errorf("the content of %s: %w", path, host.ErrUnknown)
	case made.compression != compression:
		return host.DumpResult{}, fmt.Errorf("dump %s: its compression is %s, not %s", path, made.compression, compression)
	}
	return made.DumpResult, nil
}

// LoadDatabase puts the database on the list of what the simulation does not know.
func (sq *databaseServer) LoadDatabase(ctx context.Context, req host.LoadRequest, progress func(read int64)) error {
	made, err := sq.CheckDump(ctx, req.Path, req.Compression, progress)
	if err != nil {
		return err
	}
	if err := sq.login(ctx, req.Conn); err != nil {
		return err
	}
	sq.mu.Lock()
	defer sq.mu.Unlock()
	programs := host.LoadPrograms
	if req.Compression == host.ParallelDump {
		programs = host.ParallelLoadPrograms
	}
	if _, err := host.FindProgram(sq.files, programs...); err != nil {
		return err
	}
	if progress != nil {
		progress(made.RawBytes)
	}
	clear(sq.data.changed)
	sq.gaps.add(host.Unpredicted{
		What:  fmt.Sprintf("content of the database %s", req.Conn.Database),
		Why:   "a simulation loads no dump",
		Check: "the rollback checks the dump before the database is emptied, and its tables afterwards",
	})
	return nil
}
