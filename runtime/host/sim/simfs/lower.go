package simfs

import (
	"path"

	"zcp2kopano/runtime/host"
)

// lower reads the layer below. It keeps the directories used last open, because a walk asks for one
// name after the other in the same directory.
type lower struct {
	files host.FileReader
	open  [8]openDir
	turn  int
}

type openDir struct {
	dir *lowerDir
	r   host.DirReader
}

// lowerDir is a directory of the lower layer.
type lowerDir struct{ path string }

// lowerRef is a name in a directory of the lower layer; the zero value refers to nothing.
type lowerRef struct {
	dir  *lowerDir
	name string
}

// lowerID tells the files of the lower layer apart.
type lowerID struct{ dev, ino uint64 }

func (r lowerRef) path() string     { return path.Join(r.dir.path, r.name) }
func (r lowerRef) dirAt() *lowerDir { return lowerDirOf(r) }

// lowerDirOf is nil for a reference to nothing.
func lowerDirOf(r lowerRef) *lowerDir {
	if r.dir == nil {
		return nil
	}
	return &lowerDir{r.path()}
}

func (l *lower) dir(d *lowerDir) (host.DirReader, error) {
	for _, o := range l.open {
		if o.dir == d {
			return o.r, nil
		}
	}
	r, err := l.files.OpenTree(d.path)
	if err != nil {
		return nil, err
	}
	slot := &l.open[l.turn]
	l.turn = (l.turn + 1) % len(l.open)
	if slot.r != nil {
		slot.r.Close()
	}
	*slot = openDir{d, r}
	return r, nil
}

func (l *lower) lstat(d *lowerDir, name string) (host.Stat, error) {
	r, err := l.dir(d)
	if err != nil {
		return l.files.Lstat(path.Join(d.path, name)) // a directory may be searched but not read
	}
	return r.Lstat(name)
}

func (l *lower) readDir(d *lowerDir) ([]host.DirEntry, error) {
	r, err := l.dir(d)
	if err != nil {
		return nil, err
	}
	return r.ReadDir()
}

func (l *lower) readlink(ref lowerRef) (string, error) {
	r, err := l.dir(ref.dir)
	if err != nil {
		return l.files.Readlink(ref.path())
	}
	return r.Readlink(ref.name)
}

func (l *lower) openFile(ref lowerRef) (host.File, error) {
	r, err := l.dir(ref.dir)
	if err != nil {
		return l.files.Open(ref.path())
	}
	return r.Open(ref.name)
}

func (l *lower) getxattr(ref lowerRef, attr string) ([]byte, error) {
	return l.files.Getxattr(ref.path(), attr)
}

func (l *lower) listxattr(ref lowerRef) ([]string, error) {
	return l.files.Listxattr(ref.path())
}

func (l *lower) close() {
	for i, o := range l.open {
		if o.r != nil {
			o.r.Close()
		}
		l.open[i] = openDir{}
	}
}
