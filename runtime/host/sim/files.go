package sim

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"syscall"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/deb"
	"zcp2kopano/runtime/host/digest"
	"zcp2kopano/runtime/host/sim/simfs"
)

// files is the simulated file system, with what package managers and scripts do in it.
type files struct{ *simfs.FS }

// replaceFile replaces a file, as a rename of a new file over the old one leaves it.
func (fl *files) replaceFile(name string, content []byte, like host.Stat) error {
	tmp := name + "+"
	if err := fl.clear(tmp); err != nil {
		return err
	}
	if err := fl.writeFile(tmp, content, like.Perm()); err != nil {
		return err
	}
	if err := fl.Lchown(tmp, int(like.UID), int(like.GID)); err != nil {
		return err
	}
	return fl.Rename(tmp, name)
}

// clear removes a temporary file that an interrupted attempt has left.
func (fl *files) clear(tmp string) error {
	if _, err := fl.Lstat(tmp); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return fl.Unlink(tmp)
}

// readFile reads a file of the simulated host. A content that is not known is host.ErrUnknown.
func (fl *files) readFile(name string) ([]byte, error) {
	f, err := fl.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

func (fl *files) writeFile(name string, content []byte, mode fs.FileMode) error {
	f, err := fl.Create(name, mode)
	if err != nil {
		return err
	}
	if _, err := f.Write(content); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

func (fl *files) putNullDevice(st host.Stat) error {
	if err := fl.PutNode(maskUnit, st.Mode, st.Rdev, st.UID, st.GID); err != nil {
		return err
	}
	return fl.PutTimes(maskUnit, st.Mtime)
}

func (fl *files) hasProgram(name string) bool {
	return slices.ContainsFunc([]string{"/usr/bin/", "/bin/"}, func(dir string) bool {
		st, err := fl.Stat(dir + name)
		return err == nil && st.IsRegular()
	})
}

// digest is the digest of a file, of the same kind as another one; empty where its content is not known.
func (fl *files) digest(name, like string) (sum string, exists bool, err error) {
	content, err := fl.readFile(name)
	switch {
	case err == nil:
		return digest.Of(content, like), true, nil
	case errors.Is(err, fs.ErrNotExist):
		return "", false, nil
	case errors.Is(err, host.ErrUnknown):
		return "", true, nil
	}
	return "", false, err
}

// removePath removes a name as dpkg does: a directory if it is empty, anything else at once. It
// reports whether a directory stays.
func (fl *files) removePath(name string) (stays bool, err error) {
	err = fl.Rmdir(name)
	switch {
	case err == nil, errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ELOOP):
		return false, nil
	case errors.Is(err, syscall.ENOTEMPTY), errors.Is(err, syscall.EEXIST), errors.Is(err, syscall.EBUSY), errors.Is(err, syscall.EPERM):
		return true, nil
	case !errors.Is(err, syscall.ENOTDIR):
		return false, err
	}
	if err := fl.Unlink(name); err != nil && !host.Absent(err) {
		return false, err
	}
	return false, nil
}

func (fl *files) purgeConffile(name string) error {
	if err := fl.Unlink(name); err != nil && !isLeft(err) && !errors.Is(err, syscall.EISDIR) {
		return err
	}
	dir, base := path.Split(name)
	entries, err := fl.ReadDir(dir)
	if err != nil {
		return nil // no directory, no leftovers
	}
	for _, e := range entries {
		rest, ours := strings.CutPrefix(e.Name, base)
		numbered := ours && len(rest) > 2 && rest[0] == '~' && rest[len(rest)-1] == '~' && strings.Trim(rest[1:len(rest)-1], "0123456789") == ""
		if e.Name == "#"+base+"#" || numbered || ours && slices.Contains(deb.PurgedWith, rest) {
			if err := fl.Unlink(dir + e.Name); err != nil && !isLeft(err) && !errors.Is(err, syscall.EISDIR) {
				return err
			}
		}
	}
	return nil
}

// conffilePath follows the symlinks of a conffile to the file itself, as dpkg does. It reports whether a file,
// or nothing, is there: anything else dpkg leaves alone.
func (fl *files) conffilePath(name string) (file string, ok bool) {
	for range 25 {
		st, err := fl.Lstat(name)
		if err != nil || st.IsRegular() {
			return name, true
		}
		if !st.IsSymlink() {
			return name, false
		}
		target, err := fl.Readlink(name)
		if err != nil {
			return name, false
		}
		if !path.IsAbs(target) {
			target = name[:strings.LastIndexByte(name, '/')+1] + target // not cleaned: .. may follow a symlink
		}
		name = target
	}
	return name, false
}

func (fl *files) replaceIfExists(from, to string) error {
	return fl.Rename(from, to)
}

func (fl *files) copyOwnerMode(from, to string) error {
	st, err := fl.Stat(from)
	if err != nil {
		return err
	}
	if err := fl.Lchown(to, int(st.UID), int(st.GID)); err != nil {
		return err
	}
	return fl.Chmod(to, st.Perm())
}

// mkdirAll makes a directory and those above it, as mkdir -p with mode 0755.
func (fl *files) mkdirAll(dir string) error {
	if st, err := fl.Stat(dir); err == nil && st.IsDir() {
		return nil
	}
	if dir == "/" {
		return nil
	}
	if err := fl.mkdirAll(path.Dir(dir)); err != nil {
		return err
	}
	return fl.Mkdir(dir, 0o755)
}

// removeAll is rm -rf.
func (fl *files) removeAll(name string) error {
	st, err := fl.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !st.IsDir() {
		return fl.Unlink(name)
	}
	entries, err := fl.ReadDir(name)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := fl.removeAll(path.Join(name, e.Name)); err != nil {
			return err
		}
	}
	return fl.Rmdir(name)
}

// matching lists the files of a pattern, whose last part alone may have wildcards.
func (fl *files) matching(pattern string) []string {
	dir, glob := path.Split(pattern)
	if !strings.Contains(glob, "*") {
		return []string{pattern}
	}
	var files []string
	for _, e := range fl.entries(path.Clean(dir)) {
		if ok, _ := path.Match(glob, e.Name); ok {
			files = append(files, path.Join(dir, e.Name))
		}
	}
	return files
}

// eraseFile removes a path of a package, whatever is there; a directory only when it is empty.
func (fl *files) eraseFile(name string) error {
	st, err := fl.Lstat(name)
	if err != nil {
		if isLeft(err) {
			return nil
		}
		return err
	}
	remove := fl.Unlink
	if st.IsDir() {
		remove = fl.Rmdir
	}
	if err := remove(name); err != nil && !isLeft(err) {
		return err
	}
	return nil
}

// settings reads a file of "NAME VALUE" or "NAME=VALUE".
func (fl *files) settings(file string) map[string]string {
	text, err := fl.readFile(file)
	if err != nil {
		return nil
	}
	all := map[string]string{}
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(strings.TrimSpace(line), "#")
		if name, value, ok := strings.Cut(line, "="); ok {
			all[strings.ToLower(strings.TrimSpace(name))] = strings.Trim(strings.TrimSpace(value), `"'`)
			continue
		}
		if words := strings.Fields(line); len(words) == 2 {
			all[strings.ToLower(words[0])] = words[1]
		}
	}
	return all
}

// makeDir is mkdir(1): with parents a directory that is there stays as it is.
func (fl *files) makeDir(name string, parents bool, above, mode fs.FileMode, exact bool) error {
	if parents {
		if st, err := fl.Stat(name); err == nil && st.IsDir() {
			return nil
		}
		if dir := path.Dir(path.Clean(name)); dir != "/" {
			if err := fl.makeDir(dir, true, above, above, false); err != nil {
				return err
			}
		}
	}
	if err := fl.Mkdir(name, mode.Perm()); err != nil {
		return err
	}
	return fl.Chmod(name, mode&^fs.ModeType)
}

// setOwner gives a file that a symlink may lead to an owner and a mode; -1 leaves what is.
func (fl *files) setOwner(name string, uid, gid int, mode fs.FileMode) error {
	name, err := fl.follow(name)
	if err != nil {
		return err
	}
	if err := fl.Lchown(name, uid, gid); err != nil {
		return err
	}
	return fl.Chmod(name, mode&^fs.ModeType)
}

// follow is where a name leads.
func (fl *files) follow(name string) (string, error) {
	for range 40 {
		st, err := fl.Lstat(name)
		if err != nil || !st.IsSymlink() {
			return name, err
		}
		target, err := fl.Readlink(name)
		if err != nil {
			return name, err
		}
		if !path.IsAbs(target) {
			target = path.Dir(name) + "/" + target
		}
		name = target
	}
	return name, &fs.PathError{Op: "stat", Path: name, Err: syscall.ELOOP}
}

// rewriteFile truncates and writes a file that is there, and makes one that is not.
func (fl *files) rewriteFile(name string, content []byte, mode fs.FileMode) error {
	name, err := fl.follow(name)
	if errors.Is(err, fs.ErrNotExist) {
		return fl.writeFile(name, content, mode)
	}
	if err != nil {
		return err
	}
	f, err := fl.OpenWrite(name)
	if err != nil {
		return err
	}
	if err := f.Truncate(0); err != nil {
		f.Close()
		return err
	}
	if _, err := f.Write(content); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// chownAll is chown -R, which follows no symlink.
func (fl *files) chownAll(name string, uid, gid int) error {
	st, err := fl.Lstat(name)
	if err != nil {
		return err
	}
	if st.IsDir() {
		entries, err := fl.ReadDir(name)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if err := fl.chownAll(path.Join(name, e.Name), uid, gid); err != nil {
				return err
			}
		}
	}
	return fl.Lchown(name, uid, gid)
}

// chmodAll changes modes, and passes over symlinks below.
func (fl *files) chmodAll(name, mode string, umask fs.FileMode, below bool) error {
	st, err := fl.Lstat(name)
	if err != nil || st.IsSymlink() {
		return err
	}
	fresh, err := newMode(mode, st.Mode, umask)
	if err != nil {
		return err
	}
	if err := fl.Chmod(name, fresh&^fs.ModeType); err != nil || !below || !st.IsDir() {
		return err
	}
	entries, err := fl.ReadDir(name)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := fl.chmodAll(path.Join(name, e.Name), mode, umask, true); err != nil {
			return err
		}
	}
	return nil
}

func (fl *files) entries(dir string) []host.DirEntry {
	list, err := fl.ReadDir(dir)
	if err != nil {
		return nil
	}
	return list
}

func (fl *files) exists(name string) bool {
	_, err := fl.Lstat(name)
	return err == nil
}

func (fl *files) unlinkAll(names []string) error {
	for _, name := range names {
		if err := fl.Unlink(name); err != nil {
			return err
		}
	}
	return nil
}
