package mysql

import (
	"slices"
	"strings"

	"go.starlark.net/starlark"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/script"
)

var dump = &script.Builtin{
	Name: "mysql_dump",
	Doc: "Dumps a database to a new file of mode 0600, and judges the dump.\n\n" +
		"It is one consistent transaction. A dump without its closing line, without one of the database's tables, or much too " +
		"small for them is an error, and leaves no file. The directory must exist; a file that exists is never replaced. The " +
		"password goes by way of a file that only root can read, never by a command line. What the account could not make again is " +
		"left out, and told (mysql.objects says what).\n\n" +
		"With compression = \"mydumper\" it is a new directory of mode 0700, which mydumper writes by several connections at a time " +
		"and myloader loads again; both must be installed, and the account needs the right RELOAD, for one common snapshot. On few " +
		"processors the dump takes longer than one in a file, and the loading is faster.",
	Params: []script.Param{
		connParam,
		{Name: "path", Type: script.Path, Doc: "file to write; name it .sql.zst, .sql.gz or .sql; or the directory"},
		{Name: "compression", Type: script.String, Doc: "how to compress it", Optional: true, Default: `"zstd"`, Choices: host.DumpForms},
		{Name: "position", Type: script.String, Doc: "a query for one number that grows with what comes in, like the highest id of a table", Optional: true, Default: `""`, Keyword: true},
		{Name: "newer", Type: script.String, Doc: "a query that counts what came after that number, which stands in for {}; a rollback that loads the dump tells how many that is", Optional: true, Default: `""`, Keyword: true},
		{Name: "what", Type: script.String, Doc: "the word for what newer counts", Optional: true, Default: `"rows"`, Keyword: true},
		{Name: "counters", Type: script.Any, Doc: "numbers that programs keep in rows of the database and give away by: a list of [table, column that names the row, name of the row, column with the number, " +
			"\"decimal\" or \"little-endian\"]; a restore does not set them back, so that nothing outside the database gets a number twice. The AUTO_INCREMENT of tables is seen to anyway", Optional: true, Default: "[]", Keyword: true},
		{Name: "afterwards", Type: script.Strings, Doc: "what a rollback tells once it has loaded the dump, a paragraph each; {TABLE} in it is the number that the table gives to its next row", Optional: true, Default: "[]", Keyword: true},
		{Name: "tables", Type: script.Strings, Doc: "tables that the database must still have, as seen earlier", Optional: true, Default: "[]", Keyword: true},
	},
	Result: "record(path, bytes, raw_bytes, sha256, tables, tool): bytes of the file, and of the SQL before compression; sha256 of the " +
		"file, \"\" in a simulation; tables is a list of names",
	Effect: script.Change,
	Example: `
db = mysql.connection({"mysql_user": "zarafa"})
made = mysql_dump(db, "/var/backups/zarafa-%s.sql.zst" % host.now().stamp)
print(made.path, made.bytes, "bytes,", len(made.tables), "tables")
`,
	Decide: func(c *script.Call) (script.Decision, error) {
		db, err := conn(c)
		if err != nil {
			return script.Decision{}, err
		}
		tables, err := askTables(c, db)
		if err != nil {
			return script.Decision{}, c.Errorf("%s: %w", where(db), err)
		}
		if len(tables) == 0 {
			return script.Decision{}, c.Errorf("%s has no tables; is it the right one? See mysql_database in server.cfg", where(db))
		}
		a := &action.Dump{
			Connection: action.ConnectionTo(db),
			Path:       c.String("path"), Compression: c.StringOr("compression", "zstd"),
			Position: c.String("position"), Newer: c.String("newer"), Afterwards: c.Strings("afterwards"),
		}
		if (a.Position == "") != (a.Newer == "") || a.Newer != "" && !strings.Contains(a.Newer, "{}") {
			return script.Decision{}, c.Errorf("arguments position and newer: give both, and newer with {} for the number that position answers")
		}
		if a.Counters, err = counters(c); err != nil {
			return script.Decision{}, err
		}
		if a.Newer != "" {
			a.What = c.StringOr("what", "rows")
		}
		for _, t := range tables {
			a.Tables = append(a.Tables, t.name)
		}
		size, err := measure(c, db, tables)
		if err != nil {
			return script.Decision{}, c.Errorf("%s: %w", where(db), err)
		}
		a.Size = action.DataSize{Rows: size.rows, Expected: size.counted, Most: size.most, Doubt: size.doubt}
		for _, name := range c.Strings("tables") {
			if !slices.Contains(a.Tables, name) {
				return script.Decision{}, c.Errorf("%s has no table %s any more; who changes it?", where(db), name)
			}
		}
		return script.Decision{Actions: []action.Action{a}}, nil
	},
}

// counters reads the argument of that name.
func counters(c *script.Call) ([]host.Counter, error) {
	if !c.Has("counters") {
		return nil, nil
	}
	bad := func(v starlark.Value) error {
		return c.Errorf("argument counters: got %s, want a list of five strings", v)
	}
	list, ok := c.Value("counters").(*starlark.List)
	if !ok {
		return nil, bad(c.Value("counters"))
	}
	var found []host.Counter
	for v := range list.Elements() {
		fields, ok := v.(*starlark.List)
		if !ok || fields.Len() != 5 {
			return nil, bad(v)
		}
		var words [5]string
		for i := range words {
			if words[i], ok = starlark.AsString(fields.Index(i)); !ok || words[i] == "" {
				return nil, bad(v)
			}
		}
		if !slices.Contains(host.CounterForms, words[4]) {
			return nil, c.Errorf("argument counters: %q is not one of %s", words[4], strings.Join(host.CounterForms, ", "))
		}
		found = append(found, host.Counter{Table: words[0], Key: words[1], Name: words[2], Value: words[3], Form: words[4]})
	}
	return found, nil
}
