package service

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

// read reads the daemon's configuration, and a server's plugin's.
func (r Role) read(args arguments) (map[string]string, error) {
	given, err := parse(args.config, nil)
	if errors.Is(err, fs.ErrNotExist) && r.ConfigOptional && !args.explicit {
		given, err = nil, nil
	}
	if err != nil {
		return nil, err
	}
	settings, unknown := merge(r.Options, given)
	if len(unknown) > 0 && r.refuses(args) {
		return nil, fmt.Errorf("%s: unknown options: %s", args.config, strings.Join(unknown, ", "))
	}
	if len(unknown) > 0 {
		fmt.Fprintf(os.Stderr, "warning: %s: unknown options: %s\n", args.config, strings.Join(unknown, ", "))
	}
	return settings, r.readPlugin(settings)
}

func (r Role) refuses(args arguments) bool {
	switch r.Unknown {
	case Refuse:
		return !args.lenient
	case RefuseExplicit:
		return args.explicit && !args.lenient
	}
	return false
}

func (r Role) readPlugin(settings map[string]string) error {
	known, ok := r.Plugins[settings["user_plugin"]]
	if !ok {
		return nil
	}
	given, err := parse(settings["user_plugin_config"], nil)
	if err != nil {
		return fmt.Errorf("user plugin %s: %w", settings["user_plugin"], err)
	}
	if _, unknown := merge(known, given); len(unknown) > 0 {
		return fmt.Errorf("%s: unknown options: %s", settings["user_plugin_config"], strings.Join(unknown, ", "))
	}
	return nil
}

func merge(known, given map[string]string) (settings map[string]string, unknown []string) {
	settings = map[string]string{}
	for name, value := range known {
		settings[name] = value
	}
	for name, value := range given {
		if _, ok := known[name]; !ok {
			unknown = append(unknown, name)
		}
		settings[name] = value
	}
	sort.Strings(unknown)
	return settings, unknown
}

// parse reads "name = value" lines; the last one of a name wins. Only a # in the first column
// begins a comment. Includes are relative to the file that has them; property maps must exist.
func parse(file string, above []string) (map[string]string, error) {
	if len(above) > 9 {
		return nil, fmt.Errorf("%s: includes go too deep", file)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	settings := map[string]string{}
	for n, line := range strings.Split(string(data), "\n") {
		if strings.HasPrefix(line, "#") || strings.TrimSpace(line) == "" {
			continue
		}
		if word, rest, _ := strings.Cut(line, " "); strings.HasPrefix(line, "!") {
			if err := directive(settings, word, strings.TrimSpace(rest), file, above); err != nil {
				return nil, err
			}
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok {
			return nil, fmt.Errorf("%s:%d: no = in %q", file, n+1, line)
		}
		settings[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	return settings, nil
}

func directive(settings map[string]string, word, rest, file string, above []string) error {
	if !filepath.IsAbs(rest) {
		rest = filepath.Join(filepath.Dir(file), rest)
	}
	switch word {
	case "!include":
		included, err := parse(rest, append(above, file))
		for name, value := range included {
			settings[name] = value
		}
		return err
	case "!propmap":
		_, err := parse(rest, append(above, file))
		return err
	}
	return fmt.Errorf("%s: unknown directive %s", file, word)
}

// Reload reads the configuration again and takes over the options named, which are those that can be
// changed while the daemon runs.
func (d *Daemon) Reload(names ...string) error {
	args, err := parseArgs(os.Args[1:], d.Config)
	if err != nil {
		return err
	}
	fresh, err := d.read(args)
	if err != nil {
		return err
	}
	settings := maps.Clone(d.Settings) // others read the old ones meanwhile
	for _, name := range names {
		settings[name] = fresh[name]
	}
	d.Settings = settings
	return nil
}
