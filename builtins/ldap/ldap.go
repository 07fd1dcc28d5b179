// Package ldap is the runbooks' module ldap: it asks directories, and converts them.
package ldap

import (
	"path"
	"sort"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"

	"zcp2kopano/builtins/internal/schema"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/directory"
	"zcp2kopano/runtime/script"
)

// Builtins lists the module's functions.
func Builtins() []*script.Builtin {
	return []*script.Builtin{connection, probe, server, search, count, limit, mentions, convert, slapd, export, transplant, configure}
}

// ToKopano is the renaming of ZCP's schema to Kopano's; servers get a socket.
func ToKopano(socket string) directory.Renaming { return schema.ToKopano(socket) }

var connection = &script.Builtin{
	Name: "ldap.connection",
	Doc:  "Describes how a directory is reached. Nothing is connected yet.",
	Params: []script.Param{
		{Name: "urls", Type: script.Strings, Doc: "ldap://, ldaps:// or ldapi:// URLs; the first that answers is taken"},
		{Name: "bind_dn", Type: script.String, Doc: "who to log in as; empty is anonymous", Optional: true, Default: `""`},
		{Name: "password", Type: script.SecretT, Doc: "its password", Optional: true},
		{Name: "start_tls", Type: script.Bool, Doc: "encrypt an ldap:// session (RFC 4511, 4.14)", Optional: true, Default: "False", Keyword: true},
		{Name: "external", Type: script.Bool, Doc: "log in as whom an ldapi:// socket knows this process (SASL EXTERNAL), instead of bind_dn", Optional: true, Default: "False", Keyword: true},
		{Name: "ca_file", Type: script.String, Doc: "certificates of the authorities that are trusted, instead of the system's and those of ldap.conf; the server's certificate must be made out to its name", Optional: true, Default: `""`, Keyword: true},
	},
	Result: "record(urls, bind_dn, password, start_tls, external, ca_file); password is a secret",
	Effect: script.Pure,
	Example: `
directory = ldap.connection(["ldap://localhost:389"], bind_dn = "cn=reader,dc=example,dc=org")
print(directory.urls)
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		urls := c.Strings("urls")
		if len(urls) == 0 {
			return nil, c.Errorf("argument urls: at least one is needed")
		}
		for _, u := range urls {
			if !strings.HasPrefix(u, "ldap://") && !strings.HasPrefix(u, "ldaps://") && !strings.HasPrefix(u, "ldapi://") {
				return nil, c.Errorf("argument urls: %q is no ldap://, ldaps:// or ldapi:// URL", u)
			}
		}
		if ca := c.String("ca_file"); ca != "" && !path.IsAbs(ca) {
			return nil, c.Errorf("argument ca_file: %q is not an absolute path", ca)
		}
		return script.NewRecord(map[string]any{
			"urls": urls, "bind_dn": c.String("bind_dn"), "password": c.Secret("password"), "start_tls": c.Bool("start_tls", false),
			"external": c.Bool("external", false), "ca_file": c.String("ca_file"),
		}), nil
	},
}

var search = &script.Builtin{
	Name: "ldap.search",
	Doc: "Reads the entries of a directory that match a filter.\n\n" +
		"It is an error if the server ends the answer early: a part is never taken for the whole. The answer goes " +
		"into the run's journal; ask only for the attributes that are needed.",
	Params: []script.Param{
		{Name: "conn", Type: script.Any, Doc: "what ldap.connection returned"},
		{Name: "base", Type: script.String, Doc: "DN to search at"},
		{Name: "filter", Type: script.String, Doc: "filter as in RFC 4515"},
		{Name: "scope", Type: script.String, Doc: "the base alone, its children, or all below", Optional: true, Default: `"sub"`, Choices: []string{"base", "one", "sub"}},
		{Name: "attributes", Type: script.Strings, Doc: "attributes to read; all if left out, none for [\"1.1\"]", Optional: true, Default: "[]"},
		unreadOK,
	},
	Result: "list of record(dn, attributes), or None; attributes is a dict of lists of strings, names as the server writes them",
	Effect: script.Read,
	Example: `
directory = ldap.connection(["ldap://localhost:389"])
users = ldap.search(directory, "dc=example,dc=org", "(objectClass=zarafa-user)", attributes = ["uid"])
print(len(users), "users")
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		conn, err := connOf(c)
		if err != nil {
			return nil, err
		}
		req := host.DirectorySearch{
			Base: c.String("base"), Scope: c.StringOr("scope", "sub"),
			Filter: c.String("filter"), Attributes: c.Strings("attributes"),
		}
		entries, err := c.View.SearchDirectory(c.Context(), conn, req)
		if err != nil && c.Bool("unread_ok", false) && unreadable(req, err) {
			return starlark.None, nil
		}
		if err != nil {
			return nil, c.Errorf("%s below %q: %w", strings.Join(conn.URLs, " "), c.String("base"), err)
		}
		list := make([]any, len(entries))
		for i, e := range entries {
			list[i] = script.NewRecord(map[string]any{"dn": e.DN, "attributes": attributes(e)})
		}
		return script.ToStarlark(list), nil
	},
}

func attributes(e host.Entry) *starlark.Dict {
	names := make([]string, 0, len(e.Attributes))
	for name := range e.Attributes {
		names = append(names, name)
	}
	sort.Strings(names)
	dict := starlark.NewDict(len(names))
	for _, name := range names {
		_ = dict.SetKey(starlark.String(name), script.ToStarlark(e.Attributes[name]))
	}
	return dict
}

// connOf reads the record that ldap.connection made.
func connOf(c *script.Call) (host.DirectoryConn, error) {
	bad := c.Errorf("argument conn: got %s; pass what ldap.connection returns", c.Value("conn").Type())
	rec, ok := c.Value("conn").(*starlarkstruct.Struct)
	if !ok {
		return host.DirectoryConn{}, bad
	}
	attr := func(name string) starlark.Value {
		v, err := rec.Attr(name)
		if err != nil {
			return starlark.None
		}
		return v
	}
	urls, ok1 := attr("urls").(*starlark.List)
	dn, ok2 := attr("bind_dn").(starlark.String)
	password, ok3 := attr("password").(script.SecretValue)
	tls, ok4 := attr("start_tls").(starlark.Bool)
	external, ok5 := attr("external").(starlark.Bool)
	ca, ok6 := attr("ca_file").(starlark.String)
	if !ok1 || !ok2 || !ok3 || !ok4 || !ok5 || !ok6 {
		return host.DirectoryConn{}, bad
	}
	conn := host.DirectoryConn{BindDN: string(dn), Password: password.Secret, StartTLS: bool(tls), External: bool(external), CAFile: string(ca)}
	for i := range urls.Len() {
		u, ok := urls.Index(i).(starlark.String)
		if !ok {
			return host.DirectoryConn{}, bad
		}
		conn.URLs = append(conn.URLs, string(u))
	}
	return conn, nil
}
