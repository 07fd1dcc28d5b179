package ldap

import (
	"path"
	"strings"

	"go.starlark.net/starlark"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/directory"
	"zcp2kopano/runtime/script"
)

var databaseParams = []script.Param{
	{Name: "config", Type: script.Path, Doc: "slapd.conf or slapd.d, as ldap.slapd returns it"},
	{Name: "suffix", Type: script.String, Doc: "the database, by the DN of its first entry; the policy must allow it"},
	{Name: "directory", Type: script.Path, Doc: "where the database has its files"},
	{Name: "conn", Type: script.Any, Doc: "what ldap.connection returned: a simulation, for which the server runs on, reads by it"},
}

func databaseOf(c *script.Call) (host.DirectoryDatabase, error) {
	conn, err := connOf(c)
	return host.DirectoryDatabase{Config: c.String("config"), Suffix: c.String("suffix"), Directory: c.String("directory"), Conn: conn}, err
}

var export = &script.Builtin{
	Name: "ldap.export",
	Doc: "Exports a database of this host's OpenLDAP server, which must be stopped, to a new LDIF file that only root can read (slapcat, manual 4.4.1).\n\n" +
		"A rollback removes the file again.",
	Params: append(databaseParams[:len(databaseParams):len(databaseParams)], script.Param{Name: "path", Type: script.Path, Doc: "the file; it must not exist"}),
	Result: "None",
	Effect: script.Change,
	Example: `
server = ldap.slapd()
conn = ldap.connection(["ldapi:///"], external = True)
for db in (server.databases if server else []):
    ldap.export(server.config, db.suffix, db.directory, conn, path = "/var/backups/" + db.suffix + ".ldif")
`,
	Decide: func(c *script.Call) (script.Decision, error) {
		db, err := databaseOf(c)
		if err != nil {
			return script.Decision{}, err
		}
		a := &action.Export{DatabaseFiles: action.DatabaseFilesOf(db), File: c.String("path")}
		return script.Decision{Actions: []action.Action{a}, Result: starlark.None}, nil
	},
}

var transplant = &script.Builtin{
	Name: "ldap.transplant",
	Doc: "Makes a database of this host's OpenLDAP server, which must be stopped, anew from its export, converted to the Kopano schema (manual 4.4.1).\n\n" +
		"What ldap.convert changes is changed in the export: classes, structuralObjectClass among them, attributes, names within zarafaFilter, sockets of ZCP. " +
		"slapadd has checked the result before the files of the database are moved into a directory beside them; then it loads it, slapindex makes the indexes, " +
		"and what the database holds is exported once more and compared. modifyTimestamp stays what it was. The server's configuration must know the Kopano schema " +
		"(ldap.configure). A rollback moves the old files back, and keeps what has been changed since in a file.",
	Params: append(databaseParams[:len(databaseParams):len(databaseParams)],
		script.Param{Name: "export", Type: script.Path, Doc: "what ldap.export made; it stays"},
		script.Param{Name: "socket", Type: script.String, Doc: "the socket of Kopano's server, for zarafaFilePath: its server_pipe_name, letter by letter", Optional: true, Default: `"/var/run/kopano/server.sock"`, Keyword: true},
	),
	Result: "None",
	Effect: script.Change,
	Example: `
server = ldap.slapd()
conn = ldap.connection(["ldapi:///"], external = True)
for db in (server.databases if server else []):
    ldap.export(server.config, db.suffix, db.directory, conn, path = "/var/backups/" + db.suffix + ".ldif")
    ldap.transplant(server.config, db.suffix, db.directory, conn, export = "/var/backups/" + db.suffix + ".ldif")
`,
	Decide: func(c *script.Call) (script.Decision, error) {
		db, err := databaseOf(c)
		if err != nil {
			return script.Decision{}, err
		}
		a := &action.Transplant{
			DatabaseFiles: action.DatabaseFilesOf(db), From: c.String("export"),
			Renaming: ToKopano(c.StringOr("socket", "/var/run/kopano/server.sock")),
		}
		return script.Decision{Actions: []action.Action{a}, Result: starlark.None}, nil
	},
}

var configure = &script.Builtin{
	Name: "ldap.configure",
	Doc: "Has a directory's server learn the Kopano schema, and gives the new names to its access rules, indexes and overlays.\n\n" +
		"The schema is made of the server's own definitions of the Zarafa schema: the two differ by names and numbers alone. " +
		"OpenLDAP with cn=config is changed while it runs, 389 Directory Server, too: its schema in cn=schema, indexes and plugins in cn=config, access rules " +
		"below a base of the directory. An index is added beside the old one there, and is used once the server has built it. Of a slapd.conf and the files that it includes, the " +
		"text is changed, and a file kopano.schema is written beside zarafa.schema: the server reads them when it starts. The run shows each line.",
	Params: []script.Param{
		{Name: "conn", Type: script.Any, Doc: "what ldap.connection returned, with a user who may write the configuration"},
		{Name: "base", Type: script.String, Doc: "\"cn=config\", or of 389 Directory Server \"cn=schema\" and a DN of the directory; the policy must allow it. For a slapd.conf, its path"},
	},
	Result: "None",
	Effect: script.Change,
	Example: `
ldap.configure(ldap.connection(["ldapi:///"], external = True), "cn=config")
`,
	Decide: func(c *script.Call) (script.Decision, error) {
		conn, err := connOf(c)
		if err != nil {
			return script.Decision{}, err
		}
		base := c.String("base")
		d := script.Decision{Result: starlark.None}
		switch {
		case path.IsAbs(base) && isConfigFile(base):
			d.Actions, err = configureFiles(c, base)
		case strings.HasPrefix(base, "/"):
			err = c.Errorf("argument base: %q is no slapd.conf; where the configuration is a directory, its base is cn=config", base)
		default:
			d.Actions = []action.Action{&action.Configure{Directory: action.DirectoryAt(conn), Base: base, Schema: "kopano", Renaming: ToKopano("")}}
		}
		return d, err
	},
}

// configureFiles rewrites the files of a slapd.conf. What it writes first is what the others include.
func configureFiles(c *script.Call, config string) ([]action.Action, error) {
	found, err := readSlapd(c, config)
	if err != nil {
		return nil, err
	}
	renaming := ToKopano("")
	var actions []action.Action
	text := map[string]string{}
	var all strings.Builder
	for _, f := range found.files {
		text[f.path] = renaming.ConfigFile(f.text)
		all.WriteString(f.text)
	}
	for _, f := range found.files {
		schema := renaming.SchemaFile(f.text, all.String())
		if schema == "" {
			continue
		}
		file := path.Join(path.Dir(f.path), "kopano.schema")
		if _, included := text[file]; included {
			return nil, c.Errorf("%s is included, and does not define all of the Kopano schema: take the file of Kopano's packages", file)
		}
		actions = append(actions, &action.Write{Path: file, Content: []byte(schema)})
		for _, other := range found.files {
			text[other.path] = directory.IncludeAfter(text[other.path], f.path, file)
		}
		if f.path == config { // the definitions stand in the slapd.conf itself
			return nil, c.Errorf("%s defines the Zarafa schema itself: move the definitions to a file of their own, and include it", config)
		}
	}
	for _, f := range found.files {
		if text[f.path] != f.text {
			actions = append(actions, &action.Write{Path: f.path, Content: []byte(text[f.path])})
		}
	}
	return actions, nil
}
