package action

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/packagesystem"
)

// takenFiles are the package files that a transaction installs from. Their scripts run as root, so they are copied to
// where only root comes before they are solved: what was looked at is what is installed, whoever owns the directory
// that they came from.
type takenFiles struct {
	Taken map[string]takenFile `json:"taken,omitempty"` // by the path of the copy
}

type takenFile struct {
	From   string `json:"from"`
	SHA256 string `json:"sha256,omitempty"` // empty where a simulated host knows no content
}

// take replaces package files by copies.
func (t *takenFiles) take(env *Env, items []string) ([]string, error) {
	taken := make([]string, len(items))
	for i, item := range items {
		taken[i] = item
		if !path.IsAbs(item) || strings.HasPrefix(item, env.Store.Dir+"/") {
			continue
		}
		var err error
		if taken[i], err = t.takeOne(env, item); err != nil {
			return nil, fmt.Errorf("package file %s: %w", item, err)
		}
	}
	return taken, nil
}

func (t *takenFiles) takeOne(env *Env, file string) (string, error) {
	to, err := takeCopy(env, file, path.Join("taken", env.Tag), path.Base(file))
	if err != nil {
		return "", err
	}
	if err := nameIsTrue(env, to); err != nil {
		return "", err
	}
	sum, err := sumOf(env, to)
	if err != nil && !errors.Is(err, host.ErrUnknown) {
		return "", err
	}
	if t.Taken == nil {
		t.Taken = map[string]takenFile{}
	}
	t.Taken[to] = takenFile{From: file, SHA256: sum}
	return to, nil
}

// takeCopy copies a package file that is trusted into a room of the store.
func takeCopy(env *Env, file, room, name string) (string, error) {
	if err := env.trusts(file); err != nil {
		return "", err
	}
	dir, err := env.Store.room(room)
	if err != nil {
		return "", err
	}
	defer dir.Close()
	if err := copyFile(env, file, dir, name); err != nil {
		return "", err
	}
	to := path.Join(env.Store.Dir, room, name)
	if w, ok := env.Host.(host.CopyWatcher); ok {
		w.Copied(file, to)
	}
	return to, nil
}

// copyFile copies the content of a file, by the descriptor that it is looked at by, to a name that the copy gets when
// it is complete and durable.
func copyFile(env *Env, file string, dir host.Dir, name string) error {
	from, err := env.Host.Open(file)
	if err != nil {
		return err
	}
	defer from.Close()
	st, err := from.Stat()
	if err != nil {
		return err
	}
	if err := unlinkIfThere(dir, incoming); err != nil {
		return err
	}
	if err := copyOpen(env, from, st, dir, incoming); err != nil {
		return err
	}
	if err := dir.Rename(incoming, dir, name); err != nil {
		return err
	}
	return dir.SyncSelf()
}

// nameIsTrue refuses a package file that is called like another package than it holds: by its name it is judged what
// the runbook may install.
func nameIsTrue(env *Env, file string) error {
	system := systemOf(file)
	if system == nil {
		return nil
	}
	var p host.PackageFile
	err := host.WithFile(env.Host, file, func(r io.ReaderAt, size int64) (err error) {
		p, err = system.ReadFile(r, size)
		return err
	})
	if err == nil && p.Name != system.NameOfFile(file) {
		return fmt.Errorf("it holds the package %s, and is called like another one; give it its usual name, %s",
			p.Name, system.FileName(host.Package{Name: p.Name, Version: p.Version, Arch: p.Arch}))
	}
	return nil // what cannot be read the package manager refuses, and says why
}

// systemOf is the package system whose package files are called so; nil if none's are.
func systemOf(file string) packagesystem.System {
	for _, system := range packagesystem.All {
		if system.IsFile(file) {
			return system
		}
	}
	return nil
}

// asTaken refuses copies that are not what was taken.
func (t *takenFiles) asTaken(env *Env) error {
	for _, file := range slices.Sorted(maps.Keys(t.Taken)) {
		want := t.Taken[file].SHA256
		if want == "" {
			continue
		}
		sum, err := sumOf(env, file)
		if err == nil && sum != want {
			err = errors.New("its content is another")
		}
		if err != nil {
			return fmt.Errorf("the copy %s of a package file is not what was taken: %w; check the disk, and begin the step again (rollback --to)", file, err)
		}
	}
	return nil
}

// named has a solution speak of the files that were given, and not of their copies.
func (t *takenFiles) named(s host.Solution) host.Solution {
	for _, list := range [][]host.Change{s.Install, s.Upgrade} {
		for i := range list {
			for file, it := range t.Taken {
				list[i].Origin = strings.ReplaceAll(list[i].Origin, file, it.From)
			}
		}
	}
	return s
}

// keptFiles knows the package files, and records of packages, that were kept: what is installed from them on the way
// back runs as root, and what is missing or altered by then is no way back.
type keptFiles struct {
	Sums map[string]string `json:"sums,omitempty"` // their digests
}

// keptFilesRoom is where they are in the store.
const keptFilesRoom = "packages"

// keptFilesDir is that directory.
func keptFilesDir(env *Env) (string, error) {
	dir := path.Join(env.Store.Dir, keptFilesRoom)
	return dir, mkdirAll(env.Host, dir)
}

// keptFor are the kept files of packages.
func keptFor(env *Env, names []string) ([]string, error) {
	dir, err := keptFilesDir(env)
	if err != nil {
		return nil, err
	}
	entries, err := env.Host.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	byName := map[string]string{}
	for _, e := range entries {
		byName[targetName(path.Join(dir, e.Name))] = path.Join(dir, e.Name)
	}
	var files []string
	for _, name := range names {
		file, kept := byName[name]
		if !kept {
			return nil, fmt.Errorf("no package file of %s was kept in %s; install it by hand, then resume", name, dir)
		}
		files = append(files, file)
	}
	return files, nil
}

// noteSums keeps the digests of kept files.
func (k *keptFiles) noteSums(env *Env, kept map[string]string) error {
	for _, file := range kept {
		sum, err := sumOf(env, file)
		if errors.Is(err, host.ErrUnknown) { // a simulated host knows no more than the size
			continue
		}
		if err != nil {
			return fmt.Errorf("keep %s: %w", file, err)
		}
		if k.Sums == nil {
			k.Sums = map[string]string{}
		}
		k.Sums[file] = sum
	}
	return nil
}

// asKept refuses a kept file that is not what was kept.
func (k *keptFiles) asKept(env *Env, file string) error {
	want := k.Sums[file]
	if want == "" {
		return nil // of a version that kept no digests
	}
	sum, err := sumOf(env, file)
	if err == nil && sum != want {
		err = errors.New("its content is another")
	}
	if err != nil {
		return fmt.Errorf("the package file %s is not what was kept: %w; check the disk, or put a good copy of it there", file, err)
	}
	return nil
}

func sumOf(env *Env, file string) (string, error) {
	dir, err := env.Host.OpenTree(path.Dir(file))
	if err != nil {
		return "", err
	}
	defer dir.Close()
	return digest(dir, path.Base(file))
}
