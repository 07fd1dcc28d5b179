package action

import (
	"context"
	"path"
	"slices"
	"strings"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/tree"
)

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
	w := tree.Reader(ctx, func(e tree.Entry[host.DirReader]) error {
		total.add(e.Stat)
		return nil
	})
	return total, w.Walk(dir, "", st.Dev)
}

// lostFound is where ext2, ext3 and ext4 keep what a check of them finds; it belongs to the mount, not to what lies on it.
const lostFound = "lost+found"

// isMount reports whether a path is a mount point.
func isMount(v host.View, name string) (bool, error) {
	points, err := mountsBelow(v, name)
	return slices.Contains(points, name), err
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

// has reports whether a path is a name of this file.
func (l *lastDir) has(name string, st host.Stat) (bool, error) {
	dir, err := l.open(path.Dir(name))
	if host.Absent(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	now, err := dir.Lstat(path.Base(name))
	if host.Absent(err) {
		return false, nil
	}
	return err == nil && now.Dev == st.Dev && now.Ino == st.Ino, err
}
