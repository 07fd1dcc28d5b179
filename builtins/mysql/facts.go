package mysql

import (
	"fmt"
	"strconv"
	"strings"

	"go.starlark.net/starlark"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/script"
)

// The questions that mysql.facts asks, word for word: a fixture answers them by their text.
const (
	QueryVersion   = "SELECT VERSION() AS version"
	QueryVariables = "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('character_set_server', 'datadir', 'hostname', " +
		"'innodb_buffer_pool_size', 'innodb_file_per_table', 'max_allowed_packet', 'port', 'read_only', " +
		"'socket', 'sql_mode', 'thread_stack', 'version_comment')"
	QueryTables = "SELECT TABLE_NAME AS name, ENGINE AS engine, TABLE_ROWS AS row_estimate, DATA_LENGTH AS data_bytes, " +
		"INDEX_LENGTH AS index_bytes, TABLE_COLLATION AS collation, ROW_FORMAT AS row_format FROM information_schema.TABLES " +
		"WHERE TABLE_SCHEMA = DATABASE() AND TABLE_TYPE = 'BASE TABLE' ORDER BY TABLE_NAME"
)

var facts = &script.Builtin{
	Name: "mysql.facts",
	Doc: "Describes the database server and the tables of the database.\n\n" +
		"Row counts of InnoDB tables are the server's estimates; bytes are its own account of data and indexes, of which large " +
		"objects may be missing. What the database holds at most is the largest of that account, the sizes of its tablespaces " +
		"(where the user has the right PROCESS), and its files (where they are on this host).",
	Params: []script.Param{connParam},
	Result: "record(version, variables, database, tables, rows, bytes, most, dump_bytes, source, doubt): variables is a dict of those server variables that decide " +
		"whether a dump can be made and restored, and what Kopano demands: max_allowed_packet, thread_stack, sql_mode, " +
		"character_set_server, innodb_file_per_table, innodb_buffer_pool_size, datadir, hostname, port, socket, read_only, " +
		"version_comment, as far as the server has them; tables is a list of record(name, engine, rows, bytes, collation); rows and bytes are sums; " +
		"most is the bytes that it holds at most, dump_bytes those of its largest compressed dump, source says by which account, and doubt " +
		"why it may yet be more, \"\" if it cannot",
	Effect:   script.Read,
	Volatile: true,
	Example: `
db = mysql.facts(mysql.connection({}))
print(db.version, len(db.tables), "tables,", db.bytes, "bytes")
for table in db.tables:
    if table.engine != "InnoDB":
        warn("table %s is not InnoDB" % table.name)
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		db, err := conn(c)
		if err != nil {
			return nil, err
		}
		f, err := ask(c, db)
		if err != nil {
			return nil, c.Errorf("%s: %w", where(db), err)
		}
		return f, nil
	},
}

func ask(c *script.Call, db host.DatabaseConn) (starlark.Value, error) {
	version, err := askVersion(c, db)
	if err != nil {
		return nil, err
	}
	vars, err := askVariables(c, db)
	if err != nil {
		return nil, err
	}
	tables, err := askTables(c, db)
	if err != nil {
		return nil, err
	}
	list, rows, bytes := make([]any, len(tables)), int64(0), int64(0)
	for i, t := range tables {
		list[i] = script.NewRecord(map[string]any{
			"name": t.name, "engine": t.engine, "rows": t.rows, "bytes": t.bytes, "collation": t.collation,
		})
		rows, bytes = rows+t.rows, bytes+t.bytes
	}
	size, err := measure(c, db, tables)
	if err != nil {
		return nil, err
	}
	_, dump := host.LargestDump(size.most, "zstd")
	return script.NewRecord(map[string]any{
		"version": version, "variables": vars, "database": db.Database,
		"tables": list, "rows": rows, "bytes": bytes, "most": size.most, "dump_bytes": dump, "source": size.source, "doubt": size.doubt,
	}), nil
}

func askVersion(c *script.Call, db host.DatabaseConn) (string, error) {
	answer, err := c.View.Query(c.Context(), db, QueryVersion)
	if err != nil {
		return "", err
	}
	if len(answer.Rows) != 1 || len(answer.Rows[0]) != 1 {
		return "", fmt.Errorf("no answer to %s", QueryVersion)
	}
	return answer.Rows[0][0], nil
}

func askVariables(c *script.Call, db host.DatabaseConn) (map[string]string, error) {
	answer, err := c.View.Query(c.Context(), db, QueryVariables)
	if err != nil {
		return nil, err
	}
	vars := map[string]string{}
	for _, row := range answer.Rows {
		if len(row) != 2 {
			return nil, fmt.Errorf("a row of %d columns in the answer to SHOW VARIABLES", len(row))
		}
		vars[strings.ToLower(row[0])] = row[1]
	}
	return vars, nil
}

type table struct {
	name, engine, collation, format string
	rows, bytes                     int64
}

func askTables(c *script.Call, db host.DatabaseConn) ([]table, error) {
	answer, err := c.View.Query(c.Context(), db, QueryTables)
	if err != nil {
		return nil, err
	}
	tables := make([]table, len(answer.Rows))
	for i, row := range answer.Rows {
		if len(row) != 7 {
			return nil, fmt.Errorf("a row of %d columns where 7 were asked for", len(row))
		}
		var numbers [3]int64
		for j, s := range row[2:5] {
			if s == "" {
				continue // NULL: the engine does not say
			}
			if numbers[j], err = strconv.ParseInt(s, 10, 64); err != nil {
				return nil, fmt.Errorf("table %s: %q is not a number", row[0], s)
			}
		}
		tables[i] = table{name: row[0], engine: row[1], rows: numbers[0], bytes: numbers[1] + numbers[2], collation: row[5], format: row[6]}
	}
	return tables, nil
}

// records makes a record of each row.
func records(c *script.Call, rows host.Rows) (starlark.Value, error) {
	list := make([]any, len(rows.Rows))
	for i, row := range rows.Rows {
		if len(row) != len(rows.Columns) {
			return nil, c.Errorf("row %d has %d values for %d columns", i+1, len(row), len(rows.Columns))
		}
		fields := map[string]any{}
		for j, name := range rows.Columns {
			fields[strings.ToLower(name)] = row[j]
		}
		list[i] = script.NewRecord(fields)
	}
	return script.ToStarlark(list), nil
}
