package fs

import (
	"errors"
	"io"
	"strings"
	"syscall"
	"unicode/utf8"

	"go.starlark.net/starlark"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/script"
)

// readLimit is the most bytes that fs.read takes unless it is told otherwise; it is enough for any
// configuration file.
const readLimit = 1 << 20

var exists = &script.Builtin{
	Name: "fs.exists",
	Doc: "Checks whether there is something at a path.\n\n" +
		"A symlink counts, whether or not it leads anywhere, unless follow is True. A symlink of another user than root on " +
		"the way is an error, because it is not followed, and what it hides is not absent: see fs.foreign_link.",
	Params: []script.Param{
		{Name: "path", Type: script.Path, Doc: "absolute path"},
		{Name: "type", Type: script.String, Doc: "what it must be", Optional: true, Default: `"any"`, Choices: types, Keyword: true},
		{Name: "follow", Type: script.Bool, Doc: "look at what a symlink leads to", Optional: true, Default: "False", Keyword: true},
	},
	Result: "bool",
	Effect: script.Read,
	Example: `
if fs.exists("/etc/zarafa", type = "dir"):
    print("ZCP was configured here")
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		st, err := lookup(c.View, c.String("path"), c.Bool("follow", false))
		if absent(err) || follows(c) && leadsInCircle(err) {
			return starlark.False, nil
		}
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		want := c.StringOr("type", "any")
		return starlark.Bool(want == "any" || want == typeName(st.Mode)), nil
	},
}

func follows(c *script.Call) bool { return c.Bool("follow", false) }

func leadsInCircle(err error) bool {
	return errors.Is(err, syscall.ELOOP) && foreignLinkOf(err) == nil
}

// foreignLinkOf is the symlink that an error says is not followed, nil if it says something else.
func foreignLinkOf(err error) *host.ForeignLinkError {
	var foreign *host.ForeignLinkError
	errors.As(err, &foreign)
	return foreign
}

var foreignLink = &script.Builtin{
	Name: "fs.foreign_link",
	Doc: "Tells which symlink on the way to a path is not followed, because another user than root owns it.\n\n" +
		"Such a user could point it at any file of the system. Whatever lies behind it can neither be read nor changed, and is " +
		"an error to the other functions. The last component counts as well.",
	Params: []script.Param{{Name: "path", Type: script.Path, Doc: "absolute path; it need not exist"}},
	Result: "None, or record(link, owner, target): path of the symlink, name of its owner (the number where the host has none), and what the link says",
	Effect: script.Read,
	Example: `
link = fs.foreign_link("/var/lib/zarafa/attachments")
if link:
    inhibit("%s is not followed" % link.link, "it belongs to " + link.owner, "chown -h root:root " + link.link)
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		_, err := c.View.Stat(c.String("path"))
		foreign := foreignLinkOf(err)
		if foreign == nil {
			return starlark.None, nil
		}
		owner, err := userName(c.View, foreign.UID)
		if err != nil {
			return nil, c.Errorf("owner of %s: %w", foreign.Link, err)
		}
		target, err := c.View.Readlink(foreign.Link)
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		return script.NewRecord(map[string]any{"link": foreign.Link, "owner": owner, "target": target}), nil
	},
}

func lookup(view host.View, name string, follow bool) (host.Stat, error) {
	if follow {
		return view.Stat(name)
	}
	return view.Lstat(name)
}

var stat = &script.Builtin{
	Name: "fs.stat",
	Doc:  "Tells what is at a path: type, owner, mode, size.",
	Params: []script.Param{
		{Name: "path", Type: script.Path, Doc: "absolute path"},
		{Name: "follow", Type: script.Bool, Doc: "look at what a symlink leads to", Optional: true, Default: "False", Keyword: true},
		{Name: "missing_ok", Type: script.Bool, Doc: "return None if there is nothing", Optional: true, Default: "False", Keyword: true},
	},
	Result: "record(type, mode, owner, group, uid, gid, size, mtime, links): type is file, dir, symlink, fifo, socket or device; mode is octal text like \"0640\"; size is bytes; mtime is seconds since 1970; owner and group are names, or the number as text where the host has no name for it",
	Effect: script.Read,
	Lasting: func(_, fields map[string]any) map[string]any {
		delete(fields, "mtime")
		// the same account has another number where another adduser made it
		for name, number := range map[string]string{"owner": "uid", "group": "gid"} {
			if text, _ := fields[name].(string); strings.Trim(text, "0123456789") != "" {
				delete(fields, number)
			}
		}
		if fields["type"] == "dir" { // they change with what it holds
			delete(fields, "size")
			delete(fields, "links")
		}
		return fields
	},
	Example: `
st = fs.stat("/etc/zarafa/server.cfg")
print(st.type, st.mode, st.owner, st.group, st.size)
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		st, err := lookup(c.View, c.String("path"), follows(c))
		if absent(err) && c.Bool("missing_ok", false) {
			return starlark.None, nil
		}
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		owner, err := userName(c.View, st.UID)
		if err != nil {
			return nil, c.Errorf("owner of %s: %w", c.String("path"), err)
		}
		group, err := groupName(c.View, st.GID)
		if err != nil {
			return nil, c.Errorf("group of %s: %w", c.String("path"), err)
		}
		return script.NewRecord(map[string]any{
			"type": typeName(st.Mode), "mode": octal(st.Mode),
			"owner": owner, "group": group, "uid": st.UID, "gid": st.GID,
			"size": st.Size, "mtime": st.Mtime.Unix(), "links": st.Nlink,
		}), nil
	},
}

var read = &script.Builtin{
	Name: "fs.read",
	Doc: "Reads a text file.\n\n" +
		"The text goes into the run's journal. For a file that holds a password use cfg.read, which keeps " +
		"passwords apart, or secret = True, which keeps the whole text secret.",
	Params: []script.Param{
		{Name: "path", Type: script.Path, Doc: "absolute path of a regular file"},
		{Name: "limit", Type: script.Int, Doc: "most bytes; a longer file is an error", Optional: true, Default: "1048576", Keyword: true},
		{Name: "missing_ok", Type: script.Bool, Doc: "return None if there is nothing", Optional: true, Default: "False", Keyword: true},
		{Name: "secret", Type: script.Bool, Doc: "return a secret", Optional: true, Default: "False", Keyword: true},
	},
	Result: "string, or a secret",
	Effect: script.Read,
	Example: `
for line in fs.read("/etc/hosts").splitlines():
    print(line)
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		name := c.String("path")
		text, err := readText(c, name, c.Int("limit", readLimit))
		if absent(err) && c.Bool("missing_ok", false) {
			return starlark.None, nil
		}
		if err != nil {
			return nil, err
		}
		if c.Bool("secret", false) {
			return script.ToStarlark(host.NewSecret(text)), nil
		}
		return starlark.String(text), nil
	},
}

func readText(c *script.Call, name string, limit int64) (string, error) {
	if limit < 1 || limit > 64<<20 {
		return "", c.Errorf("limit %d is out of range: give 1 to %d bytes", limit, 64<<20)
	}
	f, err := c.View.Open(name)
	if err != nil {
		return "", c.Errorf("%w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return "", c.Errorf("%s: %w", name, err)
	}
	if int64(len(data)) > limit {
		return "", c.Errorf("%s is longer than %d bytes; is it the right file? Give limit = ... to read it all the same", name, limit)
	}
	if off := invalidUTF8(data); off >= 0 {
		return "", c.Errorf("%s is not UTF-8 text: byte %d (0x%02x); convert it with iconv(1) first", name, off, data[off])
	}
	return string(data), nil
}

// invalidUTF8 is the offset of the first byte that is not UTF-8, -1 if there is none.
func invalidUTF8(data []byte) int {
	for off := 0; off < len(data); {
		r, size := utf8.DecodeRune(data[off:])
		if r == utf8.RuneError && size == 1 {
			return off
		}
		off += size
	}
	return -1
}

var list = &script.Builtin{
	Name: "fs.list",
	Doc:  "Lists the names in a directory.",
	Params: []script.Param{
		{Name: "path", Type: script.Path, Doc: "absolute path of a directory"},
		{Name: "missing_ok", Type: script.Bool, Doc: "an absent directory is empty", Optional: true, Default: "False", Keyword: true},
	},
	Result: "list of strings, in order of name",
	Effect: script.Read,
	Example: `
for name in fs.list("/etc/zarafa"):
    print(name)
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		entries, err := c.View.ReadDir(c.String("path"))
		if absent(err) && c.Bool("missing_ok", false) {
			return starlark.NewList(nil), nil
		}
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		names := make([]string, len(entries))
		for i, e := range entries {
			names[i] = e.Name
		}
		return script.ToStarlark(names), nil
	},
}

var readlink = &script.Builtin{
	Name:   "fs.readlink",
	Doc:    "Returns the target of a symlink, as it is written in the link.",
	Params: []script.Param{{Name: "path", Type: script.Path, Doc: "absolute path of a symlink"}},
	Result: "string",
	Effect: script.Read,
	Example: `
for path in fs.find("/etc/zarafa", type = "symlink"):
    print(path, "->", fs.readlink(path))
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		target, err := c.View.Readlink(c.String("path"))
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		return starlark.String(target), nil
	},
}

var resolve = &script.Builtin{
	Name: "fs.resolve",
	Doc: "Returns the path that a path leads to once all symlinks are followed.\n\n" +
		"What does not exist at the end of the path stays as it is written. A symlink of another user than root is an error, " +
		"because it is not followed: see fs.foreign_link.",
	Params: []script.Param{{Name: "path", Type: script.Path, Doc: "absolute path"}},
	Result: "string, an absolute path",
	Effect: script.Read,
	Example: `
real = fs.resolve("/var/lib/zarafa")
if real != "/var/lib/zarafa":
    print("/var/lib/zarafa leads to", real)
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		real, err := action.Resolve(c.View, c.String("path"))
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		return starlark.String(real), nil
	},
}
