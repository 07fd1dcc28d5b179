package action

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"syscall"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/tree"
)

// The directories of a tree's room: second names of what is in the tree, and what was deleted from it
// between Keep and GiveBack.
const (
	namesDir   = "names"
	deletedDir = "deleted"
)

// away is the directory of second names on a mount that is not the store's: a hard link cannot leave its
// mount.
func (t keptTree) away(point string) string { return path.Join(point, tempPrefix+"names-"+t.key()) }

// rooms lists the directories where second names of the tree are, or may be.
func (t keptTree) rooms(env *Env) ([]string, error) {
	rooms := []string{path.Join(t.room(env), namesDir)}
	mounts, err := env.Host.Mounts()
	if err != nil {
		return nil, err
	}
	for _, m := range mounts {
		at := t.away(m.Point)
		there, err := exists(env.Host, at)
		if err != nil && !errors.Is(err, fs.ErrPermission) {
			return nil, err
		}
		if there {
			rooms = append(rooms, at)
		}
	}
	return rooms, nil
}

// named reports whether there are second names of what is in the tree.
func (t keptTree) named(env *Env) (bool, error) {
	rooms, err := t.rooms(env)
	if err != nil {
		return false, err
	}
	for _, room := range rooms {
		if there, err := exists(env.Host, room); err != nil || there {
			return there, err
		}
	}
	return false, nil
}

// drop takes all second names away.
func (t keptTree) drop(env *Env) error {
	rooms, err := t.rooms(env)
	if err != nil {
		return err
	}
	for _, room := range append(rooms, path.Join(t.room(env), deletedDir)) {
		if err := removePath(env.Host, room); err != nil {
			return err
		}
	}
	return nil
}

// secondNames gives second names to a tree's files.
type secondNames struct {
	env   *Env
	tree  keptTree
	real  string // the tree without symlinks
	home  string // the mount of the store
	rel   string // the directory of the tree that room is for
	room  host.Dir
	rooms map[string]bool
}

// give gives a file its second name, unless it has it; false where the file system has no hard links.
func (s *secondNames) give(e tree.Entry[host.Dir]) (bool, error) {
	if err := s.open(path.Dir(e.Rel)); err != nil {
		return false, err
	}
	st, err := s.room.Lstat(e.Name)
	switch {
	case err == nil && st.Dev == e.Stat.Dev && st.Ino == e.Stat.Ino:
		return true, nil
	case err == nil:
		if err := s.room.Unlink(e.Name); err != nil {
			return false, err
		}
	case !host.Absent(err):
		return false, err
	}
	err = e.Dir.Link(e.Name, s.room, e.Name)
	switch {
	case host.Absent(err): // deleted since it was seen
		return true, nil
	case errors.Is(err, syscall.EOPNOTSUPP), errors.Is(err, syscall.ENOSYS), errors.Is(err, syscall.EMLINK):
		return false, nil
	}
	return true, err
}

// open makes the directory for second names of what is in a directory of the tree, and keeps it open.
func (s *secondNames) open(rel string) error {
	if s.room != nil && s.rel == rel {
		return nil
	}
	s.close()
	top, err := s.roomOf(rel)
	if err != nil {
		return err
	}
	at := path.Join(top, rel)
	if err := mkdirAll(s.env.Host, at); err != nil {
		return err
	}
	if err := onlyRoot(s.env.Host, top); err != nil {
		return err
	}
	if s.room, err = s.env.Host.OpenTreeWrite(at); err != nil {
		return err
	}
	if s.rooms == nil {
		s.rooms = map[string]bool{}
	}
	s.rel, s.rooms[top] = rel, true
	return nil
}

// roomOf is the directory of second names on the mount of a directory of the tree.
func (s *secondNames) roomOf(rel string) (string, error) {
	mounts, err := s.env.Host.Mounts()
	if err != nil {
		return "", err
	}
	if s.real == "" {
		if s.real, err = Resolve(s.env.Host, s.tree.path); err != nil {
			return "", err
		}
		store, err := Resolve(s.env.Host, s.env.Store.Dir)
		if err != nil {
			return "", err
		}
		s.home = pointOf(mounts, store)
	}
	point := pointOf(mounts, path.Join(s.real, rel))
	if point == s.home {
		return path.Join(s.tree.room(s.env), namesDir), nil
	}
	return s.tree.away(point), nil
}

// pointOf is the directory of the mount that a path without symlinks is on.
func pointOf(mounts []host.Mount, name string) string {
	point := "/"
	for _, m := range mounts {
		if len(m.Point) >= len(point) && (name == m.Point || strings.HasPrefix(name, strings.TrimSuffix(m.Point, "/")+"/")) {
			point = m.Point
		}
	}
	return point
}

// onlyRoot refuses a directory that others may look or write into.
func onlyRoot(v host.View, name string) error {
	st, err := v.Lstat(name)
	if err != nil {
		return err
	}
	if !st.IsDir() || st.UID != 0 || st.Perm() != 0o700 {
		return fmt.Errorf("%s is %s %v of user %d, not a directory of root's alone; find out who put it there, and move it away", name, typeName(st.Mode), st.Perm(), st.UID)
	}
	return nil
}

func (s *secondNames) close() {
	if s.room != nil {
		s.room.Close()
		s.room = nil
	}
}

// sync makes the names durable.
func (s *secondNames) sync() error {
	return syncFileSystems(s.env.Host, slices.Sorted(maps.Keys(s.rooms))...)
}

// name gives every file of the tree a second name. It returns how many files there are, and how many cannot
// have one.
func (t keptTree) name(env *Env, total int64) (n, without int64, err error) {
	s := secondNames{env: env, tree: t}
	defer s.close()
	err = t.eachWrite(env, func(e tree.Entry[host.Dir]) error {
		if e.Stat.IsDir() {
			return nil
		}
		if n++; n%1000 == 0 {
			env.Progress(Progress{What: "keep " + t.path, Done: n, Total: total, Unit: "files"})
		}
		given, err := s.give(e)
		if !given {
			without++
		}
		return err
	})
	if err == nil {
		err = s.sync()
	}
	return n, without, err
}

// thin lets go of the second names of what is in the tree, and keeps those of what was deleted.
func (t keptTree) thin(env *Env) error {
	rooms, err := t.rooms(env)
	if err != nil {
		return err
	}
	for _, room := range rooms {
		if err := t.thinRoom(env, room); err != nil {
			return err
		}
	}
	return nil
}

func (t keptTree) thinRoom(env *Env, room string) error {
	in := lastDir{v: env.Host}
	defer in.close()
	names := keptTree{path: room}
	err := names.each(env, func(e tree.Entry[host.DirReader]) error {
		if e.Stat.IsDir() {
			return nil
		}
		there, err := in.has(path.Join(t.path, e.Rel), e.Stat)
		if err != nil || there {
			return err
		}
		to := path.Join(t.room(env), deletedDir, e.Rel)
		older, err := exists(env.Host, to)
		if err != nil || older {
			return err
		}
		return shift(env, path.Join(room, e.Rel), to)
	})
	if err != nil {
		return err
	}
	return removePath(env.Host, room)
}

// unthin gives what is in the tree second names again, and takes those of what was deleted to them.
func (t keptTree) unthin(env *Env, total int64) error {
	away := path.Join(t.room(env), deletedDir)
	err := (keptTree{path: away}).each(env, func(e tree.Entry[host.DirReader]) error {
		if e.Stat.IsDir() {
			return nil
		}
		return shift(env, path.Join(away, e.Rel), path.Join(t.room(env), namesDir, e.Rel))
	})
	if err != nil {
		return err
	}
	if err := removePath(env.Host, away); err != nil {
		return err
	}
	_, _, err = t.name(env, total)
	return err
}

// shift moves a file to a directory of the store, across mounts by a copy.
func shift(env *Env, from, to string) error {
	if err := mkdirAll(env.Host, path.Dir(to)); err != nil {
		return err
	}
	return carryAway(env, from, to)
}
