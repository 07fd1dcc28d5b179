package fs

import (
	"path"
	"strings"

	"go.starlark.net/starlark"

	"zcp2kopano/runtime/script"
)

var absolute = &script.Builtin{
	Name: "fs.absolute",
	Doc:  "Writes a path absolute and in its shortest form. Nothing on the host is looked at: \"..\" takes the name before it away.",
	Params: []script.Param{
		{Name: "path", Type: script.String, Doc: "the path, as a configuration file may have it"},
		{Name: "home", Type: script.String, Doc: "what a relative path counts from", Optional: true, Default: `"/"`},
	},
	Result: "string",
	Effect: script.Pure,
	Example: `
if fs.absolute("../attachments//", home = "/var/lib/zarafa/run") != "/var/lib/zarafa/attachments":
    fail("a relative path counts from home")
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		name := c.String("path")
		if !path.IsAbs(name) {
			name = c.StringOr("home", "/") + "/" + name
		}
		return starlark.String(path.Clean("/" + name)), nil
	},
}

var inside = &script.Builtin{
	Name: "fs.inside",
	Doc:  "Checks whether a path is a directory or lies below it, by their names: resolve symlinks first.",
	Params: []script.Param{
		{Name: "path", Type: script.String, Doc: "the path"},
		{Name: "tree", Type: script.String, Doc: "the directory"},
	},
	Result: "bool",
	Effect: script.Pure,
	Example: `
if fs.inside("/var/lib/zarafa-old", "/var/lib/zarafa") or not fs.inside("/srv", "/"):
    fail("whole names are compared")
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		name, tree := c.String("path"), strings.TrimRight(c.String("tree"), "/")
		return starlark.Bool(name == tree || name == c.String("tree") || strings.HasPrefix(name, tree+"/")), nil
	},
}

var lastName = &script.Builtin{
	Name:   "fs.name",
	Doc:    "Gives the last name of a path.",
	Params: []script.Param{{Name: "path", Type: script.String, Doc: "the path"}},
	Result: "string",
	Effect: script.Pure,
	Example: `
for path in fs.find("/etc/zarafa", name = "*.cfg"):
    print(fs.name(path))
`,
	Value: func(c *script.Call) (starlark.Value, error) { return starlark.String(path.Base(c.String("path"))), nil },
}

var parents = &script.Builtin{
	Name:   "fs.parents",
	Doc:    "Lists the directories above a path, the nearest first; \"/\" is left out.",
	Params: []script.Param{{Name: "path", Type: script.Path, Doc: "the path"}},
	Result: "list of strings",
	Effect: script.Pure,
	Example: `
if fs.parents("/var/lib/zarafa") != ["/var/lib", "/var"]:
    fail("the nearest comes first")
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		above := []string{}
		for dir := path.Dir(c.String("path")); dir != "/"; dir = path.Dir(dir) {
			above = append(above, dir)
		}
		return script.ToStarlark(above), nil
	},
}
