package action

import (
	"cmp"
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/packagesystem"
)

// conffilesKeeper keeps the configuration files of the packages that go.
type conffilesKeeper struct {
	Conffiles []Preimage `json:"conffiles,omitempty"`
	Beside    []string   `json:"beside,omitempty"` // those of them that are leftovers
}

func (k *conffilesKeeper) record(env *Env, a *Commit, _ *found) error {
	for _, p := range a.Old {
		for _, c := range p.Conffiles {
			if err := k.recordFile(env, c.Path); err != nil {
				return err
			}
		}
	}
	return nil
}

// recordFile records a configuration file, and the one that it leads to if it is a symlink.
func (k *conffilesKeeper) recordFile(env *Env, name string) error {
	p, err := env.Store.Save(name)
	if err != nil || p.Mode.IsDir() {
		return err
	}
	k.Conffiles = append(k.Conffiles, p)
	if err := k.recordBeside(env, name); err != nil {
		return err
	}
	real, err := behind(env.Host, name)
	if err != nil || real == "" || k.recorded(real) {
		return err
	}
	if p, err = env.Store.Save(real); err != nil {
		return err
	}
	k.Conffiles = append(k.Conffiles, p)
	return k.recordBeside(env, real)
}

// recorded reports whether a configuration file is recorded already: two symlinks may lead to it.
func (k *conffilesKeeper) recorded(name string) bool {
	return slices.ContainsFunc(k.Conffiles, func(p Preimage) bool { return p.Path == name })
}

func (k *conffilesKeeper) recordBeside(env *Env, name string) error {
	for _, suffix := range packagesystem.Leftovers() {
		there, err := exists(env.Host, name+suffix)
		if err != nil {
			return err
		}
		if !there {
			continue
		}
		p, err := env.Store.Save(name + suffix)
		if err != nil {
			return err
		}
		k.Conffiles = append(k.Conffiles, p)
		k.Beside = append(k.Beside, name+suffix)
	}
	return nil
}

// restore keeps what somebody has changed since.
func (k *conffilesKeeper) restore(env *Env, a *Commit) error {
	for _, p := range k.Conffiles {
		if err := keepSince(env, p.Path, append(a.shipped(p.Path), p.known())...); err != nil {
			return err
		}
		if err := env.Store.Restore(p); err != nil {
			return err
		}
		if slices.Contains(k.Beside, p.Path) {
			continue
		}
		for _, suffix := range packagesystem.Leftovers() {
			if slices.Contains(k.Beside, p.Path+suffix) {
				continue
			}
			if err := removePath(env.Host, p.Path+suffix); err != nil {
				return err
			}
		}
	}
	return nil
}

func (k *conffilesKeeper) compare(env *Env, _ *Commit) ([]string, error) {
	return compareAll(env, k.Conffiles)
}

// shipped are the digests of a configuration file that the packages had brought, and bring again. What a
// symlink in its place leads to may be any of them.
func (a *Commit) shipped(name string) []string {
	var sums, all []string
	for _, p := range a.Old {
		for _, c := range p.Conffiles {
			if all = append(all, c.MD5); c.Path == name {
				sums = append(sums, c.MD5)
			}
		}
	}
	if len(sums) == 0 {
		return all
	}
	return sums
}

// behind is the file that a configuration file leads to if it is a symlink, else empty. dpkg takes that for
// the configuration file, and deletes it in a purge.
func behind(v host.FileReader, name string) (string, error) {
	st, err := v.Lstat(name)
	if host.Absent(err) || err == nil && !st.IsSymlink() {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	real, err := Resolve(v, name)
	if loop := (*errLoop)(nil); errors.As(err, &loop) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	st, err = v.Lstat(real)
	if host.Absent(err) || err == nil && !st.IsRegular() {
		return "", nil
	}
	return real, err
}

// dirsKeeper keeps owner and mode of the packages' directories.
type dirsKeeper struct {
	Dirs []Preimage `json:"dirs,omitempty"`
}

// record has of a symlink in the place of a directory what it leads to.
func (k *dirsKeeper) record(env *Env, _ *Commit, f *found) error {
	for _, name := range slices.Sorted(maps.Keys(f.paths)) {
		name = cmp.Or(f.detours[name], name)
		there, err := isDir(env.Host, name)
		if err != nil {
			return err
		}
		if !there || name == "/" {
			continue
		}
		p, err := saveMeta(env, name)
		if err != nil {
			return err
		}
		k.Dirs = append(k.Dirs, p)
	}
	return nil
}

// restore goes in the order of paths, so from the top.
func (k *dirsKeeper) restore(env *Env, _ *Commit) error { return restoreAll(env, k.Dirs) }

func (k *dirsKeeper) compare(env *Env, _ *Commit) ([]string, error) { return compareAll(env, k.Dirs) }

// ghostsKeeper has what packages own without having brought it (a log, for example) stay when they go, as it does where dpkg
// is: rpm erases it with them, and no package file brings it back. So it has a second name while packages are at work: there
// may be much in it, and a name takes no space.
type ghostsKeeper struct {
	Ghosts []string `json:"ghosts,omitempty"`
}

// record leaves pipes and sockets to their daemons. A directory that holds something stays by itself. What a package owns
// that is replaced by another version stays, or is made again by its scripts.
func (k *ghostsKeeper) record(env *Env, a *Commit, _ *found) error {
	goes := map[string]bool{}
	for _, c := range a.Solution.Remove {
		goes[bareName(c.Name)] = true
	}
	for _, p := range a.Old {
		if !goes[bareName(p.Name)] {
			continue
		}
		for _, name := range p.Ghosts {
			st, err := env.Host.Lstat(name)
			if err != nil && !host.Absent(err) {
				return err
			}
			if err == nil && (st.IsRegular() || st.IsSymlink()) {
				k.Ghosts = append(k.Ghosts, path.Clean(name))
			}
		}
	}
	return nil
}

// begins gives the second names.
func (k *ghostsKeeper) begins(env *Env, _ *Commit) error {
	for _, name := range k.Ghosts {
		if err := secondName(env, name); err != nil {
			return err
		}
	}
	return nil
}

// secondName does nothing where nothing is there any more. What somebody has made again since an interrupted transaction
// gave the second name is set aside.
func secondName(env *Env, name string) error {
	dir, base, err := parent(env.Host, name)
	if host.Absent(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer dir.Close()
	err = dir.Link(base, dir, path.Base(ghostOf(name)))
	switch {
	case host.Absent(err):
		return nil
	case errors.Is(err, fs.ErrExist):
		return madeAgain(env, name)
	case err != nil:
		return err
	}
	return dir.SyncSelf()
}

// madeAgain sets aside what is there and is not what has the second name.
func madeAgain(env *Env, name string) error {
	first, err := env.Host.Lstat(name)
	if host.Absent(err) {
		return nil
	}
	if err != nil {
		return err
	}
	second, err := env.Host.Lstat(ghostOf(name))
	if err != nil || first.Dev == second.Dev && first.Ino == second.Ino {
		return err
	}
	return setAside(env, name)
}

func ghostOf(name string) string {
	return path.Join(path.Dir(name), tempPrefix+"ghost-"+keptTree{of: name}.key())
}

func (k *ghostsKeeper) ended(env *Env) error {
	for _, name := range k.Ghosts {
		if err := giveGhost(env, name); err != nil {
			return err
		}
	}
	return nil
}

func (k *ghostsKeeper) restore(env *Env, _ *Commit) error { return k.ended(env) }

// giveGhost takes the second name away, and the first back.
func giveGhost(env *Env, name string) error {
	there, err := exists(env.Host, ghostOf(name))
	if err != nil || !there {
		return err
	}
	if err := madeAgain(env, name); err != nil {
		return err
	}
	if there, err = exists(env.Host, name); err != nil {
		return err
	}
	if there {
		return removePath(env.Host, ghostOf(name))
	}
	return renamePath(env.Host, ghostOf(name), name)
}

func (k *ghostsKeeper) compare(env *Env, _ *Commit) ([]string, error) {
	var lines []string
	for _, name := range k.Ghosts {
		there, err := exists(env.Host, name)
		if err != nil {
			return nil, err
		}
		if !there {
			lines = append(lines, name+": is missing")
		}
	}
	return lines, nil
}
