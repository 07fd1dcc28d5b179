package live

import (
	"io"

	"golang.org/x/sys/unix"

	"zcp2kopano/runtime/host"
)

// at resolves a path and does work at the place it leads to.
func (s *space) at(op, path string, end last, work func(p place) error) error {
	p, err := s.resolve(path, end)
	if err != nil {
		return pathError(op, path, err)
	}
	defer p.close()
	return pathError(op, path, work(p))
}

func (s *space) Lstat(path string) (host.Stat, error) { return s.stat("lstat", path, lastItself) }
func (s *space) Stat(path string) (host.Stat, error)  { return s.stat("stat", path, lastTarget) }

func (s *space) stat(op, path string, end last) (st host.Stat, err error) {
	err = s.at(op, path, end, func(p place) (err error) {
		st, err = lstatAt(p.dir, p.name)
		return err
	})
	return st, err
}

func (s *space) Readlink(path string) (target string, err error) {
	err = s.at("readlink", path, lastItself, func(p place) (err error) {
		target, err = readlinkAt(p.dir, p.name)
		return err
	})
	return target, err
}

func (s *space) ReadDir(path string) (entries []host.DirEntry, err error) {
	err = s.at("readdir", path, lastTarget, func(p place) error {
		fd, err := openDirAt(p.dir, p.name)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		entries, err = readDirFD(fd)
		return err
	})
	return entries, err
}

func (s *space) Open(path string) (host.File, error) {
	return s.open(path, lastTarget, unix.O_RDONLY)
}

func (s *space) open(path string, end last, flags int) (host.File, error) {
	opened := &file{path: path}
	err := s.at("open", path, end, func(p place) (err error) {
		opened.f, err = openRegularAt(p.dir, p.name, flags)
		return err
	})
	if err != nil {
		return nil, err
	}
	return opened, nil
}

func (s *space) OpenTree(path string) (host.DirReader, error) {
	t, err := s.openTree(path)
	if err != nil {
		return nil, err
	}
	return &t, nil
}

func (s *space) openTree(path string) (treeReader, error) {
	t := treeReader{path: path}
	err := s.at("open", path, lastTarget, func(p place) (err error) {
		t.fd, err = openDirAt(p.dir, p.name)
		return err
	})
	return t, err
}

func (s *space) Statfs(path string) (result host.Statfs, err error) {
	err = s.at("statfs", path, lastTarget, func(p place) error {
		fd, err := openAt(p.dir, p.name, unix.O_PATH|unix.O_NOFOLLOW)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		result, err = statfsOf(fd)
		return err
	})
	return result, err
}

func statfsOf(fd int) (host.Statfs, error) {
	var st unix.Stat_t
	if err := fstat(fd, &st); err != nil {
		return host.Statfs{}, err
	}
	var sf unix.Statfs_t
	err := retry(func() error { return unix.Fstatfs(fd, &sf) })
	if err == unix.EBADF { // Linux before 3.12 does not take an O_PATH descriptor here
		err = retry(func() error { return unix.Statfs(procPath(fd, ""), &sf) })
	}
	if err != nil {
		return host.Statfs{}, err
	}
	unit := uint64(sf.Frsize)
	if unit == 0 {
		unit = uint64(sf.Bsize)
	}
	return host.Statfs{
		Device:     uint64(st.Dev),
		Type:       fileSystemType(uint64(st.Dev), int64(sf.Type)),
		Total:      sf.Blocks * unit,
		Free:       sf.Bfree * unit,
		Available:  sf.Bavail * unit,
		Inodes:     sf.Files,
		FreeInodes: sf.Ffree,
		BlockSize:  int64(sf.Bsize),
		ReadOnly:   sf.Flags&unix.ST_RDONLY != 0,
	}, nil
}

func (s *space) Getxattr(path, name string) (value []byte, err error) {
	err = s.at("getxattr", path, lastItself, func(p place) (err error) {
		value, err = getxattrAt(p.dir, p.name, name)
		return err
	})
	return value, err
}

func (s *space) Listxattr(path string) (names []string, err error) {
	err = s.at("listxattr", path, lastItself, func(p place) (err error) {
		names, err = listxattrAt(p.dir, p.name)
		return err
	})
	return names, err
}

// readFile reads a small file whole.
func (s *space) readFile(path string) ([]byte, error) {
	f, err := s.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// exists reports whether a path leads to something.
func (s *space) exists(path string) bool {
	_, err := s.Stat(path)
	return err == nil
}
