// Package chown is the runbooks' function chown: owners, groups and modes of a tree in one pass.
package chown

import (
	"errors"
	"io/fs"
	"strconv"

	"go.starlark.net/starlark"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/script"
)

// Builtins lists the function.
func Builtins() []*script.Builtin { return []*script.Builtin{chown} }

var chown = &script.Builtin{
	Name: "chown",
	Doc: "Changes owners, groups and modes of a file, or of a tree in one pass (manual 4.3.7).\n\n" +
		"users and groups map old names to new ones, and leave everyone else's files alone; owner and group set one for all. " +
		"Names or numbers. An old name that the host does not have is skipped: nothing can be its; for files of a deleted account " +
		"give its number. What is right already is left alone.\n\n" +
		"No symlink is followed, other mounts below are not entered, and a file that has a name outside the tree is refused: " +
		"it could be one that its present owner has no right to. Stop the services that own the files before.",
	Params: []script.Param{
		{Name: "path", Type: script.Path, Doc: "file or directory"},
		{Name: "users", Type: script.Dict, Doc: "old user to new user", Optional: true, Default: "{}"},
		{Name: "groups", Type: script.Dict, Doc: "old group to new group", Optional: true, Default: "{}"},
		{Name: "owner", Type: script.String, Doc: "user for everything", Optional: true, Keyword: true},
		{Name: "group", Type: script.String, Doc: "group for everything", Optional: true, Keyword: true},
		{Name: "file_mode", Type: script.Mode, Doc: "permissions of regular files, like \"0640\"", Optional: true, Keyword: true},
		{Name: "dir_mode", Type: script.Mode, Doc: "permissions of directories, like \"0750\"", Optional: true, Keyword: true},
		{Name: "name", Type: script.String, Doc: "only files whose name matches this glob, and no directories", Optional: true, Default: `"*"`, Keyword: true},
		{Name: "recursive", Type: script.Bool, Doc: "with all below", Optional: true, Default: "True", Keyword: true},
	},
	Result: "None",
	Effect: script.Change,
	Example: `
chown("/var/lib/kopano/attachments", users = {"zarafa": "kopano"}, groups = {"zarafa": "kopano"})
chown("/etc/kopano", owner = "root", group = "kopano", file_mode = "0640", name = "*.cfg")
`,
	Decide: func(c *script.Call) (script.Decision, error) {
		a := &action.Chown{
			Path: c.String("path"), Owner: c.String("owner"), Group: c.String("group"),
			FileMode: mode(c, "file_mode"), DirMode: mode(c, "dir_mode"), Recursive: c.Bool("recursive", true),
		}
		if name := c.StringOr("name", "*"); name != "*" {
			a.Filter = name
		}
		var err error
		if a.Users, err = mapping(c, "users", userKnown); err != nil {
			return script.Decision{}, err
		}
		if a.Groups, err = mapping(c, "groups", groupKnown); err != nil {
			return script.Decision{}, err
		}
		switch {
		case c.Has("users") && c.Has("owner"), c.Has("groups") && c.Has("group"):
			return script.Decision{}, c.Errorf("give either a map (users, groups) or one for everything (owner, group), not both")
		case !c.Has("users") && !c.Has("groups") && a.Owner == "" && a.Group == "" && a.FileMode == nil && a.DirMode == nil:
			return script.Decision{}, c.Errorf("nothing to change: give users, groups, owner, group, file_mode or dir_mode")
		case a.Filter != "" && a.DirMode != nil:
			return script.Decision{}, c.Errorf("name selects files only, so dir_mode would change nothing; do directories in a call of their own")
		case len(a.Users) == 0 && len(a.Groups) == 0 && a.Owner == "" && a.Group == "" && a.FileMode == nil && a.DirMode == nil:
			return script.Decision{Result: starlark.None}, nil
		}
		return script.Decision{Actions: []action.Action{a}, Result: starlark.None}, nil
	},
}

func mode(c *script.Call, name string) *fs.FileMode {
	m, ok := c.Mode(name)
	if !ok {
		return nil
	}
	return &m
}

// mapping reads a map of accounts and leaves out those whose old account the host does not have.
func mapping(c *script.Call, param string, known func(host.View, string) error) (map[string]string, error) {
	asked, err := c.Dict(param)
	if err != nil {
		return nil, err
	}
	m := map[string]string{}
	for from, to := range asked {
		if from == "" || to == "" {
			return nil, c.Errorf("argument %s: %q to %q: an empty name", param, from, to)
		}
		if _, err := strconv.ParseUint(from, 10, 32); err == nil {
			m[from] = to
			continue
		}
		err := known(c.View, from)
		if errors.Is(err, host.ErrNoAccount) {
			continue
		}
		if err != nil {
			return nil, c.Errorf("%s: %w", from, err)
		}
		m[from] = to
	}
	return m, nil
}

func userKnown(view host.View, name string) error {
	_, err := view.User(name)
	return err
}

func groupKnown(view host.View, name string) error {
	_, err := view.Group(name)
	return err
}
