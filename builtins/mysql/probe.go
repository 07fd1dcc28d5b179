package mysql

import (
	"errors"

	"go.starlark.net/starlark"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/script"
)

var probe = &script.Builtin{
	Name: "mysql.probe",
	Doc: "Checks whether the database can be reached and read, without failing if it cannot.\n\n" +
		"A preflight uses it to report the reason beside its other findings.",
	Params: []script.Param{connParam},
	Result: "record(ok, problem): problem is \"\", or why the database does not answer",
	Effect: script.Read,
	Example: `
answer = mysql.probe(mysql.connection({}))
if not answer.ok:
    inhibit("the database does not answer", answer.problem)
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		db, err := conn(c)
		if err != nil {
			return nil, err
		}
		problem := ""
		if _, err := c.View.Query(c.Context(), db, QueryVersion); err != nil {
			if c.Context().Err() != nil {
				return nil, c.Errorf("%w", err)
			}
			problem = where(db) + ": " + err.Error()
		}
		return script.NewRecord(map[string]any{"ok": problem == "", "problem": problem}), nil
	},
}

var programs = &script.Builtin{
	Name: "mysql.programs",
	Doc: "Finds the programs that dump a database and load a dump again.\n\n" +
		"mysql_dump runs the first; the second leads back from a dump. The other two are for a dump by several connections.",
	Result: "record(dump, restore, parallel_dump, parallel_restore): absolute paths, \"\" for one that is not installed",
	Effect: script.Read,
	Example: `
if not mysql.programs().dump:
    inhibit("the database cannot be dumped", "neither mysqldump nor mariadb-dump is installed", "install mysql-client or mariadb-client")
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		found := map[string]any{}
		for role, names := range map[string][]string{
			"dump": host.DumpPrograms, "restore": host.LoadPrograms,
			"parallel_dump": host.ParallelDumpPrograms, "parallel_restore": host.ParallelLoadPrograms,
		} {
			path, err := host.FindProgram(c.View, names...)
			if err != nil && !errors.Is(err, host.ErrUnsupported) {
				return nil, c.Errorf("%w", err)
			}
			found[role] = path
		}
		return script.NewRecord(found), nil
	},
}

var objects = &script.Builtin{
	Name: "mysql.objects",
	Doc: "Tells what in the database a dump is concerned with beside sound tables.\n\n" +
		"Views that do not work cannot be dumped, and what belongs to another account (its definer) can be made again only with the right " +
		"SUPER, or SET USER. mysql_dump leaves such views, routines and events out, and loading the dump leaves them where they are; " +
		"clients dump all routines or none, and so events. Triggers come and go with their tables: a dump with those of another account " +
		"is loaded by nobody without that right. A server that keeps a binary log lets only an account with SUPER make triggers and functions, " +
		"and nobody a function that does not declare itself harmless, unless log_bin_trust_function_creators is on: a dump with such is loaded " +
		"by nobody either. Of a host that was described without the answers nothing is told.",
	Params: []script.Param{connParam},
	Result: "record(broken, idle, foreign, triggers, distrusted): broken is a list of tables that cannot be read, each with the reason; idle one of views that do not " +
		"work; foreign one of views, routines and events of other accounts, where this one could not make them again; triggers the same of triggers; " +
		"distrusted is a list of triggers and functions that the server would not let this account make while it keeps a binary log",
	Effect:   script.Read,
	Volatile: true,
	Example: `
found = mysql.objects(mysql.connection({}))
if found.broken:
    inhibit("tables cannot be read", ", ".join(found.broken), "repair them")
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		db, err := conn(c)
		if err != nil {
			return nil, err
		}
		ask := func(query string) (host.Rows, error) { return c.View.Query(c.Context(), db, query) }
		found, err := host.LookAtObjects(ask)
		var distrusted []string
		if err == nil {
			var objects []host.Object
			objects, err = host.Distrusted(ask, found.Held)
			for _, o := range objects {
				distrusted = append(distrusted, o.String())
			}
		}
		if err != nil && !errors.Is(err, host.ErrUnknown) {
			return nil, c.Errorf("%s: %w", where(db), err)
		}
		list := func(texts []string) any {
			values := []any{}
			for _, t := range texts {
				values = append(values, t)
			}
			return values
		}
		return script.NewRecord(map[string]any{
			"broken": list(found.Broken), "idle": list(found.Idle), "foreign": list(found.Foreign), "triggers": list(found.Triggers),
			"distrusted": list(distrusted),
		}), nil
	},
}
