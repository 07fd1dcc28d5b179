// Package mysql is the runbooks' mysql_dump and module mysql: it dumps a MySQL or MariaDB
// database, and asks it for facts.
package mysql

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"go.starlark.net/starlark"

	"zcp2kopano/builtins/internal/connection"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/script"
)

// Builtins lists the functions.
func Builtins() []*script.Builtin {
	return []*script.Builtin{makeConnection, probe, programs, query, facts, objects, dump}
}

// directives are the options of server.cfg that say how the database is reached, with the defaults
// of ZCP 7.1 and 7.2 for those that are absent.
var directives = map[string]string{
	"mysql_host":     "localhost",
	"mysql_port":     "3306",
	"mysql_socket":   "",
	"mysql_user":     "root",
	"mysql_password": "",
	"mysql_database": "zarafa",
}

var makeConnection = &script.Builtin{
	Name: "mysql.connection",
	Doc: "Makes a connection from the options of a server.cfg.\n\n" +
		"It takes mysql_host, mysql_port, mysql_socket, mysql_user, mysql_password and mysql_database; others are " +
		"ignored, absent ones have ZCP's defaults. A socket wins over a host. Nothing is connected yet.",
	Params: []script.Param{{Name: "options", Type: script.Dict, Doc: "names and values, strings or secrets"}},
	Result: "record(host, port, socket, user, password, database); password is a secret, and what was given as one",
	Effect: script.Pure,
	Example: `
db = mysql.connection({"mysql_user": "zarafa", "mysql_database": "zarafa"})
print(db.host, db.port, db.user, db.password)
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		given := c.Value("options").(*starlark.Dict)
		options := map[string]host.Secret{}
		for name, def := range directives {
			v, found, err := given.Get(starlark.String(name))
			if err != nil {
				return nil, c.Errorf("%w", err)
			}
			if !found || v == starlark.None {
				options[name] = host.NewSecret(def)
				continue
			}
			s, err := connection.Text(v)
			if err != nil {
				return nil, c.Errorf("%s: %w", name, err)
			}
			options[name] = s
		}
		port, err := strconv.ParseUint(options["mysql_port"].Reveal(), 10, 16)
		if err != nil {
			return nil, c.Errorf("mysql_port %q is not a port number", options["mysql_port"].Reveal())
		}
		fields := map[string]any{"port": int64(port)}
		for name, value := range options {
			field := strings.TrimPrefix(name, "mysql_")
			v, _, _ := given.Get(starlark.String(name))
			switch _, secret := v.(script.SecretValue); {
			case secret || field == "password":
				fields[field] = value
			case field != "port":
				fields[field] = value.Reveal()
			}
		}
		return script.NewRecord(fields), nil
	},
}

// connParam declares the parameter that conn reads.
var connParam = script.Param{Name: "conn", Type: script.Any, Doc: "what mysql.connection returned"}

// conn reads the record that mysql.connection made.
func conn(c *script.Call) (host.DatabaseConn, error) {
	db, err := connection.Of(c.Value("conn"))
	if err != nil {
		err = c.Errorf("argument conn: %w", err)
	}
	return db, err
}

// where says how a database is reached, for messages.
func where(db host.DatabaseConn) string {
	at := fmt.Sprintf("%s:%d", db.Host, db.Port)
	if db.Socket != "" {
		at = db.Socket
	}
	return fmt.Sprintf("database %s at %s as user %s", db.Database, at, db.User)
}

var query = &script.Builtin{
	Name: "mysql.query",
	Doc: "Asks the database one question.\n\n" +
		"It is one SELECT or SHOW, in a read-only transaction; a question that writes a file or a variable, locks rows, waits, or calls a " +
		"function that is not the server's own is refused. NULL is the empty string. The answer goes into the run's journal.",
	Params: []script.Param{
		connParam,
		{Name: "sql", Type: script.String, Doc: "one SELECT or SHOW statement"},
		{Name: "passing", Type: script.Bool, Doc: "the answer changes while the server works: a saved plan does not rest on it", Optional: true, Default: "False", Keyword: true},
		{Name: "may_be_open", Type: script.Bool, Doc: "None, and not an error, where the host was described without an answer to this question: a simulation lists it as not simulated", Optional: true, Default: "False", Keyword: true},
	},
	Result: "list of records, a row each, whose fields are the columns in lower case; all values are strings",
	Effect: script.Read,
	Lasting: func(args, fields map[string]any) map[string]any {
		if args["passing"] == true {
			return nil
		}
		return fields
	},
	Example: `
db = mysql.connection({})
for row in mysql.query(db, "SELECT MAX(databaserevision) AS revision FROM versions"):
    print("schema", row.revision)
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		db, err := conn(c)
		if err != nil {
			return nil, err
		}
		rows, err := c.View.Query(c.Context(), db, c.String("sql"))
		if c.Bool("may_be_open", false) && errors.Is(err, host.ErrUnknown) {
			return starlark.None, nil
		}
		if err != nil {
			return nil, c.Errorf("%s: %w", where(db), err)
		}
		return records(c, rows)
	},
}
