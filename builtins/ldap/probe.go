package ldap

import (
	"strings"

	"go.starlark.net/starlark"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/script"
)

var probe = &script.Builtin{
	Name: "ldap.probe",
	Doc:  "Tells whether a directory can be reached, and has an entry, without failing if it cannot.",
	Params: []script.Param{
		{Name: "conn", Type: script.Any, Doc: "what ldap.connection returned"},
		{Name: "base", Type: script.String, Doc: "DN of the entry"},
	},
	Result: "record(ok, problem): problem is \"\", or why the directory does not answer",
	Effect: script.Read,
	Example: `
answer = ldap.probe(ldap.connection(["ldap://localhost:389"]), "dc=example,dc=org")
if not answer.ok:
    inhibit("the directory does not answer", answer.problem)
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		conn, err := connOf(c)
		if err != nil {
			return nil, err
		}
		found, err := c.View.SearchDirectory(c.Context(), conn, host.DirectorySearch{
			Base: c.String("base"), Scope: "base", Filter: "(objectClass=*)", Attributes: []string{"1.1"},
		})
		problem := ""
		switch {
		case c.Context().Err() != nil:
			return nil, c.Errorf("%w", err)
		case err != nil:
			problem = strings.Join(conn.URLs, " ") + ": " + err.Error()
		case len(found) == 0:
			problem = strings.Join(conn.URLs, " ") + ": the user may not see " + c.String("base")
		}
		return script.NewRecord(map[string]any{"ok": problem == "", "problem": problem}), nil
	},
}
