package action

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"zcp2kopano/runtime/host"
)

// waysMark is which directories lead to the files of packages that a rollback removes. rpm makes those that no package has
// by itself, and leaves them; dpkg has a package own all that lead to its files.
type waysMark struct {
	Ways []string `json:"ways"`
}

// wayTops are below which packages make directories that no package owns. Below /var each has its own.
var wayTops = []string{"/etc", "/opt", "/usr"}

// hollowWays are the directories without a file anywhere below, before packages come: what a rollback finds empty of
// these was so before. There are none to be told apart where packages own their directories.
//
// parts are files that a package manager which was killed has left as it was unpacking them, by their names.
func hollowWays(env *Env) (hollow, parts []string, err error) {
	system, err := env.system()
	if err != nil || system.OwnsDirectories() {
		return nil, nil, err
	}
	mounts, err := env.Host.Mounts()
	if err != nil {
		return nil, nil, err
	}
	look := wayWalk{env: env, partOf: system.PartOf, points: map[string]bool{}}
	for _, m := range mounts {
		look.points[m.Point] = true
	}
	for _, top := range wayTops {
		st, err := env.Host.Lstat(top)
		if host.Absent(err) || err == nil && !st.IsDir() {
			continue
		}
		if err == nil {
			_, err = look.through(top)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	return look.hollow, look.parts, nil
}

// leavesDirectories reports whether the package system leaves directories behind that it has made for files.
func leavesDirectories(env *Env) (bool, error) {
	system, err := env.system()
	return err == nil && !system.OwnsDirectories(), err
}

// wayWalk goes through directories.
type wayWalk struct {
	env           *Env
	partOf        func(name string) (string, time.Time)
	points        map[string]bool // where something is mounted
	hollow, parts []string        // what it finds
}

// through adds a directory that has no file below it, and all such below one that has. Another file system is not
// entered (one of the network may hang), and one that lets nobody in is not hollow: nor can a rollback remove it.
func (w *wayWalk) through(dir string) (hollow bool, err error) {
	if err := w.env.Ctx.Err(); err != nil {
		return false, err
	}
	entries, err := w.env.Host.ReadDir(dir)
	if host.Absent(err) || errors.Is(err, fs.ErrPermission) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	hollow = true
	for _, e := range entries {
		name := path.Join(dir, e.Name)
		if !e.Type.IsDir() || w.points[name] {
			hollow = false
			if whole, _ := w.partOf(e.Name); whole != "" && !e.Type.IsDir() {
				w.parts = append(w.parts, name)
			}
			continue
		}
		below, err := w.through(name)
		if err != nil {
			return false, err
		}
		hollow = hollow && below
	}
	if hollow {
		w.hollow = append(w.hollow, dir)
	}
	return hollow, nil
}

// noteWays journals the directories before their packages go, and with them the knowledge. Where the package system takes
// its directories along, one that is empty afterwards is somebody else's.
func noteWays(env *Env, have map[string]host.Package, names []string) error {
	if env.Mark == nil {
		return nil
	}
	if leaves, err := leavesDirectories(env); !leaves {
		return err
	}
	ways := map[string]bool{}
	for _, name := range names {
		if !have[bareName(name)].Installed() {
			continue
		}
		files, err := env.Host.PackageFiles(have[bareName(name)].Name)
		if err != nil {
			return err
		}
		for _, file := range files {
			for dir := path.Dir(path.Clean(file)); dir != "/" && !ways[dir]; dir = path.Dir(dir) {
				ways[dir] = true
			}
		}
	}
	if len(ways) == 0 {
		return nil
	}
	mark := waysMark{slices.Sorted(maps.Keys(ways))}
	data, err := json.Marshal(mark)
	if err != nil {
		return err
	}
	env.Marks = append(env.Marks, data)
	return env.Mark(mark)
}

// isWay reports whether a directory is one that packages make, and no package owns.
func isWay(dir string) bool {
	return slices.ContainsFunc(wayTops, func(top string) bool { return strings.HasPrefix(dir, top+"/") })
}

// clearWays removes those of the directories that are empty now, were not before and that no package has, the deepest
// first.
func clearWays(env *Env, before []string) error {
	var empty []string
	for _, data := range env.Marks {
		var mark waysMark
		if err := json.Unmarshal(data, &mark); err != nil {
			return err
		}
		for _, dir := range slices.Backward(mark.Ways) { // in order: what lies in a directory comes behind it
			if !isWay(dir) {
				continue
			}
			if leads, err := leadsNowhere(env.Host, dir, empty); err != nil {
				return err
			} else if leads && !slices.Contains(empty, dir) {
				empty = append(empty, dir)
			}
		}
	}
	if len(empty) == 0 {
		return nil
	}
	owned, err := ownedPaths(env.Host)
	if err != nil {
		return err
	}
	for _, dir := range empty {
		if owned[dir] || slices.Contains(before, dir) {
			continue
		}
		if left, err := leadsNowhere(env.Host, dir, nil); err != nil {
			return err
		} else if !left {
			continue
		}
		if err := env.Host.Rmdir(dir); err != nil && !host.Absent(err) && !inUse(err) {
			return err
		}
		if err := env.Host.SyncDir(path.Dir(dir)); err != nil {
			return err
		}
	}
	return nil
}

// inUse is the error of a directory that somebody has put something in, or uses as a mount point.
func inUse(err error) bool {
	return slices.ContainsFunc([]error{syscall.EBUSY, syscall.ENOTEMPTY, syscall.EEXIST}, func(why error) bool { return errors.Is(err, why) })
}

// leadsNowhere reports whether a path is a directory that has nothing in it, but for some directories.
func leadsNowhere(v host.FileReader, dir string, but []string) (bool, error) {
	st, err := v.Lstat(dir)
	if host.Absent(err) || err == nil && !st.IsDir() {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	entries, err := v.ReadDir(dir)
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		if !slices.Contains(but, path.Join(dir, e.Name)) {
			return false, nil
		}
	}
	return true, nil
}

// ownedPaths are those of all packages.
func ownedPaths(v host.PackageReader) (map[string]bool, error) {
	all, err := v.Packages()
	if err != nil {
		return nil, err
	}
	owned := map[string]bool{}
	for _, p := range all {
		if !p.Installed() {
			continue
		}
		files, err := v.PackageFiles(p.Name)
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			owned[path.Clean(file)] = true
		}
	}
	return owned, nil
}
