// Package fakepkg makes Debian and rpm packages and repositories that stand in for ZCP and Kopano Core.
//
// Names, paths, conffiles, dependencies, accounts and defaults are those of the real packages; the
// contents are written here. The daemons are small programs that read their configuration as
// strictly as the real ones do, drop to their user, and need the same files, sockets and database.
// The same input always gives the same bytes.
package fakepkg

import (
	"io/fs"
	"path"
	"runtime"
	"sort"
	"strings"
)

// arch is this machine's architecture, as dpkg and Go both spell it.
const arch = runtime.GOARCH

// Package is a Debian package to be built.
type Package struct {
	Name       string
	Version    string
	Arch       string // "all" if empty
	Maintainer string
	Source     string // the name if empty
	Section    string
	Summary    string
	// PreDepends to Provides are relations as dpkg writes them.
	PreDepends, Depends, Recommends, Conflicts, Breaks, Replaces, Provides string
	// Files are the payload; missing parent directories are made 0755 root:root.
	Files []File
	// Conffiles are the paths among Files that are configuration files.
	Conffiles []string
	// Scripts are maintainer scripts by name: preinst, postinst, prerm, postrm.
	Scripts map[string]string
}

// File is an entry of a package's payload, owned by root.
type File struct {
	Path    string
	Mode    fs.FileMode // type and permission bits
	Content []byte
	Target  string // of a symlink
}

// FileName is the package file's name as dpkg-name would give it.
func (p Package) FileName() string {
	return p.Name + "_" + p.Version + "_" + p.arch() + ".deb"
}

func (p Package) arch() string {
	if p.Arch == "" {
		return "all"
	}
	return p.Arch
}

// Paths lists what the package owns, directories included, in order.
func (p Package) Paths() []string {
	var paths []string
	for _, f := range p.payload() {
		paths = append(paths, f.Path)
	}
	return paths
}

// payload is Files in order, with the directories that lead to them.
func (p Package) payload() []File {
	all := map[string]File{}
	for _, f := range p.Files {
		all[f.Path] = f
		for dir := path.Dir(f.Path); dir != "/"; dir = path.Dir(dir) {
			if _, ok := all[dir]; !ok {
				all[dir] = Dir(dir, 0o755)
			}
		}
	}
	files := make([]File, 0, len(all))
	for _, f := range all {
		files = append(files, f)
	}
	sort.Slice(files, func(i, j int) bool { return files[i].Path < files[j].Path })
	return files
}

// Dir is a directory.
func Dir(path string, perm fs.FileMode) File {
	return File{Path: path, Mode: fs.ModeDir | perm}
}

// Text is a regular file of mode 0644.
func Text(path string, lines ...string) File {
	return File{Path: path, Mode: 0o644, Content: []byte(strings.Join(lines, "\n") + "\n")}
}

// Program is a regular file of mode 0755.
func Program(path string, content []byte) File {
	return File{Path: path, Mode: 0o755, Content: content}
}

// Link is a symlink.
func Link(path, target string) File {
	return File{Path: path, Mode: fs.ModeSymlink | 0o777, Target: target}
}

// conffiles adds files and declares them as conffiles.
func (p *Package) conffiles(files ...File) {
	for _, f := range files {
		p.Files = append(p.Files, f)
		p.Conffiles = append(p.Conffiles, f.Path)
	}
}
