package action

import (
	"errors"
	"path"
	"slices"

	"zcp2kopano/runtime/host"
)

// leftovers are the names that dpkg and rpm give to the other version of a configuration file.
var leftovers = []string{".dpkg-dist", ".dpkg-new", ".dpkg-old", ".dpkg-tmp", ".rpmnew", ".rpmorig", ".rpmsave"}

// record completes the undo information.
func (a *Commit) record(env *Env, have map[string]host.Package) error {
	var save []string
	for _, c := range slices.Concat(a.Solution.Remove, a.Solution.Upgrade) {
		p, ok := have[bareName(c.Name)]
		if !ok {
			continue
		}
		a.Old = append(a.Old, p)
		if p.Installed() {
			save = append(save, p.Name)
		}
	}
	for _, c := range a.Solution.Install {
		if p, ok := have[bareName(c.Name)]; ok {
			a.Old = append(a.Old, p)
		} else {
			a.New = append(a.New, c.Name)
		}
	}
	if err := a.recordFiles(env, have); err != nil {
		return err
	}
	if err := a.recordAccounts(env); err != nil {
		return err
	}
	if err := a.recordPolicy(env); err != nil {
		return err
	}
	var left []string
	for _, p := range a.Old {
		if p.Status == "config-files" {
			left = append(left, p.Name)
		}
	}
	if len(save)+len(left) == 0 {
		return nil
	}
	dir := path.Join(env.Store.Dir, "packages")
	if err := mkdirAll(env.Host, dir); err != nil {
		return err
	}
	var err error
	if len(left) > 0 {
		if a.Remains, err = env.Host.SaveRemains(env.Ctx, left, dir); err != nil {
			return err
		}
	}
	if len(save) > 0 {
		if a.Files, a.Missing, err = env.Host.SavePackages(env.Ctx, save, dir, a.watch(env)); err != nil {
			return err
		}
	}
	return a.recordSums(env)
}

// recordFiles takes pre-images of configuration files and of the packages' directories.
func (a *Commit) recordFiles(env *Env, have map[string]host.Package) error {
	dirs, services := map[string]bool{}, map[string]bool{}
	for _, p := range a.Old {
		for _, c := range p.Conffiles {
			if err := a.recordConffile(env, c.Path); err != nil {
				return err
			}
		}
		if !p.Installed() && p.Status != "config-files" {
			continue
		}
		files, err := env.Host.PackageFiles(p.Name)
		if err != nil {
			return err
		}
		for _, f := range files {
			dirs[path.Clean(f)] = true
			if name := serviceOf(path.Clean(f)); name != "" {
				services[name] = true
			}
		}
	}
	for _, name := range sortedKeys(services) {
		if err := a.recordService(env, name); err != nil {
			return err
		}
	}
	if err := a.recordNamesakes(env, have, dirs); err != nil {
		return err
	}
	for _, name := range sortedKeys(dirs) {
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
		a.Dirs = append(a.Dirs, p)
	}
	return nil
}

// packagePlaces are where packages and their scripts change something; each can be a file system of its
// own. Package managers make durable what they unpack; what the scripts do is not.
var packagePlaces = []string{"/", "/etc", "/opt", "/srv", "/usr", "/usr/local", "/var", "/var/cache", "/var/lib", "/var/log", "/var/spool"}

// isDir tells whether a directory is at a path; a symlink to one is none.
func isDir(v host.FileReader, name string) (bool, error) {
	st, err := v.Lstat(name)
	if absent(err) {
		return false, nil
	}
	return err == nil && st.IsDir(), err
}

// recordConffile records a configuration file, and the one that it leads to if it is a symlink.
func (a *Commit) recordConffile(env *Env, name string) error {
	p, err := env.Store.Save(name)
	if err != nil || p.Mode.IsDir() {
		return err
	}
	a.Conffiles = append(a.Conffiles, p)
	if err := a.recordBeside(env, name); err != nil {
		return err
	}
	real, err := behind(env.Host, name)
	if err != nil || real == "" || a.recorded(real) {
		return err
	}
	if p, err = env.Store.Save(real); err != nil {
		return err
	}
	a.Conffiles = append(a.Conffiles, p)
	return a.recordBeside(env, real)
}

// behind is the file that a configuration file leads to if it is a symlink, else empty. dpkg takes that for
// the configuration file, and deletes it in a purge.
func behind(v host.FileReader, name string) (string, error) {
	st, err := v.Lstat(name)
	if absent(err) || err == nil && !st.IsSymlink() {
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
	if absent(err) || err == nil && !st.IsRegular() {
		return "", nil
	}
	return real, err
}

// recorded tells whether a configuration file is recorded already: two symlinks may lead to it.
func (a *Commit) recorded(name string) bool {
	return slices.ContainsFunc(a.Conffiles, func(p Preimage) bool { return p.Path == name })
}

func (a *Commit) recordBeside(env *Env, name string) error {
	for _, suffix := range leftovers {
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
		a.Conffiles = append(a.Conffiles, p)
		a.Beside = append(a.Beside, name+suffix)
	}
	return nil
}
