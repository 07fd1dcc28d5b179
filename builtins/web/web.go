// Package web is the runbooks' module web: where web servers and PHP have their files.
package web

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"go.starlark.net/starlark"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/script"
)

// Builtins lists the module's functions.
func Builtins() []*script.Builtin { return []*script.Builtin{directories} }

var directories = &script.Builtin{
	Name: "web.directories",
	Doc: "Lists the directories that the configuration of Apache, nginx, lighttpd and php-fpm names.\n\n" +
		"That is what DocumentRoot, Alias, <Directory>, root, alias, chdir, open_basedir and the like say; files that these include are " +
		"followed. What holds a variable is left out, and so is what is not there.",
	Params: []script.Param{{Name: "files", Type: script.Strings, Doc: "paths of configuration files to begin with"}},
	Result: "list of record(path, source): source is the file that names it; in order of path",
	Effect: script.Read,
	Example: `
for found in web.directories(fs.glob("/etc/apache2/sites-enabled/*")):
    print(found.path, "is named in", found.source)
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		w := walk{view: c.View, read: map[string]bool{}, found: map[string]string{}}
		for _, file := range c.Strings("files") {
			if err := w.file(file, 0); err != nil {
				return nil, c.Errorf("%w", err)
			}
		}
		var names []string
		for name := range w.found {
			if st, err := c.View.Stat(name); err == nil && st.IsDir() {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		records := []any{}
		for _, name := range names {
			records = append(records, script.NewRecord(map[string]any{"path": name, "source": w.found[name]}))
		}
		return script.ToStarlark(records), nil
	},
}

// directive is a line that names directories, or a file with more of them.
var directive = regexp.MustCompile(`(?i)^\s*(<Directory|DocumentRoot|Alias|ScriptAlias|WSGIScriptAlias|root|alias|server\.document-root|alias\.url|` +
	`chdir|chroot|php_admin_value\[open_basedir\]|php_value\[open_basedir\]|php_admin_value\s+open_basedir|IncludeOptional|Include)(?:[\s=]+(.*))?$`)

var absolute = regexp.MustCompile(`/[^\s"';:,<>(){}]+`)

// walk is one search.
type walk struct {
	view  host.FileReader
	read  map[string]bool
	found map[string]string // directory to the file that names it
}

// Limits: what is longer or deeper is no configuration that somebody wrote.
const (
	deepest  = 8
	longest  = 4 << 20
	included = 1000
)

func (w *walk) file(name string, depth int) error {
	if w.read[name] || depth > deepest || len(w.read) > included {
		return nil
	}
	w.read[name] = true
	f, err := w.view.Open(name)
	if err != nil {
		return unlessAbsent(err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, longest))
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		m := directive.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil || strings.ContainsAny(m[2], "$%") {
			continue
		}
		if strings.HasPrefix(strings.ToLower(m[1]), "include") {
			if err := w.include(strings.Trim(strings.TrimSpace(m[2]), `"';= `), name, depth); err != nil {
				return err
			}
			continue
		}
		// An alias has the path of the URL first.
		for _, dir := range absolute.FindAllString(m[2], -1) {
			dir = path.Clean(strings.TrimRight(dir, "*"))
			if w.found[dir] == "" {
				w.found[dir] = name
			}
		}
	}
	return nil
}

// include follows a pattern; a relative one counts from the server's directory, above that of the file.
func (w *walk) include(pattern, from string, depth int) error {
	if pattern == "" {
		return nil
	}
	if !path.IsAbs(pattern) {
		base := path.Dir(from)
		for range 2 {
			if _, err := w.view.Stat(path.Join(base, path.Dir(pattern))); err == nil && path.Dir(pattern) != "." {
				break
			}
			base = path.Dir(base)
		}
		pattern = path.Join(base, pattern)
	}
	if strings.ContainsAny(path.Dir(pattern), "*?[") {
		return nil
	}
	entries, err := w.view.ReadDir(path.Dir(pattern))
	if err != nil {
		return unlessAbsent(err)
	}
	for _, e := range entries {
		if ok, err := path.Match(path.Base(pattern), e.Name); err == nil && ok {
			if err := w.file(path.Join(path.Dir(pattern), e.Name), depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// unlessAbsent lets what cannot be opened name nothing.
func unlessAbsent(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, host.ErrNotRegular) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.EISDIR) || isForeign(err) {
		return nil
	}
	return err
}

func isForeign(err error) bool {
	var foreign *host.ForeignLinkError
	return errors.As(err, &foreign)
}
