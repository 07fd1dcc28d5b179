package sim

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/digest"
)

// fate is what a transaction of rpm does with a path of a package.
type fate int

const (
	create  fate = iota // made anew, over what is there
	skip                // left as it is
	save                // what is there becomes .rpmsave, then as create
	backup              // what is there, which no package owned, becomes .rpmorig, then as create
	altname             // the new file becomes .rpmnew beside what is there
	erase               // removed
)

// rpmTransaction is what rpm works out before it changes anything.
type rpmTransaction struct {
	rpms   *rpms
	coming []*Package
	going  map[*Package]bool // removed, or replaced by another version
	taken  map[string]bool   // paths of those that come
}

func (rs *rpms) newTransaction(pl *plan) *rpmTransaction {
	t := &rpmTransaction{rpms: rs, coming: pl.install, going: map[*Package]bool{}, taken: map[string]bool{}}
	for _, p := range pl.install {
		for _, f := range p.Files {
			t.taken[f.Path] = true
		}
		if old := rs.db.byName[p.Name]; old != nil {
			t.going[old] = true
		}
	}
	for _, name := range pl.remove {
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
				if of, ok := other.file(f.Path); ok && !t.going[other] && differ(f, of) {
					lines = append(lines, fmt.Sprintf("file %s from install of %s-%s conflicts with file from package %s-%s", f.Path, p.Name, p.Version, other.Name, other.Version))
				}
			}
			for _, other := range t.coming[:i] {
				if of, ok := other.file(f.Path); ok && differ(f, of) {
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

// differ tells whether two packages bring a path in ways that rpm calls a conflict (rpmfilesCompare).
// What is not known of one of them is taken to be equal.
func differ(a, b host.PackedFile) bool {
	if a.Ghost || b.Ghost || a.Bare || b.Bare {
		return false
	}
	if a.Mode.Type() != b.Mode.Type() {
		return true
	}
	if a.Mode&fs.ModeSymlink != 0 {
		return a.Target != b.Target
	}
	if a.Mode != b.Mode || ownerName(a.User) != ownerName(b.User) || ownerName(a.Group) != ownerName(b.Group) {
		return true
	}
	if !a.Mode.IsRegular() {
		return false
	}
	if a.Size != b.Size {
		return true
	}
	digest := digestOf(a, b.Digest)
	other := digestOf(b, digest)
	return digest != "" && other != "" && digest != other
}

func ownerName(name string) string {
	if name == "" || name == "0" {
		return "root"
	}
	return name
}

// digest is that of the content that the package has, if it is known: of the same kind as another one,
// or, if that is empty, of the kind that the package itself has.
func digestOf(f host.PackedFile, like string) string {
	switch {
	case f.Digest != "" && (like == "" || len(f.Digest) == len(like)):
		return f.Digest
	case f.Content != nil && !f.Approx:
		return digest.Of(f.Content, cmp.Or(like, digest.SHA256Like))
	}
	return ""
}

// fates says for each file of a package that comes what happens to it.
func (t *rpmTransaction) fates(p *Package) ([]fate, error) {
	all := make([]fate, len(p.Files))
	for i, f := range p.Files {
		var err error
		if all[i], err = t.fate(p, f); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Path, err)
		}
	}
	return all, nil
}

func (t *rpmTransaction) fate(p *Package, f host.PackedFile) (fate, error) {
	if f.Ghost {
		return skip, nil
	}
	decided, what := false, create
	for _, owner := range t.rpms.db.owners[f.Path] {
		other := t.rpms.db.byName[owner]
		of, ok := other.file(f.Path)
		if !ok || p.conffile(f.Path) == nil && other.conffile(f.Path) == nil {
			continue
		}
		var err error
		if what, err = t.decide(other, of, p, f); err != nil || what == skip {
			return what, err
		}
		decided = true
	}
	if decided {
		return what, nil
	}
	changed, err := t.rpms.changedConfig(p, f)
	switch {
	case err != nil || !changed:
		return create, err
	case f.NoReplace:
		return altname, nil
	}
	return backup, nil
}

// decide chooses between the file on the host and the new one of a configuration file that a package
// has already (rpmfilesDecideFate).
func (t *rpmTransaction) decide(old *Package, of host.PackedFile, p *Package, f host.PackedFile) (fate, error) {
	rs := t.rpms
	st, err := rs.files.Lstat(f.Path)
	if errors.Is(err, fs.ErrNotExist) {
		if f.MissingOK {
			return skip, nil
		}
		return create, nil
	}
	if err != nil {
		return create, err
	}
	if of.Bare {
		of.Mode = shippedType(old, of, st)
	}
	if !of.Mode.IsRegular() && of.Mode&fs.ModeSymlink == 0 {
		return create, nil
	}
	same := false
	if st.Mode.Type() == of.Mode.Type() {
		if same, err = rs.isAs(p, f, st); err == nil && !same {
			same, err = rs.isAs(old, of, st)
		}
	}
	switch {
	case err != nil || same:
		return create, err
	case p.conffile(f.Path) == nil:
		return save, nil
	case unchanged(old, of, p, f):
		return skip, nil
	case f.NoReplace:
		return altname, nil
	}
	return save, nil
}

// unchanged tells whether two versions of a package have the same file.
func unchanged(old *Package, of host.PackedFile, p *Package, f host.PackedFile) bool {
	if of.Mode.Type() != f.Mode.Type() {
		return false
	}
	if f.Mode&fs.ModeSymlink != 0 {
		return of.Target == f.Target
	}
	was := old.shipped(of)
	return was != "" && was == digestOf(f, was)
}

// shipped is the digest that the package database has of a file.
func (p *Package) shipped(f host.PackedFile) string {
	if c := p.conffile(f.Path); c != nil && c.MD5 != "" {
		return c.MD5
	}
	return digestOf(f, "")
}

// shippedType guesses the type that a package gave to a path of which no more is known: that of what
// is there, save that a configuration file is a file, and what has paths below it a directory.
func shippedType(p *Package, f host.PackedFile, st host.Stat) fs.FileMode {
	switch {
	case usedBelow(f.Path, p.Files):
		return fs.ModeDir
	case p.conffile(f.Path) != nil:
		return 0
	}
	return st.Mode.Type()
}

// changedConfig tells whether a package's configuration file is on the host and is not as the package
// has it (rpmfilesConfigConflict).
func (rs *rpms) changedConfig(p *Package, f host.PackedFile) (bool, error) {
	if p.conffile(f.Path) == nil {
		return false, nil
	}
	st, err := rs.files.Lstat(f.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if f.Bare {
		f.Mode = shippedType(p, f, st)
	}
	if !f.Mode.IsRegular() && f.Mode&fs.ModeSymlink == 0 {
		return false, nil
	}
	if f.Ghost {
		return true, nil // the package has no content to compare with
	}
	same, err := rs.isAs(p, f, st)
	return !same, err
}

// isAs tells whether what is on the host is what a package has at that path: a symlink to the same
// target, or a file with the same content.
func (rs *rpms) isAs(p *Package, f host.PackedFile, st host.Stat) (bool, error) {
	if st.Mode.Type() != f.Mode.Type() {
		return false, nil
	}
	if st.IsSymlink() {
		target, err := rs.files.Readlink(f.Path)
		return target == f.Target, err
	}
	want := p.shipped(f)
	have, _, err := rs.files.digest(f.Path, want)
	if err != nil {
		return false, err
	}
	if want != "" && have != "" {
		return want == have, nil
	}
	if was, ok := p.pristine[f.Path]; ok {
		return sameContent(was, st), nil
	}
	rs.gaps.add(host.Unpredicted{
		What: "whether " + f.Path + " was edited, and so what the package manager does with it",
		Why:  "its content, or what package " + p.Name + " shipped, is not known; it is taken for edited",
		Path: f.Path + "*",
	})
	return false, nil
}

// notePristine remembers how the configuration files are that a fixture calls as they were shipped, and
// of which it has no content: what is not touched from then on is not edited.
func (rs *rpms) notePristine(p *Package) {
	for _, c := range p.Conffiles {
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
func (t *rpmTransaction) oldFates(p *Package) ([]fate, error) {
	all := make([]fate, len(p.Files))
	for i, f := range p.Files {
		if t.taken[f.Path] || t.staysWithOther(f.Path) || f.Path == "/" {
			all[i] = skip
			continue
		}
		changed, err := t.rpms.changedConfig(p, f)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Path, err)
		}
		all[i] = erase
		if changed {
			all[i] = save
		}
	}
	return all, nil
}

func (t *rpmTransaction) staysWithOther(name string) bool {
	return slices.ContainsFunc(t.rpms.db.owners[name], func(owner string) bool { return !t.going[t.rpms.db.byName[owner]] })
}

// beside is the name for the other version of a configuration file.
func beside(name string, f fate) string {
	return name + map[fate]string{save: ".rpmsave", backup: ".rpmorig", altname: ".rpmnew"}[f]
}
