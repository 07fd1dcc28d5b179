package action

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"syscall"
	"time"

	"zcp2kopano/runtime/host"
)

// meta is what an entry carries beside its content.
type meta struct {
	mode   fs.FileMode // type and permission bits
	uid    uint32
	gid    uint32
	atime  time.Time // zero leaves the times alone
	mtime  time.Time
	xattrs map[string][]byte
}

// readMeta reads an entry's metadata; ACLs and security labels are extended attributes.
func readMeta(d host.DirReader, name string) (meta, error) {
	e, err := d.Hold(name)
	if err != nil {
		return meta{}, err
	}
	defer e.Close()
	m, _, err := metaOf(e)
	return m, err
}

// metaOf is readMeta of an entry that is held.
func metaOf(e host.Held) (meta, host.Stat, error) {
	st, err := e.Stat()
	if err != nil {
		return meta{}, st, err
	}
	xattrs, err := xattrsOf(e)
	return meta{mode: st.Mode, uid: st.UID, gid: st.GID, atime: st.Atime, mtime: st.Mtime, xattrs: xattrs}, st, err
}

// setMeta gives an entry this metadata.
func setMeta(d host.Dir, name string, m meta) error {
	return held(d, name, func(e host.HeldWrite, st host.Stat) error { return setMetaOf(e, st, m) })
}

// setNewMeta is setMeta of what was just made. A file that has more names than one is not that.
func setNewMeta(d host.Dir, name string, m meta) error {
	return held(d, name, func(e host.HeldWrite, st host.Stat) error {
		if st.IsRegular() && st.Nlink > 1 || st.Mode.Type() != m.mode.Type() {
			return host.ErrExchanged
		}
		return setMetaOf(e, st, m)
	})
}

// held does something to an entry that is held for it, as it was looked at then.
func held(d host.Dir, name string, do func(host.HeldWrite, host.Stat) error) error {
	e, err := d.HoldWrite(name)
	if err != nil {
		return err
	}
	defer e.Close()
	st, err := e.Stat()
	if err != nil {
		return err
	}
	return do(e, st)
}

// setMetaOf gives what is held this metadata. The order matters: a change of owner clears setuid and file
// capabilities, an ACL changes the group bits, and the mode has the last word on them.
func setMetaOf(e host.Attributes, st host.Stat, m meta) error {
	if st.UID != m.uid || st.GID != m.gid {
		if err := e.Chown(int(m.uid), int(m.gid)); err != nil {
			return err
		}
	}
	if err := setXattrs(e, m.xattrs); err != nil {
		return err
	}
	if !st.IsSymlink() {
		now, err := e.Stat()
		if err != nil {
			return err
		}
		if now.Perm() != perm(m.mode) {
			if err := e.Chmod(perm(m.mode)); err != nil {
				return err
			}
		}
	}
	if m.mtime.IsZero() {
		return nil
	}
	return e.Chtimes(m.atime, m.mtime)
}

func perm(mode fs.FileMode) fs.FileMode { return host.Stat{Mode: mode}.Perm() }

// readXattrs returns the extended attributes of an entry by name.
func readXattrs(d host.DirReader, name string) (map[string][]byte, error) {
	e, err := d.Hold(name)
	if err != nil {
		return nil, err
	}
	defer e.Close()
	return xattrsOf(e)
}

// attributed is what has extended attributes.
type attributed interface {
	Getxattr(attr string) ([]byte, error)
	Listxattr() ([]string, error)
}

// xattrsOf returns the extended attributes of what is held, nil where it has none or cannot have any.
func xattrsOf(e attributed) (map[string][]byte, error) {
	names, err := e.Listxattr()
	if noXattrs(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var xattrs map[string][]byte
	for _, attr := range names {
		if attr == "security.evm" { // a signature over the inode itself: another inode cannot have it
			continue
		}
		value, err := e.Getxattr(attr)
		if errors.Is(err, syscall.ENODATA) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if xattrs == nil {
			xattrs = map[string][]byte{}
		}
		xattrs[attr] = value
	}
	return xattrs, nil
}

// setXattrs makes an entry's extended attributes equal to want. What a new file inherits from its
// directory (a default ACL) is removed if it is not wanted; a security label stays if none is given,
// because the security module sets it and does not let it be removed.
func setXattrs(e host.Attributes, want map[string][]byte) error {
	have, err := xattrsOf(e)
	if err != nil {
		return err
	}
	for _, attr := range slices.Sorted(maps.Keys(have)) {
		if _, wanted := want[attr]; wanted || attr == "security.selinux" {
			continue
		}
		if err := e.Removexattr(attr); err != nil && !errors.Is(err, syscall.ENODATA) {
			return err
		}
	}
	for _, attr := range slices.Sorted(maps.Keys(want)) {
		if bytes.Equal(have[attr], want[attr]) && have[attr] != nil {
			continue
		}
		if err := e.Setxattr(attr, want[attr]); err != nil {
			return err
		}
	}
	return nil
}

func noXattrs(err error) bool {
	return errors.Is(err, syscall.ENOTSUP) || errors.Is(err, host.ErrUnsupported)
}

// sameTime allows for file systems that keep whole seconds only.
func sameTime(a, b time.Time) bool {
	d := a.Sub(b)
	return d > -time.Second && d < time.Second
}

// userID finds a user by name, or by number.
func userID(v host.View, name string) (uint32, error) {
	if id, err := strconv.ParseUint(name, 10, 32); err == nil {
		return uint32(id), nil
	}
	u, err := v.User(name)
	if errors.Is(err, host.ErrNoAccount) {
		return 0, fmt.Errorf("this host has no user %q: %w; install the package that makes it, or give a number", name, err)
	}
	return u.UID, err
}

// groupID finds a group by name, or by number.
func groupID(v host.View, name string) (uint32, error) {
	if id, err := strconv.ParseUint(name, 10, 32); err == nil {
		return uint32(id), nil
	}
	g, err := v.Group(name)
	if errors.Is(err, host.ErrNoAccount) {
		return 0, fmt.Errorf("this host has no group %q: %w; install the package that makes it, or give a number", name, err)
	}
	return g.GID, err
}

// owner resolves an optional owner and group; nil stands for one that is not given.
func owner(v host.View, user, group string) (uid, gid *uint32, err error) {
	if user != "" {
		id, err := userID(v, user)
		if err != nil {
			return nil, nil, err
		}
		uid = &id
	}
	if group != "" {
		id, err := groupID(v, group)
		if err != nil {
			return nil, nil, err
		}
		gid = &id
	}
	return uid, gid, nil
}

// or is the value that p points to, or def.
func or[T any](p *T, def T) T {
	if p == nil {
		return def
	}
	return *p
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
// is not there is left out.
func syncFileSystems(h host.Host, names ...string) error {
	done := map[uint64]bool{}
	for _, name := range names {
		dir, err := h.OpenTreeWrite(name)
		if host.Absent(err) {
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
