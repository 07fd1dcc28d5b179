package sim

import (
	"fmt"
	"slices"
	"strings"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/rpm"
)

// rpmTransaction is what rpm works out before it changes anything.
type rpmTransaction struct {
	rpms   *rpms
	coming []*Package
	going  map[*Package]bool // removed, or replaced by another version
	taken  map[string]bool   // paths of those that come
}

func (rs *rpms) newTransaction(sol *solution) *rpmTransaction {
	t := &rpmTransaction{rpms: rs, coming: sol.install, going: map[*Package]bool{}, taken: map[string]bool{}}
	for _, p := range sol.install {
		for _, f := range p.Files {
			t.taken[f.Path] = true
		}
		if old := rs.db.byName[p.Name]; old != nil {
			t.going[old] = true
		}
	}
	for _, name := range sol.remove {
		t.going[rs.db.byName[name]] = true
	}
	return t
}

// check finds files that two packages would have in different ways.
func (t *rpmTransaction) check() error {
	var lines []string
	for i, p := range t.coming {
		for _, f := range p.Files {
			for _, owner := range t.rpms.db.owners[f.Path] {
				other := t.rpms.db.byName[owner]
				if of, ok := other.file(f.Path); ok && !t.going[other] && rpm.Differ(f, of) {
					lines = append(lines, fmt.Sprintf("file %s from install of %s-%s conflicts with file from package %s-%s", f.Path, p.Name, p.Version, other.Name, other.Version))
				}
			}
			for _, other := range t.coming[:i] {
				if of, ok := other.file(f.Path); ok && rpm.Differ(f, of) {
					lines = append(lines, fmt.Sprintf("file %s conflicts between attempted installs of %s-%s and %s-%s", f.Path, p.Name, p.Version, other.Name, other.Version))
				}
			}
		}
	}
	if len(lines) == 0 {
		return nil
	}
	slices.Sort(lines)
	return t.rpms.system.managerError("Transaction check error:\n%s", strings.Join(slices.Compact(lines), "\n"))
}

// fates says for each file of a package that comes what happens to it.
func (t *rpmTransaction) fates(p *Package) ([]rpm.Fate, error) {
	all := make([]rpm.Fate, len(p.Files))
	for i, f := range p.Files {
		var had []rpm.Side
		for _, owner := range t.rpms.db.owners[f.Path] {
			other := t.rpms.db.byName[owner]
			if of, ok := other.file(f.Path); ok {
				had = append(had, other.side(of))
			}
		}
		var err error
		if all[i], err = rpm.FateOf(t.rpms, p.side(f), had); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Path, err)
		}
	}
	return all, nil
}

// side is a file of a package with what decides its fate.
func (p *Package) side(f host.PackedFile) rpm.Side {
	s := rpm.Side{Package: p.Name, File: f, Files: p.Files, Conffiles: p.Conffiles}
	if was, ok := p.pristine[f.Path]; ok {
		s.Pristine = &was
	}
	return s
}

// Lstat is what is at a path.
func (rs *rpms) Lstat(name string) (host.Stat, error) { return rs.files.Lstat(name) }

// Is reports whether what is on the host is what a package has at that path: a symlink to the same target, or a file
// with the same content.
func (rs *rpms) Is(s rpm.Side, st host.Stat) (bool, error) {
	name := s.File.Path
	if st.Mode.Type() != s.File.Mode.Type() {
		return false, nil
	}
	if st.IsSymlink() {
		target, err := rs.files.Readlink(name)
		return target == s.File.Target, err
	}
	want := s.Shipped()
	have, _, err := rs.files.digest(name, want)
	switch {
	case err != nil:
		return false, err
	case want != "" && have != "":
		return want == have, nil
	case s.Pristine != nil:
		return sameContent(*s.Pristine, st), nil
	}
	rs.gaps.add(host.Unpredicted{
		What: "whether " + name + " was edited, and so what the package manager does with it",
		Why:  "its content, or what package " + s.Package + " shipped, is not known; it is taken for edited",
		Path: name + "*",
	})
	return false, nil
}

// notePristine remembers how the configuration files of a package are that are as they were shipped, and of which no
// content is known: what is not touched from then on is not edited.
func (rs *rpms) notePristine(p *Package, files []host.Conffile) {
	for _, c := range files {
		st, err := rs.files.Lstat(c.Path)
		if f, _ := p.file(c.Path); c.MD5 != "" || err != nil || f.Ghost {
			continue
		}
		if p.pristine == nil {
			p.pristine = map[string]host.Stat{}
		}
		p.pristine[c.Path] = st
	}
}

func sameContent(a, b host.Stat) bool {
	return a.Ino == b.Ino && a.Dev == b.Dev && a.Size == b.Size && a.Mtime.Equal(b.Mtime)
}

// oldFates says for each file of a package that goes what happens to it. What a package that comes or
// stays has too is left alone.
func (t *rpmTransaction) oldFates(p *Package) ([]rpm.Fate, error) {
	all := make([]rpm.Fate, len(p.Files))
	for i, f := range p.Files {
		if t.taken[f.Path] || t.staysWithOther(f.Path) || f.Path == "/" {
			all[i] = rpm.Skip
			continue
		}
		var err error
		if all[i], err = rpm.FateOfOld(t.rpms, p.side(f)); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Path, err)
		}
	}
	return all, nil
}

func (t *rpmTransaction) staysWithOther(name string) bool {
	return slices.ContainsFunc(t.rpms.db.owners[name], func(owner string) bool { return !t.going[t.rpms.db.byName[owner]] })
}
