package pkg

import (
	"fmt"
	"path"
	"sort"
	"strings"

	"go.starlark.net/starlark"
	"pault.ag/go/debian/version"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/script"
)

var localRepository = &script.Builtin{
	Name: "pkg.local_repository",
	Doc: "Describes a directory of downloaded packages as a source of packages.\n\n" +
		"If it has an index (Packages, as dpkg-scanpackages or apt-ftparchive write it), it is a repository for " +
		"pkg.add_repository, trusted without a signature. Else, or if it is signed (a copy of somebody's repository), its .deb files are installed directly: give the result as " +
		"source to pkg.install.",
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
		entries, err := c.View.ReadDir(dir)
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		r := repo{kind: kindFiles, name: c.StringOr("name", "local"), url: "file:" + dir}
		packages, signed := 0, false
		for _, e := range entries {
			switch {
			case e.Name == "Packages" || strings.HasPrefix(e.Name, "Packages."):
				r.kind, r.url, r.suite, r.trusted = kindRepository, "file:"+strings.TrimSuffix(dir, "/")+"/", "./", true
			case e.Name == "InRelease" || e.Name == "Release.gpg":
				signed = true
			case strings.HasSuffix(e.Name, ".deb"):
				packages++
			}
		}
		if signed && packages > 0 {
			// apt warns of a signature whose key it lacks even where the source is trusted without one.
			r = repo{kind: kindFiles, name: r.name, url: "file:" + dir}
		}
		if r.kind == kindFiles && packages == 0 {
			return nil, c.Errorf("%s holds neither an index (Packages) nor .deb files", dir)
		}
		if err := r.check(); err != nil {
			return nil, c.Errorf("%w", err)
		}
		return r.value(), nil
	},
}

// packageFile is a .deb in a directory.
type packageFile struct {
	control
	path string
}

// packageFiles are the newest .debs of a directory that fit the host, by name.
type packageFiles map[string]packageFile

// readFiles reads the control information of all packages in the directory.
func readFiles(c *script.Call, r repo) (packageFiles, error) {
	facts, err := c.View.Facts()
	if err != nil {
		return nil, err
	}
	dir := strings.TrimPrefix(r.url, "file:")
	entries, err := c.View.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	found := packageFiles{}
	foreign := ""
	for _, e := range entries {
		if !strings.HasSuffix(e.Name, ".deb") {
			continue
		}
		p, err := openDeb(c.View, path.Join(dir, e.Name))
		if err != nil {
			return nil, fmt.Errorf("%s: %w; download it again", path.Join(dir, e.Name), err)
		}
		if p.arch != "all" && p.arch != facts.Arch {
			foreign = p.arch
			continue
		}
		if old, ok := found[p.name]; !ok || version.Compare(p.version, old.version) > 0 {
			found[p.name] = p
		}
	}
	if len(found) == 0 && foreign != "" {
		return nil, fmt.Errorf("the packages in %s are for %s, and this host is %s", dir, foreign, facts.Arch)
	}
	return found, nil
}

func openDeb(view host.View, name string) (packageFile, error) {
	f, err := view.Open(name)
	if err != nil {
		return packageFile{}, err
	}
	defer f.Close()
	c, err := readDeb(f)
	return packageFile{control: c, path: name}, err
}

// closure returns the files of the packages wanted and of what they depend on, as far as the
// directory has them; names that it lacks stay names, for the configured repositories.
func (files packageFiles) closure(wanted []string) []string {
	var result []string
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
		if !ok || exact && p.version.String() != want {
			result = append(result, item)
			continue
		}
		result = append(result, p.path)
		for _, names := range p.needs {
			for _, n := range names {
				if _, ok := files[n]; ok {
					queue = append(queue, n)
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
			answer.Offers[name] = p.version.String()
			continue
		}
		answer.Missing = append(answer.Missing, name)
	}
	return answer, nil
}
