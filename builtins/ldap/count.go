package ldap

import (
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"
	"go.starlark.net/starlark"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/directory"
	"zcp2kopano/runtime/script"
)

var unreadOK = script.Param{Name: "unread_ok", Type: script.Bool, Doc: "None instead of an error if the filter or the base cannot be read, or the server refuses them (no such object, a referral, no right, a limit); an error still where it is busy, or the connection breaks", Optional: true, Default: "False", Keyword: true}

var count = &script.Builtin{
	Name: "ldap.count",
	Doc: "Counts the entries of a directory that match a filter, and the values of their attributes.\n\n" +
		"It reads page by page, so that the directory may be of any size. Only the numbers go into the run's journal.",
	Params: []script.Param{
		{Name: "conn", Type: script.Any, Doc: "what ldap.connection returned"},
		{Name: "base", Type: script.String, Doc: "DN to search below"},
		{Name: "filter", Type: script.String, Doc: "filter as in RFC 4515"},
		{Name: "attributes", Type: script.Strings, Doc: "attributes whose values are counted, those with options among them", Optional: true, Default: "[]"},
		unreadOK,
	},
	Result: "record(entries, values), or None: values is a dict of attribute, as it was asked for, to number",
	Effect: script.Read,
	Example: `
directory = ldap.connection(["ldap://localhost:389"])
found = ldap.count(directory, "dc=example,dc=org", "(objectClass=zarafa-user)", attributes = ["mail"])
print(found.entries, "users with", found.values["mail"], "addresses")
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		conn, err := connOf(c)
		if err != nil {
			return nil, err
		}
		asked := c.Strings("attributes")
		values, entries := map[string]any{}, 0
		keys := map[string]string{}
		for _, name := range asked {
			values[name], keys[strings.ToLower(name)] = 0, name
		}
		req := host.DirectorySearch{Base: c.String("base"), Scope: "sub", Filter: c.String("filter"), Attributes: asked}
		if len(asked) == 0 {
			req.Attributes = []string{"1.1"}
		}
		err = c.View.SearchPages(c.Context(), conn, req, func(page []host.Entry) error {
			entries += len(page)
			for _, e := range page {
				for attribute, list := range e.Attributes {
					bare, _, _ := strings.Cut(attribute, ";")
					name, known := keys[strings.ToLower(attribute)]
					if !known {
						name, known = keys[strings.ToLower(bare)]
					}
					if known {
						values[name] = values[name].(int) + len(list)
					}
				}
			}
			return nil
		})
		if err != nil && c.Bool("unread_ok", false) && unreadable(req, err) {
			return starlark.None, nil
		}
		if err != nil {
			return nil, c.Errorf("%s below %q: %w", strings.Join(conn.URLs, " "), c.String("base"), err)
		}
		return script.NewRecord(map[string]any{"entries": entries, "values": values}), nil
	},
}

// unreadable tells whether a search failed for what it asks, and not for the server or the connection: a base can lie
// where the server refers to another one, or where the user sees nothing.
func unreadable(req host.DirectorySearch, err error) bool {
	if code := directory.Code(err); code != 0 {
		return code < ldap.ErrorNetwork && !slices.Contains(ofTheServer, code)
	}
	_, badFilter := ldap.CompileFilter(req.Filter)
	_, badBase := ldap.ParseDN(req.Base)
	return badFilter != nil || badBase != nil
}

// ofTheServer are the answers of a server that would answer the same question at another time, or to a session of
// another kind.
var ofTheServer = []uint16{
	ldap.LDAPResultBusy, ldap.LDAPResultUnavailable, ldap.LDAPResultTimeLimitExceeded,
	ldap.LDAPResultStrongAuthRequired, ldap.LDAPResultConfidentialityRequired, ldap.LDAPResultInvalidCredentials,
}
