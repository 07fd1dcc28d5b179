package simfs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/afero"

	"zcp2kopano/runtime/host"
)

// Afero gives the file system as an afero.Fs, afero.Lstater and afero.Symlinker that behaves as
// package os does: Chmod, Chown and Chtimes follow symlinks, Remove takes files and empty
// directories, and relative paths start at the root directory.
func Afero(f *FS) AferoFs { return AferoFs{f} }

// AferoFs is the type that Afero returns.
type AferoFs struct{ fs *FS }

var (
	_ afero.Fs        = AferoFs{}
	_ afero.Lstater   = AferoFs{}
	_ afero.Symlinker = AferoFs{}
)

// rooted makes a name absolute. It is not cleaned: ".." after a symlink means what the kernel says.
func rooted(name string) string {
	if strings.HasPrefix(name, "/") {
		return name
	}
	return "/" + name
}

func (a AferoFs) Name() string { return "simfs" }

func (a AferoFs) Create(name string) (afero.File, error) {
	return a.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o666)
}

func (a AferoFs) Open(name string) (afero.File, error) { return a.OpenFile(name, os.O_RDONLY, 0) }

// OpenFile knows the flags of package os.
func (a AferoFs) OpenFile(name string, flag int, perm os.FileMode) (afero.File, error) {
	out := &aferoFile{fs: a.fs, name: name}
	open := func() (err error) {
		out.file, out.dir, err = a.fs.openFlags(rooted(name), flag, perm)
		return err
	}
	err := a.fs.read("open", name, open)
	if isErrno(err, syscall.ENOENT) && flag&os.O_CREATE != 0 || flag&os.O_TRUNC != 0 && err == nil {
		err = a.fs.change("create", name, func() error { return a.fs.openChanging(out, flag, perm) })
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// openFlags opens what is there and changes nothing.
func (f *FS) openFlags(path string, flag int, _ os.FileMode) (*file, *tree, error) {
	p, err := f.locate(path)
	if err != nil {
		return nil, nil, err
	}
	exclusive := flag&(os.O_CREATE|os.O_EXCL) == os.O_CREATE|os.O_EXCL
	n, err := (&walker{f: f}).node(p, !exclusive)
	switch {
	case err != nil:
		return nil, nil, err
	case exclusive:
		return nil, nil, syscall.EEXIST
	case n.isDir() && flag&(os.O_WRONLY|os.O_RDWR|os.O_CREATE|os.O_TRUNC) == 0:
		t, err := f.openDir(n, path)
		return nil, t, err
	}
	h, err := f.openAs(n, path, flag)
	return h, nil, err
}

func (f *FS) openAs(n *inode, path string, flag int) (*file, error) {
	if err := mustBeRegular(n); err != nil {
		return nil, err
	}
	reads, writes := flag&os.O_WRONLY == 0, flag&(os.O_WRONLY|os.O_RDWR) != 0
	want := fs.FileMode(0)
	if reads {
		want |= mayRead
	}
	if writes {
		want |= mayWrite
		if err := n.mayChange(); err != nil {
			return nil, err
		}
	}
	if err := f.allowed(n, want); err != nil {
		return nil, err
	}
	h := f.open(n, path, reads, writes)
	h.appends = flag&os.O_APPEND != 0
	return h, nil
}

// openChanging truncates what openFlags opened, or makes the file that it did not find.
func (f *FS) openChanging(out *aferoFile, flag int, perm os.FileMode) error {
	if out.file != nil {
		f.truncate(out.file.n, 0)
		return nil
	}
	p, err := f.dangling(rooted(out.name))
	if err != nil {
		return err
	}
	n, err := f.create(p, perm)
	if err != nil {
		return err
	}
	out.file = f.open(n, out.name, flag&os.O_WRONLY == 0, flag&(os.O_WRONLY|os.O_RDWR) != 0)
	out.file.appends = flag&os.O_APPEND != 0
	return nil
}

// dangling is the place where a new file goes: behind symlinks that lead to nothing.
func (f *FS) dangling(path string) (place, error) {
	w := &walker{f: f}
	p, err := f.locate(path)
	for err == nil && p.kind == lastName && !p.slash {
		n, cerr := f.child(p.dir, p.name)
		if cerr != nil || !n.isSymlink() {
			break
		}
		p, err = w.through(p.dir, n)
	}
	return p, err
}

func (a AferoFs) Mkdir(name string, perm os.FileMode) error {
	return a.fs.changeName("mkdir", rooted(name), func(p place) error { return a.fs.mkdir(p, perm, false) })
}

func (a AferoFs) MkdirAll(name string, perm os.FileMode) error {
	info, err := a.Stat(name)
	if err == nil {
		if info.IsDir() {
			return nil
		}
		return pathError("mkdir", name, syscall.ENOTDIR)
	}
	if parent := path.Dir(rooted(name)); parent != "/" {
		if err := a.MkdirAll(parent, perm); err != nil {
			return err
		}
	}
	err = a.Mkdir(name, perm)
	if errors.Is(err, fs.ErrExist) {
		if info, serr := a.Stat(name); serr == nil && info.IsDir() {
			return nil
		}
	}
	return err
}

func (a AferoFs) Remove(name string) error {
	err := a.fs.Unlink(rooted(name))
	if !isErrno(err, syscall.EISDIR) {
		return err
	}
	return a.fs.Rmdir(rooted(name))
}

// RemoveAll removes a tree; none is no error.
func (a AferoFs) RemoveAll(name string) error {
	err := a.Remove(name)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if !isErrno(err, syscall.ENOTEMPTY) {
		return err
	}
	entries, err := a.fs.ReadDir(rooted(name))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := a.RemoveAll(path.Join(rooted(name), e.Name)); err != nil {
			return err
		}
	}
	return a.Remove(name)
}

// Rename refuses to replace a directory, as os.Rename does.
func (a AferoFs) Rename(oldname, newname string) error {
	over, err := a.fs.Lstat(rooted(newname))
	if err == nil && over.IsDir() {
		if _, err := a.fs.Lstat(rooted(oldname)); err != nil {
			return linkError("rename", oldname, newname, err)
		}
		return linkError("rename", oldname, newname, syscall.EEXIST)
	}
	return a.fs.Rename(rooted(oldname), rooted(newname))
}

func (a AferoFs) Stat(name string) (os.FileInfo, error) {
	st, err := a.fs.Stat(rooted(name))
	return infoOf(name, st, err)
}

func (a AferoFs) LstatIfPossible(name string) (os.FileInfo, bool, error) {
	st, err := a.fs.Lstat(rooted(name))
	info, err := infoOf(name, st, err)
	return info, true, err
}

func (a AferoFs) SymlinkIfPossible(oldname, newname string) error {
	return a.fs.Symlink(oldname, rooted(newname))
}

func (a AferoFs) ReadlinkIfPossible(name string) (string, error) { return a.fs.Readlink(rooted(name)) }

func (a AferoFs) Chmod(name string, mode os.FileMode) error {
	return a.follow("chmod", name, func(n *inode) error { return a.fs.chmod(n, mode) })
}

func (a AferoFs) Chown(name string, uid, gid int) error {
	return a.follow("chown", name, func(n *inode) error { return a.fs.chown(n, uid, gid) })
}

func (a AferoFs) Chtimes(name string, atime, mtime time.Time) error {
	return a.follow("chtimes", name, func(n *inode) error { return a.fs.chtimes(n, atime, mtime) })
}

func (a AferoFs) follow(op, name string, do func(n *inode) error) error {
	return a.fs.change(op, name, func() error {
		n, err := a.fs.find(rooted(name), true)
		if err != nil {
			return err
		}
		return do(n)
	})
}

// fileInfo is a snapshot; Sys is a *syscall.Stat_t.
type fileInfo struct {
	name string
	st   host.Stat
}

func infoOf(name string, st host.Stat, err error) (os.FileInfo, error) {
	if err != nil {
		return nil, err
	}
	return fileInfo{path.Base(name), st}, nil
}

func (i fileInfo) Name() string       { return i.name }
func (i fileInfo) Size() int64        { return i.st.Size }
func (i fileInfo) Mode() os.FileMode  { return i.st.Mode }
func (i fileInfo) ModTime() time.Time { return i.st.Mtime }
func (i fileInfo) IsDir() bool        { return i.st.IsDir() }

func (i fileInfo) Sys() any {
	st := &syscall.Stat_t{
		Dev: i.st.Dev, Ino: i.st.Ino, Mode: host.RawMode(i.st.Mode), Uid: i.st.UID, Gid: i.st.GID, Rdev: i.st.Rdev,
		Size: i.st.Size, Blksize: blockSize, Blocks: pagesOf(i.st.Size) * (blockSize / 512),
		Atim: syscall.NsecToTimespec(i.st.Atime.UnixNano()),
		Mtim: syscall.NsecToTimespec(i.st.Mtime.UnixNano()),
		Ctim: syscall.NsecToTimespec(i.st.Ctime.UnixNano()),
	}
	setNlink(&st.Nlink, i.st.Nlink)
	return st
}

// setNlink is for a field whose size depends on the architecture.
func setNlink[T uint32 | uint64](field *T, n uint64) { *field = T(n) }

// aferoFile is an open file or directory; the other of the two is nil.
type aferoFile struct {
	fs   *FS
	name string
	file *file
	dir  *tree
	left []os.FileInfo // what Readdir did not return yet
	read bool          // left was filled
}

func (a *aferoFile) Name() string { return a.name }

func (a *aferoFile) Close() error {
	if a.dir != nil {
		return a.dir.Close()
	}
	return a.file.Close()
}

// isDirError is what package os says of reading a directory as a file.
func (a *aferoFile) isDirError(op string) error { return pathError(op, a.name, syscall.EISDIR) }

func (a *aferoFile) Read(p []byte) (int, error) {
	if a.dir != nil {
		return 0, a.isDirError("read")
	}
	return a.file.Read(p)
}

func (a *aferoFile) ReadAt(p []byte, off int64) (int, error) {
	if a.dir != nil {
		return 0, a.isDirError("read")
	}
	return a.file.ReadAt(p, off)
}

func (a *aferoFile) Seek(offset int64, whence int) (int64, error) {
	if a.dir == nil {
		return a.file.Seek(offset, whence)
	}
	if offset != 0 || whence != io.SeekStart {
		return 0, pathError("seek", a.name, syscall.EINVAL)
	}
	a.left, a.read = nil, false
	return 0, nil
}

func (a *aferoFile) Write(p []byte) (int, error) {
	if a.dir != nil {
		return 0, pathError("write", a.name, syscall.EBADF)
	}
	return a.file.Write(p)
}

func (a *aferoFile) WriteAt(p []byte, off int64) (int, error) {
	if a.dir != nil {
		return 0, pathError("write", a.name, syscall.EBADF)
	}
	return a.file.WriteAt(p, off)
}

func (a *aferoFile) WriteString(s string) (int, error) { return a.Write([]byte(s)) }

func (a *aferoFile) Truncate(size int64) error {
	if a.dir != nil {
		return pathError("truncate", a.name, syscall.EINVAL)
	}
	return a.file.Truncate(size)
}

func (a *aferoFile) Sync() error {
	if a.dir != nil {
		return a.dir.SyncSelf()
	}
	return a.file.Sync()
}

func (a *aferoFile) Stat() (os.FileInfo, error) {
	var st host.Stat
	var err error
	if a.dir != nil {
		st, err = a.dir.Self()
	} else {
		st, err = a.file.Stat()
	}
	return infoOf(a.name, st, err)
}

// Readdir returns at most count entries, or all if count is not above 0.
func (a *aferoFile) Readdir(count int) ([]os.FileInfo, error) {
	if a.dir == nil {
		return nil, pathError("readdir", a.name, syscall.ENOTDIR)
	}
	if !a.read {
		if err := a.list(); err != nil {
			return nil, err
		}
	}
	n := len(a.left)
	if count > 0 {
		if n == 0 {
			return nil, io.EOF
		}
		n = min(n, count)
	}
	out := a.left[:n]
	a.left = a.left[n:]
	return out, nil
}

func (a *aferoFile) list() error {
	entries, err := a.dir.ReadDir()
	if err != nil {
		return err
	}
	a.left, a.read = nil, true
	for _, e := range entries {
		st, err := a.dir.Lstat(e.Name)
		if isErrno(err, syscall.ENOENT) {
			continue // removed since
		}
		if err != nil {
			return err
		}
		a.left = append(a.left, fileInfo{e.Name, st})
	}
	return nil
}

func (a *aferoFile) Readdirnames(count int) ([]string, error) {
	infos, err := a.Readdir(count)
	names := make([]string, 0, len(infos))
	for _, i := range infos {
		names = append(names, i.Name())
	}
	return names, err
}
