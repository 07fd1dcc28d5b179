package cfg

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"syscall"

	"zcp2kopano/runtime/host"
)

// Load reads and parses one file of a host.
func Load(view host.FileReader, name string) (*File, error) { return loadVia(view, name, asIs) }

func asIs(p string) string { return p }

// loadVia is Load where links may lead to a path that lies elsewhere on the host by now. A relative
// include counts from where the file really is, as for the daemons.
func loadVia(view host.FileReader, name string, where func(string) string) (*File, error) {
	actual, err := follow(view, name, where)
	if err != nil {
		return nil, err
	}
	data, err := readFile(view, actual)
	if err != nil {
		return nil, err
	}
	f, err := Parse(name, data)
	if err == nil {
		f.dir = path.Dir(actual)
	}
	return f, err
}

// follow is the path that a file's symlinks lead to, whether anything is there or not.
func follow(view host.FileReader, name string, where func(string) string) (string, error) {
	actual := name
	for range 16 {
		st, err := view.Lstat(actual)
		if err != nil || !st.IsSymlink() {
			break
		}
		target, err := view.Readlink(actual)
		if err != nil {
			return "", explain(name, err)
		}
		if path.IsAbs(target) {
			actual = where(path.Clean(target))
		} else {
			actual = actual[:strings.LastIndexByte(actual, '/')+1] + target // not cleaned: .. may follow a symlink
		}
	}
	return actual, nil
}

func readFile(view host.FileReader, name string) ([]byte, error) {
	f, err := view.Open(name)
	if err != nil {
		return nil, explain(name, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, explain(name, err)
	}
	return data, nil
}

func explain(name string, err error) error {
	switch {
	case errors.Is(err, syscall.EISDIR):
		return fmt.Errorf("%s is a directory, not a configuration file; name the file in it: %w", name, err)
	case errors.Is(err, host.ErrNotRegular):
		return fmt.Errorf("%s is not a regular file; a configuration file must be one: %w", name, err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s cannot be read; run as root: %w", name, err)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s does not exist; check the path: %w", name, err)
	}
	return fmt.Errorf("read %s: %w", name, err)
}

// Tree is a file with all that it includes.
type Tree struct {
	Top   *File
	Files []*File // Top first, then included files in order of first appearance
	// Problems are includes that could not be followed.
	Problems []Problem
	settings []Setting
	load     func(name string) (*File, error)
	where    func(string) string
	there    func(name string) error // whether a file is there
}

// LoadTree reads a file and follows its !include lines; a file that was read is not read again, as
// the daemons do it. The function where maps a path in the files to where it is on the host; nil for
// as it is. An include that cannot be read is a problem, not an error.
func LoadTree(view host.FileReader, name string, where func(string) string) (*Tree, error) {
	if where == nil {
		where = asIs
	}
	top, err := loadVia(view, name, where)
	if err != nil {
		return nil, err
	}
	there := func(name string) error {
		actual, err := follow(view, name, where)
		if err == nil {
			_, err = view.Stat(actual)
		}
		if err == nil {
			return nil
		}
		return explain(name, err)
	}
	t := &Tree{Top: top, where: where, there: there, load: func(name string) (*File, error) { return loadVia(view, name, where) }}
	t.read()
	return t, nil
}

// read puts the settings of all files in order, again after a file was changed.
func (t *Tree) read() {
	loaded := map[string]*File{}
	for _, f := range t.Files {
		loaded[f.Path] = f
	}
	t.Files, t.Problems, t.settings = nil, nil, nil
	t.readFile(t.Top, loaded, map[string]bool{t.Top.Path: true})
}

func (t *Tree) readFile(f *File, loaded map[string]*File, seen map[string]bool) {
	t.Files = append(t.Files, f)
	settings, includes := f.Settings(), f.Includes()
	for len(settings) > 0 || len(includes) > 0 {
		if len(includes) == 0 || len(settings) > 0 && settings[0].Line < includes[0].Line {
			t.settings = append(t.settings, settings[0])
			settings = settings[1:]
			continue
		}
		inc := includes[0]
		includes = includes[1:]
		target := t.where(inc.Path)
		if inc.Kind != "include" {
			t.checkPropmap(f, inc, target)
			continue
		}
		if seen[target] {
			continue
		}
		seen[target] = true
		child, err := loaded[target], error(nil)
		if child == nil {
			child, err = t.load(target)
		}
		if err != nil {
			t.Problems = append(t.Problems, Problem{Path: f.Path, Line: inc.Line, Text: "!include: " + err.Error()})
			continue
		}
		t.readFile(child, loaded, seen)
	}
}

// checkPropmap reports a table of properties that is not there: the daemons refuse to start, as for an !include.
func (t *Tree) checkPropmap(f *File, inc Include, target string) {
	if err := t.there(target); err != nil {
		t.Problems = append(t.Problems, Problem{Path: f.Path, Line: inc.Line, Text: "!propmap: " + err.Error()})
	}
}

// Set gives a directive a value in the top file, so that it counts: where a later include would
// overrule it, it is set again at the end.
func (t *Tree) Set(name, value string) error {
	if _, err := t.Top.Set(name, value); err != nil {
		return err
	}
	t.read()
	if s, ok := t.Get(name); ok && s.Value == value {
		return nil
	}
	t.Top.Append(name + " = " + value)
	t.read()
	return nil
}

// Settings lists the active lines in the order in which a daemon reads them.
func (t *Tree) Settings() []Setting { return t.settings }

// Get returns the setting that counts: the last one.
func (t *Tree) Get(name string) (Setting, bool) {
	for i := len(t.settings) - 1; i >= 0; i-- {
		if t.settings[i].Name == name {
			return t.settings[i], true
		}
	}
	return Setting{}, false
}

// setter is the file that has the last word on a directive: the one that sets it last, or the top one.
func (t *Tree) setter(name string) *File {
	if s, ok := t.Get(name); ok {
		for _, f := range t.Files {
			if f.Path == s.Path {
				return f
			}
		}
	}
	return t.Top
}

// AllProblems lists the problems of all files of the tree.
func (t *Tree) AllProblems() []Problem {
	all := append([]Problem(nil), t.Problems...)
	for _, f := range t.Files {
		all = append(all, f.Problems()...)
	}
	return all
}

// below reports whether p is dir or lies below it.
func below(p, dir string) bool { return p == dir || strings.HasPrefix(p, dir+"/") }

// rebase moves a path from below one directory to below another; other paths stay.
func rebase(p, from, to string) string {
	if !below(p, from) {
		return p
	}
	return path.Join(to, strings.TrimPrefix(p, from))
}
