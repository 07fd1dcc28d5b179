package live

import (
	"io/fs"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"zcp2kopano/runtime/host"
)

// treeReader is an open directory; tree is one whose entries may be changed. Everything below is
// reached by the descriptor, so a renamed or swapped directory cannot lead elsewhere.
type treeReader struct {
	fd   int
	path string
}

type tree struct{ treeReader }

var (
	_ host.DirReader = (*treeReader)(nil)
	_ host.Dir       = (*tree)(nil)
)

// name checks that a name is a single component; an absolute or climbing one would leave the
// directory.
func (t *treeReader) name(op, name string) error {
	if name == "" {
		return t.wrap(op, name, unix.ENOENT)
	}
	if name == "." || name == ".." || strings.IndexByte(name, '/') >= 0 || strings.IndexByte(name, 0) >= 0 {
		return t.wrap(op, name, unix.EINVAL)
	}
	return nil
}

func (t *treeReader) wrap(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return pathError(op, join(t.path, name), err)
}

func join(dir, name string) string { return strings.TrimRight(dir, "/") + "/" + name }

func (t *treeReader) Self() (host.Stat, error) {
	var st unix.Stat_t
	if err := fstat(t.fd, &st); err != nil {
		return host.Stat{}, pathError("lstat", t.path, err)
	}
	return statOf(&st), nil
}

func (t *treeReader) ReadDir() ([]host.DirEntry, error) {
	entries, err := readDirFD(t.fd)
	return entries, pathError("readdir", t.path, err)
}

func (t *treeReader) Lstat(name string) (host.Stat, error) {
	if err := t.name("lstat", name); err != nil {
		return host.Stat{}, err
	}
	st, err := lstatAt(t.fd, name)
	return st, t.wrap("lstat", name, err)
}

func (t *treeReader) Readlink(name string) (string, error) {
	if err := t.name("readlink", name); err != nil {
		return "", err
	}
	target, err := readlinkAt(t.fd, name)
	return target, t.wrap("readlink", name, err)
}

func (t *treeReader) Open(name string) (host.File, error) {
	return t.open(name, unix.O_RDONLY)
}

func (t *treeReader) open(name string, flags int) (host.File, error) {
	if err := t.name("open", name); err != nil {
		return nil, err
	}
	f, err := openRegularAt(t.fd, name, flags)
	if err != nil {
		return nil, t.wrap("open", name, err)
	}
	return &file{f, join(t.path, name)}, nil
}

func (t *treeReader) OpenDir(name string) (host.DirReader, error) {
	sub, err := t.descend(name)
	if err != nil {
		return nil, err
	}
	return &sub, nil
}

func (t *treeReader) descend(name string) (treeReader, error) {
	if err := t.name("open", name); err != nil {
		return treeReader{}, err
	}
	fd, err := openDirAt(t.fd, name)
	if err != nil {
		return treeReader{}, t.wrap("open", name, err)
	}
	return treeReader{fd, join(t.path, name)}, nil
}

func (t *treeReader) Getxattr(name, attr string) ([]byte, error) {
	if err := t.name("getxattr", name); err != nil {
		return nil, err
	}
	value, err := getxattrAt(t.fd, name, attr)
	return value, t.wrap("getxattr", name, err)
}

func (t *treeReader) Listxattr(name string) ([]string, error) {
	if err := t.name("listxattr", name); err != nil {
		return nil, err
	}
	names, err := listxattrAt(t.fd, name)
	return names, t.wrap("listxattr", name, err)
}

func (t *treeReader) Hold(name string) (host.Held, error) { return t.hold(name) }

func (t *tree) HoldWrite(name string) (host.HeldWrite, error) { return t.hold(name) }

// Parallel implements host.Parallel: a disk is quicker when it is asked for several things, and so are several processors.
func (t *treeReader) Parallel() int { return max(4, runtime.GOMAXPROCS(0)) }

func (t *treeReader) Close() error {
	return pathError("close", t.path, unix.Close(t.fd))
}

func (t *tree) OpenDirWrite(name string) (host.Dir, error) {
	sub, err := t.descend(name)
	if err != nil {
		return nil, err
	}
	return &tree{sub}, nil
}

func (t *tree) Create(name string, mode fs.FileMode) (host.File, error) {
	if err := t.name("create", name); err != nil {
		return nil, err
	}
	f, err := createAt(t.fd, name, mode)
	if err != nil {
		return nil, t.wrap("create", name, err)
	}
	return &newFile{file: file{f, join(t.path, name)}}, nil
}

// change runs one change of an entry and wraps its error.
func (t *tree) change(op, name string, do func() error) error {
	if err := t.name(op, name); err != nil {
		return err
	}
	return t.wrap(op, name, do())
}

func (t *tree) Mkdir(name string, mode fs.FileMode) error {
	return t.change("mkdir", name, func() error { return mkdirAt(t.fd, name, mode) })
}

func (t *tree) Mknod(name string, mode fs.FileMode, rdev uint64) error {
	return t.change("mknod", name, func() error { return mknodAt(t.fd, name, mode, rdev) })
}

func (t *tree) Unlink(name string) error {
	return t.change("unlink", name, func() error { return unlinkAt(t.fd, name, 0) })
}

func (t *tree) Rmdir(name string) error {
	return t.change("rmdir", name, func() error { return unlinkAt(t.fd, name, unix.AT_REMOVEDIR) })
}

func (t *tree) Symlink(target, name string) error {
	if err := t.name("symlink", name); err != nil {
		return err
	}
	return linkError("symlink", target, join(t.path, name), symlinkAt(target, t.fd, name))
}

func (t *tree) Link(name string, to host.Dir, newname string) error {
	return t.pair("link", name, to, newname, linkAt)
}

func (t *tree) Rename(name string, to host.Dir, newname string) error {
	return t.pair("rename", name, to, newname, renameAt)
}

func (t *tree) pair(op, name string, dir host.Dir, newname string, do func(int, string, int, string) error) error {
	to, ok := dir.(*tree)
	if !ok {
		return linkError(op, join(t.path, name), newname, unix.EXDEV)
	}
	if err := t.name(op, name); err != nil {
		return err
	}
	if err := to.name(op, newname); err != nil {
		return err
	}
	return linkError(op, join(t.path, name), join(to.path, newname), do(t.fd, name, to.fd, newname))
}

func (t *tree) ChmodSelf(mode fs.FileMode) error {
	err := retry(func() error { return unix.Fchmod(t.fd, host.PermBits(mode)) })
	return pathError("chmod", t.path, err)
}

func (t *tree) ChownSelf(uid, gid int) error {
	err := retry(func() error { return unix.Fchown(t.fd, uid, gid) })
	return pathError("chown", t.path, err)
}

func (t *tree) ChtimesSelf(atime, mtime time.Time) error {
	return pathError("chtimes", t.path, chtimesAt(t.fd, ".", atime, mtime))
}

func (t *tree) SyncSelf() error {
	return pathError("sync", t.path, syncFD(t.fd))
}

func (t *tree) SyncFileSystem() error {
	return pathError("syncfs", t.path, retry(func() error { return unix.Syncfs(t.fd) }))
}
