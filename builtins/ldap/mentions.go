package ldap

import (
	"strings"

	"go.starlark.net/starlark"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/script"
)

var mentions = &script.Builtin{
	Name: "ldap.mentions",
	Doc: "Tells where the configuration that a directory's server keeps as entries has names of the Zarafa schema: access rules, " +
		"indexes, overlays, plugins.\n\n" +
		"OpenLDAP and 389 Directory Server keep theirs below cn=config. Access rules of the second stand in the entries of the directory " +
		"(aci): ask below its base for these. Passwords beside the names are not shown.",
	Params: []script.Param{
		{Name: "conn", Type: script.Any, Doc: "what ldap.connection returned"},
		{Name: "base", Type: script.String, Doc: "\"cn=config\", or a DN of the directory"},
	},
	Result: "list of record(where, text, new), or None if nothing below the base can be seen",
	Effect: script.Read,
	Example: `
found = ldap.mentions(ldap.connection(["ldapi:///"], external = True), "cn=config")
for m in found or []:
    print(m.where, "has", m.text)
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		conn, err := connOf(c)
		if err != nil {
			return nil, err
		}
		renaming := ToKopano("")
		req := host.DirectorySearch{Base: c.String("base"), Scope: "sub", Filter: "(objectClass=*)"}
		config := strings.EqualFold(req.Base, "cn=config")
		if !config {
			req.Filter, req.Attributes = "(aci=*)", []string{"aci"}
		}
		entries, found := 0, []any{}
		err = c.View.SearchPages(c.Context(), conn, req, func(page []host.Entry) error {
			entries += len(page)
			for _, e := range page {
				for _, m := range renaming.EntryMentions(e) {
					found = append(found, recordOf(m))
				}
			}
			return nil
		})
		switch {
		case err != nil && unreadable(req, err), err == nil && config && entries == 0:
			return starlark.None, nil
		case err != nil:
			return nil, c.Errorf("%s below %q: %w", strings.Join(conn.URLs, " "), req.Base, err)
		}
		return script.ToStarlark(found), nil
	},
}
