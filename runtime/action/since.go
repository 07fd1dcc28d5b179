package action

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"path"
	"slices"
	"strings"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/tree"
)

// Since is the directory of what somebody changed after the run and undoing it would take away: it is
// kept there first, by its path.
func (s *Store) Since() string { return path.Join(s.Dir, "since") }

// Changed lists the paths of what is kept in Since, in order.
func (s *Store) Changed(ctx context.Context) ([]string, error) {
	there, err := exists(s.Host, s.Since())
	if err != nil || !there {
		return nil, err
	}
	dir, err := s.Host.OpenTree(s.Since())
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	self, err := dir.Self()
	if err != nil {
		return nil, err
	}
	var names []string
	w := tree.Reader(ctx, func(e tree.Entry[host.DirReader]) error {
		if !e.Stat.IsDir() && !strings.HasPrefix(e.Name, tempPrefix) {
			names = append(names, "/"+e.Rel)
		}
		return nil
	})
	return names, w.Walk(dir, "", self.Dev)
}

// keepSince keeps a copy of a regular file or symlink that holds none of what the run knows: the digests of
// contents (SHA-256 or MD5, in hexadecimal) and the targets of symlinks. Content that a simulated host
// does not know is left.
func keepSince(env *Env, name string, known ...string) error {
	changed, err := changedSince(env.Host, name, known)
	if err != nil || !changed {
		return err
	}
	to, err := freeSince(env, name)
	if err == nil && to != "" {
		err = copySince(env, name, to)
	}
	if err != nil {
		return fmt.Errorf("keep what %s holds now: %w", name, err)
	}
	return nil
}

func changedSince(v host.View, name string, known []string) (bool, error) {
	st, err := v.Lstat(name)
	if host.Absent(err) {
		return false, nil
	}
	var holds []string
	switch {
	case err != nil:
		return false, err
	case st.IsRegular():
		holds, err = digests(v, name)
	case st.IsSymlink():
		holds = make([]string, 1)
		holds[0], err = v.Readlink(name)
	default:
		return false, nil
	}
	if errors.Is(err, host.ErrUnknown) {
		return false, nil
	}
	return err == nil && !slices.ContainsFunc(holds, func(s string) bool { return slices.Contains(known, s) }), err
}

// digests are the SHA-256 and the MD5 of a regular file.
func digests(v host.View, name string) ([]string, error) {
	dir, err := v.OpenTree(path.Dir(name))
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	f, err := dir.Open(path.Base(name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	kinds := []hash.Hash{sha256.New(), md5.New()}
	if _, err := io.Copy(io.MultiWriter(kinds[0], kinds[1]), f); err != nil {
		return nil, err
	}
	return []string{hex.EncodeToString(kinds[0].Sum(nil)), hex.EncodeToString(kinds[1].Sum(nil))}, nil
}

// freeSince is a name in Since for what is at a path: PATH, PATH.2, PATH.3, ... It is empty if all of it is
// at one of those that are taken: an interrupted Undo kept it.
func freeSince(env *Env, name string) (string, error) {
	to := path.Join(env.Store.Since(), name)
	if err := mkdirAll(env.Host, path.Dir(to)); err != nil {
		return "", err
	}
	free := to
	for n := 2; ; n++ {
		taken, err := exists(env.Host, free)
		if err != nil || !taken {
			return free, err
		}
		if kept, err := partOf(env.Ctx, env.Host, name, free, ""); err != nil || kept {
			return "", err
		}
		free = fmt.Sprintf("%s.%d", to, n)
	}
}

func copySince(env *Env, from, to string) error {
	if err := clearTemps(env, to); err != nil {
		return err
	}
	return newCopier(env, "copy "+from, size{}).place(from, to)
}

// setAside moves what is at a path to Since.
func setAside(env *Env, name string) error {
	mounts, err := mountsBelow(env.Host, name)
	if err != nil {
		return err
	}
	if len(mounts) > 0 {
		return fmt.Errorf("%s is a mount point; unmount it", mounts[0])
	}
	to, err := freeSince(env, name)
	if err != nil {
		return err
	}
	if to == "" {
		return removePath(env.Host, name)
	}
	return carryAway(env, name, to)
}

// Scripts is the directory of maintainer scripts that failed or hung when their packages were to go, and
// went without them.
func (s *Store) Scripts() string { return path.Join(s.Dir, "scripts") }

// WithoutScripts lists the scripts in Scripts, in order.
func (s *Store) WithoutScripts() ([]string, error) {
	entries, err := s.Host.ReadDir(s.Scripts())
	if host.Absent(err) {
		return nil, nil
	}
	var names []string
	for _, e := range entries {
		if path.Ext(e.Name) != ".hung" {
			names = append(names, e.Name)
		}
	}
	slices.Sort(names)
	return names, err
}
