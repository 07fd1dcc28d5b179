package action

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"zcp2kopano/runtime/host"
)

// Namesakes are what is there before packages come and is named after them: a mount point, the remains
// of an earlier installation. The packages' scripts may give it another owner, and their purge take it
// along. It is recorded whole where no installed package has that name already: there, what came to
// be since is others' work, and only directories are recorded.

// namesakesKeeper keeps them.
type namesakesKeeper struct {
	Namesakes  []Preimage `json:"namesakes,omitempty"`  // files; of configuration with their content
	Unrecorded fileNames  `json:"unrecorded,omitempty"` // directories that held too many of these
}

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

// record leaves directories to their own keeper.
func (k *namesakesKeeper) record(env *Env, a *Commit, f *found) error {
	stems := map[string]bool{}
	for _, name := range a.New {
		stems[stem(name)], stems[bareName(name)] = true, true
	}
	own := a.ownStems(f.have)
	for _, name := range slices.Sorted(maps.Keys(stems)) {
		for _, parent := range stateParents {
			depth := 1
			if own[stem(name)] {
				depth = 100
			}
			if err := k.recordTree(env, a, path.Join(parent, name), depth, f.paths); err != nil {
				return err
			}
		}
	}
	if len(own) == 0 {
		return nil
	}
	for _, parent := range configParents {
		if err := k.recordNamed(env, a, parent, own, f.paths); err != nil {
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

// recordTree records a directory, the directories in it down to a depth, and, where that is more
// than one, the files. What is too much is told by Detail. What this program has there for a while, such as a copy of the
// attachments ahead of their move, is nobody's.
func (k *namesakesKeeper) recordTree(env *Env, a *Commit, top string, depth int, dirs map[string]bool) error {
	list, err := entriesOf(env.Host, top)
	if err != nil || list == nil {
		return err
	}
	dirs[top] = true
	for _, e := range list {
		name := path.Join(top, e.Name)
		switch {
		case strings.HasPrefix(e.Name, tempPrefix):
		case e.Type.IsDir() && depth > 1:
			err = k.recordTree(env, a, name, depth-1, dirs)
		case e.Type.IsDir():
			dirs[name] = true
		case depth == 1:
		case len(k.Namesakes) >= maxNamesakes:
			k.Unrecorded = append(k.Unrecorded, top)
			return nil
		default:
			err = k.recordFile(env, a, name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// recordNamed records the files of a directory that are named after a product.
func (k *namesakesKeeper) recordNamed(env *Env, a *Commit, parent string, stems, dirs map[string]bool) error {
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
		if err := k.recordFile(env, a, path.Join(parent, e.Name)); err != nil {
			return err
		}
	}
	return nil
}

// recordFile records a file that is no configuration file of a package that goes, and what it leads to if it
// is a symlink to configuration: the package may have it as its configuration file.
func (k *namesakesKeeper) recordFile(env *Env, a *Commit, name string) error {
	if err := k.recordOne(env, a, name, strings.HasPrefix(name, "/etc/")); err != nil || !strings.HasPrefix(name, "/etc/") {
		return err
	}
	real, err := behind(env.Host, name)
	if err != nil || real == "" {
		return err
	}
	return k.recordOne(env, a, real, true)
}

// recordOne records a file with its content if it is configuration, else its owner and mode.
func (k *namesakesKeeper) recordOne(env *Env, a *Commit, name string, config bool) error {
	if a.recorded(name) {
		return nil
	}
	st, err := env.Host.Lstat(name)
	if host.Absent(err) {
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
	if errors.Is(err, host.ErrUnknown) { // a simulation need not know all that no package has
		p, err = saveMeta(env, name)
	}
	if host.Absent(err) {
		return nil
	}
	k.Namesakes = append(k.Namesakes, p)
	return err
}

// restore puts back what the purge took, and gives the rest its owner and mode again. Content
// that has changed since is not the packages' work.
func (k *namesakesKeeper) restore(env *Env, _ *Commit) error {
	for _, p := range k.Namesakes {
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

func (k *namesakesKeeper) compare(env *Env, _ *Commit) ([]string, error) {
	var lines []string
	for _, p := range k.Namesakes {
		more, err := compareMeta(env, p)
		if err != nil {
			return nil, err
		}
		lines = append(lines, more...)
	}
	return lines, nil
}

func (e *Env) restoreNamesake(p Preimage) error {
	dir, base, err := parent(e.Host, p.Path)
	if host.Absent(err) {
		return nil // compare tells
	}
	if err != nil {
		return err
	}
	defer dir.Close()
	st, err := dir.Lstat(base)
	switch {
	case host.Absent(err) && (p.Blob != nil || p.Target != ""):
		return e.Store.Restore(p)
	case host.Absent(err), err == nil && st.Mode.Type() != p.Mode.Type():
		return nil
	case err != nil:
		return err
	}
	m := p.meta()
	m.atime, m.mtime = time.Time{}, time.Time{}
	return setMeta(dir, base, m)
}
