package action

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"zcp2kopano/runtime/host"
)

// stateParents are where packages keep directories of their own name, beside /etc.
var stateParents = []string{"/opt", "/srv", "/var/cache", "/var/lib", "/var/log", "/var/spool"}

// configParents are directories in which packages have a configuration file of their own name.
var configParents = []string{
	"/etc/apparmor.d", "/etc/cron.d", "/etc/cron.daily", "/etc/default", "/etc/init.d", "/etc/logrotate.d", "/etc/pam.d",
	"/etc/php5/mods-available", "/etc/rsyslog.d", "/etc/sudoers.d", "/etc/sysconfig",
}

const (
	maxNamesake = 1 << 20 // bytes: up to this a file is taken for configuration
	maxOwners   = 5000    // files of data whose owner is recorded
)

// namesakes records what is named after packages that come new: it is there before (a mount point, the
// remains of an earlier installation), and the packages' scripts may give it another owner, or their
// removal take it along. Directories are added to dirs. Of configuration whole pre-images are taken;
// of the rest, owner and mode.
func (a *Commit) namesakes(env *Env, dirs map[string]bool) error {
	stems := map[string]bool{}
	for _, name := range a.New {
		stem, _, _ := strings.Cut(bareName(name), "-")
		stems[stem], stems[bareName(name)] = true, true
	}
	if len(stems) == 0 {
		return nil
	}
	for _, stem := range sortedKeys(stems) {
		if err := a.recordConfig(env, path.Join("/etc", stem), dirs); err != nil {
			return err
		}
		for _, parent := range stateParents {
			if err := a.recordState(env, path.Join(parent, stem), dirs); err != nil {
				return err
			}
		}
	}
	for _, parent := range configParents {
		if err := a.recordNamedFiles(env, parent, stems, dirs); err != nil {
			return err
		}
	}
	return nil
}

// recordConfig records a directory of configuration with all that is in it.
func (a *Commit) recordConfig(env *Env, top string, dirs map[string]bool) error {
	list, err := entriesOf(env.Host, top)
	if err != nil || list == nil {
		return err
	}
	dirs[top] = true
	for _, e := range list {
		name := path.Join(top, e.Name)
		if e.Type.IsDir() {
			err = a.recordConfig(env, name, dirs)
		} else {
			err = a.recordNamesake(env, name, e.Type)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// recordState records owner and mode of a directory of data and of what is in it: of maxOwners entries in
// all, so Detail says of which directory not all are recorded.
func (a *Commit) recordState(env *Env, top string, dirs map[string]bool) error {
	list, err := entriesOf(env.Host, top)
	if err != nil || list == nil {
		return err
	}
	dirs[top] = true
	for _, e := range list {
		if len(a.Owners) >= maxOwners {
			a.Unrecorded = append(a.Unrecorded, top)
			return nil
		}
		name := path.Join(top, e.Name)
		if e.Type.IsDir() {
			err = a.recordState(env, name, dirs)
		} else {
			err = a.recordOwner(env, name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *Commit) recordOwner(env *Env, name string) error {
	p, err := saveMeta(env, name)
	if absent(err) {
		return nil
	}
	p.Atime, p.Mtime = time.Time{}, time.Time{}
	a.Owners = append(a.Owners, p)
	return err
}

// restoreOwners gives what is still there its owner and mode again.
func (a *Commit) restoreOwners(env *Env) error {
	for _, p := range a.Owners {
		lines, err := compareMeta(env, p)
		if err != nil || len(lines) == 0 {
			if err != nil {
				return err
			}
			continue
		}
		if err := restoreMeta(env.Host, p); err != nil {
			return fmt.Errorf("restore owner and mode of %s: %w", p.Path, err)
		}
	}
	return nil
}

func restoreMeta(h host.Host, p Preimage) error {
	dir, base, err := parent(h, p.Path)
	if absent(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer dir.Close()
	st, err := dir.Lstat(base)
	if absent(err) || err == nil && st.Mode.Type() != p.Mode.Type() {
		return nil // Differences tells
	}
	if err != nil {
		return err
	}
	return setMeta(dir, base, p.meta())
}

// recordNamedFiles records the files of a directory that are named after one of the packages, or whose
// names begin so.
func (a *Commit) recordNamedFiles(env *Env, parent string, stems, dirs map[string]bool) error {
	list, err := entriesOf(env.Host, parent)
	if err != nil {
		return err
	}
	for _, e := range list {
		stem := e.Name
		if i := strings.IndexAny(stem, "-."); i > 0 {
			stem = stem[:i]
		}
		if e.Type.IsDir() || !stems[stem] && !stems[e.Name] {
			continue
		}
		dirs[parent] = true
		if err := a.recordNamesake(env, path.Join(parent, e.Name), e.Type); err != nil {
			return err
		}
	}
	return nil
}

func (a *Commit) recordNamesake(env *Env, name string, mode fs.FileMode) error {
	known := func(p Preimage) bool { return p.Path == name }
	if !mode.IsRegular() && mode&fs.ModeSymlink == 0 || slices.ContainsFunc(a.Conffiles, known) {
		return nil
	}
	st, err := env.Host.Lstat(name)
	if err != nil || st.Size > maxNamesake {
		return err
	}
	return a.recordConffile(env, name)
}

// entriesOf lists a directory; nil if a path is none. A symlink to one is none.
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
