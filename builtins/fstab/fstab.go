// Package fstab is the runbooks' module fstab: it reads and changes /etc/fstab by the syntax of fstab(5).
package fstab

import (
	"errors"
	"io/fs"

	"go.starlark.net/starlark"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/host/fstab"
	"zcp2kopano/runtime/script"
)

// Builtins lists the module's functions.
func Builtins() []*script.Builtin { return []*script.Builtin{entries, move} }

var entries = &script.Builtin{
	Name: "fstab.entries",
	Doc: "Lists what /etc/fstab mounts.\n\n" +
		"Escapes such as \\040 are undone. Lines without a directory, such as those of swap, are left out.",
	Result: "list of record(source, point, type, options), in the order of the file: source is as it is written, options is a list of texts; empty if there is no such file",
	Effect: script.Read,
	Example: `
for entry in fstab.entries():
    if entry.type.startswith("nfs"):
        print(entry.point, "comes from", entry.source)
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		text, err := fstab.Read(c.View)
		if errors.Is(err, fs.ErrNotExist) {
			return starlark.NewList(nil), nil
		}
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		list := []starlark.Value{}
		for _, e := range fstab.Parse(text) {
			list = append(list, script.NewRecord(map[string]any{"source": e.Source, "point": e.Point, "type": e.Type, "options": e.Options}))
		}
		return starlark.NewList(list), nil
	},
}

var move = &script.Builtin{
	Name: "fstab.move",
	Doc: "Changes where a line of /etc/fstab mounts, and leaves all else as it is written.\n\n" +
		"What is mounted does not change: see fs.unmount and fs.mount. A point without a line is an error, and so are several " +
		"lines for it, and a line that is there already for the new point.",
	Params: []script.Param{
		{Name: "point", Type: script.Path, Doc: "absolute path of the directory where it is mounted"},
		{Name: "to", Type: script.Path, Doc: "absolute path of the directory where it is to be mounted"},
	},
	Result: "None",
	Effect: script.Change,
	Example: `
fstab.move("/srv/mail", "/srv/kopano")
`,
	Decide: func(c *script.Call) (script.Decision, error) {
		text, err := fstab.Read(c.View)
		if err == nil {
			text, err = fstab.Moved(text, c.String("point"), c.String("to"))
		}
		if err != nil {
			return script.Decision{}, c.Errorf("%w", err)
		}
		return script.Decision{Actions: []action.Action{&action.Write{Path: fstab.Path, Content: []byte(text)}}, Result: starlark.None}, nil
	},
}
