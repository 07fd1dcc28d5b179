package action

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"zcp2kopano/runtime/host"
)

// tempPrefix begins every temporary name that an action leaves beside what it changes, until it is
// done.
const tempPrefix = ".zcp2kopano-"

// temp is the name of this action's unfinished entry in any directory.
func (e *Env) temp() string { return tempPrefix + e.Tag }

// parent opens the directory that holds a path, for changes, and returns the path's last name.
func parent(h host.Host, name string) (host.Dir, string, error) {
	if path.Base(name) == "/" {
		return nil, "", errors.New("the root directory itself cannot be changed")
	}
	dir, err := h.OpenTreeWrite(path.Dir(name))
	return dir, path.Base(name), err
}

// lastDir keeps the directory open that was asked for last: what is asked of entries by path is mostly asked
// directory by directory.
type lastDir struct {
	v    host.View
	name string
	dir  host.DirReader
}

// open returns a directory that is open until the next call, or until close.
func (l *lastDir) open(name string) (host.DirReader, error) {
	if l.dir != nil && l.name == name {
		return l.dir, nil
	}
	l.close()
	dir, err := l.v.OpenTree(name)
	if err != nil {
		return nil, err
	}
	l.name, l.dir = name, dir
	return dir, nil
}

func (l *lastDir) close() {
	if l.dir != nil {
		l.dir.Close()
		l.dir = nil
	}
}

// walker visits all entries below a directory, in order of name, those of a directory before itself.
// D is host.DirReader or host.Dir.
type walker[D host.DirReader] struct {
	ctx  context.Context
	open func(dir D, name string) (D, error)
	// visit is told the entry, and for a directory the open directory itself.
	visit func(e entry[D]) error
	// mount is told of a directory on another device; what lies below it is not visited. Nil
	// descends into it.
	mount func(rel string) error
	// leave tells of what is not visited, nor what lies below it; nil leaves nothing out.
	leave func(rel string) bool
}

// entry is one name below the walk's root.
type entry[D host.DirReader] struct {
	dir  D // holds the entry
	name string
	rel  string // path from the root of the walk
	st   host.Stat
	self D // the entry itself, if it is a directory
}

func readWalker(ctx context.Context, visit func(entry[host.DirReader]) error) walker[host.DirReader] {
	return walker[host.DirReader]{ctx: ctx, open: host.DirReader.OpenDir, visit: visit}
}

// walk visits what is below dir, which has the path rel from the root and lies on device dev.
func (w *walker[D]) walk(dir D, rel string, dev uint64) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	list, err := dir.ReadDir()
	if err != nil {
		return err
	}
	for _, de := range list {
		if w.leave != nil && w.leave(path.Join(rel, de.Name)) {
			continue
		}
		st, err := dir.Lstat(de.Name)
		if absent(err) {
			continue
		}
		if err != nil {
			return err
		}
		e := entry[D]{dir: dir, name: de.Name, rel: path.Join(rel, de.Name), st: st}
		if err := w.entry(e, dev); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker[D]) entry(e entry[D], dev uint64) error {
	if !e.st.IsDir() {
		return w.visit(e)
	}
	if e.st.Dev != dev && w.mount != nil {
		return w.mount(e.rel)
	}
	self, err := w.open(e.dir, e.name)
	if err != nil {
		return err
	}
	defer self.Close()
	if err := w.walk(self, e.rel, e.st.Dev); err != nil {
		return err
	}
	e.self = self
	return w.visit(e)
}

// size is what a tree amounts to.
type size struct {
	Files int64 `json:"files"` // entries that are not directories
	Bytes int64 `json:"bytes"`
}

func (s *size) add(st host.Stat) {
	if st.IsDir() {
		return
	}
	s.Files++
	if st.IsRegular() {
		s.Bytes += st.Size
	}
}

// measure counts an entry and all below it.
func measure(ctx context.Context, v host.View, name string) (size, error) {
	var total size
	st, err := v.Lstat(name)
	if err != nil {
		return total, err
	}
	total.add(st)
	if !st.IsDir() {
		return total, nil
	}
	dir, err := v.OpenTree(name)
	if err != nil {
		return total, err
	}
	defer dir.Close()
	w := readWalker(ctx, func(e entry[host.DirReader]) error {
		total.add(e.st)
		return nil
	})
	return total, w.walk(dir, "", st.Dev)
}

// mountsBelow lists the mount points at or below a path.
func mountsBelow(v host.View, name string) ([]string, error) {
	mounts, err := v.Mounts()
	if err != nil {
		return nil, err
	}
	var points []string
	for _, m := range mounts {
		if m.Point == name || strings.HasPrefix(m.Point, strings.TrimSuffix(name, "/")+"/") {
			points = append(points, m.Point)
		}
	}
	return points, nil
}

// removeTree removes an entry and all below it, children first. What is not there is removed already.
func removeTree(dir host.Dir, name string) error {
	st, err := dir.Lstat(name)
	if absent(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if !st.IsDir() {
		return unlinkIfThere(dir, name)
	}
	self, err := dir.Self()
	if err != nil {
		return err
	}
	if self.Dev != st.Dev {
		return fmt.Errorf("%s is a mount point; unmount it first", name)
	}
	if err := emptyDir(dir, name); err != nil {
		return err
	}
	return dir.Rmdir(name)
}

func emptyDir(dir host.Dir, name string) error {
	sub, err := dir.OpenDirWrite(name)
	if err != nil {
		return err
	}
	defer sub.Close()
	list, err := sub.ReadDir()
	if err != nil {
		return err
	}
	for _, de := range list {
		if err := removeTree(sub, de.Name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func unlinkIfThere(dir host.Dir, name string) error {
	if _, err := dir.Lstat(name); absent(err) {
		return nil
	}
	return dir.Unlink(name)
}

// removePath is removeTree by path; the removal is durable when it returns.
func removePath(h host.Host, name string) error {
	dir, base, err := parent(h, name)
	if absent(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer dir.Close()
	if _, err := dir.Lstat(base); absent(err) {
		return nil
	}
	if err := removeTree(dir, base); err != nil {
		return fmt.Errorf("remove %s: %w", name, err)
	}
	return dir.SyncSelf()
}

// syncOwn makes owner, mode and times of a directory durable: a sync of its parent covers its name only.
func syncOwn(parent host.Dir, name string) error {
	dir, err := parent.OpenDirWrite(name)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.SyncSelf()
}

// syncEntry makes a name durable that is new in a directory, with what was done to it last.
func syncEntry(parent host.Dir, name string) error {
	st, err := parent.Lstat(name)
	if err != nil {
		return err
	}
	if st.IsDir() {
		if err := syncOwn(parent, name); err != nil {
			return err
		}
	}
	return parent.SyncSelf()
}

// syncFileSystems makes all changes durable on the file systems of these paths, each once; a path that
// is not there is none.
func syncFileSystems(h host.Host, names ...string) error {
	done := map[uint64]bool{}
	for _, name := range names {
		dir, err := h.OpenTreeWrite(name)
		if absent(err) {
			continue
		}
		if err != nil {
			return err
		}
		st, err := dir.Self()
		if err == nil && !done[st.Dev] {
			done[st.Dev] = true
			err = dir.SyncFileSystem()
		}
		dir.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// renamePath renames and makes both directories durable, the new name first.
func renamePath(h host.Host, from, to string) error {
	fromDir, fromBase, err := parent(h, from)
	if err != nil {
		return err
	}
	defer fromDir.Close()
	toDir, toBase, err := parent(h, to)
	if err != nil {
		return err
	}
	defer toDir.Close()
	if err := fromDir.Rename(fromBase, toDir, toBase); err != nil {
		return err
	}
	if err := toDir.SyncSelf(); err != nil {
		return err
	}
	if path.Dir(from) == path.Dir(to) {
		return nil
	}
	return fromDir.SyncSelf()
}

// exists tells whether something is at a path, without following a symlink there.
func exists(v host.View, name string) (bool, error) {
	_, err := v.Lstat(name)
	if absent(err) {
		return false, nil
	}
	return err == nil, err
}

// alike tells whether two entries look the same without reading their content: type, owner, mode,
// and size and modification time of a regular file. A copy gets its name only when all of that is
// set, so one that looks the same is complete. Directories are alike if both are directories.
func alike(a host.DirReader, aName string, ast host.Stat, b host.DirReader, bName string) (bool, error) {
	bst, err := b.Lstat(bName)
	if absent(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if ast.Mode.Type() != bst.Mode.Type() {
		return false, nil
	}
	if ast.IsDir() {
		return true, nil
	}
	if ast.UID != bst.UID || ast.GID != bst.GID || ast.Rdev != bst.Rdev {
		return false, nil
	}
	if ast.IsSymlink() {
		at, err := a.Readlink(aName)
		if err != nil {
			return false, err
		}
		bt, err := b.Readlink(bName)
		return at == bt, err
	}
	if ast.Perm() != bst.Perm() {
		return false, nil
	}
	return !ast.IsRegular() || ast.Size == bst.Size && sameTime(ast.Mtime, bst.Mtime), nil
}

// partOf tells whether all that is at path a is also, and alike, at path b. Names in ignore are left
// out.
func partOf(ctx context.Context, v host.View, a, b, ignore string) (bool, error) {
	aDir, err := v.OpenTree(path.Dir(a))
	if err != nil {
		return false, err
	}
	defer aDir.Close()
	bDir, err := v.OpenTree(path.Dir(b))
	if err != nil {
		return false, err
	}
	defer bDir.Close()
	return partOfDir(ctx, aDir, path.Base(a), bDir, path.Base(b), ignore)
}

func partOfDir(ctx context.Context, a host.DirReader, aName string, b host.DirReader, bName, ignore string) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	st, err := a.Lstat(aName)
	if err != nil {
		return false, err
	}
	same, err := alike(a, aName, st, b, bName)
	if err != nil || !same || !st.IsDir() {
		return same, err
	}
	aSub, err := a.OpenDir(aName)
	if err != nil {
		return false, err
	}
	defer aSub.Close()
	bSub, err := b.OpenDir(bName)
	if err != nil {
		return false, err
	}
	defer bSub.Close()
	list, err := aSub.ReadDir()
	if err != nil {
		return false, err
	}
	for _, de := range list {
		if de.Name == ignore {
			continue
		}
		if same, err := partOfDir(ctx, aSub, de.Name, bSub, de.Name, ignore); err != nil || !same {
			return same, err
		}
	}
	return true, nil
}

// writeFile makes a new file of mode 0600 from r. Its content is durable when it returns.
func writeFile(dir host.Dir, name string, r io.Reader) error {
	f, err := dir.Create(name, 0o600)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, r); err != nil {
		f.Close()
		return err
	}
	if err := f.Sync(); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// digest is the SHA-256 of a regular file.
func digest(dir host.DirReader, name string) (string, error) {
	f, err := dir.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

func isType(mode fs.FileMode, types ...fs.FileMode) bool {
	return slices.Contains(types, mode.Type())
}

// sortedKeys lists the keys of maps, each once, in order.
func sortedKeys[K cmp.Ordered, V any](maps ...map[K]V) []K {
	var keys []K
	for _, m := range maps {
		for k := range m {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// isDir tells whether a directory is at a path; a symlink to one is none.
func isDir(v host.FileReader, name string) (bool, error) {
	st, err := v.Lstat(name)
	if absent(err) {
		return false, nil
	}
	return err == nil && st.IsDir(), err
}

// entriesOf lists a directory; nil if a path is none. A symlink to one is none.
func entriesOf(v host.FileReader, name string) ([]host.DirEntry, error) {
	there, err := isDir(v, name)
	if err != nil || !there {
		return nil, err
	}
	list, err := v.ReadDir(name)
	if list == nil && err == nil {
		list = []host.DirEntry{}
	}
	return list, err
}
