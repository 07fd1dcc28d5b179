package fs

import (
	"io/fs"
	"strings"

	"go.starlark.net/starlark"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/script"
)

// The parameters that several functions share.
var (
	modeParam  = script.Param{Name: "mode", Type: script.Mode, Doc: "octal permissions, like \"0640\"", Optional: true, Keyword: true}
	ownerParam = script.Param{Name: "owner", Type: script.String, Doc: "user, by name or number; as it is if left out, root for something new", Optional: true, Keyword: true}
	groupParam = script.Param{Name: "group", Type: script.String, Doc: "group, by name or number; as it is if left out, root for something new", Optional: true, Keyword: true}
)

// mode returns the mode argument, nil if it was left out.
func mode(c *script.Call) *fs.FileMode {
	m, ok := c.Mode("mode")
	if !ok {
		return nil
	}
	return &m
}

// done decides on some actions, for a builtin whose call has no result.
func done(actions ...action.Action) (script.Decision, error) {
	return script.Decision{Actions: actions, Result: starlark.None}, nil
}

var write = &script.Builtin{
	Name: "fs.write",
	Doc: "Writes a file, atomically.\n\n" +
		"A file that already has this content, owner and mode is left alone. One that exists keeps owner, mode, ACL and " +
		"other attributes that are not given. The directory must exist.",
	Params: []script.Param{
		{Name: "path", Type: script.Path, Doc: "absolute path"},
		{Name: "content", Type: script.Text, Doc: "text, or a secret or a text with one, which is then not shown"},
		withDoc(modeParam, "octal permissions, like \"0640\"; as it is if left out; for a new file 0644, or 0600 if the content is secret"),
		ownerParam, groupParam,
	},
	Result: "None",
	Effect: script.Change,
	Example: `
fs.write("/etc/kopano/motd", "migrated\n", mode = "0640", group = "kopano")
`,
	Decide: func(c *script.Call) (script.Decision, error) {
		_, private := c.Value("content").(script.SecretValue)
		return done(&action.Write{
			Path: c.String("path"), Content: []byte(c.Secret("content").Reveal()),
			Mode: mode(c), Owner: c.String("owner"), Group: c.String("group"), Private: private,
		})
	},
}

func withDoc(p script.Param, doc string) script.Param {
	p.Doc = doc
	return p
}

var mkdir = &script.Builtin{
	Name: "fs.mkdir",
	Doc: "Makes a directory.\n\n" +
		"One that exists gets the mode, owner and group that are given.",
	Params: []script.Param{
		{Name: "path", Type: script.Path, Doc: "absolute path"},
		withDoc(modeParam, "octal permissions, like \"0750\"; as it is if left out, 0755 for a new directory"),
		ownerParam, groupParam,
		{Name: "parents", Type: script.Bool, Doc: "make missing directories above it too, mode 0755", Optional: true, Default: "False", Keyword: true},
	},
	Result: "None",
	Effect: script.Change,
	Example: `
fs.mkdir("/var/lib/kopano/attachments", mode = "0750", owner = "kopano", group = "kopano", parents = True)
`,
	Decide: func(c *script.Call) (script.Decision, error) {
		return done(&action.Mkdir{
			Path: c.String("path"), Parents: c.Bool("parents", false),
			Mode: mode(c), Owner: c.String("owner"), Group: c.String("group"),
		})
	},
}

var symlink = &script.Builtin{
	Name: "fs.symlink",
	Doc: "Makes a symlink, or gives one another target.\n\n" +
		"Anything else at that path is an error, unless it is a file and replace is True.",
	Params: []script.Param{
		{Name: "target", Type: script.String, Doc: "where it leads: an absolute path, or one relative to the link's directory"},
		{Name: "path", Type: script.Path, Doc: "absolute path of the link"},
		{Name: "replace", Type: script.Bool, Doc: "replace a file, too", Optional: true, Default: "False", Keyword: true},
	},
	Result: "None",
	Effect: script.Change,
	Example: `
fs.symlink("/usr/share/kopano-webapp", "/etc/kopano/webapp")
`,
	Decide: func(c *script.Call) (script.Decision, error) {
		if c.String("target") == "" || strings.ContainsRune(c.String("target"), 0) {
			return script.Decision{}, c.Errorf("argument target: %q is not a path", c.String("target"))
		}
		return done(&action.Symlink{Path: c.String("path"), Target: c.String("target"), Replace: c.Bool("replace", false)})
	},
}

var remove = &script.Builtin{
	Name: "fs.remove",
	Doc: "Removes a file, or a directory with all below it.\n\n" +
		"What is removed is kept in the run's backup, so that it can come back. A tree that holds a mount is refused.",
	Params: []script.Param{
		{Name: "path", Type: script.Path, Doc: "absolute path"},
		{Name: "missing_ok", Type: script.Bool, Doc: "False makes an absent path an error", Optional: true, Default: "True", Keyword: true},
	},
	Result: "None",
	Effect: script.Change,
	Example: `
for path in fs.glob("/usr/local/lib/python*/dist-packages/zarafa"):
    fs.remove(path)
`,
	Decide: func(c *script.Call) (script.Decision, error) {
		_, err := c.View.Lstat(c.String("path"))
		switch {
		case absent(err) && c.Bool("missing_ok", true):
			return done()
		case err != nil:
			return script.Decision{}, c.Errorf("%w", err)
		}
		return done(&action.Remove{Path: c.String("path")})
	},
}

var copyFile = &script.Builtin{
	Name: "fs.copy",
	Doc: "Copies a file, or a directory with all below it.\n\n" +
		"Owner, mode, times, ACL, extended attributes, symlinks and hard links are kept, and what was copied is compared. " +
		"With contents = True, what src holds is copied into the existing directory dst. A copy that is already there, and " +
		"the same throughout, is left alone.",
	Params: []script.Param{
		{Name: "src", Type: script.Path, Doc: "absolute path; must exist"},
		{Name: "dst", Type: script.Path, Doc: "absolute path of the copy itself, not of the directory that will hold it"},
		{Name: "replace", Type: script.Bool, Doc: "replace what is there; directories merge. Otherwise it is an error", Optional: true, Default: "False", Keyword: true},
		{Name: "contents", Type: script.Bool, Doc: "copy what src holds, not src itself", Optional: true, Default: "False", Keyword: true},
	},
	Result: "None",
	Effect: script.Change,
	Example: `
fs.copy("/etc/zarafa", "/etc/zarafa.bak")
`,
	Decide: func(c *script.Call) (script.Decision, error) {
		return done(&action.Copy{
			From: c.String("src"), To: c.String("dst"),
			Contents: c.Bool("contents", false), Overwrite: c.Bool("replace", false),
		})
	},
}

var move = &script.Builtin{
	Name: "fs.move",
	Doc: "Moves a file, or a directory with all below it.\n\n" +
		"Within one mount it is a rename, whatever the size; across mounts a verified copy, and then the removal of the " +
		"source. With contents = True, what src holds goes into the existing directory dst, and src stays, empty; directories " +
		"that both have merge, any other name that both have is an error before anything moves. If src is absent and dst is " +
		"there, it counts as moved. What fs.presync has copied before is taken up: only what changed since is copied, by size, " +
		"times and inode.",
	Params: []script.Param{
		{Name: "src", Type: script.Path, Doc: "absolute path"},
		{Name: "dst", Type: script.Path, Doc: "absolute path that src will have, or with contents the directory to fill"},
		{Name: "contents", Type: script.Bool, Doc: "move what src holds, not src itself", Optional: true, Default: "False", Keyword: true},
		{Name: "read_all", Type: script.Bool, Doc: "of what fs.presync has copied, compare every byte", Optional: true, Default: "False", Keyword: true},
	},
	Result: "None",
	Effect: script.Change,
	Example: `
fs.move("/var/lib/zarafa/attachments", "/var/lib/kopano/attachments", contents = True)
`,
	Decide: func(c *script.Call) (script.Decision, error) {
		return done(&action.Move{
			From: c.String("src"), To: c.String("dst"),
			Contents: c.Bool("contents", false), ReadAll: c.Bool("read_all", false),
		})
	},
}

var presync = &script.Builtin{
	Name: "fs.presync",
	Doc: "Copies what a directory holds to another file system while it is in use, ahead of its move.\n\n" +
		"A later fs.move(src, dst, contents = True) of the same run takes the copy up, so that the downtime holds only what " +
		"changed in between. What works in src is stopped before the move; then a second call with at_rest = True brings the copy into " +
		"accord with src: from then on inodes, sizes and mtimes tell what changed, and ctimes no more, which fs.give_back " +
		"changes. Until then the copy lies in a directory of its own in dst, which only root can enter. On one " +
		"file system there is nothing to do, since the move will be a rename.",
	Params: []script.Param{
		{Name: "src", Type: script.Path, Doc: "absolute path of a directory"},
		{Name: "dst", Type: script.Path, Doc: "absolute path of the directory that is to be filled; must exist"},
		{Name: "at_rest", Type: script.Bool, Doc: "nothing works in src any more: copy what changed since the first call", Optional: true, Default: "False", Keyword: true},
	},
	Result: "None",
	Effect: script.Change,
	Example: `
fs.mkdir("/srv/attachments", parents = True)
fs.presync("/var/lib/zarafa/attachments", "/srv/attachments")
`,
	Decide: func(c *script.Call) (script.Decision, error) {
		return done(&action.Presync{From: c.String("src"), To: c.String("dst"), AtRest: c.Bool("at_rest", false)})
	},
}
