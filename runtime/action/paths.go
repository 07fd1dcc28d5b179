package action

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"unicode/utf8"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/policy"
	"zcp2kopano/runtime/tree"
)

// parent opens the directory that holds a path, for changes, and returns the path's last name.
func parent(h host.Host, name string) (host.Dir, string, error) {
	if path.Base(name) == "/" {
		return nil, "", errors.New("the root directory itself cannot be changed")
	}
	dir, err := h.OpenTreeWrite(path.Dir(name))
	return dir, path.Base(name), err
}

// exists reports whether something is at a path, without following a symlink there.
func exists(v host.View, name string) (bool, error) {
	_, err := v.Lstat(name)
	if host.Absent(err) {
		return false, nil
	}
	return err == nil, err
}

// isDir reports whether a directory is at a path; a symlink to one is not a directory.
func isDir(v host.FileReader, name string) (bool, error) {
	st, err := v.Lstat(name)
	if host.Absent(err) {
		return false, nil
	}
	return err == nil && st.IsDir(), err
}

// entriesOf lists a directory; nil if the path is not one, or is a symlink to one.
func entriesOf(v host.FileReader, name string) ([]host.DirEntry, error) {
	there, err := isDir(v, name)
	if err != nil || !there {
		return nil, err
	}
	list, err := v.ReadDir(name)
	if list == nil && err == nil {
		list = []host.DirEntry{}
	}
	return list, err
}

func isType(mode fs.FileMode, types ...fs.FileMode) bool {
	return slices.Contains(types, mode.Type())
}

func unlinkIfThere(dir host.Dir, name string) error {
	if _, err := dir.Lstat(name); host.Absent(err) {
		return nil
	}
	return dir.Unlink(name)
}

// removePath is tree.Remove by path, of what is not large; the removal is durable when it returns.
func removePath(h host.Host, name string) error {
	return removeDurably(context.Background(), h, name, nil)
}

// remove is removePath of what may be large.
func (env *Env) remove(name string, total size) error {
	return removeDurably(env.Ctx, env.Host, name, newAdvance(env, "remove "+name, total).files)
}

func removeDurably(ctx context.Context, h host.Host, name string, tick func(more int64)) error {
	dir, base, err := parent(h, name)
	if host.Absent(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer dir.Close()
	if _, err := dir.Lstat(base); host.Absent(err) {
		return nil
	}
	if err := tree.Remove(ctx, dir, base, tick); err != nil {
		return fmt.Errorf("remove %s: %w", name, err)
	}
	return dir.SyncSelf()
}

// renamePath renames and makes both directories durable, the new name first.
func renamePath(h host.Host, from, to string) error {
	fromDir, fromBase, err := parent(h, from)
	if err != nil {
		return err
	}
	defer fromDir.Close()
	toDir, toBase, err := parent(h, to)
	if err != nil {
		return err
	}
	defer toDir.Close()
	if err := fromDir.Rename(fromBase, toDir, toBase); err != nil {
		return err
	}
	if err := toDir.SyncSelf(); err != nil {
		return err
	}
	if path.Dir(from) == path.Dir(to) {
		return nil
	}
	return fromDir.SyncSelf()
}

// mkdirAll makes a directory of the store and those above it, for root only.
func mkdirAll(h host.Host, name string) error { return makeDirs(h, name, 0o700) }

// makeDirs makes a directory and those above it that are missing, of root.
func makeDirs(h host.Host, name string, mode fs.FileMode) error {
	_, err := h.Stat(name)
	if !host.Absent(err) {
		return err
	}
	if err := makeDirs(h, path.Dir(name), mode); err != nil {
		return err
	}
	if err := h.Mkdir(name, mode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return h.SyncDir(path.Dir(name))
}

// writeFile makes a new file of mode 0600 from r. Its content is durable when it returns.
func writeFile(dir host.Dir, name string, r io.Reader) error {
	f, err := dir.Create(name, 0o600)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, r); err != nil {
		f.Close()
		return err
	}
	if err := f.Sync(); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// digest is the SHA-256 of a regular file.
func digest(dir host.DirReader, name string) (string, error) {
	e, err := dir.Hold(name)
	if err != nil {
		return "", err
	}
	defer e.Close()
	return digestOf(e)
}

// digestOf is digest of what is held.
func digestOf(e host.Held) (string, error) {
	f, err := e.Open()
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// needParent says what to do where the directory that is to hold a path is missing.
func needParent(v host.View, name string) error {
	st, err := v.Stat(path.Dir(name))
	if host.Absent(err) {
		return fmt.Errorf("%s: there is no directory %s to hold it; make it with fs.mkdir first", name, path.Dir(name))
	}
	if err == nil && !st.IsDir() {
		return fmt.Errorf("%s: %s is not a directory", name, path.Dir(name))
	}
	return err
}

func pathTargets(paths ...string) []policy.Target {
	targets := make([]policy.Target, len(paths))
	for i, p := range paths {
		targets[i] = policy.Target{Class: policy.Path, Name: p}
	}
	return targets
}

// through is pathTargets for directories whose content is meant: a symlink to one is followed.
func through(contents bool, paths ...string) []policy.Target {
	targets := pathTargets(paths...)
	for i := range targets {
		targets[i].Through = contents
	}
	return targets
}

// maxLinks is the number of symlinks that Linux follows in one path (path_resolution(7)).
const maxLinks = 40

// Resolve follows all symlinks of an absolute path. Components that do not exist stay as they are.
func Resolve(view host.FileReader, name string) (string, error) {
	done, rest := "/", strings.Split(strings.TrimPrefix(name, "/"), "/")
	for links := 0; len(rest) > 0; {
		part := rest[0]
		rest = rest[1:]
		if part == "" || part == "." {
			continue
		}
		if part == ".." {
			done = path.Dir(done)
			continue
		}
		next := path.Join(done, part)
		st, err := view.Lstat(next)
		if host.Absent(err) {
			return path.Join(append([]string{next}, rest...)...), nil
		}
		if err != nil {
			return "", err
		}
		if !st.IsSymlink() {
			done = next
			continue
		}
		if links++; links > maxLinks {
			return "", &errLoop{name}
		}
		var foreign *host.ForeignLinkError
		if _, err := view.Stat(next); errors.As(err, &foreign) {
			return "", err
		}
		target, err := view.Readlink(next)
		if err != nil {
			return "", err
		}
		if path.IsAbs(target) {
			done = "/"
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	return done, nil
}

// errLoop is a path whose symlinks lead in a circle.
type errLoop struct{ path string }

func (e *errLoop) Error() string { return e.path + ": its symlinks lead in a circle" }

func (e *errLoop) Unwrap() error { return syscall.ELOOP }

// File names are bytes, and JSON is UTF-8: a name that is not is written quoted, behind a NUL, which
// no file name has.

func encodeName(name string) string {
	if utf8.ValidString(name) {
		return name
	}
	return "\x00" + strconv.QuoteToASCII(name)
}

func decodeName(text string) (string, error) {
	quoted, ok := strings.CutPrefix(text, "\x00")
	if !ok {
		return text, nil
	}
	return strconv.Unquote(quoted)
}

// fileNames are file names found on the host.
type fileNames []string

func (n fileNames) MarshalJSON() ([]byte, error) {
	texts := make([]string, len(n))
	for i, name := range n {
		texts[i] = encodeName(name)
	}
	return json.Marshal(texts)
}

func (n *fileNames) UnmarshalJSON(data []byte) error {
	var texts []string
	if err := json.Unmarshal(data, &texts); err != nil {
		return err
	}
	*n = make(fileNames, len(texts))
	for i, text := range texts {
		var err error
		if (*n)[i], err = decodeName(text); err != nil {
			return err
		}
	}
	return nil
}

// counted is a number with its noun.
func counted(n int64, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}
