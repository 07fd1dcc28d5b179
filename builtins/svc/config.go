package svc

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"go.starlark.net/starlark"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/script"
)

var config = &script.Builtin{
	Name: "svc.config",
	Doc: "Tells which configuration file a service's daemon is told to read, by the option -c.\n\n" +
		"The process that runs says it best; then the unit, with its drop-ins. An init script has it from a file of defaults, " +
		"which this does not look at.",
	Params: []script.Param{{Name: "name", Type: script.String, Doc: "service, without .service"}},
	Result: "record(path, source): source is what says so, \"process 731\" or the path of a unit or drop-in; both are empty where neither names a file",
	Effect: script.Read,
	Example: `
print(svc.config("zarafa-server").path)
`,
	Volatile: true,
	Value: func(c *script.Call) (starlark.Value, error) {
		name, err := serviceName(c)
		if err != nil {
			return nil, err
		}
		file, source, err := configOf(c.View, name)
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		return script.NewRecord(map[string]any{"path": file, "source": source}), nil
	},
}

func configOf(view host.View, name string) (file, source string, err error) {
	running, err := view.ServiceProcesses(name)
	if err != nil {
		return "", "", err
	}
	for _, p := range running {
		if p.Config != "" {
			return p.Config, fmt.Sprintf("process %d", p.PID), nil
		}
	}
	s, err := find(view, name)
	if err != nil || s.Kind != "systemd" {
		return "", "", err
	}
	return configOfUnit(view, name)
}

// unitDirs are where units and drop-ins are, those that win first.
var unitDirs = []string{"/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/lib/systemd/system", "/usr/lib/systemd/system"}

// configOfUnit reads a unit and its drop-ins, as systemd puts them together: the last ExecStart= counts.
func configOfUnit(view host.View, name string) (file, source string, err error) {
	files, err := unitFiles(view, name)
	if err != nil {
		return "", "", err
	}
	for _, unit := range files {
		text, err := textOf(view, unit)
		if err != nil {
			return "", "", err
		}
		for line := range strings.Lines(string(text)) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			if strings.TrimSpace(key) == "ExecStart" {
				file, source = host.ConfigOf(strings.Fields(value)), unit
			}
		}
	}
	if file == "" {
		source = ""
	}
	return file, source, nil
}

// textOf is a unit's text; one that is masked leads to a device, and says nothing.
func textOf(view host.View, unit string) ([]byte, error) {
	f, err := view.Open(unit)
	if errors.Is(err, host.ErrNotRegular) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, 1<<20))
}

// unitFiles are the unit's file, and its drop-ins in order of name; of two with one name the first directory's.
func unitFiles(view host.View, name string) ([]string, error) {
	unit, dropins := "", map[string]string{}
	for _, dir := range unitDirs {
		file := path.Join(dir, name+".service")
		if _, err := view.Stat(file); err == nil && unit == "" {
			unit = file
		}
		entries, err := view.ReadDir(file + ".d")
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, e := range entries {
			if _, twice := dropins[e.Name]; !twice && strings.HasSuffix(e.Name, ".conf") {
				dropins[e.Name] = path.Join(file+".d", e.Name)
			}
		}
	}
	var files []string
	if unit != "" {
		files = append(files, unit)
	}
	for _, name := range slices.Sorted(maps.Keys(dropins)) {
		files = append(files, dropins[name])
	}
	return files, nil
}
