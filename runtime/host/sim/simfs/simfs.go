// Package simfs is a file system in memory that answers as Linux does, over an optional lower layer
// that it can only read.
//
// What is asked of a lower layer is read when it is asked for; what is changed is kept in memory, so
// the lower layer stays as it is. A directory knows which of its names were looked up, added or
// removed, and asks the lower layer for the others. A renamed directory goes on reading from where
// it was, so that moving a tree copies nothing. Content that nobody reads is never loaded: it is a
// reference into the lower layer, or only a declared size.
//
// Mounts have device numbers and budgets of bytes and inodes, so a rename across them is EXDEV and a
// full one ENOSPC. Errors are the kernel's, in the kernel's order; package hosttest compares them
// with the real ones.
//
// Known limits: reading does not change access times, bind mounts do not show each other's changes,
// POSIX ACLs are kept as extended attributes without effect on access, directories take one block
// whatever the number of their names, and a sparse file of the lower layer counts as full.
package simfs

import (
	"errors"
	"io/fs"
	"sync"
	"syscall"
	"time"

	"zcp2kopano/runtime/host"
)

// FS is a simulated file system. Its methods may be called from several goroutines.
type FS struct {
	mu    sync.Mutex
	lower *lower
	now   func() time.Time
	user  *Credentials
	trust bool // any symlink
	fault func(op, path string) error
	after func(op, path string)

	mounts  []*mount
	covers  map[*inode]*mount // by the inode that the mount hides
	volumes map[uint64]*volume
	links   map[lowerID]*inode // lower files with several names, by what makes them one
	lastIno uint64
}

var (
	_ host.FileReader = (*FS)(nil)
	_ host.FileWriter = (*FS)(nil)
)

// Options says what a file system starts with.
type Options struct {
	// Lower is what lies below; nil for an empty root directory.
	Lower host.FileReader
	// Now is the clock of file times; time.Now if nil.
	Now func() time.Time
	// Mounts is the mount table; the first is "/". Without any, "/" has no limits. A mount point that
	// cannot be reached below is left out.
	Mounts []Mount
	// User is who uses the file system; nil for root.
	User *Credentials
	// TrustLinks follows symlinks whoever owns them, as the kernel does. Else those that another user
	// could have planted are refused (ELOOP), as a live host does.
	TrustLinks bool
	// Fault is asked before every change and every sync; an error stops it with that error.
	Fault func(op, path string) error
	// After is called after every change and sync that succeeded.
	After func(op, path string)
}

// Credentials is a user with its groups; the first group owns what the user creates.
type Credentials struct {
	UID  uint32
	GIDs []uint32
}

// Mount is a line of the mount table and what its file system has left. A budget whose Total is 0
// has no limit of bytes, one whose Inodes is 0 none of inodes. Mounts of one device share one budget.
type Mount struct {
	host.Mount
	Budget host.Statfs
}

// firstIno is where inode numbers of new files begin: above what file systems hand out.
const firstIno = 1 << 48

// New makes a file system.
func New(o Options) *FS {
	f := &FS{
		now: o.Now, user: o.User, trust: o.TrustLinks, fault: o.Fault, after: o.After,
		covers: map[*inode]*mount{}, volumes: map[uint64]*volume{}, links: map[lowerID]*inode{},
		lastIno: firstIno,
	}
	if f.now == nil {
		f.now = time.Now
	}
	if o.Lower != nil {
		f.lower = &lower{files: o.Lower}
	}
	mounts := o.Mounts
	if len(mounts) == 0 || mounts[0].Point != "/" {
		mounts = append([]Mount{{Mount: host.Mount{Point: "/", Type: "ext4"}}}, mounts...)
	}
	f.mountRoot(mounts[0])
	for _, m := range mounts[1:] {
		_ = f.AddMount(m)
	}
	return f
}

// Close gives back the descriptors that the lower layer holds for this file system.
func (f *FS) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.lower != nil {
		f.lower.close()
	}
	return nil
}

// read runs a question under the lock and names its path in the error.
func (f *FS) read(op, path string, ask func() error) error {
	return pathError(op, path, f.locked(ask))
}

func (f *FS) locked(ask func() error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return ask()
}

// change runs a change under the lock, between the two hooks.
func (f *FS) change(op, path string, do func() error) error {
	if f.fault != nil {
		if err := f.fault(op, path); err != nil {
			return pathError(op, path, err)
		}
	}
	if err := f.read(op, path, do); err != nil {
		return err
	}
	if f.after != nil {
		f.after(op, path)
	}
	return nil
}

// pathError names operation and path, in place of those of the lower layer if the error came from it.
func pathError(op, path string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: path, Err: cause(err)}
}

// cause is what an error of the lower layer says without its own operation and path.
func cause(err error) error {
	var named *fs.PathError
	if errors.As(err, &named) {
		return named.Err
	}
	return err
}

func isErrno(err error, want syscall.Errno) bool {
	var errno syscall.Errno
	return errors.As(err, &errno) && errno == want
}

func (f *FS) stamp() int64 { return f.now().UnixNano() }
