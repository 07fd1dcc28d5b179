package mysqldump

import (
	"go.starlark.net/starlark"

	"zcp2kopano/runtime"
)

var probe = &runtime.Builtin{
	Name: "mysql.probe",
	Doc: "Tells whether the database can be reached and read, without failing if it cannot.\n\n" +
		"A preflight uses it to report the reason beside its other findings.",
	Params: []runtime.Param{connParam},
	Result: "record(ok, problem): problem is \"\", or why the database does not answer",
	Effect: runtime.Read,
	Example: `
answer = mysql.probe(mysql.connection({}))
if not answer.ok:
    inhibit("the database does not answer", answer.problem)
`,
	Value: func(c *runtime.Call) (starlark.Value, error) {
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
		return runtime.NewRecord(map[string]any{"ok": problem == "", "problem": problem}), nil
	},
}
