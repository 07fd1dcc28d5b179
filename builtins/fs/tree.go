package fs

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"go.starlark.net/starlark"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/script"
)

// findMax is the most paths that fs.find and fs.glob return unless told otherwise. Longer lists do
// not belong in a runbook: chown, fs.move and fs.usage work on trees of any size.
const findMax = 10_000

var find = &script.Builtin{
	Name: "fs.find",
	Doc: "Lists what lies below a directory.\n\n" +
		"It follows no symlink below the directory and enters no other mount unless cross is True. A directory " +
		"that does not exist has nothing below it.",
	Params: []script.Param{
		{Name: "root", Type: script.Path, Doc: "directory to search; it is not itself in the result"},
		{Name: "name", Type: script.String, Doc: "glob that the last component must match: *, ?, [a-z]", Optional: true, Default: `"*"`},
		{Name: "type", Type: script.String, Doc: "what to list", Optional: true, Default: `"any"`, Choices: types, Keyword: true},
		{Name: "depth", Type: script.Int, Doc: "levels to descend: 1 is the directory itself; 0 is all", Optional: true, Default: "0", Keyword: true},
		{Name: "first", Type: script.Int, Doc: "stop once so many are found; 0 is never", Optional: true, Default: "0", Keyword: true},
		{Name: "max", Type: script.Int, Doc: "more than this is an error", Optional: true, Default: "10000", Keyword: true},
		{Name: "cross", Type: script.Bool, Doc: "enter other mounts below the directory", Optional: true, Default: "False", Keyword: true},
	},
	Result: "list of absolute paths, a directory before what it holds, in order of name",
	Effect: script.Read,
	Example: `
for path in fs.find("/etc/zarafa", name = "*.cfg", type = "file"):
    print(path)
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		name, kind := c.StringOr("name", "*"), c.StringOr("type", "any")
		if _, err := path.Match(name, ""); err != nil {
			return nil, c.Errorf("name %q: %w", name, err)
		}
		first, most := int(c.Int("first", 0)), int(c.Int("max", findMax))
		var found []string
		w := walker{ctx: c.Context(), depth: int(c.Int("depth", 0)), cross: c.Bool("cross", false)}
		err := w.walk(c.View, c.String("root"), func(p string, st host.Stat) error {
			if ok, _ := path.Match(name, path.Base(p)); !ok || kind != "any" && kind != typeName(st.Mode) {
				return nil
			}
			found = append(found, p)
			if first > 0 && len(found) == first {
				return fs.SkipAll
			}
			if len(found) > most {
				return fmt.Errorf("more than %d paths below %s match; narrow it with name, type or depth, or raise max", most, c.String("root"))
			}
			return nil
		})
		if err != nil && !absent(err) {
			return nil, c.Errorf("%w", err)
		}
		return script.ToStarlark(found), nil
	},
}

var usage = &script.Builtin{
	Name: "fs.usage",
	Doc: "Counts what a directory tree holds, without reading any file.\n\n" +
		"Symlinks are not followed, other mounts below are not entered, and a file with several names in the " +
		"tree counts once. An absent tree holds nothing.",
	Params: []script.Param{{Name: "path", Type: script.Path, Doc: "directory or file"}},
	Result: "record(files, dirs, others, bytes, owners, linked): numbers; bytes is the sum of the files' sizes; the directory itself counts; " +
		"linked is the path of a file that has another name outside the tree, \"\" if none has; owners is a dict of user name (a number where it has none) and how many of all these are the user's",
	Effect:   script.Read,
	Volatile: true,
	Example: `
total = fs.usage("/var/lib/zarafa/attachments")
print(total.files, "attachments,", total.bytes, "bytes")
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		u, err := measure(c.Context(), c.View, c.String("path"))
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		return script.NewRecord(map[string]any{"files": u.files, "dirs": u.dirs, "others": u.others, "bytes": u.bytes, "owners": u.names(c.View), "linked": u.linked}), nil
	},
}

type totals struct {
	files, dirs, others, bytes int64
	owners                     map[uint32]int64
	linked                     string
}

// names gives the owners their names.
func (t totals) names(view host.View) map[string]any {
	named := map[string]any{}
	for uid, n := range t.owners {
		name := strconv.FormatUint(uint64(uid), 10)
		if u, err := view.UserID(uid); err == nil {
			name = u.Name
		}
		named[name] = n
	}
	return named
}

// measure counts a tree. A file with several names counts once.
func measure(ctx context.Context, view host.View, root string) (totals, error) {
	t := totals{owners: map[uint32]int64{}}
	links := map[[2]uint64]*linkedFile{}
	count := func(p string, st host.Stat) error {
		t.owners[st.UID]++
		switch {
		case st.IsDir():
			t.dirs++
		case st.IsRegular():
			id := [2]uint64{st.Dev, st.Ino}
			if l := links[id]; l != nil {
				l.missing--
				return nil
			}
			if st.Nlink > 1 {
				links[id] = &linkedFile{path: p, missing: st.Nlink - 1}
			}
			t.files++
			t.bytes += st.Size
		default:
			t.others++
		}
		return nil
	}
	st, err := view.Stat(root)
	if absent(err) {
		return t, nil
	}
	if err != nil {
		return t, err
	}
	_ = count(root, st)
	if !st.IsDir() {
		return t, nil
	}
	w := walker{ctx: ctx}
	err = w.walk(view, root, count)
	for _, l := range links {
		if l.missing > 0 && (t.linked == "" || l.path < t.linked) {
			t.linked = l.path
		}
	}
	return t, err
}

// linkedFile is a file with several names.
type linkedFile struct {
	path    string // the first that was met
	missing uint64 // names that were not met
}

// walker goes through a tree by open directories, so that nothing moved in meanwhile leads it out.
type walker struct {
	ctx   context.Context
	depth int  // 0 is unlimited
	cross bool // enter other mounts
}

// walk calls visit for everything below root: a directory first, then what it holds. visit may
// return fs.SkipDir, or fs.SkipAll to end.
func (w *walker) walk(view host.View, root string, visit func(p string, st host.Stat) error) error {
	dir, err := view.OpenTree(root)
	if err != nil {
		return err
	}
	self, err := dir.Self()
	if err == nil {
		err = w.descend(dir, root, 1, self.Dev, visit)
	} else {
		dir.Close()
	}
	if err == fs.SkipAll {
		return nil
	}
	return err
}

// descend visits the entries of dir, and closes it.
func (w *walker) descend(dir host.DirReader, at string, level int, dev uint64, visit func(string, host.Stat) error) error {
	defer dir.Close()
	entries, err := dir.ReadDir()
	if err != nil {
		return fmt.Errorf("%s: %w", at, err)
	}
	below := strings.TrimSuffix(at, "/") + "/"
	for _, e := range entries {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		p := below + e.Name
		st, err := dir.Lstat(e.Name)
		if absent(err) {
			continue // it went away since the directory was listed
		}
		if err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
		err = visit(p, st)
		if err == fs.SkipDir {
			continue
		}
		if err != nil {
			return err
		}
		if !st.IsDir() || level == w.depth || st.Dev != dev && !w.cross {
			continue
		}
		sub, err := dir.OpenDir(e.Name)
		if absent(err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
		if err := w.descend(sub, p, level+1, dev, visit); err != nil {
			return err
		}
	}
	return nil
}

var glob = &script.Builtin{
	Name: "fs.glob",
	Doc:  "Lists the paths that match a pattern.",
	Params: []script.Param{
		{Name: "pattern", Type: script.Path, Doc: "absolute path whose components may hold *, ? and [a-z]; none of them matches a /"},
		{Name: "readable", Type: script.Bool, Doc: "leave out what cannot be read, such as homes on a server that refuses root", Optional: true, Default: "False", Keyword: true},
	},
	Result: "list of absolute paths, in order of name",
	Effect: script.Read,
	Example: `
for path in fs.glob("/usr/local/lib/python*/dist-packages/zarafa"):
    print(path, "is of an older installation")
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		pattern := c.String("pattern")
		if _, err := path.Match(pattern, ""); err != nil {
			return nil, c.Errorf("pattern %q: %w", pattern, err)
		}
		found := []string{"/"}
		for _, part := range strings.Split(pattern[1:], "/") {
			if part == "" {
				continue
			}
			var next []string
			for _, dir := range found {
				matches, err := matchIn(c.View, dir, part)
				if err != nil && c.Bool("readable", false) {
					continue
				}
				if err != nil {
					return nil, c.Errorf("%w", err)
				}
				next = append(next, matches...)
			}
			if found = next; len(found) > findMax {
				return nil, c.Errorf("more than %d paths match %s", findMax, pattern)
			}
		}
		return script.ToStarlark(found), nil
	},
}

// matchIn lists what matches one component of a pattern in a directory, as paths.
func matchIn(view host.View, dir, part string) ([]string, error) {
	if !strings.ContainsAny(part, `*?[\`) {
		p := path.Join(dir, part)
		_, err := view.Lstat(p)
		if absent(err) {
			return nil, nil
		}
		return []string{p}, err
	}
	entries, err := view.ReadDir(dir)
	if absent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var found []string
	for _, e := range entries {
		if ok, _ := path.Match(part, e.Name); ok {
			found = append(found, path.Join(dir, e.Name))
		}
	}
	return found, nil
}
