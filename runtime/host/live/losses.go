package live

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"golang.org/x/sys/unix"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/deb"
	"zcp2kopano/runtime/host/rpm"
)

// Losses looks first whether a package can be built anew, which asks nobody outside: all but the odd one can.
func (v rpms) Losses(names []string) (map[string]string, error) {
	front, err := v.front()
	if err != nil {
		return nil, err
	}
	var dirs []string
	return losses(v, names, func(p host.Package) error {
		installed, err := v.recorded(context.Background(), p)
		if err == nil {
			err = rpm.CheckRebuild(installed, installedDisk{v.m.files, accountReader{v.m}})
		}
		if err == nil {
			return nil
		}
		if dirs == nil {
			dirs = v.cacheDirs(front)
		}
		if slices.ContainsFunc(dirs, func(dir string) bool { return v.fileIn(dir, p) != "" }) {
			return nil
		}
		return notRebuilt(err)
	})
}

// Losses looks at what SavePackages would pack.
func (v debs) Losses(names []string) (map[string]string, error) {
	return losses(v, names, func(p host.Package) error {
		err := v.looksPackable(p)
		if err == nil || v.isPackageFile(deb.ArchivesDir+"/"+deb.FileName(p), p) {
			return nil
		}
		return notRepacked(err)
	})
}

// looksPackable tells why a package's files cannot be packed. Those that are gone are left out.
func (v debs) looksPackable(p host.Package) error {
	paths, err := v.PackageFiles(p.Name)
	if err != nil {
		return err
	}
	for _, path := range paths {
		if _, err := v.m.files.Lstat(path); err != nil && !errors.Is(err, fs.ErrNotExist) && !isErrno(err, unix.ENOTDIR) {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

// losses asks for each package why nothing can be kept of it, and the repositories for those of which nothing can.
func losses(r host.PackageReader, names []string, why func(host.Package) error) (map[string]string, error) {
	if err := host.CheckPackageNames(names); err != nil {
		return nil, err
	}
	packages, err := packagesByName(r.Packages())
	if err != nil {
		return nil, err
	}
	lost := map[string]string{}
	for _, name := range names {
		if p := packages[name]; p.Installed() {
			if err := why(p); err != nil {
				lost[name] = err.Error()
			}
		}
	}
	if len(lost) == 0 {
		return lost, nil
	}
	candidates, err := r.Candidates(names)
	if err != nil {
		return nil, err
	}
	for name := range lost {
		if offered(candidates[name], packages[name].Version) {
			delete(lost, name)
		}
	}
	return lost, nil
}
