package fs

import (
	"io/fs"
	"strings"

	"go.starlark.net/starlark"

	"zcp2kopano/runtime"
	"zcp2kopano/runtime/action"
)

// The parameters that several functions share.
var (
	modeParam  = runtime.Param{Name: "mode", Type: runtime.Mode, Doc: "octal permissions, like \"0640\"", Optional: true, Keyword: true}
	ownerParam = runtime.Param{Name: "owner", Type: runtime.String, Doc: "user, by name or number; as it is if left out, root for something new", Optional: true, Keyword: true}
	groupParam = runtime.Param{Name: "group", Type: runtime.String, Doc: "group, by name or number; as it is if left out, root for something new", Optional: true, Keyword: true}
)

// mode returns the mode argument, nil if it was left out.
func mode(c *runtime.Call) *fs.FileMode {
	m, ok := c.Mode("mode")
	if !ok {
		return nil
	}
	return &m
}

// done is a plan of some actions whose call has no result.
func done(actions ...action.Action) (runtime.Plan, error) {
	return runtime.Plan{Actions: actions, Result: starlark.None}, nil
}

var write = &runtime.Builtin{
	Name: "fs.write",
	Doc: "Writes a file, atomically.\n\n" +
		"A file that already has this content, owner and mode is left alone. One that exists keeps owner, mode, ACL and " +
		"other attributes that are not given. The directory must exist.",
	Params: []runtime.Param{
		{Name: "path", Type: runtime.Path, Doc: "absolute path"},
		{Name: "content", Type: runtime.Text, Doc: "text, or a secret, which is then not shown"},
		withDoc(modeParam, "octal permissions, like \"0640\"; as it is if left out, 0644 for a new file"),
		ownerParam, groupParam,
	},
	Result: "None",
	Effect: runtime.Change,
	Example: `
fs.write("/etc/kopano/motd", "migrated\n", mode = "0640", group = "kopano")
`,
	Plan: func(c *runtime.Call) (runtime.Plan, error) {
		_, private := c.Value("content").(runtime.SecretValue)
		return done(&action.Write{
			Path: c.String("path"), Content: []byte(c.Secret("content").Reveal()),
			Mode: mode(c), Owner: c.String("owner"), Group: c.String("group"), Private: private,
		})
	},
}

func withDoc(p runtime.Param, doc string) runtime.Param {
	p.Doc = doc
	return p
}

var mkdir = &runtime.Builtin{
	Name: "fs.mkdir",
	Doc: "Makes a directory.\n\n" +
		"One that exists gets the mode, owner and group that are given.",
	Params: []runtime.Param{
		{Name: "path", Type: runtime.Path, Doc: "absolute path"},
		withDoc(modeParam, "octal permissions, like \"0750\"; as it is if left out, 0755 for a new directory"),
		ownerParam, groupParam,
		{Name: "parents", Type: runtime.Bool, Doc: "make missing directories above it too, mode 0755", Optional: true, Default: "False", Keyword: true},
	},
	Result: "None",
	Effect: runtime.Change,
	Example: `
fs.mkdir("/var/lib/kopano/attachments", mode = "0750", owner = "kopano", group = "kopano", parents = True)
`,
	Plan: func(c *runtime.Call) (runtime.Plan, error) {
		return done(&action.Mkdir{
			Path: c.String("path"), Parents: c.Bool("parents", false),
			Mode: mode(c), Owner: c.String("owner"), Group: c.String("group"),
		})
	},
}

var symlink = &runtime.Builtin{
	Name: "fs.symlink",
	Doc: "Makes a symlink, or gives one another target.\n\n" +
		"Anything else at that path is an error, unless it is a file and replace is True.",
	Params: []runtime.Param{
		{Name: "target", Type: runtime.String, Doc: "where it leads: an absolute path, or one relative to the link's directory"},
		{Name: "path", Type: runtime.Path, Doc: "absolute path of the link"},
		{Name: "replace", Type: runtime.Bool, Doc: "replace a file, too", Optional: true, Default: "False", Keyword: true},
	},
	Result: "None",
	Effect: runtime.Change,
	Example: `
fs.symlink("/usr/share/kopano-webapp", "/etc/kopano/webapp")
`,
	Plan: func(c *runtime.Call) (runtime.Plan, error) {
		if c.String("target") == "" || strings.ContainsRune(c.String("target"), 0) {
			return runtime.Plan{}, c.Errorf("argument target: %q is no path", c.String("target"))
		}
		return done(&action.Symlink{Path: c.String("path"), Target: c.String("target"), Replace: c.Bool("replace", false)})
	},
}

var remove = &runtime.Builtin{
	Name: "fs.remove",
	Doc: "Removes a file, or a directory with all below it.\n\n" +
		"What is removed is kept in the run's backup, so that it can come back. A tree that holds a mount is refused.",
	Params: []runtime.Param{
		{Name: "path", Type: runtime.Path, Doc: "absolute path"},
		{Name: "missing_ok", Type: runtime.Bool, Doc: "False makes an absent path an error", Optional: true, Default: "True", Keyword: true},
	},
	Result: "None",
	Effect: runtime.Change,
	Example: `
for path in fs.glob("/usr/local/lib/python*/dist-packages/zarafa"):
    fs.remove(path)
`,
	Plan: func(c *runtime.Call) (runtime.Plan, error) {
		_, err := c.View.Lstat(c.String("path"))
		switch {
		case absent(err) && c.Bool("missing_ok", true):
			return done()
		case err != nil:
			return runtime.Plan{}, c.Errorf("%w", err)
		}
		return done(&action.Remove{Path: c.String("path")})
	},
}

var copyFile = &runtime.Builtin{
	Name: "fs.copy",
	Doc: "Copies a file, or a directory with all below it.\n\n" +
		"Owner, mode, times, ACL, extended attributes, symlinks and hard links are kept, and what was copied is compared. " +
		"With contents = True, what src holds is copied into the existing directory dst. A copy that is already there, and " +
		"the same throughout, is left alone.",
	Params: []runtime.Param{
		{Name: "src", Type: runtime.Path, Doc: "absolute path; must exist"},
		{Name: "dst", Type: runtime.Path, Doc: "absolute path of the copy itself, not of the directory that will hold it"},
		{Name: "replace", Type: runtime.Bool, Doc: "replace what is there; directories merge. Otherwise it is an error", Optional: true, Default: "False", Keyword: true},
		{Name: "contents", Type: runtime.Bool, Doc: "copy what src holds, not src itself", Optional: true, Default: "False", Keyword: true},
	},
	Result: "None",
	Effect: runtime.Change,
	Example: `
fs.copy("/etc/zarafa", "/etc/zarafa.bak")
`,
	Plan: func(c *runtime.Call) (runtime.Plan, error) {
		return done(&action.Copy{
			From: c.String("src"), To: c.String("dst"),
			Contents: c.Bool("contents", false), Overwrite: c.Bool("replace", false),
		})
	},
}

var move = &runtime.Builtin{
	Name: "fs.move",
	Doc: "Moves a file, or a directory with all below it.\n\n" +
		"Within one mount it is a rename, whatever the size; across mounts a verified copy, and then the removal of the " +
		"source. With contents = True, what src holds goes into the existing directory dst, and src stays, empty; directories " +
		"that both have merge, any other name that both have is an error before anything moves. If src is absent and dst is " +
		"there, it counts as moved.",
	Params: []runtime.Param{
		{Name: "src", Type: runtime.Path, Doc: "absolute path"},
		{Name: "dst", Type: runtime.Path, Doc: "absolute path that src will have, or with contents the directory to fill"},
		{Name: "contents", Type: runtime.Bool, Doc: "move what src holds, not src itself", Optional: true, Default: "False", Keyword: true},
	},
	Result: "None",
	Effect: runtime.Change,
	Example: `
fs.move("/var/lib/zarafa/attachments", "/var/lib/kopano/attachments", contents = True)
`,
	Plan: func(c *runtime.Call) (runtime.Plan, error) {
		return done(&action.Move{From: c.String("src"), To: c.String("dst"), Contents: c.Bool("contents", false)})
	},
}
