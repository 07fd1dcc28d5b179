package cfg

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/secrets"
	"zcp2kopano/runtime/script"
)

// Builtins are the functions of the module cfg.
func Builtins() []*script.Builtin {
	return []*script.Builtin{read, get, problems, includes, defaultValue, kopanoNames, reloadable, set, rename, drop, takeover, preview}
}

var (
	pathParam   = script.Param{Name: "path", Type: script.Path, Doc: "absolute path of the configuration file"}
	followParam = script.Param{Name: "follow_includes", Type: script.Bool, Doc: "read the files of !include lines as well, as the daemons do",
		Optional: true, Default: "True"}
)

var read = &script.Builtin{
	Name: "cfg.read",
	Doc: "Reads the directives that a configuration file sets.\n\n" +
		"Of a directive that is set twice the last value counts, as for the daemons. Passwords and other secrets come as " +
		"secrets: they print as *** and can be given on. $VARIABLE values are not expanded. A file that is not UTF-8, holds " +
		"NUL bytes, or cannot be read is an error; so is an !include that cannot be followed.",
	Params: []script.Param{pathParam, followParam},
	Result: "dict of directive to value (string or secret), in the order of the file",
	Effect: script.Read,
	Words:  factsTable,
	Example: `
settings = cfg.read("/etc/zarafa/server.cfg")
print(settings.get("user_plugin", "db"))
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		settings, err := effective(c)
		if err != nil {
			return nil, err
		}
		dict := starlark.NewDict(len(settings))
		for _, s := range settings {
			if err := dict.SetKey(starlark.String(s.Name), starlarkValue(s)); err != nil {
				return nil, err
			}
		}
		return dict, nil
	},
}

var get = &script.Builtin{
	Name: "cfg.get",
	Doc: "Reads one directive of a configuration file.\n\n" +
		"Secrets and includes are as for cfg.read. For the value that a release uses where the file does not set the " +
		"directive, see cfg.default.",
	Params: []script.Param{
		pathParam,
		{Name: "name", Type: script.String, Doc: "the directive"},
		{Name: "default", Type: script.Any, Doc: "result if the file does not set the directive", Optional: true},
		followParam,
	},
	Result: "string or secret; default if the file does not set the directive",
	Effect: script.Read,
	Example: `
attachments = cfg.get("/etc/zarafa/server.cfg", "attachment_path", default = "/var/lib/zarafa/attachments")
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		settings, err := effective(c)
		if err != nil {
			return nil, err
		}
		for _, s := range settings {
			if s.Name == c.String("name") {
				return starlarkValue(s), nil
			}
		}
		if v := c.Value("default"); v != nil {
			return v, nil
		}
		return starlark.None, nil
	},
}

// effective lists the settings that count, in order of first appearance.
func effective(c *script.Call) ([]Setting, error) {
	var settings []Setting
	if c.Bool("follow_includes", true) {
		tree, err := LoadTree(c.View, c.String("path"), nil)
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		if len(tree.Problems) > 0 {
			return nil, c.Errorf("%s", tree.Problems[0])
		}
		settings = tree.Settings()
	} else {
		f, err := Load(c.View, c.String("path"))
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		settings = f.Settings()
	}
	var list []Setting
	at := map[string]int{}
	for _, s := range settings {
		if i, ok := at[s.Name]; ok {
			list[i] = s
			continue
		}
		at[s.Name] = len(list)
		list = append(list, s)
	}
	return list, nil
}

func starlarkValue(s Setting) starlark.Value {
	if secrets.Name(s.Name) {
		return script.SecretValue{Secret: host.NewSecret(s.Value)}
	}
	return starlark.String(s.Value)
}

var problems = &script.Builtin{
	Name: "cfg.problems",
	Doc: "Lists what the daemons would refuse, ignore or misread in a configuration file and the files that it includes.\n\n" +
		"That is: directives set twice, \"#\" that does not begin a comment because it is not in column 0, lines without \"=\", " +
		"values that would be cut, a byte order mark, CR LF line ends, unknown \"!\" lines, includes that cannot be read; and " +
		"whatever keeps the file from being read at all. Nothing is an error.",
	Params: []script.Param{pathParam},
	Result: "list of structs: path, line (0 for the whole file), text, message (all in one line), fatal (the file, or one that it includes, cannot be read)",
	Effect: script.Read,
	Example: `
for problem in cfg.problems("/etc/zarafa/server.cfg"):
    print(problem.message)
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		tree, err := LoadTree(c.View, c.String("path"), nil)
		if err != nil {
			text := strings.TrimLeft(strings.TrimPrefix(err.Error(), c.String("path")), ": ")
			return starlark.NewList([]starlark.Value{problemRecord(Problem{Path: c.String("path"), Text: text}, true)}), nil
		}
		values := problemList(tree.Problems, true)
		for _, f := range tree.Files {
			values = append(values, problemList(f.Problems(), false)...)
		}
		return starlark.NewList(values), nil
	},
}

func problemList(list []Problem, fatal bool) []starlark.Value {
	values := make([]starlark.Value, len(list))
	for i, p := range list {
		values[i] = problemRecord(p, fatal)
	}
	return values
}

func problemRecord(p Problem, fatal bool) starlark.Value {
	return script.NewRecord(map[string]any{"path": p.Path, "line": p.Line, "text": p.Text, "message": p.String(), "fatal": fatal, "stops": p.Stops, "at": p.At})
}

var includes = &script.Builtin{
	Name:   "cfg.includes",
	Doc:    "Lists the files that a configuration file names in !include and !propmap lines.",
	Params: []script.Param{pathParam},
	Result: "list of structs: kind (\"include\" or \"propmap\"), path (absolute), line",
	Effect: script.Read,
	Example: `
for inc in cfg.includes("/etc/zarafa/server.cfg"):
    print(inc.kind, inc.path)
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		f, err := Load(c.View, c.String("path"))
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		var values []starlark.Value
		for _, inc := range f.Includes() {
			values = append(values, script.NewRecord(map[string]any{"kind": inc.Kind, "path": inc.Path, "line": inc.Line}))
		}
		return starlark.NewList(values), nil
	},
}

var defaultValue = &script.Builtin{
	Name: "cfg.default",
	Doc: "Tells the value that a release uses for a directive that its file does not set.\n\n" +
		"Versions from 8 on are Kopano Core, earlier ones ZCP. The knowledge is that of the releases' own source.",
	Params: []script.Param{
		{Name: "file", Type: script.String, Doc: "name of the configuration file: \"server.cfg\", \"ldap.cfg\", ..."},
		{Name: "name", Type: script.String, Doc: "the directive"},
		{Name: "version", Type: script.String, Doc: "the release, like \"7.2.6\" or \"8.7.20\"; package versions will do"},
	},
	Result: "string; None if the release does not know the directive",
	Effect: script.Pure,
	Example: `
print(cfg.default("server.cfg", "attachment_path", "7.2.6"))
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		v, err := ParseVersion(c.String("version"))
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		daemon := daemons[c.String("file")]
		if daemon == "" {
			return nil, c.Errorf("%q is not the name of a configuration file; it takes one of %s", c.String("file"), strings.Join(sortedNames(daemons), ", "))
		}
		d := Lookup(daemon, c.String("name"))
		if d == nil {
			return starlark.None, nil
		}
		value, ok := d.ZCPDefault(v)
		if v[0] >= 8 {
			value, ok = d.Default(v)
		}
		if !ok {
			return starlark.None, nil
		}
		return starlark.String(pythonBool(value)), nil
	},
}

var kopanoNames = &script.Builtin{
	Name: "cfg.kopano_schema",
	Doc: "Gives the settings of an ldap.cfg the names of the Kopano schema, as cfg.takeover does with ldap_schema = \"kopano\".\n\n" +
		"DNs and secrets stay as they are.",
	Params: []script.Param{{Name: "settings", Type: script.Any, Doc: "a dict of directive to value, as cfg.read returns it"}},
	Result: "dict of directive to value",
	Effect: script.Pure,
	Example: `
settings = cfg.kopano_schema({"ldap_user_search_filter": "(zarafaAccount=1)"})
if settings["ldap_user_search_filter"] != "(kopanoAccount=1)":
    fail("attributes have other names")
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		settings, ok := c.Value("settings").(*starlark.Dict)
		if !ok {
			return nil, c.Errorf("argument settings: got %s, want a dict", c.Value("settings").Type())
		}
		converted := starlark.NewDict(settings.Len())
		for _, item := range settings.Items() {
			name, isName := starlark.AsString(item[0])
			value, isText := starlark.AsString(item[1])
			if isName && isText {
				item[1] = starlark.String(kopanoSchema(name, value))
			}
			if err := converted.SetKey(item[0], item[1]); err != nil {
				return nil, err
			}
		}
		return converted, nil
	},
}

var reloadable = &script.Builtin{
	Name: "cfg.reloadable",
	Doc: "Checks whether a release of Kopano takes a directive over when its daemon reads the configuration again, without a restart.\n\n" +
		"The knowledge is that of the releases' own source.",
	Params: []script.Param{
		{Name: "file", Type: script.String, Doc: "name of the configuration file: \"server.cfg\", ..."},
		{Name: "name", Type: script.String, Doc: "the directive"},
		{Name: "version", Type: script.String, Doc: "the release, like \"8.7.20\"; package versions will do"},
	},
	Result: "bool",
	Effect: script.Pure,
	Example: `
if cfg.reloadable("server.cfg", "user_safe_mode", "8.7.20"):
    print("a reload is enough")
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		v, err := ParseVersion(c.String("version"))
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		d := Lookup(daemons[c.String("file")], c.String("name"))
		return starlark.Bool(d != nil && d.Known(v) && d.Flag(v, "RELOADABLE")), nil
	},
}

var set = &script.Builtin{
	Name: "cfg.set",
	Doc: "Sets directives in a configuration file, one line each, and leaves every other byte as it is.\n\n" +
		"A directive that the file sets gets the value in the last line that has it, with its spacing; one that stands there as " +
		"a comment (#name = value) becomes active; any other comes at the end. One that a later !include would overrule is set " +
		"again at the end. Owner and mode of the file stay.",
	Params: []script.Param{
		pathParam,
		{Name: "values", Type: script.Data, Doc: "dict of directive to value: a string, a secret, a number, True (yes), False (no), or None, which comments the directive out"},
		{Name: "reason", Type: script.String, Doc: "written above directives that are commented out", Optional: true, Default: `"not wanted"`, Keyword: true},
	},
	Result: "None",
	Effect: script.Change,
	Example: `
cfg.set("/etc/zarafa/server.cfg", {"user_safe_mode": True, "threads": 8})
`,
	Decide: func(c *script.Call) (script.Decision, error) {
		dict, ok := c.Value("values").(*starlark.Dict)
		if !ok {
			return script.Decision{}, c.Errorf("argument values: got %s, want a dict of directive to value", c.Value("values").Type())
		}
		if err := ours(c.String("path")); err != nil {
			return script.Decision{}, c.Errorf("%w", err)
		}
		tree, err := LoadTree(c.View, c.String("path"), nil)
		if err != nil {
			return script.Decision{}, c.Errorf("%w", err)
		}
		if len(tree.Problems) > 0 {
			return script.Decision{}, c.Errorf("%s", tree.Problems[0])
		}
		for _, item := range dict.Items() {
			if err := setOne(tree, item[0], item[1], c.StringOr("reason", "not wanted")); err != nil {
				return script.Decision{}, c.Errorf("%w", err)
			}
		}
		return rewritten(tree.Top), nil
	},
}

// ours refuses a file that is none of Zarafa or Kopano: others have a syntax of their own, such as lines that continue
// the one before.
func ours(name string) error {
	if daemons[path.Base(name)] != "" || strings.Contains(name, "zarafa") || strings.Contains(name, "kopano") {
		return nil
	}
	return fmt.Errorf("%s is no configuration file of Zarafa or Kopano, and may have another syntax: for Postfix there is postfix.set, for others fs.write", name)
}

// loadOurs reads the file of a call that changes it.
func loadOurs(c *script.Call) (*File, error) {
	if err := ours(c.String("path")); err != nil {
		return nil, err
	}
	return Load(c.View, c.String("path"))
}

func setOne(tree *Tree, key, v starlark.Value, reason string) error {
	name, ok := starlark.AsString(key)
	if !ok {
		return fmt.Errorf("argument values: a directive is a string, got %s", key.Type())
	}
	if v == starlark.None {
		tree.Top.Drop(name, reason)
		tree.read()
		if s, set := tree.Get(name); set {
			return fmt.Errorf("%s is set in %s as well, which %s includes; take it out there", name, s.Path, tree.Top.Path)
		}
		return nil
	}
	value, err := text(v)
	if err != nil {
		return fmt.Errorf("argument values: %s: %w", name, err)
	}
	return tree.Set(name, value)
}

// text is a value as a configuration file spells it.
func text(v starlark.Value) (string, error) {
	switch v := v.(type) {
	case starlark.String:
		return string(v), nil
	case script.SecretValue:
		return v.Secret.Reveal(), nil
	case starlark.Bool:
		if v {
			return "yes", nil
		}
		return "no", nil
	case starlark.Int:
		return v.String(), nil
	}
	return "", fmt.Errorf("got %s, want a string, secret, number or bool", v.Type())
}

func rewritten(f *File) script.Decision {
	return script.Decision{
		Actions: []action.Action{&action.Write{Path: f.Path, Content: f.Bytes()}},
		Result:  starlark.None,
	}
}

var rename = &script.Builtin{
	Name: "cfg.rename",
	Doc: "Gives a directive another name wherever a configuration file sets it; its value stays.\n\n" +
		"Where the file sets the new name as well, the old lines are commented out instead. A file without the directive is " +
		"left alone.",
	Params: []script.Param{
		pathParam,
		{Name: "old", Type: script.String, Doc: "the name as it is"},
		{Name: "new", Type: script.String, Doc: "the name to be"},
	},
	Result: "None",
	Effect: script.Change,
	Example: `
cfg.rename("/etc/zarafa/server.cfg", "enable_hosted_zarafa", "enable_hosted_kopano")
`,
	Decide: func(c *script.Call) (script.Decision, error) {
		f, err := loadOurs(c)
		if err != nil {
			return script.Decision{}, c.Errorf("%w", err)
		}
		if _, err := f.Rename(c.String("old"), c.String("new")); err != nil {
			return script.Decision{}, c.Errorf("%w", err)
		}
		return rewritten(f), nil
	},
}

var drop = &script.Builtin{
	Name: "cfg.drop",
	Doc: "Comments directives out wherever a configuration file sets them, each below a line with the reason.\n\n" +
		"Directives that the file does not set are left alone.",
	Params: []script.Param{
		pathParam,
		{Name: "names", Type: script.Strings, Doc: "the directives"},
		{Name: "reason", Type: script.String, Doc: "why, for the next admin"},
	},
	Result: "None",
	Effect: script.Change,
	Example: `
cfg.drop("/etc/zarafa/server.cfg", ["license_socket"], "Kopano Core has no licensed daemon")
`,
	Decide: func(c *script.Call) (script.Decision, error) {
		f, err := loadOurs(c)
		if err != nil {
			return script.Decision{}, c.Errorf("%w", err)
		}
		for _, name := range c.Strings("names") {
			f.Drop(name, c.String("reason"))
		}
		return rewritten(f), nil
	},
}

// takeoverParams say what is to be taken over, and how.
var takeoverParams = []script.Param{
	{Name: "source", Type: script.Path, Doc: "the directory of the old files: /etc/zarafa, or a backup of it", Optional: true, Default: `"/etc/zarafa"`},
	{Name: "target", Type: script.Path, Doc: "the directory of the new files", Optional: true, Default: `"/etc/kopano"`},
	{Name: "approach", Type: script.String, Doc: "merge (manual 4.3.4 a) or copy (4.3.4 b)", Optional: true, Default: `"merge"`, Choices: []string{"merge", "copy"}},
	{Name: "from_version", Type: script.String, Doc: "the release of ZCP, like \"7.2.6\"; package versions will do", Keyword: true},
	{Name: "to_version", Type: script.String, Doc: "the release of Kopano Core, like \"8.7.20\"; package versions will do", Keyword: true},
	{Name: "overrides", Type: script.Data, Doc: "values that win over all else: a dict of file name to a dict of directive to value " +
		"(string, secret, number, bool), like {\"server.cfg\": {\"attachment_path\": \"/srv/attachments\"}}", Optional: true, Default: "{}", Keyword: true},
	{Name: "ldap_schema", Type: script.String, Doc: "keep the Zarafa schema in the directory, or rename its attributes and classes in ldap.cfg for the kopano schema",
		Optional: true, Default: `"keep"`, Choices: []string{"keep", "kopano"}, Keyword: true},
	{Name: "original", Type: script.Path, Doc: "what the old files call their own directory, if source is a backup", Optional: true, Default: `"/etc/zarafa"`, Keyword: true},
}

const takeoverResult = "struct: files (list of structs: path, source), notes (list of structs: file, line, directive, old, new, reason, message), " +
	"problems and skipped (lists of structs: path, line, text, message, stops: the daemon that would not start, at: where the admin edits it), " +
	"entries (what became of each directive, a list of structs: file, directive, old, where, new, fate, reason, look), " +
	"others (list of structs: kind, source, target, link, mode)"

var preview = &script.Builtin{
	Name: "cfg.preview",
	Doc: "Tells what cfg.takeover would write, and what would be wrong with it, and writes nothing.\n\n" +
		"So a survey knows before anything is removed at what a daemon would stop.",
	Params: takeoverParams,
	Result: takeoverResult,
	Effect: script.Read,
	Example: `
for problem in cfg.preview(from_version = "7.2.6", to_version = "8.7.20").problems:
    if problem.stops:
        print(problem.message)
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		result, err := foreseen(c)
		if err != nil {
			return nil, err
		}
		return resultValue(result), nil
	},
}

func foreseen(c *script.Call) (*Result, error) {
	t, err := takeoverOf(c)
	if err != nil {
		return nil, c.Errorf("%w", err)
	}
	result, err := t.Run(c.View)
	if err != nil {
		return nil, c.Errorf("%w", err)
	}
	return result, nil
}

var takeover = &script.Builtin{
	Name: "cfg.takeover",
	Doc: "Takes the configuration files of ZCP over to Kopano (manual 4.3.4 and 4.3.5).\n\n" +
		"Approach \"merge\" starts from Kopano's own files, or empty ones where its packages bring none (8.5.0 and later), and " +
		"carries over what the site had set otherwise than ZCP ships it, behind what that file includes. " +
		"Approach \"copy\" starts from the old files and keeps their comments and order. Either way " +
		"directives get the names and values of the new release; those that it does not know or ignores become comments, because an unknown one stops the daemons; paths, sockets and URLs become Kopano's; " +
		"the database, the attachments, and where daemons listen are always written down; and where ZCP relied on a default " +
		"that changed without a word, the old one is written down. ldap.cfg is always carried over as a whole.\n\n" +
		"The new files get the mode, owner and group asked for. What else the old directory holds (certificates, templates, " +
		"own scripts, symlinks) is listed in the result's others, for the runbook to copy. Taking over twice changes nothing.",
	Params: append(slices.Clone(takeoverParams),
		script.Param{Name: "mode", Type: script.Mode, Doc: "mode of the new files (manual 4.3.7)", Optional: true, Default: `"0640"`, Keyword: true},
		script.Param{Name: "owner", Type: script.String, Doc: "owner of the new files", Optional: true, Default: `"root"`, Keyword: true},
		script.Param{Name: "group", Type: script.String, Doc: "group of the new files", Optional: true, Default: `"kopano"`, Keyword: true},
	),
	Result: takeoverResult,
	Effect: script.Change,
	Example: `
taken = cfg.takeover(from_version = "7.2.6", to_version = "8.7.20", overrides = {"server.cfg": {"user_safe_mode": True}})
for note in taken.notes:
    print(note.message)
`,
	Decide: decideTakeover,
}

func decideTakeover(c *script.Call) (script.Decision, error) {
	result, err := foreseen(c)
	if err != nil {
		return script.Decision{}, err
	}
	decision := script.Decision{Result: resultValue(result)}
	fileMode, ok := c.Mode("mode")
	if !ok {
		fileMode = 0o640
	}
	dirMode := fileMode | fileMode&0o444>>2 // who may read the files may enter
	owner, group := c.StringOr("owner", "root"), c.StringOr("group", "kopano")
	made := map[string]bool{}
	for _, f := range result.Files {
		dir := path.Dir(f.Path)
		_, err := c.View.Stat(dir)
		if err != nil && !nothingThere(err) {
			return script.Decision{}, c.Errorf("%w", explain(dir, err))
		}
		if err != nil && !made[dir] {
			made[dir] = true
			decision.Actions = append(decision.Actions, &action.Mkdir{Path: dir, Parents: true, Mode: &dirMode, Owner: owner, Group: group})
		}
		write := &action.Write{Path: f.Path, Content: f.Content, Mode: &fileMode, Owner: owner, Group: group}
		if c.StringOr("approach", "merge") == "copy" {
			write.Like = f.Source
		}
		decision.Actions = append(decision.Actions, write)
	}
	return decision, nil
}

func takeoverOf(c *script.Call) (Takeover, error) {
	t := Takeover{
		Source: c.StringOr("source", "/etc/zarafa"), Original: c.StringOr("original", "/etc/zarafa"), Target: c.StringOr("target", "/etc/kopano"),
		Approach: c.StringOr("approach", "merge"), LDAPSchema: c.StringOr("ldap_schema", "keep"),
	}
	var err error
	if t.From, err = ParseVersion(c.String("from_version")); err != nil {
		return t, err
	}
	if t.To, err = ParseVersion(c.String("to_version")); err != nil {
		return t, err
	}
	t.Overrides, err = overrides(c.Value("overrides"))
	return t, err
}

func overrides(v starlark.Value) (map[string]map[string]string, error) {
	if v == nil || v == starlark.None {
		return nil, nil
	}
	files, ok := v.(*starlark.Dict)
	if !ok {
		return nil, fmt.Errorf("argument overrides: got %s, want a dict of file name to a dict of directive to value", v.Type())
	}
	all := map[string]map[string]string{}
	for _, item := range files.Items() {
		file, ok := starlark.AsString(item[0])
		values, isDict := item[1].(*starlark.Dict)
		if !ok || !isDict {
			return nil, fmt.Errorf("argument overrides: %s: got %s, want a dict of directive to value", item[0], item[1].Type())
		}
		all[file] = map[string]string{}
		for _, pair := range values.Items() {
			name, ok := starlark.AsString(pair[0])
			if !ok {
				return nil, fmt.Errorf("argument overrides: %s: a directive is a string, got %s", file, pair[0].Type())
			}
			value, err := text(pair[1])
			if err != nil {
				return nil, fmt.Errorf("argument overrides: %s: %s: %w", file, name, err)
			}
			if err := checkSetting(name, value); err != nil {
				return nil, fmt.Errorf("argument overrides: %s: %w", file, err)
			}
			all[file][name] = value
		}
	}
	return all, nil
}

func resultValue(r *Result) *starlarkstruct.Struct {
	var files, notes, others, entries []starlark.Value
	for _, e := range r.Entries {
		entries = append(entries, script.NewRecord(map[string]any{
			"file": e.File, "directive": e.Directive, "old": e.Old, "where": e.Where, "new": e.New,
			"fate": string(e.Fate), "reason": e.Reason, "look": e.Look,
		}))
	}
	for _, f := range r.Files {
		files = append(files, script.NewRecord(map[string]any{"path": f.Path, "source": f.Source}))
	}
	for _, n := range r.Notes {
		notes = append(notes, script.NewRecord(map[string]any{
			"file": n.File, "line": n.Line, "directive": n.Directive, "old": n.Old, "new": n.New, "reason": n.Reason, "message": n.String(),
		}))
	}
	for _, o := range r.Others {
		others = append(others, script.NewRecord(map[string]any{"kind": o.Kind, "source": o.Source, "target": o.Target, "link": o.Link, "mode": o.Mode}))
	}
	return script.NewRecord(map[string]any{
		"files": starlark.NewList(files), "notes": starlark.NewList(notes), "others": starlark.NewList(others),
		"entries":  starlark.NewList(entries),
		"problems": starlark.NewList(problemList(r.Problems, false)), "skipped": starlark.NewList(problemList(r.Skipped, false)),
	})
}
