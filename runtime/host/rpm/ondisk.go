package rpm

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"zcp2kopano/runtime/host"
)

// onDisk is a path of the package as it is now; nil if it is gone. What the admin has made of a file (its content,
// owner and mode, a symlink in its place) goes with it; a directory that is a symlink to another disk stays a
// directory of the package.
func (c *archiver) onDisk(f InstalledFile) (*InstalledFile, error) {
	st, err := c.disk.Lstat(f.Path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if f.Mode&typeBits == typeDir && st.IsSymlink() {
		if st, err = c.disk.Stat(f.Path); err != nil || !st.IsDir() {
			return nil, fmt.Errorf("it is a symlink to no directory: %w", errors.Join(err, errOtherType))
		}
	}
	f.Size, f.Digest, f.Target = 0, "", ""
	if !st.IsDir() {
		f.Time = st.Mtime.Unix() // a directory's changes with each of its files
	}
	switch {
	case st.IsDir() && f.Mode&typeBits == typeDir:
		f.Mode = typeDir
	case st.IsRegular() && f.Mode&typeBits != typeDir:
		f.Mode, f.Size = typeFile, st.Size
	case st.IsSymlink():
		if f.Target, err = c.disk.Readlink(f.Path); err != nil {
			return nil, err
		}
		f.Mode, f.Size = typeLink|0o777, int64(len(f.Target))
	case st.Mode.Type() == deviceOf(f.Mode):
		f.Mode &= typeBits
	default:
		return nil, errOtherType
	}
	if !st.IsSymlink() {
		f.Mode |= host.PermBits(st.Mode)
	}
	return &f, c.owner(&f, st)
}

var errOtherType = errors.New("something else lies in its place")

// owner takes the owner's name from the disk, where there is one: packages know no numbers.
func (c *archiver) owner(f *InstalledFile, st host.Stat) error {
	user, err := c.disk.UserID(st.UID)
	switch {
	case err == nil:
		f.User = user.Name
	case !errors.Is(err, host.ErrNoAccount):
		return err
	}
	group, err := c.disk.GroupID(st.GID)
	switch {
	case err == nil:
		f.Group = group.Name
	case !errors.Is(err, host.ErrNoAccount):
		return err
	}
	return nil
}

// deviceOf is the type of a device, pipe or socket; a regular file's for all else, which is none of them.
func deviceOf(mode uint32) fs.FileMode {
	switch mode & typeBits {
	case 0o020000:
		return fs.ModeDevice | fs.ModeCharDevice
	case 0o060000:
		return fs.ModeDevice
	case 0o010000:
		return fs.ModeNamedPipe
	case 0o140000:
		return fs.ModeSocket
	}
	return fs.ModeIrregular
}
