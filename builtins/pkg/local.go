package pkg

import (
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"sort"
	"strings"

	"go.starlark.net/starlark"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/packagesystem"
	"zcp2kopano/runtime/script"
)

var localRepository = &script.Builtin{
	Name: "pkg.local_repository",
	Doc: "Describes a directory of downloaded packages as a source of packages.\n\n" +
		"If it has an index (Packages, as dpkg-scanpackages or apt-ftparchive write it), it is a repository for " +
		"pkg.add_repository, trusted without a signature. Else, or if it is signed (a copy of somebody's repository), its package files (.deb) are installed directly: give the result as " +
		"source to pkg.install. With yum, dnf and zypper a directory of .rpm files is such a source, and one with an index " +
		"(repodata, as createrepo writes it) a repository.\n\n" +
		"Scripts in the packages run as root, so a run refuses a directory or a file in it that anybody but root, or who became " +
		"root by sudo, could exchange, and says how to mend it. What is installed is copied into the run's directory first.",
	Params: []script.Param{
		{Name: "path", Type: script.Path, Doc: "the directory"},
		{Name: "name", Type: script.String, Doc: "name of the repository's files: lower-case letters, digits and -", Optional: true, Default: `"local"`},
	},
	Result: "record, as pkg.repository returns",
	Effect: script.Read,
	Example: `
repo = pkg.local_repository("/srv/kopano", name = "kopano")
pkg.add_repository(repo)
pkg.install(["kopano-server"], source = repo)
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		dir := c.String("path")
		system, err := systemOf(c)
		if err != nil {
			return nil, err
		}
		d, err := directoryOf(c.View, system, dir)
		if err == nil {
			err = trusted(c, dir, d.Files)
		}
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		r := repo{kind: kindFiles, Repository: host.Repository{Name: c.StringOr("name", "local"), URL: "file:" + dir}}
		// apt warns of a signature whose key it lacks even where the source is trusted without one.
		if d.Index && !(d.Signed && len(d.Files) > 0) {
			r.kind, r.URL, r.Suite, r.Trusted = kindRepository, "file:"+strings.TrimSuffix(dir, "/")+"/", "./", true
		}
		if !d.Index && len(d.Files) == 0 {
			return nil, c.Errorf("%s holds neither an index nor package files (%s)", dir, system.Extension())
		}
		if err := r.check(); err != nil {
			return nil, c.Errorf("%w", err)
		}
		return r.value(), nil
	},
}

// systemOf is the package system of the host.
func systemOf(c *script.Call) (packagesystem.System, error) {
	m, err := c.View.PackageManager()
	if err != nil {
		return nil, c.Errorf("%w", err)
	}
	return packagesystem.Of(m.Name), nil
}

func directoryOf(files host.FileReader, system packagesystem.Files, dir string) (host.PackageDirectory, error) {
	entries, err := files.ReadDir(dir)
	if err != nil {
		return host.PackageDirectory{}, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name
	}
	return system.Directory(names), nil
}

// trusted judges a directory of package files: their scripts run as root.
func trusted(c *script.Call, dir string, files []string) error {
	if err := c.Trust(dir); err != nil {
		return err
	}
	for _, name := range files {
		if err := c.Trust(path.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// packageFiles are the newest package files of a directory that fit the host, by name.
type packageFiles map[string]host.PackageFile

// readFiles reads the control information of all packages in the directory.
func readFiles(c *script.Call, r repo) (packageFiles, error) {
	system, err := systemOf(c)
	if err != nil {
		return nil, err
	}
	facts, err := c.View.Facts()
	if err != nil {
		return nil, err
	}
	dir := strings.TrimPrefix(r.URL, "file:")
	d, err := directoryOf(c.View, system, dir)
	if err != nil {
		return nil, err
	}
	if err := trusted(c, dir, d.Files); err != nil {
		return nil, err
	}
	found := packageFiles{}
	foreign := ""
	for _, name := range d.Files {
		p, err := readFile(c.View, system, path.Join(dir, name))
		if err != nil {
			return nil, fmt.Errorf("%s: %w; download it again", path.Join(dir, name), err)
		}
		if !system.Fits(p.Arch, facts.Arch) {
			foreign = p.Arch
			continue
		}
		if old, ok := found[p.Name]; !ok || system.Compare(p.Version, old.Version) > 0 {
			found[p.Name] = p
		}
	}
	if len(found) == 0 && foreign != "" {
		return nil, fmt.Errorf("the packages in %s are for %s, and this host is %s", dir, foreign, facts.Arch)
	}
	return found, nil
}

func readFile(files host.FileReader, system packagesystem.Files, name string) (p host.PackageFile, err error) {
	err = host.WithFile(files, name, func(r io.ReaderAt, size int64) error {
		p, err = system.ReadFile(r, size)
		return err
	})
	p.Path = name
	return p, err
}

// checkFile reads a package file to its end.
func checkFile(files host.FileReader, system packagesystem.Files, name string) error {
	return host.WithFile(files, name, system.CheckFile)
}

// providers are the packages by each name that they have or provide.
func (files packageFiles) providers() map[string]host.PackageFile {
	by := map[string]host.PackageFile{}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		for _, other := range files[name].Provides {
			if _, known := by[other]; !known {
				by[other] = files[name]
			}
		}
	}
	maps.Copy(by, files)
	return by
}

// closure returns the files of the packages wanted and of what they depend on, as far as the
// directory has them; names that it lacks stay names, for the configured repositories.
func (files packageFiles) closure(wanted []string) []string {
	var result []string
	meets := files.providers()
	seen := map[string]bool{}
	queue := append([]string(nil), wanted...)
	for len(queue) > 0 {
		item := queue[0]
		queue = queue[1:]
		if seen[item] {
			continue
		}
		seen[item] = true
		name, want, exact := strings.Cut(item, "=")
		p, ok := files[name]
		if !ok || exact && p.Version != want {
			result = append(result, item)
			continue
		}
		result = append(result, p.Path)
		for _, names := range p.Needs {
			for _, n := range names {
				if p, ok := meets[n]; ok {
					queue = append(queue, p.Name)
					break
				}
			}
		}
	}
	sort.Strings(result)
	return result
}

// askFiles answers pkg.probe for a plain directory.
func askFiles(c *script.Call, r repo, packages []string) (host.RepositoryAnswer, error) {
	files, err := readFiles(c, r)
	if err != nil {
		return host.RepositoryAnswer{}, c.Errorf("%w", err)
	}
	answer := host.RepositoryAnswer{Known: true, Offers: map[string]string{}}
	for _, name := range packages {
		if p, ok := files[name]; ok {
			answer.Offers[name] = p.Version
			continue
		}
		answer.Missing = append(answer.Missing, name)
	}
	return answer, nil
}
