package rpm

import (
	"cmp"
	"errors"
	"io/fs"
	"slices"
	"strings"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/digest"
)

// Fate is what a transaction does with a path of a package.
type Fate int

const (
	Create  Fate = iota // made, over what is there
	Skip                // left as it is
	Save                // what is there becomes .rpmsave, then as Create
	Backup              // what is there, which no package owned, becomes .rpmorig, then as Create
	AltName             // the new file becomes .rpmnew beside what is there
	Erase               // removed
)

// Beside is the name for the other version of a configuration file.
func (f Fate) Beside(name string) string {
	return name + map[Fate]string{Save: ".rpmsave", Backup: ".rpmorig", AltName: ".rpmnew"}[f]
}

// Side is a file as a package has it, with what else the package has.
type Side struct {
	Package   string
	File      host.PackedFile
	Pristine  *host.Stat // how a configuration file was as it was shipped, where only that is known
	Files     []host.PackedFile
	Conffiles []host.Conffile
}

// Here is the host that a fate is decided on.
type Here interface {
	Lstat(path string) (host.Stat, error)
	// Is reports whether what is there is what a package has at that path: a symlink to the same target, or a file
	// with the same content.
	Is(s Side, st host.Stat) (bool, error)
}

// FateOf says what happens to a file of a package that comes; had are those who have its path already.
func FateOf(h Here, s Side, had []Side) (Fate, error) {
	if s.File.Ghost {
		return Skip, nil
	}
	decided, what := false, Create
	for _, old := range had {
		if s.config() == nil && old.config() == nil {
			continue
		}
		var err error
		if what, err = decide(h, old, s); err != nil || what == Skip {
			return what, err
		}
		decided = true
	}
	if decided {
		return what, nil
	}
	changed, err := changedConfig(h, s)
	switch {
	case err != nil || !changed:
		return Create, err
	case s.File.NoReplace:
		return AltName, nil
	}
	return Backup, nil
}

// FateOfOld says what happens to a file of a package that goes, and that no other package has.
func FateOfOld(h Here, s Side) (Fate, error) {
	changed, err := changedConfig(h, s)
	if changed {
		return Save, err
	}
	return Erase, err
}

// decide chooses between the file on the host and the new one of a configuration file that a package has already
// (rpmfilesDecideFate).
func decide(h Here, old, s Side) (Fate, error) {
	st, err := h.Lstat(s.File.Path)
	if errors.Is(err, fs.ErrNotExist) {
		if s.File.MissingOK {
			return Skip, nil
		}
		return Create, nil
	}
	if err != nil {
		return Create, err
	}
	old.guessType(st)
	if !hasContent(old.File.Mode) {
		return Create, nil
	}
	same := false
	if st.Mode.Type() == old.File.Mode.Type() {
		if same, err = h.Is(s, st); err == nil && !same {
			same, err = h.Is(old, st)
		}
	}
	switch {
	case err != nil || same:
		return Create, err
	case s.config() == nil:
		return Save, nil
	case unchanged(old, s):
		return Skip, nil
	case s.File.NoReplace:
		return AltName, nil
	}
	return Save, nil
}

// hasContent reports whether it is something that can be edited.
func hasContent(mode fs.FileMode) bool { return mode.IsRegular() || mode&fs.ModeSymlink != 0 }

// unchanged reports whether two versions of a package have the same file.
func unchanged(old, s Side) bool {
	if old.File.Mode.Type() != s.File.Mode.Type() {
		return false
	}
	if s.File.Mode&fs.ModeSymlink != 0 {
		return old.File.Target == s.File.Target
	}
	was := old.Shipped()
	return was != "" && was == DigestOf(s.File, was)
}

func (s Side) config() *host.Conffile {
	i := slices.IndexFunc(s.Conffiles, func(c host.Conffile) bool { return c.Path == s.File.Path })
	if i < 0 {
		return nil
	}
	return &s.Conffiles[i]
}

// Shipped is the digest that the package database has of the file.
func (s Side) Shipped() string {
	if c := s.config(); c != nil && c.MD5 != "" {
		return c.MD5
	}
	return DigestOf(s.File, "")
}

// guessType guesses the type that a package gave to a path of which no more is known: that of what is there,
// except that a configuration file is a file, and what has paths below it a directory.
func (s *Side) guessType(st host.Stat) {
	below := func(f host.PackedFile) bool { return strings.HasPrefix(f.Path, s.File.Path+"/") }
	switch {
	case !s.File.Bare:
	case slices.ContainsFunc(s.Files, below):
		s.File.Mode = fs.ModeDir
	case s.config() != nil:
		s.File.Mode = 0
	default:
		s.File.Mode = st.Mode.Type()
	}
}

// changedConfig reports whether a package's configuration file is on the host and is not as the package has it
// (rpmfilesConfigConflict).
func changedConfig(h Here, s Side) (bool, error) {
	if s.config() == nil {
		return false, nil
	}
	st, err := h.Lstat(s.File.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	s.guessType(st)
	if !hasContent(s.File.Mode) {
		return false, nil
	}
	if s.File.Ghost {
		return true, nil // the package has no content to compare with
	}
	same, err := h.Is(s, st)
	return !same, err
}

// Differ reports whether two packages bring a path in ways that rpm calls a conflict (rpmfilesCompare). What is not
// known of one of them is taken to be equal.
func Differ(a, b host.PackedFile) bool {
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
	sum := DigestOf(a, b.Digest)
	other := DigestOf(b, sum)
	return sum != "" && other != "" && sum != other
}

func ownerName(name string) string {
	if name == "" || name == "0" {
		return "root"
	}
	return name
}

// DigestOf is that of the content that the package has, if it is known: of the same kind as another one, or, if that
// is empty, of the kind that the package itself has.
func DigestOf(f host.PackedFile, like string) string {
	switch {
	case f.Digest != "" && (like == "" || len(f.Digest) == len(like)):
		return f.Digest
	case f.Content != nil && !f.Approx:
		return digest.Of(f.Content, cmp.Or(like, digest.SHA256Like))
	}
	return ""
}
