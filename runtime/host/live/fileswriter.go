package live

import (
	"io/fs"
	"time"

	"golang.org/x/sys/unix"

	"zcp2kopano/runtime/host"
)

// filesWriter changes the machine's files.
type filesWriter struct{ space *space }

func (h filesWriter) Create(path string, mode fs.FileMode) (host.File, error) {
	return h.space.create(path, mode)
}

func (s *space) create(path string, mode fs.FileMode) (host.File, error) {
	created := &file{path: path}
	err := s.at("create", path, lastName, func(p place) (err error) {
		created.f, err = createAt(p.dir, p.name, mode)
		return err
	})
	if err != nil {
		return nil, err
	}
	return created, nil
}

func (h filesWriter) OpenWrite(path string) (host.File, error) {
	return h.space.open(path, lastItself, unix.O_RDWR)
}

func (h filesWriter) Mkdir(path string, mode fs.FileMode) error { return h.space.mkdir(path, mode) }

func (s *space) mkdir(path string, mode fs.FileMode) error {
	return s.at("mkdir", path, lastName, func(p place) error { return mkdirAt(p.dir, p.name, mode) })
}

func (h filesWriter) Unlink(path string) error { return h.space.unlink(path) }

func (s *space) unlink(path string) error {
	return s.at("unlink", path, lastName, func(p place) error { return unlinkAt(p.dir, p.name, 0) })
}

func (h filesWriter) Rmdir(path string) error { return h.space.rmdir(path) }

func (s *space) rmdir(path string) error {
	return s.at("rmdir", path, lastName, func(p place) error { return unlinkAt(p.dir, p.name, unix.AT_REMOVEDIR) })
}

func (h filesWriter) Rename(oldpath, newpath string) error {
	return h.space.pair("rename", oldpath, lastName, newpath, renameAt)
}

func (h filesWriter) Link(oldpath, newpath string) error {
	return h.space.pair("link", oldpath, lastItself, newpath, linkAt)
}

func (s *space) pair(op, oldpath string, end last, newpath string, do func(int, string, int, string) error) error {
	from, err := s.resolve(oldpath, end)
	if err != nil {
		return linkError(op, oldpath, newpath, err)
	}
	defer from.close()
	if end == lastItself { // the kernel asks for the file itself before it looks where the other name leads
		if _, err := lstatAt(from.dir, from.name); err != nil {
			return linkError(op, oldpath, newpath, err)
		}
	}
	to, err := s.resolve(newpath, lastName)
	if err != nil {
		return linkError(op, oldpath, newpath, err)
	}
	defer to.close()
	return linkError(op, oldpath, newpath, do(from.dir, from.name, to.dir, to.name))
}

func (h filesWriter) Symlink(target, path string) error { return h.space.symlink(target, path) }

func (s *space) symlink(target, path string) error {
	p, err := s.resolve(path, lastName)
	if err != nil {
		return linkError("symlink", target, path, err)
	}
	defer p.close()
	return linkError("symlink", target, path, symlinkAt(target, p.dir, p.name))
}

func (h filesWriter) Mknod(path string, mode fs.FileMode, rdev uint64) error {
	return h.space.at("mknod", path, lastName, func(p place) error { return mknodAt(p.dir, p.name, mode, rdev) })
}

func (h filesWriter) Chmod(path string, mode fs.FileMode) error {
	return h.space.at("chmod", path, lastItself, func(p place) error { return chmodAt(p.dir, p.name, mode) })
}

func (h filesWriter) Lchown(path string, uid, gid int) error {
	return h.space.at("lchown", path, lastItself, func(p place) error { return lchownAt(p.dir, p.name, uid, gid) })
}

// Chtimes sets access and modification time; a zero time leaves one as it is.
func (h filesWriter) Chtimes(path string, atime, mtime time.Time) error {
	return h.space.at("chtimes", path, lastItself, func(p place) error { return chtimesAt(p.dir, p.name, atime, mtime) })
}

func (h filesWriter) Setxattr(path, name string, value []byte) error {
	return h.space.at("setxattr", path, lastItself, func(p place) error { return setxattrAt(p.dir, p.name, name, value) })
}

func (h filesWriter) Removexattr(path, name string) error {
	return h.space.at("removexattr", path, lastItself, func(p place) error { return removexattrAt(p.dir, p.name, name) })
}

func (h filesWriter) SyncDir(path string) error { return h.space.syncDir(path) }

func (s *space) syncDir(path string) error {
	return s.at("sync", path, lastTarget, func(p place) error {
		fd, err := openDirAt(p.dir, p.name)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return syncFD(fd)
	})
}

func (h filesWriter) OpenTreeWrite(path string) (host.Dir, error) {
	t, err := h.space.openTree(path)
	if err != nil {
		return nil, err
	}
	return &tree{t}, nil
}
