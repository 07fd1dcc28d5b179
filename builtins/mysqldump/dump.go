package mysqldump

import (
	"slices"

	"zcp2kopano/runtime"
	"zcp2kopano/runtime/action"
)

var dump = &runtime.Builtin{
	Name: "mysql_dump",
	Doc: "Dumps a database to a new file of mode 0600, and judges the dump.\n\n" +
		"It is one consistent transaction. A dump without its closing line, without one of the database's tables, or much too " +
		"small for them is an error, and leaves no file. The directory must exist; a file that exists is never replaced. The " +
		"password goes by way of a file that only root can read, never by a command line.",
	Params: []runtime.Param{
		connParam,
		{Name: "path", Type: runtime.Path, Doc: "file to write; name it .sql.zst, .sql.gz or .sql"},
		{Name: "compression", Type: runtime.String, Doc: "how to compress it", Optional: true, Default: `"zstd"`, Choices: []string{"zstd", "gzip", "none"}},
		{Name: "tables", Type: runtime.Strings, Doc: "tables that the database must still have, as seen earlier", Optional: true, Default: "[]", Keyword: true},
	},
	Result: "record(path, bytes, raw_bytes, sha256, tables, tool): bytes of the file, and of the SQL before compression; sha256 of the " +
		"file, \"\" in a simulation; tables is a list of names",
	Effect: runtime.Change,
	Example: `
db = mysql.connection({"mysql_user": "zarafa"})
made = mysql_dump(db, "/var/backups/zarafa-%s.sql.zst" % host.now().stamp)
print(made.path, made.bytes, "bytes,", len(made.tables), "tables")
`,
	Plan: func(c *runtime.Call) (runtime.Plan, error) {
		db, err := conn(c)
		if err != nil {
			return runtime.Plan{}, err
		}
		tables, err := askTables(c, db)
		if err != nil {
			return runtime.Plan{}, c.Errorf("%s: %w", where(db), err)
		}
		if len(tables) == 0 {
			return runtime.Plan{}, c.Errorf("%s has no tables; is it the right one? See mysql_database in server.cfg", where(db))
		}
		a := &action.Dump{
			Host: db.Host, Port: db.Port, Socket: db.Socket, User: db.User, Password: db.Password, Database: db.Database,
			Path: c.String("path"), Compression: c.StringOr("compression", "zstd"),
		}
		for _, t := range tables {
			a.Tables = append(a.Tables, t.name)
		}
		size, err := measure(c, db, tables)
		if err != nil {
			return runtime.Plan{}, c.Errorf("%s: %w", where(db), err)
		}
		a.Size = action.DataSize{Expected: size.counted, Most: size.most, Doubt: size.doubt}
		for _, name := range c.Strings("tables") {
			if !slices.Contains(a.Tables, name) {
				return runtime.Plan{}, c.Errorf("%s has no table %s any more; who changes it?", where(db), name)
			}
		}
		return runtime.Plan{Actions: []action.Action{a}}, nil
	},
}
