package ldap

import (
	"go.starlark.net/starlark"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/script"
)

var convert = &script.Builtin{
	Name: "ldap.convert",
	Doc: "Converts the entries of a directory from the Zarafa schema to the Kopano schema, which the server must know both (manual 4.4.1).\n\n" +
		"Each entry is converted by one change: classes, attributes in any case and with options, names within zarafaFilter, and sockets of ZCP " +
		"in zarafaFilePath. No other value changes. What the entries were is on disk before the first of a page is changed, so that a resume " +
		"converts the others, and a rollback takes all back; what somebody has changed meanwhile is kept. Structural classes (address lists, " +
		"dynamic groups) are changed with OpenLDAP's relax control, or plainly where the server does not know it.\n\n" +
		"No server of ZCP or Kopano may use the directory meanwhile: one that did would delete the users that it does not find.",
	Params: []script.Param{
		{Name: "conn", Type: script.Any, Doc: "what ldap.connection returned, with a user who may write"},
		{Name: "bases", Type: script.Strings, Doc: "DNs below which entries are converted; the policy must allow them"},
		{Name: "socket", Type: script.String, Doc: "the socket of Kopano's server, for zarafaFilePath: its server_pipe_name, letter by letter", Optional: true, Default: `"/var/run/kopano/server.sock"`, Keyword: true},
	},
	Result: "None",
	Effect: script.Change,
	Example: `
directory = ldap.connection(["ldap://localhost:389"], bind_dn = "cn=admin,dc=example,dc=org", password = "secret")
ldap.convert(directory, ["dc=example,dc=org"])
`,
	Decide: func(c *script.Call) (script.Decision, error) {
		conn, err := connOf(c)
		if err != nil {
			return script.Decision{}, err
		}
		bases := c.Strings("bases")
		if len(bases) == 0 {
			return script.Decision{}, c.Errorf("argument bases: at least one is needed")
		}
		a := &action.Convert{
			Directory: action.DirectoryAt(conn), Bases: bases,
			Renaming: ToKopano(c.StringOr("socket", "/var/run/kopano/server.sock")),
		}
		return script.Decision{Actions: []action.Action{a}, Result: starlark.None}, nil
	},
}
