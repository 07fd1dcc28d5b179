package ldap

import (
	"strings"

	"github.com/go-ldap/ldap/v3"
	"go.starlark.net/starlark"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/directory"
	"zcp2kopano/runtime/script"
)

var limit = &script.Builtin{
	Name: "ldap.limit",
	Doc: "Searches for all entries below a base, page by page, and tells whether a limit of the server ends that early.\n\n" +
		"A user who may not see all entries of a directory would convert a part of it. Limits depend on who asks.",
	Params: []script.Param{
		{Name: "conn", Type: script.Any, Doc: "what ldap.connection returned"},
		{Name: "base", Type: script.String, Doc: "DN to search below"},
	},
	Result: "record(entries, problem): entries is how many came; problem says which limit ended it, and is empty if none did",
	Effect: script.Read,
	Example: `
seen = ldap.limit(ldap.connection(["ldap://localhost:389"]), "dc=example,dc=org")
if seen.problem:
    inhibit("the directory is not shown as a whole", "after %d entries: %s" % (seen.entries, seen.problem))
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		conn, err := connOf(c)
		if err != nil {
			return nil, err
		}
		entries, problem := 0, ""
		req := host.DirectorySearch{Base: c.String("base"), Scope: "sub", Filter: "(objectClass=*)", Attributes: []string{"1.1"}}
		err = c.View.SearchPages(c.Context(), conn, req, func(page []host.Entry) error {
			entries += len(page)
			return nil
		})
		switch {
		case directory.Is(err, ldap.LDAPResultSizeLimitExceeded, ldap.LDAPResultTimeLimitExceeded, ldap.LDAPResultAdminLimitExceeded):
			problem = err.Error()
		case err != nil:
			return nil, c.Errorf("%s below %q: %w", strings.Join(conn.URLs, " "), c.String("base"), err)
		}
		return script.NewRecord(map[string]any{"entries": entries, "problem": problem}), nil
	},
}
