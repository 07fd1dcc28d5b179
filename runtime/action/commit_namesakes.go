package action

import (
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"zcp2kopano/runtime/host"
)

// Namesakes are what is there before packages come and is named after them: a mount point, the remains
// of an earlier installation. The packages' scripts may give it another owner, and their purge take it
// along. It is recorded whole where no installed package has that name already: there, what came to
// be since is others' work, and only directories are recorded.

// stateParents are where packages keep directories of their own name.
var stateParents = []string{"/etc", "/opt", "/srv", "/var/cache", "/var/lib", "/var/log", "/var/spool"}

// configParents are directories in which packages have a configuration file of their own name.
var configParents = []string{
	"/etc/apparmor.d", "/etc/cron.d", "/etc/cron.daily", "/etc/default", "/etc/init.d", "/etc/logrotate.d", "/etc/pam.d",
	"/etc/rsyslog.d", "/etc/sudoers.d", "/etc/sysconfig",
}

const (
	maxNamesake  = 1 << 20 // bytes: up to this a file below /etc is kept with its content
	maxNamesakes = 5000    // files that are recorded
)

// recordNamesakes adds directories to dirs.
func (a *Commit) recordNamesakes(env *Env, have map[string]host.Package, dirs map[string]bool) error {
	stems := map[string]bool{}
	for _, name := range a.New {
		stems[stem(name)], stems[bareName(name)] = true, true
	}
	own := a.ownStems(have)
	for _, name := range sortedKeys(stems) {
		for _, parent := range stateParents {
			depth := 1
			if own[stem(name)] {
				depth = 100
			}
			if err := a.recordNamesake(env, path.Join(parent, name), depth, dirs); err != nil {
				return err
			}
		}
	}
	if len(own) == 0 {
		return nil
	}
	for _, parent := range configParents {
		if err := a.recordNamedFiles(env, parent, own, dirs); err != nil {
			return err
		}
	}
	return nil
}

// stem is what the packages of one product begin with: kopano.
func stem(name string) string {
	name, _, _ = strings.Cut(bareName(name), "-")
	return name
}

// ownStems are those of the packages asked for that no installed package has.
func (a *Commit) ownStems(have map[string]host.Package) map[string]bool {
	own := map[string]bool{}
	for _, item := range a.Tx.Install {
		own[stem(targetName(item))] = true
	}
	for name, p := range have {
		if p.Installed() {
			delete(own, stem(name))
		}
	}
	return own
}

// recordNamesake records a directory, the directories in it down to a depth, and, where that is more
// than one, the files. What is too much is told by Detail.
func (a *Commit) recordNamesake(env *Env, top string, depth int, dirs map[string]bool) error {
	list, err := entriesOf(env.Host, top)
	if err != nil || list == nil {
		return err
	}
	dirs[top] = true
	for _, e := range list {
		name := path.Join(top, e.Name)
		switch {
		case e.Type.IsDir() && depth > 1:
			err = a.recordNamesake(env, name, depth-1, dirs)
		case e.Type.IsDir():
			dirs[name] = true
		case depth == 1:
		case len(a.Namesakes) >= maxNamesakes:
			a.Unrecorded = append(a.Unrecorded, top)
			return nil
		default:
			err = a.recordFile(env, name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// recordNamedFiles records the files of a directory that are named after a product.
func (a *Commit) recordNamedFiles(env *Env, parent string, stems, dirs map[string]bool) error {
	list, err := entriesOf(env.Host, parent)
	if err != nil {
		return err
	}
	for _, e := range list {
		name, _, _ := strings.Cut(stem(e.Name), ".")
		if e.Type.IsDir() || !stems[name] {
			continue
		}
		dirs[parent] = true
		if err := a.recordFile(env, path.Join(parent, e.Name)); err != nil {
			return err
		}
	}
	return nil
}

// recordFile records a file that is no configuration file of a package that goes, and what it leads to if it
// is a symlink to configuration: the package may have it as its configuration file.
func (a *Commit) recordFile(env *Env, name string) error {
	if err := a.recordOneFile(env, name, strings.HasPrefix(name, "/etc/")); err != nil || !strings.HasPrefix(name, "/etc/") {
		return err
	}
	real, err := behind(env.Host, name)
	if err != nil || real == "" {
		return err
	}
	return a.recordOneFile(env, real, true)
}

// recordOneFile records a file with its content if it is configuration, else its owner and mode.
func (a *Commit) recordOneFile(env *Env, name string, config bool) error {
	if a.recorded(name) {
		return nil
	}
	st, err := env.Host.Lstat(name)
	if absent(err) {
		return nil
	}
	if err != nil {
		return err
	}
	record := env.Store.Save
	if !config || st.Size > maxNamesake || !isType(st.Mode, 0, fs.ModeSymlink) {
		record = func(name string) (Preimage, error) { return saveMeta(env, name) }
	}
	p, err := record(name)
	if absent(err) {
		return nil
	}
	a.Namesakes = append(a.Namesakes, p)
	return err
}

// restoreNamesakes puts back what the purge took, and gives the rest its owner and mode again. Content
// that has changed since is not the packages' work.
func (a *Commit) restoreNamesakes(env *Env) error {
	for _, p := range a.Namesakes {
		lines, err := compareMeta(env, p)
		if err != nil {
			return err
		}
		if len(lines) == 0 {
			continue
		}
		if err := env.restoreNamesake(p); err != nil {
			return fmt.Errorf("restore %s: %w", p.Path, err)
		}
	}
	return nil
}

func (e *Env) restoreNamesake(p Preimage) error {
	dir, base, err := parent(e.Host, p.Path)
	if absent(err) {
		return nil // Differences tells
	}
	if err != nil {
		return err
	}
	defer dir.Close()
	st, err := dir.Lstat(base)
	switch {
	case absent(err) && (p.Blob != nil || p.Target != ""):
		return e.Store.Restore(p)
	case absent(err), err == nil && st.Mode.Type() != p.Mode.Type():
		return nil
	case err != nil:
		return err
	}
	m := p.meta()
	m.atime, m.mtime = time.Time{}, time.Time{}
	return setMeta(dir, base, m)
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
