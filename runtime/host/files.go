package host

import (
	"context"
	"io"
	"io/fs"
	"syscall"
	"time"
)

// FileReader reads files by absolute path. Errors are *fs.PathError (or *os.LinkError) around a
// syscall.Errno, the same one on both kinds of host. Components that lead to the last one are
// resolved as the kernel would, symlinks included; but one that an unprivileged user could have planted
// is refused (ForeignLinkError).
type FileReader interface {
	Lstat(path string) (Stat, error)
	Stat(path string) (Stat, error)
	Readlink(path string) (string, error)
	// ReadDir lists a directory in order of name.
	ReadDir(path string) ([]DirEntry, error)
	// Open opens a regular file for reading, following symlinks. A directory is EISDIR; a FIFO,
	// socket or device is ErrNotRegular and is never opened.
	Open(path string) (File, error)
	// OpenTree opens a directory for work below it that never follows a symlink; the path itself may
	// lead through symlinks, and may be one.
	OpenTree(path string) (DirReader, error)
	Statfs(path string) (Statfs, error)
	// Getxattr and Listxattr do not follow a symlink in the last component.
	Getxattr(path, name string) ([]byte, error)
	Listxattr(path string) ([]string, error)
}

// FileWriter changes files by absolute path. None of its methods follows a symlink in the last
// component, unless it says so.
type FileWriter interface {
	// Create makes a new regular file (O_CREAT|O_EXCL) with exactly this mode, whatever the umask.
	Create(path string, mode fs.FileMode) (File, error)
	// OpenWrite opens an existing regular file for reading and writing.
	OpenWrite(path string) (File, error)
	// Mkdir makes a directory with exactly this mode, whatever the umask.
	Mkdir(path string, mode fs.FileMode) error
	Unlink(path string) error
	Rmdir(path string) error
	// Rename is rename(2): atomic, EXDEV across mounts.
	Rename(oldpath, newpath string) error
	Link(oldpath, newpath string) error
	Symlink(target, path string) error
	// Mknod makes a FIFO, socket or device node of the type in mode.
	Mknod(path string, mode fs.FileMode, rdev uint64) error
	// Chmod sets permission bits, setuid, setgid and sticky. On a symlink it is EOPNOTSUPP.
	Chmod(path string, mode fs.FileMode) error
	// Lchown sets owner and group; -1 leaves one as it is. As on Linux, it clears setuid and setgid
	// of an executable regular file.
	Lchown(path string, uid, gid int) error
	Chtimes(path string, atime, mtime time.Time) error
	Setxattr(path, name string, value []byte) error
	Removexattr(path, name string) error
	// SyncDir makes the names in a directory durable. It follows symlinks: a name below one lies there.
	SyncDir(path string) error
	// OpenTreeWrite is OpenTree for changes below the directory.
	OpenTreeWrite(path string) (Dir, error)
}

// DirReader is an open directory. Names are single components; no operation follows a symlink.
type DirReader interface {
	Self() (Stat, error)
	ReadDir() ([]DirEntry, error)
	Lstat(name string) (Stat, error)
	Readlink(name string) (string, error)
	Open(name string) (File, error)
	// OpenDir descends. A symlink is ELOOP, anything else but a directory ENOTDIR.
	OpenDir(name string) (DirReader, error)
	Getxattr(name, attr string) ([]byte, error)
	Listxattr(name string) ([]string, error)
	// Hold takes hold of an entry of any type: whatever becomes of its name, all that the Held does is about the one
	// that bore the name then.
	Hold(name string) (Held, error)
	Close() error
}

// Held is an entry of a directory by descriptor. A symlink is held itself.
type Held interface {
	// Stat looks at it as it is now.
	Stat() (Stat, error)
	Readlink() (string, error)
	// Open opens a regular file for reading; ErrNotRegular and EISDIR as of DirReader.
	Open() (File, error)
	Getxattr(attr string) ([]byte, error)
	Listxattr() ([]string, error)
	Close() error
}

// HeldWrite is a Held that can be changed.
type HeldWrite interface {
	Held
	Attributes
}

// Attributes are what an entry carries beside its content. A File that was just made may have them.
type Attributes interface {
	Stat() (Stat, error)
	Getxattr(attr string) ([]byte, error)
	Listxattr() ([]string, error)
	// Chmod, Chown, Chtimes, Setxattr and Removexattr are those of FileWriter.
	Chmod(mode fs.FileMode) error
	Chown(uid, gid int) error
	Chtimes(atime, mtime time.Time) error
	Setxattr(attr string, value []byte) error
	Removexattr(attr string) error
}

// Dir is an open directory whose entries can be changed.
type Dir interface {
	DirReader
	OpenDirWrite(name string) (Dir, error)
	Create(name string, mode fs.FileMode) (File, error)
	Mkdir(name string, mode fs.FileMode) error
	Symlink(target, name string) error
	// Link gives a file another name, in another open directory or in this one; EXDEV across mounts.
	Link(name string, to Dir, newname string) error
	Mknod(name string, mode fs.FileMode, rdev uint64) error
	Unlink(name string) error
	Rmdir(name string) error
	// Rename moves an entry, to another open directory or within this one.
	Rename(name string, to Dir, newname string) error
	// HoldWrite is Hold for changes: what an entry is, is looked at first, and what is changed is that one.
	HoldWrite(name string) (HeldWrite, error)
	// ChmodSelf, ChownSelf and SyncSelf change the directory itself.
	ChmodSelf(mode fs.FileMode) error
	ChownSelf(uid, gid int) error
	ChtimesSelf(atime, mtime time.Time) error
	SyncSelf() error
	// SyncFileSystem makes every change of the file system that the directory is on durable: for what
	// has no descriptor of its own, like the owner of a file.
	SyncFileSystem() error
}

// File is an open regular file.
type File interface {
	io.Reader
	io.ReaderAt
	io.Writer
	io.Seeker
	io.Closer
	Stat() (Stat, error)
	Truncate(size int64) error
	Sync() error
}

// Cloner is a File that can take over another's whole content without reading it, as a reflink does;
// a simulated file does so by reference. A File may be one.
type Cloner interface {
	// CloneFrom returns false, and has changed nothing, where this is not possible for these files.
	CloneFrom(src File) (bool, error)
}

// Flusher is a new File that can tell whether its content reached the disk, for less than Sync costs.
type Flusher interface {
	// BeginFlush begins with what Flush does, and does not wait for the disk.
	BeginFlush() error
	// Flush writes the content to the disk, and fails where that fails. It is not durable yet. It may leave that to
	// SyncFileSystem, where a directory that was open before the file was made is told then of what is lost.
	Flush() error
}

// Parallel is a directory where more than one thing can be done at a time.
type Parallel interface {
	// Parallel is how many.
	Parallel() int
}

// Courteous is a host where others work at the same time, and long work can be held back for their sake. A Host may be
// one.
type Courteous interface {
	// GiveWay has this process, and what it starts, come last at the disk, where the system can do that, until the
	// function is called that it returns. In idle time alone others never wait for it, and a busy disk may not let it on
	// at all.
	GiveWay(idle bool) (end func())
	// Limiter returns what waits until so many bytes more may be moved: at most perSecond of them in a second.
	Limiter(perSecond int64) func(ctx context.Context, bytes int) error
}

// CopyWatcher is a host that wants to know what was copied: a simulated one leaves open in a copy what it leaves open
// in the original. A Host may be one.
type CopyWatcher interface {
	Copied(from, to string)
}

// Stat is what lstat(2) tells. Mode has the type and permission bits as package io/fs spells them,
// setuid, setgid and sticky included.
type Stat struct {
	Mode  fs.FileMode
	UID   uint32
	GID   uint32
	Size  int64
	Nlink uint64
	Ino   uint64
	Dev   uint64
	Rdev  uint64
	Atime time.Time
	Mtime time.Time
	Ctime time.Time
}

// IsDir, IsRegular and IsSymlink tell the type.
func (s Stat) IsDir() bool     { return s.Mode.IsDir() }
func (s Stat) IsRegular() bool { return s.Mode.IsRegular() }
func (s Stat) IsSymlink() bool { return s.Mode&fs.ModeSymlink != 0 }

// Perm is the permission bits with setuid, setgid and sticky.
func (s Stat) Perm() fs.FileMode {
	return s.Mode & (fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky)
}

// DirEntry is a name in a directory with its type bits.
type DirEntry struct {
	Name string
	Type fs.FileMode
}

// Statfs is what a file system has left, in bytes and inodes.
type Statfs struct {
	Device     uint64 `json:"device"`
	Type       string `json:"type"`
	Total      uint64 `json:"total"`
	Free       uint64 `json:"free"`      // for root
	Available  uint64 `json:"available"` // for others
	Inodes     uint64 `json:"inodes"`
	FreeInodes uint64 `json:"free_inodes"`
	BlockSize  int64  `json:"block_size"`
	ReadOnly   bool   `json:"read_only"`
}

// WithFile opens a file and has all of it read, at any place.
func WithFile(files FileReader, name string, read func(r io.ReaderAt, size int64) error) error {
	f, err := files.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	return read(f, st.Size)
}

// The special permission bits of inode(7), and package io/fs's.
var specialBits = [...]struct {
	raw  uint32
	mode fs.FileMode
}{{syscall.S_ISUID, fs.ModeSetuid}, {syscall.S_ISGID, fs.ModeSetgid}, {syscall.S_ISVTX, fs.ModeSticky}}

// ModeOf spells an st_mode of inode(7), or permission bits of chmod(1) alone, as package io/fs does.
func ModeOf(raw uint32) fs.FileMode {
	mode := fs.FileMode(raw & 0o777)
	for _, special := range specialBits {
		if raw&special.raw != 0 {
			mode |= special.mode
		}
	}
	switch raw & syscall.S_IFMT {
	case syscall.S_IFDIR:
		mode |= fs.ModeDir
	case syscall.S_IFLNK:
		mode |= fs.ModeSymlink
	case syscall.S_IFIFO:
		mode |= fs.ModeNamedPipe
	case syscall.S_IFSOCK:
		mode |= fs.ModeSocket
	case syscall.S_IFBLK:
		mode |= fs.ModeDevice
	case syscall.S_IFCHR:
		mode |= fs.ModeDevice | fs.ModeCharDevice
	}
	return mode
}

// RawMode is the st_mode of inode(7), with the type. It is ModeOf backwards.
func RawMode(mode fs.FileMode) uint32 {
	bits := PermBits(mode)
	switch mode.Type() {
	case fs.ModeDir:
		return bits | syscall.S_IFDIR
	case fs.ModeSymlink:
		return bits | syscall.S_IFLNK
	case fs.ModeNamedPipe:
		return bits | syscall.S_IFIFO
	case fs.ModeSocket:
		return bits | syscall.S_IFSOCK
	case fs.ModeDevice:
		return bits | syscall.S_IFBLK
	case fs.ModeDevice | fs.ModeCharDevice:
		return bits | syscall.S_IFCHR
	}
	return bits | syscall.S_IFREG
}

// PermBits are the permissions as chmod(1) takes them: 0o1777 for a sticky directory of all.
func PermBits(mode fs.FileMode) uint32 {
	bits := uint32(mode.Perm())
	for _, special := range specialBits {
		if mode&special.mode != 0 {
			bits |= special.raw
		}
	}
	return bits
}
