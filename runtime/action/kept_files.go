package action

import (
	"errors"
	"fmt"
	"path"

	"zcp2kopano/runtime/host"
)

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
