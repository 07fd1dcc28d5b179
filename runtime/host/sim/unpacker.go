package sim

import (
	"errors"
	"io/fs"

	"zcp2kopano/runtime/host"
)

// unpacker puts files of packages in place.
type unpacker struct {
	files    *files
	gaps     *gaps
	accounts *accountFiles
}

// writePackageFile makes a path of a package, under a temporary name first, as dpkg does.
func (up *unpacker) writePackageFile(p *Package, f host.PackedFile, to string) error {
	uid, gid, err := up.accounts.ownerIDs(f.User, f.Group)
	if errors.Is(err, host.ErrNoAccount) {
		uid, gid, err = 0, 0, nil // the payload names an account that this host lacks
	}
	if err != nil {
		return err
	}
	tmp := to + ".dpkg-tmp"
	if f.Mode.IsDir() {
		tmp = to
		if err := up.files.Unlink(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if tmp != to {
		if err := up.files.clear(tmp); err != nil {
			return err
		}
	}
	if err := up.makePackageFile(p, f, tmp); err != nil {
		return err
	}
	if err := up.files.Lchown(tmp, int(uid), int(gid)); err != nil {
		return err
	}
	if f.Mode&fs.ModeSymlink == 0 {
		if err := up.files.Chmod(tmp, f.Mode&^fs.ModeType); err != nil {
			return err
		}
	}
	if !f.Mtime.IsZero() {
		if err := up.files.Chtimes(tmp, f.Mtime, f.Mtime); err != nil {
			return err
		}
	}
	if tmp == to {
		return nil
	}
	return up.files.Rename(tmp, to)
}

func (up *unpacker) makePackageFile(p *Package, f host.PackedFile, at string) error {
	switch {
	case f.Mode.IsDir():
		return up.files.Mkdir(at, f.Mode&^fs.ModeType)
	case f.Mode&fs.ModeSymlink != 0:
		return up.files.Symlink(f.Target, at)
	case f.Link != "":
		return up.files.Link(f.Link, at)
	case !f.Mode.IsRegular():
		return up.files.Mknod(at, f.Mode, 0)
	case f.Content != nil && !f.Approx:
		return up.files.writeFile(at, f.Content, f.Mode.Perm())
	}
	why := "it is known by the " + p.From + ", which does not have the contents of files"
	if f.Approx {
		why = "it is known by the " + p.From + ", which has only the like of its content"
	}
	up.gaps.add(host.Unpredicted{What: "content of " + f.Path, Why: why, Path: f.Path, Aspect: "content"})
	if f.Approx {
		return up.files.writeFile(at, f.Content, f.Mode.Perm())
	}
	return up.files.CreateSized(at, f.Size, f.Mode.Perm())
}
