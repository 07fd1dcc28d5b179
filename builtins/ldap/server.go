package ldap

import (
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"
	"go.starlark.net/starlark"

	"zcp2kopano/builtins/internal/schema"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/directory"
	"zcp2kopano/runtime/script"
)

var server = &script.Builtin{
	Name: "ldap.server",
	Doc: "Tells what kind of server a directory has, and what it does not know of the Zarafa and the Kopano schema.\n\n" +
		"It asks the server's root entry and its subschema.",
	Params: []script.Param{{Name: "conn", Type: script.Any, Doc: "what ldap.connection returned"}},
	Result: "record(kind, contexts, lacks_zarafa, lacks_kopano, others, schema_known, pages): kind is \"openldap\", \"389-ds\", \"active-directory\" (Samba's among them) or \"\"; " +
		"contexts is a list of DNs; lacks_zarafa and lacks_kopano list classes and attributes, of Active Directory only those whose counterpart is known; " +
		"others are classes and attributes of the server whose names begin as those of ZCP, and that its schema does not have; pages tells whether it can send an answer page by page; schema_known is False where the server does not tell its schema",
	Effect: script.Read,
	Example: `
found = ldap.server(ldap.connection(["ldap://localhost:389"]))
if found.lacks_kopano:
    print("the Kopano schema is not there, or not all of it")
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		conn, err := connOf(c)
		if err != nil {
			return nil, err
		}
		root, err := one(c, conn, "", []string{"*", "namingContexts", "subschemaSubentry", "vendorName", "supportedCapabilities", "supportedControl", "structuralObjectClass"})
		if err != nil {
			return nil, err
		}
		where := "cn=Subschema"
		if named := root["subschemasubentry"]; len(named) > 0 {
			where = named[0]
		}
		sub, err := one(c, conn, where, []string{"attributeTypes", "objectClasses"})
		if err != nil {
			return nil, err
		}
		known := directory.ReadSchema(host.Entry{Attributes: sub})
		kind := kindOf(root)
		zarafa, kopano := lacks(known, kind)
		return script.NewRecord(map[string]any{
			"kind": kind, "contexts": slices.Clone(root["namingcontexts"]),
			"lacks_zarafa": zarafa, "lacks_kopano": kopano, "others": others(known), "schema_known": !known.Empty(),
			"pages": slices.Contains(root["supportedcontrol"], ldap.ControlTypePaging),
		}), nil
	},
}

// lacks lists what a schema does not know. A domain need not have all of ZCP's: of Kopano's it lacks what stands for
// something that it has.
func lacks(known *directory.Schema, kind string) (zarafa, kopano []string) {
	if kind == "active-directory" {
		for _, n := range schema.ActiveDirectory() {
			if knows(known, n.Class, n.Zarafa) && !knows(known, n.Class, n.Kopano) {
				kopano = append(kopano, n.Kopano)
			}
		}
		return nil, kopano
	}
	for _, n := range schema.Names {
		if !knows(known, n.Class, n.Zarafa) {
			zarafa = append(zarafa, n.Zarafa)
		}
		if !knows(known, n.Class, n.Kopano) {
			kopano = append(kopano, n.Kopano)
		}
	}
	return zarafa, kopano
}

// others are names of a site's own that look like those of ZCP.
func others(known *directory.Schema) []string {
	renaming := ToKopano("")
	return slices.DeleteFunc(known.NamedLike("zarafa"), func(name string) bool {
		key := strings.ToLower(name)
		return renaming.Attributes[key]+renaming.Classes[key] != ""
	})
}

func knows(known *directory.Schema, class bool, name string) bool {
	if class {
		return known.Class(name) != nil
	}
	return known.Attribute(name) != nil
}

// one reads an entry's attributes, by name in lower case; none if it is not there.
func one(c *script.Call, conn host.DirectoryConn, dn string, names []string) (map[string][]string, error) {
	found, err := c.View.SearchDirectory(c.Context(), conn, host.DirectorySearch{Base: dn, Scope: "base", Filter: "(objectClass=*)", Attributes: names})
	if directory.Is(err, noSuchObject) || err == nil && len(found) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, c.Errorf("%s: %w", strings.Join(conn.URLs, " "), err)
	}
	attributes := map[string][]string{}
	for name, values := range found[0].Attributes {
		attributes[strings.ToLower(name)] = values
	}
	return attributes, nil
}

const noSuchObject = 32

func kindOf(root map[string][]string) string {
	is := func(attribute, part string) bool {
		return slices.ContainsFunc(root[attribute], func(v string) bool { return strings.Contains(strings.ToLower(v), part) })
	}
	switch {
	case is("supportedcapabilities", directory.ActiveDirectory):
		return "active-directory"
	case is("vendorname", "389 project"):
		return "389-ds"
	case is("objectclass", "openldaprootdse"), is("structuralobjectclass", "openldaprootdse"):
		return "openldap"
	}
	return ""
}
