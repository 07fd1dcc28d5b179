package action

import (
	"errors"
	"fmt"
	"path"

	"zcp2kopano/runtime/host"
)

// recordSums keeps the digests of the package files and records that were kept: what is installed from them
// on the way back runs as root, and what is missing or altered by then is no way back.
func (a *Commit) recordSums(env *Env) error {
	a.Sums = map[string]string{}
	for _, kept := range []map[string]string{a.Files, a.Remains} {
		for _, file := range kept {
			sum, err := sumOf(env, file)
			if errors.Is(err, host.ErrUnknown) { // a simulated host knows no more than the size
				continue
			}
			if err != nil {
				return fmt.Errorf("keep %s: %w", file, err)
			}
			a.Sums[file] = sum
		}
	}
	return nil
}

// asKept refuses a kept file that is not what was kept.
func (a *Commit) asKept(env *Env, file string) error {
	want := a.Sums[file]
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
