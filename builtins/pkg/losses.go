package pkg

import (
	"fmt"
	"path"

	"go.starlark.net/starlark"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/script"
)

var losses = &script.Builtin{
	Name: "pkg.losses",
	Doc: "Tells of which packages nothing can be kept for a way back, so that pkg.remove would refuse to remove them.\n\n" +
		"A package file is taken from originals, from the package manager's cache, from a configured repository that still offers this " +
		"very version, or built anew from what is installed. Nothing is built here: what goes wrong only then is found by pkg.remove.",
	Params: []script.Param{
		{Name: "names", Type: script.Any, Doc: namesDoc},
		originalsParam,
	},
	Result:   "dict of strings: by name, why nothing can be kept",
	Effect:   script.Read,
	Volatile: true,
	Example: `
for name, why in pkg.losses(pkg.installed(vendor = "zarafa")).items():
    warn("%s cannot come back" % name, reason = why, remedy = "look for its package file")
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		asked, err := names(c, "names")
		if err != nil {
			return nil, err
		}
		given, err := originals(c, asked)
		if err != nil {
			return nil, err
		}
		var rest []string
		for _, name := range asked {
			if given[name] == "" {
				rest = append(rest, name)
			}
		}
		lost, err := c.View.Losses(rest)
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		dict := map[string]any{}
		for name, why := range lost {
			dict[name] = why
		}
		return script.ToStarlark(dict), nil
	},
}

var originalsParam = script.Param{
	Name: "originals", Type: script.Path, Optional: true, Default: "None", Keyword: true,
	Doc: "directory with package files of what is installed, as they were installed from: what it has in just that version is kept for a way back",
}

// originals are the package files in a directory that are what is installed, by the name of the package.
func originals(c *script.Call, names []string) (map[string]string, error) {
	dir := c.String("originals")
	if dir == "" {
		return nil, nil
	}
	found, err := originalsIn(c, dir, names)
	if err != nil {
		return nil, c.Errorf("originals: %w", err)
	}
	return found, nil
}

func originalsIn(c *script.Call, dir string, names []string) (map[string]string, error) {
	system, err := systemOf(c)
	if err != nil {
		return nil, err
	}
	d, err := directoryOf(c.View, system, dir)
	if err != nil {
		return nil, err
	}
	if err := trusted(c, dir, d.Files); err != nil {
		return nil, err
	}
	known, err := byName(c.View)
	if err != nil {
		return nil, err
	}
	found := map[string]string{}
	for _, name := range d.Files {
		p, err := readFile(c.View, system, path.Join(dir, name))
		if err != nil {
			return nil, fmt.Errorf("%s: %w; copy it again, or move it away", path.Join(dir, name), err)
		}
		for _, name := range names {
			if !host.IsFileOf(p, known[name]) {
				continue
			}
			if err := checkFile(c.View, system, p.Path); err != nil {
				return nil, fmt.Errorf("%s: %w; copy it again, or move it away", p.Path, err)
			}
			found[name] = p.Path
		}
	}
	return found, nil
}
