package ldap

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"go.starlark.net/starlark"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/directory"
	"zcp2kopano/runtime/script"
)

var slapd = &script.Builtin{
	Name: "ldap.slapd",
	Doc: "Reads the configuration of this host's OpenLDAP server from its files, slapd.conf or slapd.d.\n\n" +
		"It tells its databases, and where it names classes and attributes of the Zarafa schema: access rules, indexes, overlays, replication.",
	Params: []script.Param{
		{Name: "config", Type: script.String, Doc: "path of slapd.conf or slapd.d; empty for where the system has it", Optional: true, Default: `""`},
	},
	Result: "record(config, kind, databases, mentions), or None if there is no such server: kind is \"cn=config\" or \"slapd.conf\"; databases is a list of " +
		"record(suffix, directory, backend, replica, provider), of those that have files; mentions a list of record(where, text, new)",
	Effect: script.Read,
	Example: `
server = ldap.slapd()
if server:
    for m in server.mentions:
        print(m.where, "has", m.text)
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		config, err := configPath(c)
		if err != nil || config == "" {
			return starlark.None, err
		}
		found, err := readSlapd(c, config)
		if err != nil {
			return nil, err
		}
		var databases, mentions []any
		for _, db := range found.databases {
			if db.directory != "" && db.suffix != "" {
				databases = append(databases, script.NewRecord(map[string]any{
					"suffix": db.suffix, "directory": path.Clean(db.directory), "backend": db.backend, "replica": db.replica && !db.master, "provider": db.provider,
				}))
			}
		}
		for _, m := range found.mentions {
			mentions = append(mentions, recordOf(m))
		}
		kind := "cn=config"
		if isConfigFile(config) {
			kind = "slapd.conf"
		}
		return script.NewRecord(map[string]any{"config": config, "kind": kind, "databases": databases, "mentions": mentions}), nil
	},
}

func recordOf(m directory.Mention) any {
	return script.NewRecord(map[string]any{"where": m.Where, "text": m.Text, "new": m.New})
}

func isConfigFile(config string) bool {
	return !(host.DirectoryDatabase{Config: config}).ConfigDir()
}

// configPlaces are where systems have a server's configuration; a directory wins over a file, as slapd has it.
var configPlaces = []string{"/etc/ldap/slapd.d", "/etc/openldap/slapd.d", "/etc/ldap/slapd.conf", "/etc/openldap/slapd.conf"}

// configPath is the configuration that the server starts with; empty if there is none.
func configPath(c *script.Call) (string, error) {
	if named := c.String("config"); named != "" {
		if !path.IsAbs(named) {
			return "", c.Errorf("argument config: %q is not an absolute path", named)
		}
		return path.Clean(named), nil
	}
	if said := assigned(c.View, "/etc/default/slapd", "SLAPD_CONF"); said != "" { // Debian
		return path.Clean(said), nil
	}
	places := configPlaces
	if assigned(c.View, "/etc/sysconfig/openldap", "OPENLDAP_CONFIG_BACKEND") == "files" { // SUSE
		places = places[2:]
	}
	for _, place := range places {
		probe := place
		if !isConfigFile(place) {
			probe = place + "/cn=config.ldif"
		}
		switch _, err := c.View.Stat(probe); {
		case err == nil:
			return place, nil
		case !errors.Is(err, fs.ErrNotExist):
			return "", c.Errorf("%w", err)
		}
	}
	return "", nil
}

// assigned is what a shell's variable gets in a file of assignments.
func assigned(v host.View, file, name string) string {
	text, err := read(v, file)
	if err != nil {
		return ""
	}
	value := ""
	for line := range strings.Lines(text) {
		if rest, is := strings.CutPrefix(strings.TrimSpace(line), name+"="); is {
			value = strings.Trim(rest, `"' `)
		}
	}
	return value
}

// mostConfig is the largest file of a configuration that is read.
const mostConfig = 16 << 20

func read(v host.View, file string) (string, error) {
	f, err := v.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, mostConfig))
	return string(text), err
}

// slapdConfig is what a configuration says.
type slapdConfig struct {
	databases []slapdDatabase
	mentions  []directory.Mention
	files     []configFile // of a slapd.conf: itself, and what it includes
}

type configFile struct{ path, text string }

type slapdDatabase struct {
	backend, suffix, directory string
	replica                    bool // it takes its entries from another server
	master                     bool // it is written to all the same
	provider                   bool // others take theirs from it
}

func readSlapd(c *script.Call, config string) (slapdConfig, error) {
	var found slapdConfig
	renaming := ToKopano("")
	var err error
	if isConfigFile(config) {
		err = found.readFile(c.View, &renaming, config, 0)
	} else {
		err = found.readTree(c.View, &renaming, config+"/cn=config", "cn=config")
	}
	if err != nil {
		return found, c.Errorf("%s: %w", config, err)
	}
	return found, nil
}

// deepestInclude is how far files may include each other.
const deepestInclude = 10

func (s *slapdConfig) readFile(v host.View, r *directory.Renaming, file string, deep int) error {
	text, err := read(v, file)
	if err != nil {
		return err
	}
	if deep > deepestInclude {
		return errors.New("it includes itself")
	}
	s.files = append(s.files, configFile{file, text})
	s.mentions = append(s.mentions, r.Mentions(file, text)...)
	for _, line := range directory.ConfigLines(text) {
		switch line.Keyword {
		case "include":
			if err := s.readFile(v, r, line.Argument, deep+1); err != nil {
				return err
			}
		case "database":
			s.databases = append(s.databases, slapdDatabase{backend: line.Argument})
		default:
			if n := len(s.databases); n > 0 {
				s.databases[n-1].say(line.Keyword, line.Argument)
			}
		}
	}
	return nil
}

// say takes a directive of a database in.
func (db *slapdDatabase) say(keyword, argument string) {
	switch keyword {
	case "suffix":
		if db.suffix == "" {
			db.suffix = argument
		}
	case "directory":
		db.directory = argument
	case "syncrepl", "updateref":
		db.replica = true
	case "mirrormode", "multiprovider":
		db.master = slices.Contains([]string{"on", "true", "yes", "1"}, strings.ToLower(argument))
	case "overlay":
		db.provider = db.provider || strings.HasSuffix(strings.ToLower(argument), "syncprov")
	}
}

// readTree reads the files of cn=config: each an entry, with those below it in a directory of its name.
func (s *slapdConfig) readTree(v host.View, r *directory.Renaming, dir, dn string) error {
	list, err := v.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range list {
		name, is := strings.CutSuffix(e.Name, ".ldif")
		if !is || !e.Type.IsRegular() || strings.HasPrefix(name, "cn=schema") {
			continue
		}
		text, err := read(v, dir+"/"+e.Name)
		if err != nil {
			return err
		}
		entries, err := directory.ParseLDIF(text, 1)
		if err != nil {
			return err
		}
		for _, entry := range entries {
			s.entry(r, name, dn, entry)
		}
		if below := dir + "/" + name; isDir(v, below) {
			if err := s.readTree(v, r, below, name+","+dn); err != nil {
				return err
			}
		}
	}
	return nil
}

func isDir(v host.View, name string) bool {
	st, err := v.Stat(name)
	return err == nil && st.IsDir()
}

// entry takes an entry of cn=config in; its attributes are directives, with olc before them.
func (s *slapdConfig) entry(r *directory.Renaming, name, above string, e host.Entry) {
	if rest, is := strings.CutPrefix(name, "olcDatabase="); is {
		_, backend, _ := strings.Cut(rest, "}")
		s.databases = append(s.databases, slapdDatabase{backend: backend})
	}
	for attribute, values := range e.Attributes {
		key := strings.ToLower(attribute)
		for _, v := range values {
			if n := len(s.databases); n > 0 && above != "cn=config" || strings.HasPrefix(name, "olcDatabase=") {
				s.databases[n-1].say(strings.TrimPrefix(strings.TrimPrefix(key, "olc"), "db"), bare(v))
			}
		}
	}
	e.DN = name + "," + above
	s.mentions = append(s.mentions, r.EntryMentions(e)...)
	slices.SortFunc(s.mentions, func(a, b directory.Mention) int { return strings.Compare(a.Where+a.Text, b.Where+b.Text) })
}

// bare is a value of cn=config without its "{0}".
func bare(value string) string {
	if strings.HasPrefix(value, "{") {
		if _, rest, ends := strings.Cut(value, "}"); ends {
			return rest
		}
	}
	return value
}
